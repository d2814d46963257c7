use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use stylefleet_engine::{Control, Figures, Finished, Observer, State};
use stylefleet_proto::{Digest, EventKind, Specification};
use stylefleet_transport::broker::{Notification, WorkerEnd};
use stylefleet_transport::store::FolderStore;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::{Asked, Scene, TEXT, events, finished, job, progress, steps_in};

fn started() -> Update {
    resumed(0)
}

fn resumed(steps: u64) -> Update {
    Update::Started {
        steps,
        device: "cpu".to_owned(),
    }
}

#[tokio::test]
async fn a_finished_job_has_its_outputs_and_its_result() {
    let scene = Scene::new(|checkpoint, observer| {
        assert_eq!(checkpoint, None);
        observer.noted("a note");
        assert_eq!(observer.progressed(&progress(1)), Control::Continue);
        Ok(Outcome::Finished(finished()))
    })
    .await;
    let (updates, ended) = scene.attempt().await;
    let finished = Ended::Finished {
        seconds: 4.0,
        steps: 5,
        figures: Figures::from([("loss".to_owned(), 6.0)]),
    };
    let expected = [
        started(),
        Update::Note("a note".into()),
        Update::Progress(progress(1)),
    ];
    assert_eq!(updates, expected);
    assert_eq!(ended, finished);

    let json = scene.get(&keys::result(&scene.job.id)).await;
    let record: Record = serde_json::from_slice(&json.expect("is there")).expect("parses");
    assert_eq!(record.kind.as_ref(), Asked::KIND);
    assert_eq!(record.specification, "as you like it");
    assert_eq!(record.inputs, scene.job.inputs);
    assert_eq!(record.notes, ["a note"]);
    let parts: Vec<_> = record.made_with.keys().collect();
    assert_eq!(parts, ["libtorch", "patience", "stylefleet"]);
    let mut outputs = Vec::new();
    for output in &record.outputs {
        let file = scene.get(&output.key).await.expect("is there");
        assert!(output.is(&file));
        outputs.push((output.role.as_ref(), output.ending(), file));
    }
    let expected = [
        ("picture", "png", b"a picture".to_vec()),
        ("curve", "json", b"a curve".to_vec()),
    ];
    assert_eq!(outputs, expected);
    assert_eq!(scene.get(&keys::checkpoint(&scene.job.id)).await, None);

    assert_eq!(scene.get(&keys::started(&scene.job.id)).await, None);

    // The second time nothing runs.
    assert_eq!(scene.again().attempt().await, (Vec::new(), finished));
}

#[tokio::test]
async fn a_job_goes_on_from_its_checkpoint() {
    let scene = Scene::new(|checkpoint, _| {
        let checkpoint = checkpoint.expect("there is one");
        assert_eq!(steps_in(checkpoint, &job().id), 3);
        Ok(Outcome::Finished(finished()))
    })
    .await;
    scene.keep_checkpoint(3).await;
    let (updates, ended) = scene.attempt().await;
    assert_eq!(updates, [resumed(3)]);
    assert!(matches!(ended, Ended::Finished { .. }), "{ended:?}");
}

/// The worker looks at a checkpoint's header alone; the task at all of it.
#[tokio::test]
async fn a_checkpoint_that_the_task_refuses_is_noted_and_the_job_begun_anew() {
    let scene = Scene::new(|checkpoint, _| match checkpoint {
        Some(_) => Err(Error::Checkpoint("it is of another size".into())),
        None => Ok(Outcome::Finished(finished())),
    })
    .await;
    scene.keep_checkpoint(3).await;
    let (updates, ended) = scene.attempt().await;
    assert!(matches!(ended, Ended::Finished { .. }), "{ended:?}");
    let [begun, Update::Note(note)] = &updates[..] else {
        panic!("{updates:?}");
    };
    assert_eq!(*begun, resumed(3));
    assert!(note.contains("it is of another size"), "{note}");
}

#[tokio::test]
async fn a_checkpoint_of_no_use_is_noted_and_left_behind() {
    let scene = Scene::new(|checkpoint, _| {
        assert_eq!(checkpoint, None);
        Ok(Outcome::Finished(finished()))
    })
    .await;
    let key = keys::checkpoint(&scene.job.id);
    scene.put(&key, b"garbage").await;
    let (updates, ended) = scene.attempt().await;
    let [Update::Note(_), begun] = &updates[..] else {
        panic!("{updates:?}");
    };
    assert_eq!(*begun, started());
    assert!(is_finished(&ended), "{ended:?}");
    assert_eq!(scene.get(&key).await, None);
}

/// What the store may hold of a job that is done, instead of its result.
#[tokio::test]
async fn a_damaged_result_is_replaced() {
    let finish = |_: Option<&[u8]>, _: &mut dyn Observer| Ok(Outcome::Finished(finished()));
    let mut scene = Scene::new(finish).await;
    scene.attempt().await;
    let key = keys::result(&scene.job.id);
    let good = scene.get(&key).await.expect("is there");
    let record: serde_json::Value = serde_json::from_slice(&good).expect("JSON");
    let keys = [0, 1].map(|index| &record["outputs"][index]["key"]);
    let [picture, curve] = keys.map(|key| key.as_str().expect("a key").to_owned());
    let with = |field: &str, value: serde_json::Value| {
        let mut damaged = record.clone();
        damaged[field] = value;
        Bytes::from(damaged.to_string())
    };
    let with_key = |key: &str| {
        let mut outputs = record["outputs"].clone();
        outputs[0]["key"] = key.into();
        with("outputs", outputs)
    };
    let nobody = "0".repeat(64);
    let damages = [
        (&key, Bytes::from("{")),
        (&key, Bytes::new()),
        (&key, with("job", nobody.into())),
        (&key, with("outputs", serde_json::json!([]))),
        (&key, with_key("jobs/../image.png")),
        (&key, with("figures", serde_json::json!({"loss": null}))),
        (&key, with("seconds", serde_json::json!(-1.0))),
        (&picture, Bytes::from("another picture")),
        (&picture, Bytes::new()),
    ];
    for (damaged, bytes) in damages {
        scene = scene.again();
        let put = scene.context.store.put(damaged, bytes.clone()).await;
        put.expect("writes");
        expect_done_anew(&scene).await;
        assert_eq!(scene.get(&key).await.as_ref(), Some(&good), "{bytes:?}");
    }
    for output in [picture, curve] {
        scene = scene.again();
        scene.context.store.delete(&output).await.expect("removes");
        expect_done_anew(&scene).await;
        assert!(scene.get(&output).await.is_some(), "{output}");
    }
}

async fn expect_done_anew(scene: &Scene) {
    let (updates, ended) = scene.attempt().await;
    let [Update::Note(note), begun] = &updates[..] else {
        panic!("{updates:?}");
    };
    assert!(note.contains("damaged"), "{note}");
    assert_eq!(*begun, started());
    assert!(is_finished(&ended), "{ended:?}");
}

/// A damaged result that another attempt wrote meanwhile is noticed too.
#[tokio::test]
async fn a_result_stands_only_if_it_is_good() {
    let scene = Scene::new(|_, _| unreachable!("nothing to run")).await;
    let (events, _notifications) = events(&scene.job).await;
    let attempt = Attempt::new(scene.job.clone(), scene.context.clone(), events);
    let key = keys::result(&scene.job.id);
    scene.put(&key, b"{}").await;
    let computed = Computed {
        outcome: Outcome::Finished(finished()),
        specification: serde_json::Value::Null,
        notes: Vec::new(),
    };
    let ended = attempt.finish(Ok(computed), None).await.map(|c| c.ended);
    assert!(ended.as_ref().is_some_and(is_finished), "{ended:?}");
    let json = scene.get(&key).await.expect("is there");
    let record: Record = serde_json::from_slice(&json).expect("parses");
    record.check(&scene.job.id).expect("is good");
}

#[tokio::test]
async fn a_figure_that_is_no_number_is_no_result() {
    let scene = Scene::new(|_, _| {
        Ok(Outcome::Finished(Finished {
            figures: Figures::from([("loss".to_owned(), f64::NAN)]),
            ..finished()
        }))
    })
    .await;
    let (updates, ended) = scene.attempt().await;
    let Ended::Failed { retryable, reason } = &ended else {
        panic!("{ended:?}");
    };
    assert_eq!(updates, [started()]);
    assert!(
        !retryable && reason.contains("loss came to NaN"),
        "{ended:?}"
    );
    assert_eq!(scene.get(&keys::result(&scene.job.id)).await, None);
}

/// The record would be refused whenever it is read.
#[tokio::test]
async fn outputs_that_no_record_may_have_are_no_result() {
    for spoil in [
        (|made: &mut Finished| made.outputs.clear()) as fn(&mut Finished),
        |made| made.outputs[1].role = "picture",
        |made| made.outputs[1].role = "Not A Role",
        |made| made.outputs[1].ending = "../x",
        |made| made.outputs[1].media_type = "no media type",
    ] {
        let scene = Scene::new(|_, _| unreachable!("nothing to run")).await;
        let (events, _notifications) = events(&scene.job).await;
        let attempt = Attempt::new(scene.job.clone(), scene.context.clone(), events);
        let mut made = finished();
        spoil(&mut made);
        let computed = Computed {
            outcome: Outcome::Finished(made),
            specification: serde_json::Value::Null,
            notes: Vec::new(),
        };
        let ended = attempt.finish(Ok(computed), None).await.map(|c| c.ended);
        let failed = Some(false);
        let retryable = match ended {
            Some(Ended::Failed { retryable, .. }) => Some(retryable),
            _ => None,
        };
        assert_eq!(retryable, failed);
        assert_eq!(scene.get(&keys::result(&scene.job.id)).await, None);
    }
}

#[tokio::test]
async fn previews_are_made_as_often_as_the_job_asks() {
    let mut scene = Scene::new(|_, observer| {
        for steps in 1..=5 {
            observer.accepted(&State {
                steps,
                checkpoint: &|| Ok(Vec::new()),
                preview: &|| Ok(vec![b'0']),
            });
        }
        Ok(Outcome::Finished(finished()))
    })
    .await;
    scene.job.preview_every = 2;
    let (updates, _) = scene.attempt().await;
    let previews = [2, 4].map(|steps| Update::Previewed { steps });
    assert_eq!(updates[1..], previews);
    for steps in [2, 4] {
        let preview = scene.get(&keys::preview(&scene.job.id, steps)).await;
        assert_eq!(preview, Some(vec![b'0']));
    }
}

#[tokio::test]
async fn a_job_of_an_unknown_kind_is_left_to_workers_that_know_it() {
    let mut scene = Scene::new(|_, _| unreachable!("nothing to run")).await;
    scene.job = stylefleet_proto::testing::job("job", b"content", b"style");
    let (updates, ended) = scene.attempt().await;
    assert_eq!(updates, []);
    let Ended::Failed { retryable, reason } = &ended else {
        panic!("{ended:?}");
    };
    assert!(retryable, "{reason}");
    for part in ["the kind stylize", "only test"] {
        assert!(reason.contains(part), "{reason}");
    }
}

/// An invalid mark is no reason to give up a job.
#[tokio::test]
async fn a_damaged_mark_is_passed_over() {
    let scene = Scene::new(|_, _| Ok(Outcome::Finished(finished()))).await;
    scene.put(&keys::started(&scene.job.id), b"{").await;
    scene.submit().await;
    // A worker takes it and dies.
    drop(scene.broker.claim(&CancellationToken::new()).await);
    let mut notifications = scene.listen().await;
    let working = tokio::spawn(scene.service(Duration::MAX).run());
    loop {
        if let Notification::Event(event) = notifications.recv().await.expect("is published")
            && let EventKind::Ended(ended) = event.kind
        {
            assert!(is_finished(&ended), "{ended:?}");
            break;
        }
    }
    scene.drain.cancel();
    working.await.expect("ends").expect("without an error");
}

#[tokio::test]
async fn inputs_are_what_they_claim_to_be() {
    let scene = Scene::new(|_, _| unreachable!("nothing to run")).await;
    let key = keys::input(&Digest::of(TEXT));
    scene.put(&key, b"something else").await;
    let altered = scene.attempt().await;
    let scene = scene.again();
    scene.context.store.delete(&key).await.expect("removes");
    let missing = scene.attempt().await;
    for (updates, ended) in [altered, missing] {
        assert_eq!(updates, []);
        let Ended::Failed { retryable, reason } = &ended else {
            panic!("{ended:?}");
        };
        assert!(!retryable);
        assert!(reason.starts_with("text.png: "), "{reason}");
    }
    assert_eq!(scene.broker.dead().len(), 2);
    let failed = scene.get(&keys::failed(&scene.job.id)).await;
    assert!(failed.is_some(), "nobody would know");
}

#[tokio::test]
async fn a_failure_keeps_the_error_of_the_store() {
    let mut scene = Scene::new(|_, _| unreachable!("nothing to run")).await;
    let context = Arc::get_mut(&mut scene.context).expect("is not shared yet");
    // No system has names as long as this.
    context.store = Arc::new(FolderStore::new("x".repeat(5000)));
    scene.submit().await;
    let claim = scene.broker.claim(&CancellationToken::new()).await;
    let claim = claim.expect("answers").expect("has the job");
    let (events, _notifications) = events(&scene.job).await;
    let attempt = Attempt::new(scene.job.clone(), scene.context.clone(), events);
    let failure = attempt.look(&claim).await.err().expect("no folder");
    assert!(matches!(failure, Failure::Store(_)), "{failure:?}");
    let mut sources = std::iter::successors(failure.source(), |&error| error.source());
    let io = sources.find_map(|source| source.downcast_ref::<std::io::Error>());
    let kind = io.expect("is the source").kind();
    assert_eq!(kind, std::io::ErrorKind::InvalidFilename);
}

#[tokio::test]
async fn an_error_fails_the_job_and_the_worker_lives_on() {
    let scene = Scene::new(|_, _| Err(Error::NotFinite(f64::NAN))).await;
    let failed = Ended::Failed {
        retryable: false,
        reason: Error::NotFinite(f64::NAN).to_string(),
    };
    assert_eq!(scene.attempt().await, (vec![started()], failed));
    assert!(scene.context.engine.is_alive());
}

#[tokio::test]
async fn a_panic_fails_the_job_and_ends_the_engine() {
    let scene = Scene::new(|_, _| panic!("it broke\nbacktrace")).await;
    let failed = Ended::Failed {
        retryable: true,
        reason: "the worker panicked: it broke: please report this".to_owned(),
    };
    assert_eq!(scene.attempt().await, (vec![started()], failed));
    assert!(!scene.context.engine.is_alive());
}

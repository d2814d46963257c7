use std::time::Duration;

use stylefleet_engine::{Control, Engine, Observer, Outcome, Progress, testing};
use stylefleet_proto::{Happening, keys};
use stylefleet_transport::broker::{DispatcherEnd, Told, WorkerEnd};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::job::tests::{Scene, job, picture, progress};

const FOREVER: Duration = Duration::MAX;

/// Evaluates until it is interrupted, then leaves a checkpoint with one evaluation more.
fn until_stopped(checkpoint: Option<&[u8]>, observer: &mut dyn Observer) -> Outcome {
    let identity = job().id.to_string();
    let begun = checkpoint.map_or(0, |bytes| {
        Engine::evaluations_in(bytes, &identity).expect("is the job's")
    });
    for evaluation in 1.. {
        if observer.evaluated(&progress(evaluation)) == Control::Interrupt {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Outcome::Interrupted {
        checkpoint: testing::checkpoint(&identity, begun + 1).expect("encodes"),
        evaluations: begun + 1,
    }
}

/// Waits for something that a worker tells.
async fn hear(
    told: &mut tokio::sync::mpsc::Receiver<Told>,
    wanted: fn(&Happening) -> bool,
) -> Happening {
    loop {
        match told.recv().await.expect("is told") {
            Told::Event(event) if wanted(&event.happening) => return event.happening,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_drain_leaves_a_checkpoint_and_gives_the_job_back() {
    let scene = Scene::new(|checkpoint, observer| Ok(until_stopped(checkpoint, observer))).await;
    let mut told = scene.listen().await;
    scene.publish().await;
    let working = tokio::spawn(scene.service(FOREVER).run());
    hear(&mut told, |h| matches!(h, Happening::Started { .. })).await;
    scene.drain.cancel();
    hear(&mut told, |h| matches!(h, Happening::Interrupted { .. })).await;
    working.await.expect("ends").expect("without an error");

    let kept = scene.get(&keys::checkpoint(&scene.job.id)).await;
    let counted = Engine::evaluations_in(&kept.expect("is there"), &scene.job.id.to_string());
    assert_eq!(counted.expect("is whole"), 1);
    assert_eq!(scene.get(&keys::started(&scene.job.id)).await, None);
    let stop = CancellationToken::new();
    let claim = scene.broker.claim(&stop).await.expect("no error");
    let claim = claim.expect("the job is there again");
    assert!(!claim.redelivered, "a drain is no death");
    assert_eq!(claim.job.attempt, 1);
}

#[tokio::test]
async fn a_job_whose_slice_is_over_goes_on_in_the_next() {
    let scene = Scene::new(|checkpoint, observer| Ok(until_stopped(checkpoint, observer))).await;
    let mut told = scene.listen().await;
    scene.publish().await;
    let working = tokio::spawn(scene.service(Duration::from_millis(20)).run());
    let mut starts = Vec::new();
    for _ in 0..3 {
        starts.push(hear(&mut told, |h| matches!(h, Happening::Started { .. })).await);
        hear(&mut told, |h| matches!(h, Happening::Interrupted { .. })).await;
    }
    scene.drain.cancel();
    working.await.expect("ends").expect("without an error");
    let started = |resumed_evaluations| Happening::Started {
        resumed_evaluations,
        device: "cpu".to_owned(),
    };
    assert_eq!(starts, [0, 1, 2].map(started));
}

/// The device is not to wait for the next job.
#[tokio::test]
async fn the_next_job_is_taken_when_the_one_at_work_is_about_to_end() {
    let scene = Scene::new(|_, observer| {
        observer.evaluated(&Progress {
            seconds_left: Some(1.0),
            ..progress(1)
        });
        Ok(until_stopped(None, observer))
    })
    .await;
    let mut told = scene.listen().await;
    scene.publish().await;
    let working = tokio::spawn(scene.service(FOREVER).run());
    hear(&mut told, |h| matches!(h, Happening::Started { .. })).await;
    scene.publish().await;
    let taking = async {
        while scene.broker.waiting().await.expect("counts") > 0 {
            tokio::task::yield_now().await;
        }
    };
    let taken = timeout(Duration::from_secs(20), taking).await;
    scene.drain.cancel();
    working.await.expect("ends").expect("without an error");
    taken.expect("is taken meanwhile");
}

/// Another worker may be idle.
#[tokio::test]
async fn the_next_job_is_not_taken_before() {
    let scene = Scene::new(|_, observer| Ok(until_stopped(None, observer))).await;
    let mut told = scene.listen().await;
    scene.publish().await;
    scene.publish().await;
    let working = tokio::spawn(scene.service(FOREVER).run());
    // The second time it is told of progress, a fifth of a second has passed.
    for _ in 0..2 {
        while !matches!(told.recv().await.expect("is told"), Told::Pulse(_)) {}
    }
    let waiting = scene.broker.waiting().await.expect("counts");
    scene.drain.cancel();
    working.await.expect("ends").expect("without an error");
    assert_eq!(waiting, 1);
}

#[tokio::test]
async fn a_cancelled_job_stops_and_keeps_its_checkpoint() {
    let scene = Scene::new(|checkpoint, observer| Ok(until_stopped(checkpoint, observer))).await;
    let mut told = scene.listen().await;
    scene.publish().await;
    let working = tokio::spawn(scene.service(FOREVER).run());
    hear(&mut told, |h| matches!(h, Happening::Started { .. })).await;
    scene.put(&keys::cancelled(&scene.job.id), b"").await;
    hear(&mut told, |h| matches!(h, Happening::Cancelled)).await;
    assert!(scene.get(&keys::checkpoint(&scene.job.id)).await.is_some());

    // It does not even begin where the marker is there before.
    scene.publish().await;
    hear(&mut told, |h| {
        assert!(!matches!(h, Happening::Started { .. }));
        matches!(h, Happening::Cancelled)
    })
    .await;
    scene.drain.cancel();
    working.await.expect("ends").expect("without an error");
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_set_aside() {
    let scene = Scene::new(|_, _| Ok(Outcome::Finished(picture()))).await;
    let started = keys::started(&scene.job.id);
    let start = |deaths| {
        let json = serde_json::json!({
            "job": scene.job.id, "worker": "dead", "attempt": 1,
            "evaluations": 0, "deaths": deaths, "unix_millis": 0,
        });
        scene.bench.store.put(&started, json.to_string().into())
    };
    for (deaths, is_set_aside) in [(3, false), (4, true)] {
        start(deaths).await.expect("writes");
        let mut told = scene.listen().await;
        scene.publish().await;
        // A worker takes it and dies.
        drop(scene.broker.claim(&CancellationToken::new()).await);
        let mut service = scene.service(FOREVER);
        service.drain = CancellationToken::new();
        let drain = service.drain.clone();
        let working = tokio::spawn(service.run());
        hear(&mut told, Happening::is_last).await;
        drain.cancel();
        working.await.expect("ends").expect("without an error");
        assert_eq!(!scene.broker.dead().is_empty(), is_set_aside);
        let result = keys::result(&scene.job.id);
        scene.bench.store.delete(&result).await.expect("removes");
    }
    assert!(scene.get(&keys::failed(&scene.job.id)).await.is_some());
}

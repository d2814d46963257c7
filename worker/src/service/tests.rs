use std::time::Duration;

use stylefleet_engine::{Control, Observer, Outcome, Progress};
use stylefleet_proto::{Ended, EventKind, Failure, Update, keys};
use stylefleet_transport::broker::{DispatcherEnd, Notification, WorkerEnd};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::testing::{Scene, checkpoint, finished, job, progress, steps_in};

const FOREVER: Duration = Duration::MAX;

/// Works until it is interrupted, then leaves a checkpoint with one step more.
fn until_stopped(resumed: Option<&[u8]>, observer: &mut dyn Observer) -> Outcome {
    let job = job().id;
    let begun = resumed.map_or(0, |bytes| steps_in(bytes, &job));
    for steps in 1.. {
        if observer.progressed(&progress(steps)) == Control::Interrupt {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Outcome::Interrupted {
        checkpoint: checkpoint(&job, begun + 1),
        steps: begun + 1,
    }
}

/// Waits for an event.
async fn wait_for(
    notifications: &mut Receiver<Notification>,
    wanted: fn(&EventKind) -> bool,
) -> EventKind {
    loop {
        match notifications.recv().await.expect("is published") {
            Notification::Event(event) if wanted(&event.kind) => return event.kind,
            _ => {}
        }
    }
}

fn is_start(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Update(Update::Started { .. }))
}

fn is_interruption(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Ended(Ended::Interrupted { .. }))
}

fn is_cancellation(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Ended(Ended::Cancelled))
}

fn is_end(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Ended(_))
}

#[tokio::test]
async fn a_drain_leaves_a_checkpoint_and_gives_the_job_back() {
    let scene = Scene::new(|checkpoint, observer| Ok(until_stopped(checkpoint, observer))).await;
    let mut notifications = scene.listen().await;
    scene.submit().await;
    let working = tokio::spawn(scene.service(FOREVER).run());
    wait_for(&mut notifications, is_start).await;
    scene.drain.cancel();
    wait_for(&mut notifications, is_interruption).await;
    working.await.expect("ends").expect("without an error");

    let kept = scene.get(&keys::checkpoint(&scene.job.id)).await;
    assert_eq!(steps_in(&kept.expect("is there"), &scene.job.id), 1);
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
    let mut notifications = scene.listen().await;
    scene.submit().await;
    let working = tokio::spawn(scene.service(Duration::from_millis(20)).run());
    let mut starts = Vec::new();
    for _ in 0..3 {
        starts.push(wait_for(&mut notifications, is_start).await);
        wait_for(&mut notifications, is_interruption).await;
    }
    scene.drain.cancel();
    working.await.expect("ends").expect("without an error");
    let started = |steps| {
        EventKind::Update(Update::Started {
            steps,
            device: "cpu".to_owned(),
        })
    };
    assert_eq!(starts, [0, 1, 2].map(started));
}

/// The device must not wait for the next job.
#[tokio::test]
async fn the_next_job_is_taken_when_the_one_at_work_is_about_to_end() {
    let scene = Scene::new(|_, observer| {
        observer.progressed(&Progress {
            seconds_left: Some(1.0),
            ..progress(1)
        });
        Ok(until_stopped(None, observer))
    })
    .await;
    let mut notifications = scene.listen().await;
    scene.submit().await;
    let working = tokio::spawn(scene.service(FOREVER).run());
    wait_for(&mut notifications, is_start).await;
    scene.submit().await;
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
    let mut notifications = scene.listen().await;
    scene.submit().await;
    scene.submit().await;
    let working = tokio::spawn(scene.service(FOREVER).run());
    // When the second progress is published, a fifth of a second has passed.
    for _ in 0..2 {
        while !matches!(
            notifications.recv().await.expect("is published"),
            Notification::Pulse(_)
        ) {}
    }
    let waiting = scene.broker.waiting().await.expect("counts");
    scene.drain.cancel();
    working.await.expect("ends").expect("without an error");
    assert_eq!(waiting, 1);
}

#[tokio::test]
async fn a_cancelled_job_stops_and_keeps_its_checkpoint() {
    let scene = Scene::new(|checkpoint, observer| Ok(until_stopped(checkpoint, observer))).await;
    let mut notifications = scene.listen().await;
    scene.submit().await;
    let working = tokio::spawn(scene.service(FOREVER).run());
    wait_for(&mut notifications, is_start).await;
    scene.put(&keys::cancelled(&scene.job.id), b"").await;
    wait_for(&mut notifications, is_cancellation).await;
    assert!(scene.get(&keys::checkpoint(&scene.job.id)).await.is_some());

    // It does not even start if it was cancelled before.
    scene.submit().await;
    wait_for(&mut notifications, |kind| {
        assert!(!is_start(kind));
        is_cancellation(kind)
    })
    .await;
    scene.drain.cancel();
    working.await.expect("ends").expect("without an error");
}

#[tokio::test]
async fn a_job_that_ends_its_workers_is_set_aside() {
    let scene = Scene::new(|_, _| Ok(Outcome::Finished(finished()))).await;
    let started = keys::started(&scene.job.id);
    let start = |deaths| {
        let json = serde_json::json!({
            "job": scene.job.id, "worker": "dead", "attempt": 1,
            "steps": 0, "deaths": deaths, "unix_millis": 0,
            "exit_reason": "it ran out of memory",
        });
        scene.context.store.put(&started, json.to_string().into())
    };
    for (deaths, is_set_aside) in [(3, false), (4, true)] {
        start(deaths).await.expect("writes");
        let mut notifications = scene.listen().await;
        scene.submit().await;
        // A worker takes it and dies.
        drop(scene.broker.claim(&CancellationToken::new()).await);
        let mut service = scene.service(FOREVER);
        service.drain = CancellationToken::new();
        let drain = service.drain.clone();
        let working = tokio::spawn(service.run());
        wait_for(&mut notifications, is_end).await;
        drain.cancel();
        working.await.expect("ends").expect("without an error");
        assert_eq!(!scene.broker.dead().is_empty(), is_set_aside);
        let result = keys::result(&scene.job.id);
        scene.context.store.delete(&result).await.expect("removes");
    }
    let failed = scene.get(&keys::failed(&scene.job.id)).await;
    let failed: Failure = serde_json::from_slice(&failed.expect("is there")).expect("parses");
    for part in ["5 workers in a row", "it ran out of memory"] {
        assert!(failed.reason.contains(part), "{}", failed.reason);
    }
}

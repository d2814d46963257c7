use bytes::Bytes;
use stylefleet_proto::{
    Accepted, BatchId, Ended, Event, EventKind, Figures, JobId, Labels, Manifest, ManifestEntry,
    Memory, Progress, Pulse, SubmitId, Update, keys,
};
use stylefleet_transport::broker::{Depths, MemoryBroker, Notification, WorkerEnd};
use stylefleet_transport::store::MemoryStore;

use super::*;
use crate::documents;
use crate::frames::{self, VideoStatus};
use crate::state::State;

/// When everything happens, in milliseconds since 1970-01-01 UTC.
const NOW: u64 = 1_000_000_000;

fn job(number: u8) -> JobId {
    format!("{number:064x}").parse().expect("an id")
}

fn batch_id(name: &str) -> BatchId {
    name.parse().expect("a name")
}

fn batch(name: &str, jobs: impl IntoIterator<Item = u8>) -> batch::Batch {
    let jobs: Vec<_> = jobs.into_iter().collect();
    let entry = |number: &u8| ManifestEntry {
        job: job(*number),
        name: format!("Result-{number}").parse().expect("a name"),
        kind: Some("stylize".parse().expect("a role")),
        labels: Labels::default().with("preset", "studio"),
    };
    batch::Batch {
        manifest: Manifest {
            batch: batch_id(name),
            jobs: jobs.iter().map(entry).collect(),
            unix_seconds: 1,
        },
        accepted: Accepted {
            jobs: jobs.into_iter().map(job).collect(),
        },
    }
}

fn board(batches: &[(&str, std::ops::RangeInclusive<u8>)]) -> Board {
    let mut board = Board::new(NOW);
    for (name, jobs) in batches {
        board.add(&batch(name, jobs.clone()), vec![(*name).to_owned()]);
    }
    board
}

fn event(number: u8, millis: u64, kind: impl Into<EventKind>) -> Notification {
    Notification::Event(Event {
        job: job(number),
        worker: "w".to_owned(),
        attempt: 1,
        unix_millis: millis,
        kind: kind.into(),
    })
}

fn started() -> Update {
    Update::Started {
        steps: 0,
        device: "cpu".to_owned(),
    }
}

fn finished() -> Ended {
    Ended::Finished {
        seconds: 1.0,
        steps: 1,
        figures: Figures::new(),
    }
}

fn failed(retryable: bool) -> Ended {
    Ended::Failed {
        retryable,
        reason: "it is so".to_owned(),
    }
}

/// A worker's pulse, of a job that stands at so many steps.
fn pulse(number: u8, steps: u64, loss: f64) -> Notification {
    Notification::Pulse(Pulse {
        worker: "w".to_owned(),
        device: "cpu".to_owned(),
        progress: Some(Event {
            job: job(number),
            worker: "w".to_owned(),
            attempt: 1,
            unix_millis: NOW + steps * 1000,
            kind: Progress {
                phase: "scale 1/1".to_owned(),
                steps,
                figures: [("loss".to_owned(), loss)].into(),
                ..Progress::default()
            },
        }),
        store: None,
        memory: Some(Memory { used: 2, size: 3 }),
    })
}

fn counts(board: &Board, name: &str) -> [usize; 5] {
    let summary = board.batch(&batch_id(name), NOW).expect("is there");
    let states = summary.states;
    [
        states.waiting,
        states.running,
        states.done,
        states.failed,
        states.cancelled,
    ]
}

#[test]
fn a_video_is_as_far_as_its_chunks() {
    let mut of_video = batch("clip", 1..=3);
    for entry in &mut of_video.manifest.jobs {
        entry.labels = Labels::default().with(frames::LABEL, "10");
    }
    let mut board = board(&[("pictures", 4..=4)]);
    board.add(&of_video, Vec::new());
    let progress = Progress {
        unit: "frames".to_owned(),
        done: 4,
        seconds_left: Some(30.0),
        ..Progress::default()
    };
    board.take(event(1, NOW + 1, finished()));
    let Notification::Pulse(mut pulse) = pulse(2, 1, 1.0) else {
        panic!("is a pulse");
    };
    pulse.progress = pulse.progress.map(|at| at.map(|_| progress));
    board.take(Notification::Pulse(pulse));
    let summary = board.batch(&batch_id("clip"), NOW + 11_000);
    let summary = summary.expect("is there");
    let expected = VideoStatus {
        done: 14,
        total: 30,
        workers: 1,
        // 40 seconds for ten frames, of which the second chunk has 30 left.
        seconds_left: Some(70.0),
    };
    assert_eq!(summary.video, Some(expected));
    assert_eq!(summary.seconds_left, Some(70.0));
    let pictures = board.batch(&batch_id("pictures"), NOW).expect("is there");
    assert_eq!(pictures.video, None);
}

#[test]
fn a_job_counts_in_each_batch_that_wants_it() {
    let mut board = board(&[("a", 1..=3), ("b", 3..=4)]);
    assert_eq!(counts(&board, "a"), [3, 0, 0, 0, 0]);
    board.take(event(3, NOW + 1, started()));
    board.take(event(3, NOW + 2, finished()));
    board.take(event(1, NOW + 3, failed(false)));
    board.take(event(2, NOW + 4, failed(true)));
    assert_eq!(counts(&board, "a"), [1, 0, 1, 1, 0]);
    assert_eq!(counts(&board, "b"), [1, 0, 1, 0, 0]);
    assert_eq!(board.summary(NOW).jobs.done, 1, "it is one job");
    board.keep_batches(|name| name.as_ref() == "b");
    assert_eq!(board.state(&job(3)), Some(State::Done));
    assert_eq!(board.state(&job(1)), None);
    // Asked for anew, what is known of its jobs stays.
    board.add(&batch("a", 1..=3), Vec::new());
    assert_eq!(counts(&board, "a"), [2, 0, 1, 0, 0]);
    board.add(&batch("a", (1..=5).rev()), Vec::new());
    assert_eq!(counts(&board, "a"), [4, 0, 1, 0, 0]);
    let results = board.results_of(&job(3), NOW);
    let names: Vec<_> = results.iter().map(|result| result.name.as_ref()).collect();
    assert_eq!(names, ["Result-3", "Result-3"], "in both batches");
}

#[test]
fn the_past_is_told_and_changes_no_state() {
    let mut board = board(&[("a", 1..=1)]);
    board.take(event(1, NOW - 5000, started()));
    board.take(event(1, NOW - 4000, failed(false)));
    assert_eq!(board.state(&job(1)), Some(State::Waiting));
    let what: Vec<_> = board
        .diary(&job(1))
        .iter()
        .map(|entry| entry.what)
        .collect();
    assert_eq!(what, [What::Started, What::Failed]);
    let results = board.results(&batch_id("a"), &Filter::default(), 0, 1, NOW);
    let result = results.expect("is there").items.remove(0);
    assert_eq!(result.reason.as_deref(), Some("it is so"));
    // What is done has no trouble any more.
    board.set(&job(1), State::Done);
    assert_eq!(board.results_of(&job(1), NOW)[0].reason, None);
}

#[test]
fn whoever_listens_hears_of_what_changed_since() {
    let mut board = board(&[("a", 1..=2), ("b", 3..=3)]);
    let before = board.version();
    assert!(board.changed_jobs(before).expect("complete").is_empty());
    board.take(event(1, NOW + 1, started()));
    let changed = board.changed_jobs(before).expect("complete");
    assert_eq!(changed, [job(1)].into());
    assert_eq!(board.changed_batches(before), [batch_id("a")]);
    let between = board.version();
    board.set(&job(3), State::Cancelled);
    assert_eq!(
        board.changed_jobs(between).expect("complete"),
        [job(3)].into()
    );
    assert_eq!(board.changed_batches(between), [batch_id("b")]);
    for steps in 0..=20_000 {
        board.take(pulse(1, steps, 1.0));
    }
    assert_eq!(
        board.changed_jobs(before),
        None,
        "there were too many to tell"
    );
}

#[test]
fn results_are_found_by_state_name_and_id() {
    let mut board = board(&[("a", 1..=9)]);
    board.set(&job(4), State::Done);
    let found = |state, text: &str| {
        let text = text.to_owned();
        let window = board.results(&batch_id("a"), &Filter { state, text }, 0, 9, NOW);
        window.expect("is there").total
    };
    assert_eq!(found(None, ""), 9);
    assert_eq!(found(Some(State::Done), ""), 1);
    assert_eq!(found(Some(State::Waiting), "result-4"), 0);
    assert_eq!(found(None, "result-4"), 1);
    assert_eq!(found(None, &job(7).to_string()), 1);
    let window = board.results(&batch_id("a"), &Filter::default(), 7, 5, NOW);
    let names: Vec<_> = window.expect("is there").items;
    let names: Vec<_> = names.iter().map(|result| result.name.to_string()).collect();
    assert_eq!(names, ["Result-8", "Result-9"]);
    assert_eq!(board.search("sult-3", 5, NOW).total, 1);
    assert_eq!(
        board.batches("A", 0, 5, NOW).total,
        0,
        "whoever asks writes small letters"
    );
}

#[test]
fn a_worker_at_work_is_shown_with_its_speed_and_its_curve() {
    let mut board = board(&[("a", 1..=1)]);
    for steps in 1..=2000 {
        board.take(pulse(1, steps, 1.0 / steps as f64));
    }
    assert_eq!(board.state(&job(1)), Some(State::Running));
    let workers = board.workers("", 0, 5).items;
    let worker = &workers[0];
    assert_eq!((worker.job, worker.result.is_some()), (Some(job(1)), true));
    let memory = (worker.memory_bytes, worker.memory_size_bytes);
    assert_eq!(memory, (Some(2), Some(3)));
    let speed = worker.steps_per_second.expect("is known");
    assert!((speed - 1.0).abs() < 1e-6, "{speed}");
    let curve = board.curve(&job(1)).expect("is at work");
    assert!(
        (100..600).contains(&curve.steps.len()),
        "{}",
        curve.steps.len()
    );
    assert_eq!(curve.figures["loss"].len(), curve.steps.len());
    assert!(curve.steps.windows(2).all(|pair| pair[0] < pair[1]));
    let summary = board.summary(millis(SystemTime::now()));
    assert_eq!((summary.busy, summary.stuck), (1, 0));

    // Its time has come: it is silent for good, and the job stuck.
    let later = millis(SystemTime::now()) + 60_000;
    board.tick(later);
    let summary = board.summary(later);
    assert_eq!((summary.workers, summary.stuck), (0, 1));
    assert!(board.results_of(&job(1), later)[0].is_stuck);
}

#[test]
fn the_depth_of_queues_is_kept_for_an_hour() {
    let mut board = board(&[]);
    for second in 0..500 {
        board.depths(Depths::default(), second * 10_000);
    }
    let history = board.history();
    assert_eq!(history.len(), 360);
    assert_eq!(history[0].unix_seconds, 1400);
    assert!(board.summary(NOW).broker_trouble.is_none());
    board.broker_is_away("it is so".to_owned());
    assert_eq!(board.summary(NOW).waiting, None);
}

#[tokio::test]
async fn what_is_asked_for_on_one_machine_waits_from_the_start() {
    let store = Arc::new(MemoryStore::default());
    let submit = SubmitId {
        unix_millis: 1,
        random: 1,
    };
    let asked = batch("a", 1..=2).manifest;
    let recorded = batch::record(&*store, asked, &submit).await;
    recorded.expect("records");
    let broker = MemoryBroker::default();
    let (local, fleet) = (
        Live::local(store.clone(), broker.clone()),
        Live::new(store, to(broker)),
    );
    for (live, expected) in [(local, State::Waiting), (fleet, State::NotAccepted)] {
        live.learn(&batch_id("a")).await.expect("is there");
        let state = live.read(|board| board.state(&job(2)));
        assert_eq!(state, Some(expected));
    }
}

#[tokio::test]
async fn it_follows_store_and_broker() {
    let store = Arc::new(MemoryStore::default());
    let broker = MemoryBroker::default();
    let live = Live::new(store.clone(), to(broker.clone()));
    let steps = async {
        let asked = batch("a", 1..=2).manifest;
        let submit = SubmitId {
            unix_millis: 1,
            random: 1,
        };
        batch::record(&*store, asked, &submit)
            .await
            .expect("records");
        let key = keys::accepted(&batch_id("a"), &submit);
        let accepted = Accepted {
            jobs: [job(1), job(2)].into(),
        };
        documents::write(&*store, &key, &accepted)
            .await
            .expect("writes");
        live.look();
        until(&live, |board| {
            board
                .batch(&batch_id("a"), NOW)
                .is_some_and(|batch| batch.states.waiting == 2)
        })
        .await;
        let result = keys::result(&job(1));
        store.put(&result, Bytes::from("{}")).await.expect("writes");
        live.look();
        until(&live, |board| board.state(&job(1)) == Some(State::Done)).await;
        broker.publish(Event {
            job: job(2),
            worker: "w".to_owned(),
            attempt: 1,
            unix_millis: NOW,
            kind: Update::Progress(Progress::default()),
        });
        until(&live, |board| board.state(&job(2)) == Some(State::Running)).await;
        // A batch whose documents cannot be used hides no other.
        let damaged = keys::manifest(&batch_id("b"), &submit);
        store.put(&damaged, Bytes::from("{")).await.expect("writes");
        live.look();
        until(&live, |board| board.damaged().len() == 1).await;
        assert_eq!(live.read(|board| board.batches("", 0, 9, NOW).total), 1);
    };
    tokio::select! {
        () = live.keep_current() => {}
        () = steps => {}
    }
}

/// Waits until the board is so.
async fn until(live: &Live, is_so: impl Fn(&Board) -> bool) {
    let mut version = 0;
    while !live.read(&is_so) {
        version = live.changed(version).await;
    }
}

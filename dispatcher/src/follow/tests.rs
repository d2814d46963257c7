use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use stylefleet_fleet::documents;
use stylefleet_model::stylize::Preset;
use stylefleet_proto::{Ended, Event, Failure, Job, keys};
use stylefleet_transport::broker::{MemoryBroker, WorkerEnd};
use stylefleet_transport::store::MemoryStore;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::board::Tally;
use crate::output::{News, Output};
use crate::samples;

/// Keeps what it is shown.
#[derive(Clone, Default)]
struct Shown {
    lines: Arc<Mutex<Vec<String>>>,
    /// Told once of each line.
    told: Arc<Notify>,
}

impl Output for Shown {
    fn show(&mut self, news: &News<'_>) {
        let news = serde_json::to_value(news).expect("JSON");
        let text = |field: &str| news[field].as_str().unwrap_or_default().to_owned();
        let line = format!("{} {}", text("event"), text("name"));
        self.lines.lock().expect("whole").push(line);
        self.told.notify_one();
    }

    fn remark(&mut self, text: &str) {
        self.lines
            .lock()
            .expect("whole")
            .push(format!("remark {text}"));
        self.told.notify_one();
    }
}

impl Shown {
    async fn wait_for(&self, line: &str) {
        self.wait_until(line, |shown| shown == line).await;
    }

    async fn wait_for_start(&self, start: &str) {
        self.wait_until(start, |shown| shown.starts_with(start))
            .await;
    }

    async fn wait_until(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        let lines = || self.lines.lock().expect("whole").clone();
        while !lines().iter().any(|shown| is_it(shown)) {
            let told = timeout(Duration::from_secs(20), self.told.notified()).await;
            told.unwrap_or_else(|_| panic!("no {what} but {:?}", lines()));
        }
    }
}

fn job(number: u8) -> JobId {
    format!("{number:064x}").parse().expect("an id")
}

fn entries(jobs: &[(u8, &str)]) -> Vec<ManifestEntry> {
    let entry = |&(number, name): &(u8, &str)| ManifestEntry {
        job: job(number),
        name: name.parse().expect("a name"),
        preset: Preset::Studio,
    };
    jobs.iter().map(entry).collect()
}

fn fleet(broker: &MemoryBroker, pause: Duration) -> Fleet<'_> {
    let connect = || {
        let broker = Arc::new(broker.clone()) as Arc<dyn DispatcherEnd>;
        Box::pin(async { Ok(broker) }) as _
    };
    Fleet {
        connect: Box::new(connect),
        since: 0,
        pause,
    }
}

/// Follows to the end.
async fn follow(mut follower: Follower<'_>) -> Tally {
    follower.run().await.expect("follows");
    follower.board.close()
}

fn event<K>(number: u8, kind: K) -> Event<K> {
    Event {
        job: job(number),
        worker: "w".to_owned(),
        attempt: 1,
        unix_millis: 1,
        kind,
    }
}

/// Has a worker end an attempt at a job.
async fn end_attempt(broker: &MemoryBroker, event: Event<Ended>) {
    let job = Job {
        id: event.job,
        ..samples::job()
    };
    let submitted = broker.submit(&[job], &mut |_| {}).await;
    submitted.expect("submits");
    let claim = broker.claim(&CancellationToken::new()).await;
    let claim = claim.expect("claims").expect("a job");
    broker.settle(claim, event).await.expect("settles");
}

async fn fail(store: &MemoryStore, number: u8) {
    let failure = Failure {
        job: job(number),
        reason: "too bad".to_owned(),
        attempts: 1,
    };
    let key = keys::failed(&job(number));
    let written = documents::write(store, &key, &failure).await;
    written.expect("writes");
}

fn failed() -> Ended {
    Ended::Failed {
        retryable: false,
        reason: "too bad".to_owned(),
    }
}

#[tokio::test]
async fn late_followers_learn_what_happened() {
    let store = Arc::new(MemoryStore::default());
    let broker = MemoryBroker::default();
    fail(&store, 1).await;
    let started = Update::Started {
        resumed_evaluations: 0,
        device: "cpu".to_owned(),
    };
    broker.publish(event(1, started.clone()));
    broker.publish(event(2, started));
    let shown = Shown::default();
    let board = Board::new(3, Box::new(shown.clone()));
    let entries = entries(&[(1, "a"), (2, "b"), (2, "also b")]);
    let fleet = fleet(&broker, PAUSE);
    let work = async {
        shown.wait_for("started b").await;
        // What is published but is not so is not believed.
        end_attempt(&broker, event(2, failed())).await;
        broker.publish(event(2, Update::Note("still at it".to_owned())));
        shown.wait_for("note b").await;
        let put = store.put(&keys::cancelled(&job(2)), Bytes::new()).await;
        put.expect("writes");
        end_attempt(&broker, event(2, Ended::Cancelled)).await;
    };
    let follower = Follower::of_fleet(fleet, board, &entries, store.clone());
    let (tally, ()) = tokio::join!(follow(follower), work);
    assert_eq!(
        (tally.failed, tally.cancelled, tally.unfinished()),
        (1, 2, 0)
    );
    let lines = shown.lines.lock().expect("whole").clone();
    let (ends, summary) = (["cancelled b", "cancelled also b"], "summary ");
    let begun = ["failed a", "started b", "note b"];
    assert_eq!(lines, [&begun[..], &ends, &[summary]].concat());
}

#[tokio::test]
async fn the_store_is_enough() {
    let store = Arc::new(MemoryStore::default());
    let shown = Shown::default();
    let board = Board::new(1, Box::new(shown.clone()));
    // Tried often, complained of once.
    let tries = AtomicU32::new(0);
    let tried = Notify::new();
    let connect = || {
        tries.fetch_add(1, Ordering::Relaxed);
        tried.notify_one();
        let lost = BrokerError::Lost {
            broker: "b".to_owned(),
            source: "it is away".into(),
        };
        Box::pin(async { Err(lost) }) as _
    };
    let fleet = Fleet {
        connect: Box::new(connect),
        since: 0,
        pause: Duration::from_millis(1),
    };
    let entries = entries(&[(1, "a")]);
    let work = async {
        while tries.load(Ordering::Relaxed) < 3 {
            tried.notified().await;
        }
        fail(&store, 1).await;
    };
    let follower = Follower::of_fleet(fleet, board, &entries, store.clone());
    let (tally, ()) = tokio::join!(follow(follower), work);
    assert_eq!(tally.failed, 1);
    let lines = shown.lines.lock().expect("whole").clone();
    assert_eq!(
        lines.len(),
        3,
        "one remark, one end, one summary: {lines:?}"
    );
    assert!(lines[0].contains("it is away"), "{lines:?}");
}

#[tokio::test]
async fn jobs_that_nobody_has_are_told_of() {
    let store = Arc::new(MemoryStore::default());
    // It has no job, and one of these is at work.
    let broker = MemoryBroker::default();
    let put = store.put(&keys::started(&job(2)), Bytes::from("{}")).await;
    put.expect("writes");
    let shown = Shown::default();
    let board = Board::new(2, Box::new(shown.clone()));
    let entries = entries(&[(1, "a"), (2, "b")]);
    let fleet = fleet(&broker, Duration::from_millis(1));
    let work = async {
        shown.wait_for_start("remark 1 jobs are lost").await;
        for number in [1, 2] {
            fail(&store, number).await;
        }
    };
    let follower = Follower::of_fleet(fleet, board, &entries, store.clone());
    let (tally, ()) = tokio::join!(follow(follower), work);
    assert_eq!(tally.failed, 2);
}

#[tokio::test]
async fn what_is_over_elsewhere_is_told_of() {
    let store = Arc::new(MemoryStore::default());
    let broker = MemoryBroker::default();
    let said = |number, unix_millis| Event {
        unix_millis,
        ..event(number, failed())
    };
    // Tried again since.
    end_attempt(&broker, said(1, 1)).await;
    let shown = Shown::default();
    let board = Board::new(2, Box::new(shown.clone()));
    let entries = entries(&[(1, "a"), (2, "b")]);
    let fleet = fleet(&broker, PAUSE);
    let work = async {
        let started = Update::Started {
            resumed_evaluations: 0,
            device: "cpu".to_owned(),
        };
        broker.publish(event(1, started));
        shown.wait_for("started a").await;
        end_attempt(&broker, said(2, u64::MAX / 2)).await;
        shown
            .wait_for_start("remark b: worker w says that it is over")
            .await;
        for number in [1, 2] {
            fail(&store, number).await;
            end_attempt(&broker, event(number, failed())).await;
        }
    };
    let follower = Follower::of_fleet(fleet, board, &entries, store.clone());
    let (tally, ()) = tokio::join!(follow(follower), work);
    assert_eq!(tally.failed, 2);
    let lines = shown.lines.lock().expect("whole").clone();
    let remarks = lines.iter().filter(|line| line.starts_with("remark"));
    assert_eq!(remarks.count(), 1, "{lines:?}");
}

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use stylefleet_proto::{Job, keys, testing};
use stylefleet_transport::broker::{MemoryBroker, WorkerEnd};
use stylefleet_transport::store::MemoryStore;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::documents;
use crate::samples;

/// What happened, in the order in which it was told: a word, and the number of the job.
#[derive(Clone, Default)]
struct Told {
    lines: Arc<Mutex<Vec<String>>>,
    /// Notified of each line.
    news: Arc<Notify>,
}

impl Told {
    /// Follows to the end.
    async fn follow(&self, mut follower: Follower<'_>) -> Vec<String> {
        while let Some(happening) = follower.next().await.expect("follows") {
            self.lines.lock().expect("whole").push(line(&happening));
            self.news.notify_one();
        }
        self.lines.lock().expect("whole").clone()
    }

    /// Waits until a line begins so.
    async fn wait_for(&self, start: &str) {
        let lines = || self.lines.lock().expect("whole").clone();
        while !lines().iter().any(|line| line.starts_with(start)) {
            let news = timeout(Duration::from_secs(20), self.news.notified()).await;
            news.unwrap_or_else(|_| panic!("no {start} but {:?}", lines()));
        }
    }
}

fn line(happening: &Happening) -> String {
    let number = |job: &JobId| job.to_string().trim_start_matches('0').to_owned();
    match happening {
        Happening::Update(event) => {
            let word = match event.kind {
                Update::Started { .. } => "started",
                Update::Note(_) => "note",
                Update::Progress(_) => "progress",
                Update::Previewed { .. } => "previewed",
            };
            format!("{word} {}", number(&event.job))
        }
        Happening::AttemptEnded(event) => format!("attempt ended {}", number(&event.job)),
        Happening::Over(job, outcome) => {
            let word = match outcome {
                Outcome::Done(_) => "done",
                Outcome::Failed(_) => "failed",
                Outcome::Cancelled => "cancelled",
            };
            format!("{word} {}", number(job))
        }
        Happening::CaughtUp => "caught up".to_owned(),
        Happening::Absent(event) => format!("absent {}", number(&event.job)),
        Happening::Remark(text) => format!("remark {text}"),
    }
}

fn job(number: u8) -> JobId {
    format!("{number:064x}").parse().expect("an id")
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

fn event<K>(number: u8, kind: K) -> Event<K> {
    Event {
        job: job(number),
        worker: "w".to_owned(),
        attempt: 1,
        unix_millis: 1,
        kind,
    }
}

fn started() -> Update {
    Update::Started {
        steps: 0,
        device: "cpu".to_owned(),
    }
}

fn failed() -> Ended {
    Ended::Failed {
        retryable: false,
        reason: "too bad".to_owned(),
    }
}

/// Has a worker end an attempt at a job.
async fn end_attempt(broker: &MemoryBroker, event: Event<Ended>) {
    let job = Job {
        id: event.job,
        ..samples::job(0)
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

#[tokio::test]
async fn late_followers_learn_what_happened() {
    let store = Arc::new(MemoryStore::default());
    let broker = MemoryBroker::default();
    fail(&store, 1).await;
    broker.publish(event(1, started()));
    broker.publish(event(2, started()));
    let told = Told::default();
    let work = async {
        told.wait_for("started 2").await;
        // What is published but is not so is not believed.
        end_attempt(&broker, event(2, failed())).await;
        end_attempt(&broker, event(2, Ended::Interrupted { steps: 1 })).await;
        told.wait_for("attempt ended 2").await;
        let put = store.put(&keys::cancelled(&job(2)), Bytes::new()).await;
        put.expect("writes");
        end_attempt(&broker, event(2, Ended::Cancelled)).await;
    };
    let jobs = [job(1), job(2)];
    let follower = Follower::of_fleet(fleet(&broker, PAUSE), jobs, store.clone());
    let (lines, ()) = tokio::join!(told.follow(follower), work);
    let begun = ["failed 1", "caught up", "started 2"];
    assert_eq!(
        lines,
        [&begun[..], &["attempt ended 2", "cancelled 2"]].concat()
    );
}

#[tokio::test]
async fn the_store_is_enough() {
    let store = Arc::new(MemoryStore::default());
    let told = Told::default();
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
    let work = async {
        while tries.load(Ordering::Relaxed) < 3 {
            tried.notified().await;
        }
        fail(&store, 1).await;
    };
    let follower = Follower::of_fleet(fleet, [job(1)], store.clone());
    let (lines, ()) = tokio::join!(told.follow(follower), work);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].contains("it is away"), "{lines:?}");
    assert_eq!([&lines[0], &lines[2]], ["caught up", "failed 1"]);
}

#[tokio::test]
async fn jobs_that_nobody_has_are_told_of() {
    let store = Arc::new(MemoryStore::default());
    // It has no job, and one of these is at work.
    let broker = MemoryBroker::default();
    let put = store.put(&keys::started(&job(2)), Bytes::from("{}")).await;
    put.expect("writes");
    let told = Told::default();
    let fleet = fleet(&broker, Duration::from_millis(1));
    let work = async {
        told.wait_for("remark 1 jobs are lost").await;
        for number in [1, 2] {
            fail(&store, number).await;
        }
    };
    let follower = Follower::of_fleet(fleet, [job(1), job(2)], store.clone());
    tokio::join!(told.follow(follower), work);
}

#[test]
fn a_job_is_lost_only_if_nothing_changes_for_long() {
    let begun = Instant::now();
    let mut lost = Lost::none(begun);
    let mut update = |count, open, second| {
        let now = begun + Duration::from_secs(second);
        lost.update(count, open, now).as_secs()
    };
    assert_eq!(update(1, 20, 10), 0);
    assert_eq!(update(1, 20, 25), 15);
    // Another one is with nobody now: the one before is over.
    assert_eq!(update(1, 19, 40), 0);
    // A worker has begun it.
    assert_eq!(update(0, 19, 55), 0);
    assert_eq!(update(2, 19, 70), 0);
    assert_eq!(update(2, 19, 130), 60);
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
    let told = Told::default();
    let work = async {
        broker.publish(event(1, started()));
        told.wait_for("started 1").await;
        end_attempt(&broker, said(2, u64::MAX / 2)).await;
        told.wait_for("absent 2").await;
        for number in [1, 2] {
            fail(&store, number).await;
            end_attempt(&broker, event(number, failed())).await;
        }
    };
    let jobs = [job(1), job(2)];
    let follower = Follower::of_fleet(fleet(&broker, PAUSE), jobs, store.clone());
    let (lines, ()) = tokio::join!(told.follow(follower), work);
    let absent = lines.iter().filter(|line| line.starts_with("absent"));
    assert_eq!(absent.count(), 1, "{lines:?}");
}

#[tokio::test]
async fn own_workers_are_believed_and_once_gone_not_awaited() {
    let store = Arc::new(MemoryStore::default());
    let record = testing::record(job(1), b"a picture");
    let key = keys::result(&job(1));
    let written = documents::write(&*store, &key, &record).await;
    written.expect("writes");
    let (publish, notifications) = mpsc::channel(1);
    let told = Told::default();
    let work = async {
        told.wait_for("caught up").await;
        let ended = event(2, failed());
        let sent = publish.send(Notification::Event(ended.map(Into::into)));
        sent.await.expect("is followed");
        drop(publish);
    };
    let jobs = [job(1), job(2), job(3)];
    let follower = Follower::of_own_workers(notifications, jobs, store);
    let (lines, ()) = tokio::join!(told.follow(follower), work);
    assert_eq!(lines, ["done 1", "caught up", "failed 2"]);
}

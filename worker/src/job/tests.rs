use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use stylefleet_engine::{Control, Description, Observer, Progress, testing};
use stylefleet_model::stylize::Precision;
use stylefleet_proto::{EventKind, testing as jobs};
use stylefleet_transport::broker::{DispatcherEnd, MemoryBroker, Notification, WorkerEnd};
use stylefleet_transport::store::MemoryStore;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::engine_thread::Stylize;
use crate::service::Service;

const CONTENT: &[u8] = b"content";
const STYLE: &[u8] = b"style";

/// A job whose inputs are [`CONTENT`] and [`STYLE`].
pub fn job() -> Job {
    jobs::job("job", CONTENT, STYLE)
}

/// Events of `job`, and where they arrive.
pub async fn events(job: &Job) -> (Events, Receiver<Notification>) {
    let broker = MemoryBroker::default();
    let notifications = broker.follow(UNIX_EPOCH).await.expect("follows");
    let events = Events::new(job, "worker".into(), Arc::new(broker));
    (events, notifications)
}

pub type Part = fn(Option<&[u8]>, &mut dyn Observer) -> Result<Outcome, Error>;

/// Stands in for the engine: plays the part that a test gives it.
struct Actor {
    description: Description,
    part: Part,
}

impl Stylize for Actor {
    fn description(&self) -> &Description {
        &self.description
    }

    fn stylize(
        &mut self,
        request: &Request,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        assert_eq!(request.content.bytes, CONTENT);
        assert_eq!(request.styles[0].image.bytes, STYLE);
        (self.part)(checkpoint, observer)
    }
}

/// A store with the inputs of a job, an engine that plays a part, and a broker.
pub struct Scene {
    pub context: Arc<WorkerContext>,
    pub broker: MemoryBroker,
    pub job: Job,
    pub drain: CancellationToken,
}

impl Scene {
    pub async fn new(part: Part) -> Self {
        let description = Description {
            device: "cpu".into(),
            cuda_devices: 0,
            libtorch: "2".into(),
            threads: 1,
            cpu_capability: "none".into(),
            network: "VGG19".into(),
            weights_sha256: "3".into(),
        };
        let actor = Actor { description, part };
        let store = Arc::new(MemoryStore::default());
        let scene = Self {
            context: Arc::new(WorkerContext {
                worker: "worker".into(),
                inputs: Inputs::new(store.clone(), None),
                own_store: OwnStore::new(store.clone()),
                store,
                engine: EngineThread::start(|| Ok(actor)).await.expect("opens"),
                read_ahead: Some(1 << 20),
                checkpoint_every: Duration::ZERO,
            }),
            broker: MemoryBroker::default(),
            job: job(),
            drain: CancellationToken::new(),
        };
        for bytes in [CONTENT, STYLE] {
            scene.put(&keys::input(&Digest::of(bytes)), bytes).await;
        }
        scene
    }

    pub async fn put(&self, key: &str, bytes: &'static [u8]) {
        let put = self.context.store.put(key, bytes.into());
        put.await.expect("writes");
    }

    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let bytes = self.context.store.get(key).await.expect("reads");
        bytes.map(Vec::from)
    }

    /// Leaves a checkpoint of the job with so many evaluations.
    async fn keep_checkpoint(&self, evaluations: u32) {
        let key = keys::checkpoint(&self.job.id);
        let checkpoint = testing::checkpoint(&self.job.id.to_string(), evaluations);
        let put = self
            .context
            .store
            .put(&key, checkpoint.expect("encodes").into());
        put.await.expect("writes");
    }

    /// A worker that stops when `drain` says so.
    pub fn service(&self, slice: Duration) -> Service {
        Service {
            context: self.context.clone(),
            broker: Arc::new(self.broker.clone()),
            drain: self.drain.clone(),
            slice,
        }
    }

    /// What is published from now on.
    pub async fn listen(&self) -> Receiver<Notification> {
        let later = SystemTime::now() + Duration::from_secs(3600);
        self.broker.follow(later).await.expect("follows")
    }

    /// Submits the job.
    pub async fn submit(&self) {
        let jobs = std::slice::from_ref(&self.job);
        let submitted = self.broker.submit(jobs, &mut |_| {}).await;
        submitted.expect("submits");
    }

    /// Has a worker take the job; what it publishes until it lets go of it, and how that ends.
    async fn attempt(&self) -> (Vec<Update>, Ended) {
        let mut notifications = self.listen().await;
        self.submit().await;
        let working = tokio::spawn(self.service(Duration::MAX).run());
        let mut updates = Vec::new();
        let ended = loop {
            match notifications.recv().await.expect("is published") {
                Notification::Event(event) => match event.kind {
                    EventKind::Update(update) => updates.push(update),
                    EventKind::Ended(ended) => break ended,
                },
                Notification::Pulse(pulse) => {
                    let progress = pulse.progress.expect("is at work").kind;
                    updates.push(Update::Progress(progress));
                }
            }
        };
        self.drain.cancel();
        let result = working.await.expect("ends");
        assert_eq!(result.is_ok(), self.context.engine.is_alive());
        (updates, ended)
    }

    /// The same scene for another worker.
    fn again(self) -> Self {
        Self {
            drain: CancellationToken::new(),
            ..self
        }
    }
}

fn started() -> Update {
    resumed(0)
}

fn resumed(evaluations: u32) -> Update {
    Update::Started {
        resumed_evaluations: evaluations,
        device: "cpu".to_owned(),
    }
}

pub fn picture() -> Picture {
    Picture {
        width: 1,
        height: 1,
        pixels: vec![0.0, 0.5, 1.0],
        seconds: 4.0,
        evaluations: 5,
        loss: 6.0,
        terms: BTreeMap::from([("tv".to_owned(), 6.0)]),
        precision: Precision::F32,
        curve: Vec::new(),
    }
}

pub fn progress(evaluation: u32) -> Progress {
    Progress {
        scale: 1,
        scales: 1,
        width: 1,
        height: 1,
        evaluation,
        evaluations: 5,
        total_evaluations: evaluation,
        loss: 6.0,
        seconds_left: None,
    }
}

#[tokio::test]
async fn a_finished_job_has_its_picture_and_its_result() {
    let scene = Scene::new(|checkpoint, observer| {
        assert_eq!(checkpoint, None);
        observer.noted("a note");
        assert_eq!(observer.evaluated(&progress(1)), Control::Continue);
        Ok(Outcome::Finished(picture()))
    })
    .await;
    let (updates, ended) = scene.attempt().await;
    let finished = Ended::Finished {
        seconds: 4.0,
        evaluations: 5,
        loss: 6.0,
    };
    let [begun, note, Update::Progress(_)] = &updates[..] else {
        panic!("{updates:?}");
    };
    assert_eq!(*begun, started());
    assert_eq!(*note, Update::Note("a note".into()));
    assert_eq!(ended, finished);

    let json = scene.get(&keys::result(&scene.job.id)).await;
    let record: Record = serde_json::from_slice(&json.expect("is there")).expect("parses");
    assert_eq!(record.notes, ["a note"]);
    assert!(scene.get(&record.picture).await.is_some());
    assert_eq!(scene.get(&keys::checkpoint(&scene.job.id)).await, None);

    assert_eq!(scene.get(&keys::started(&scene.job.id)).await, None);

    // The second time nothing runs.
    assert_eq!(scene.again().attempt().await, (Vec::new(), finished));
}

#[tokio::test]
async fn a_job_goes_on_from_its_checkpoint() {
    let scene = Scene::new(|checkpoint, _| {
        let checkpoint = checkpoint.expect("there is one");
        let counted = Engine::steps_in(checkpoint, &job().id.to_string());
        assert_eq!(counted.expect("is the job's"), 3);
        Ok(Outcome::Finished(picture()))
    })
    .await;
    scene.keep_checkpoint(3).await;
    let (updates, ended) = scene.attempt().await;
    assert_eq!(updates, [resumed(3)]);
    assert!(matches!(ended, Ended::Finished { .. }), "{ended:?}");
}

/// The worker looks at a checkpoint's header alone; the engine at all of it.
#[tokio::test]
async fn a_checkpoint_that_the_engine_refuses_is_noted_and_the_job_begun_anew() {
    let scene = Scene::new(|checkpoint, _| match checkpoint {
        Some(_) => Err(Error::Checkpoint("it is of another size".to_owned())),
        None => Ok(Outcome::Finished(picture())),
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
        Ok(Outcome::Finished(picture()))
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
    let finish = |_: Option<&[u8]>, _: &mut dyn Observer| Ok(Outcome::Finished(picture()));
    let mut scene = Scene::new(finish).await;
    scene.attempt().await;
    let key = keys::result(&scene.job.id);
    let good = scene.get(&key).await.expect("is there");
    let record: serde_json::Value = serde_json::from_slice(&good).expect("JSON");
    let picture = record["picture"].as_str().expect("a key").to_owned();
    let with = |field: &str, value: serde_json::Value| {
        let mut damaged = record.clone();
        damaged[field] = value;
        Bytes::from(damaged.to_string())
    };
    let nobody = "0".repeat(64);
    let damages = [
        (&key, Bytes::from("{")),
        (&key, Bytes::new()),
        (&key, with("job", nobody.into())),
        (&key, with("picture", "jobs/../image.png".into())),
        (
            &key,
            with("score", serde_json::json!({"loss": null, "terms": {}})),
        ),
        (&key, with("width", 0.into())),
        (&picture, Bytes::from("another picture")),
        (&picture, Bytes::new()),
    ];
    for (damaged, bytes) in damages {
        scene = scene.again();
        let put = scene.context.store.put(damaged, bytes.clone()).await;
        put.expect("writes");
        expect_made_anew(&scene).await;
        assert_eq!(scene.get(&key).await.as_ref(), Some(&good), "{bytes:?}");
    }
    scene = scene.again();
    scene.context.store.delete(&picture).await.expect("removes");
    expect_made_anew(&scene).await;
    assert!(scene.get(&picture).await.is_some());
}

async fn expect_made_anew(scene: &Scene) {
    let (updates, ended) = scene.attempt().await;
    let [Update::Note(note), begun] = &updates[..] else {
        panic!("{updates:?}");
    };
    assert!(note.contains("damaged"), "{note}");
    assert_eq!(*begun, started());
    assert!(is_finished(&ended), "{ended:?}");
}

/// Another attempt's result that came meanwhile, and is damaged, is found out too.
#[tokio::test]
async fn a_result_stands_only_if_it_is_good() {
    let scene = Scene::new(|_, _| unreachable!("nothing to run")).await;
    let (events, _notifications) = events(&scene.job).await;
    let attempt = Attempt::new(scene.job.clone(), scene.context.clone(), events);
    let key = keys::result(&scene.job.id);
    scene.put(&key, b"{}").await;
    let computed = Computed {
        outcome: Outcome::Finished(picture()),
        notes: Vec::new(),
    };
    let ended = attempt.finish(Ok(computed), None).await;
    assert!(ended.as_ref().is_some_and(is_finished), "{ended:?}");
    let json = scene.get(&key).await.expect("is there");
    let record: Record = serde_json::from_slice(&json).expect("parses");
    record.check(&scene.job.id).expect("is good");
}

#[tokio::test]
async fn a_loss_that_is_no_number_is_no_result() {
    let scene = Scene::new(|_, _| {
        Ok(Outcome::Finished(Picture {
            loss: f64::NAN,
            ..picture()
        }))
    })
    .await;
    let (updates, ended) = scene.attempt().await;
    let Ended::Failed { retryable, reason } = &ended else {
        panic!("{ended:?}");
    };
    assert_eq!(updates, [started()]);
    assert!(!retryable && reason.contains("NaN"), "{ended:?}");
    assert_eq!(scene.get(&keys::result(&scene.job.id)).await, None);
}

/// A mark that is not valid is no reason to give a job up.
#[tokio::test]
async fn a_damaged_mark_is_passed_over() {
    let scene = Scene::new(|_, _| Ok(Outcome::Finished(picture()))).await;
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
    let key = keys::input(&Digest::of(STYLE));
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
        assert!(reason.starts_with("style.1.png: "), "{reason}");
    }
    assert_eq!(scene.broker.dead().len(), 2);
    let failed = scene.get(&keys::failed(&scene.job.id)).await;
    assert!(failed.is_some(), "nobody would know");
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

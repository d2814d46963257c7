//! A kind of job for tests, an engine without a network, and everything else that a worker needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use stylefleet_engine::checkpoint::{self, Owner};
use stylefleet_engine::{
    Engine, Error, Figures, Finished, Observer, Options, Outcome, Output, Progress, Task,
};
use stylefleet_model::RoleRule;
use stylefleet_proto::{
    Digest, Ended, EventKind, Invalid, Job, JobId, Role, Specification, Update, keys,
    testing::input,
};
use stylefleet_transport::broker::{DispatcherEnd, MemoryBroker, Notification};
use stylefleet_transport::store::MemoryStore;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::engine_thread::EngineThread;
use crate::events::Events;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::job::WorkerContext;
use crate::kinds::{Assignment, Kind, Kinds};
use crate::own_store::OwnStore;
use crate::service::Service;

/// What [`job`] works on.
pub const TEXT: &[u8] = b"text";

/// The specification of a test's jobs, which is empty.
pub struct Asked;

impl Specification for Asked {
    const KIND: &'static str = "test";

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(_: &[u8]) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn roles(&self) -> Vec<RoleRule> {
        vec![RoleRule::required(role())]
    }
}

fn role() -> Role {
    "text".parse().expect("a role")
}

/// A job of that kind with such an input.
pub fn job_of(text: &[u8]) -> Job {
    let batch = "batch".parse().expect("a batch");
    let name = "job".parse().expect("a name");
    Job::new(batch, name, &Asked, vec![input(role(), text)]).expect("is valid")
}

/// A job whose input is [`TEXT`].
pub fn job() -> Job {
    job_of(TEXT)
}

/// The input of such a job.
pub async fn text_of(job: &Job, inputs: &Inputs) -> Result<Bytes, Failure> {
    job.specification::<Asked>()?;
    let text = job.input(&role()).ok_or(Failure::NoInput(role()))?;
    inputs.get(text).await
}

/// Where such a job stands after so many steps.
pub fn checkpoint(job: &JobId, steps: u64) -> Vec<u8> {
    let owner = Owner {
        kind: Asked::KIND,
        identity: &job.to_string(),
    };
    checkpoint::save(owner, steps, &()).expect("saves")
}

/// The steps in such a checkpoint.
pub fn steps_in(checkpoint: &[u8], job: &JobId) -> u64 {
    checkpoint::steps(checkpoint, &job.to_string()).expect("is the job's")
}

/// What a task of that kind comes to.
pub fn finished() -> Finished {
    let output = |role, ending, file: &'static [u8]| Output {
        role,
        media_type: "application/octet-stream",
        ending,
        encode: Box::new(|| Ok(file.to_vec())),
    };
    Finished {
        outputs: vec![
            output("picture", "png", b"a picture"),
            output("curve", "json", b"a curve"),
        ],
        seconds: 4.0,
        steps: 5,
        figures: Figures::from([("loss".to_owned(), 6.0)]),
        made_with: BTreeMap::from([("patience".to_owned(), "much".to_owned())]),
    }
}

/// Where such a task stands after so many of its five steps.
pub fn progress(steps: u64) -> Progress {
    Progress {
        phase: "at it".to_owned(),
        done: steps,
        total: 5,
        unit: "steps".to_owned(),
        steps,
        ..Progress::default()
    }
}

/// An engine for tasks that need no network.
pub async fn engine() -> EngineThread {
    engine_with(None).await
}

/// An engine with these weights.
pub async fn engine_with(weights: Option<PathBuf>) -> EngineThread {
    let options = Options {
        device: "cpu".to_owned(),
        threads: Some(1),
        weights,
        max_pixels: 1 << 20,
        memory: None,
    };
    EngineThread::start(options).await.expect("opens")
}

/// Events of `job`, and where they arrive.
pub async fn events(job: &Job) -> (Events, Receiver<Notification>) {
    let broker = MemoryBroker::default();
    let notifications = broker.follow(UNIX_EPOCH).await.expect("follows");
    let events = Events::new(job, "worker".into(), Arc::new(broker));
    (events, notifications)
}

/// What a test has a task do.
pub type Behaviour = fn(Option<&[u8]>, &mut dyn Observer) -> Result<Outcome, Error>;

/// The kind whose tasks do what a test says.
struct TestKind(Behaviour);

#[async_trait]
impl Kind for TestKind {
    fn name(&self) -> &'static str {
        Asked::KIND
    }

    async fn prepare(&self, job: &Job, inputs: &Inputs) -> Result<Assignment, Failure> {
        let text = text_of(job, inputs).await?;
        let task = Arc::new(TestTask {
            behaviour: self.0,
            text,
        });
        Ok(Assignment {
            task,
            specification: "as you like it".into(),
        })
    }
}

#[derive(Debug)]
struct TestTask {
    behaviour: Behaviour,
    text: Bytes,
}

impl Task for TestTask {
    fn run(
        &self,
        _: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        assert_eq!(self.text, TEXT);
        (self.behaviour)(checkpoint, observer)
    }
}

/// A store, a worker, a broker, and a job.
pub struct Scene {
    pub context: Arc<WorkerContext>,
    pub broker: MemoryBroker,
    pub job: Job,
    pub drain: CancellationToken,
}

impl Scene {
    /// A worker whose tasks do what a test says, and the input of the job.
    pub async fn new(behaviour: Behaviour) -> Self {
        let kinds = Kinds::default().with(TestKind(behaviour));
        let scene = Self::of(job(), kinds, engine().await);
        scene.put(&keys::input(&Digest::of(TEXT)), TEXT).await;
        scene
    }

    /// A worker for jobs of these kinds, and an empty store.
    pub fn of(job: Job, kinds: Kinds, engine: EngineThread) -> Self {
        let store = Arc::new(MemoryStore::default());
        Self {
            context: Arc::new(WorkerContext {
                worker: "worker".into(),
                kinds,
                inputs: Inputs::new(store.clone(), None),
                own_store: OwnStore::new(store.clone()),
                store,
                engine,
                read_ahead: Some(1 << 20),
                checkpoint_every: Duration::ZERO,
                activity: Activity::default(),
            }),
            broker: MemoryBroker::default(),
            job,
            drain: CancellationToken::new(),
        }
    }

    pub async fn put(&self, key: &str, bytes: &'static [u8]) {
        let put = self.context.store.put(key, bytes.into());
        put.await.expect("writes");
    }

    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let bytes = self.context.store.get(key).await.expect("reads");
        bytes.map(Vec::from)
    }

    /// Leaves a checkpoint of the job with so many steps.
    pub async fn keep_checkpoint(&self, steps: u64) {
        let key = keys::checkpoint(&self.job.id);
        let checkpoint = checkpoint(&self.job.id, steps);
        let put = self.context.store.put(&key, checkpoint.into());
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
    pub async fn attempt(&self) -> (Vec<Update>, Ended) {
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
    pub fn again(self) -> Self {
        Self {
            drain: CancellationToken::new(),
            ..self
        }
    }
}

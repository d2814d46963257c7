//! A fleet under random faults. Jobs fail or kill their worker, workers die between any two
//! requests, the store fails, the broker delivers twice, people cancel. The service is the real
//! one, with a kind of job for this test. A ledger counts the messages of each job: whatever
//! happens, none is lost until the job is over, and in the end every job is over.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use stylefleet_engine::{Control, Engine, Error, Observer, Outcome, State, Task};
use stylefleet_proto::lifecycle::{self, ATTEMPTS, DEATHS, Settlement};
use stylefleet_proto::{
    Digest, Ended, Event, Failure, Job, JobId, Record, Specification, Update, keys,
};
use stylefleet_transport::broker::{
    BrokerError, Claim, DispatcherEnd, Hold, MemoryBroker, WorkerEnd,
};
use stylefleet_transport::store::{MemoryStore, Reading, Stat, Store, StoreError, Version};
use tokio_util::sync::CancellationToken;

use super::{Service, ServiceError};
use crate::activity::Activity;
use crate::inputs::Inputs;
use crate::job::WorkerContext;
use crate::kinds::{Assignment, Kind, Kinds};
use crate::own_store::OwnStore;
use crate::testing::{Asked, checkpoint, engine, finished, job_of, progress, steps_in, text_of};

/// Longer than any scenario takes.
const FOREVER: Duration = Duration::from_secs(30);
/// How long a task works where nobody stops it.
const A_WHILE: Duration = Duration::from_millis(50);

/// What happens to jobs and workers. After that, jobs succeed and no worker dies.
#[derive(Debug, Clone)]
struct Scenario {
    /// What each job does, each time that an engine runs its task.
    jobs: Vec<VecDeque<Behaviour>>,
    /// Workers; each replaces one that ended.
    worker_plans: Vec<WorkerPlan>,
}

/// What happens while an engine runs a task.
#[derive(Debug, Clone, Copy)]
enum Behaviour {
    Finish,
    Fail,
    Refuse,
    Panic,
    /// Works until the worker wants to stop.
    Stay,
    /// Takes the worker down, with or without a checkpoint that grew before.
    Kill {
        grown: bool,
    },
}

#[derive(Debug, Clone, Default)]
struct WorkerPlan {
    /// The faults, by the number of the request to store or broker at which each is injected.
    faults: BTreeMap<u32, Fault>,
    is_hasty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The worker dies, and the request has no effect.
    DieBefore,
    /// The worker dies, but the request takes effect.
    DieAfter,
    /// The worker gets an error, and the request has no effect.
    Refused,
    /// The worker gets an error, but the request takes effect; the broker delivers again.
    Unheard,
    /// The worker is told to drain.
    Drain,
    /// The broker takes the worker for dead and delivers its jobs again.
    Lose,
    /// Somebody cancels a job.
    Cancel(usize),
}

const FAULTS: [Fault; 7] = [
    Fault::DieBefore,
    Fault::DieAfter,
    Fault::Refused,
    Fault::Unheard,
    Fault::Drain,
    Fault::Lose,
    Fault::Cancel(0),
];

fn scenarios(faults: Vec<Fault>) -> impl Strategy<Value = Scenario> {
    let behaviours = select(vec![
        Behaviour::Finish,
        Behaviour::Fail,
        Behaviour::Refuse,
        Behaviour::Panic,
        Behaviour::Stay,
        Behaviour::Kill { grown: false },
        Behaviour::Kill { grown: true },
    ]);
    // The same behaviour in a row, often enough to take a job to its limits.
    let row = (behaviours, 1..=ATTEMPTS.max(DEATHS) as usize + 1);
    let rows = vec(
        row.prop_map(|(behaviour, times)| vec![behaviour; times]),
        0..4,
    );
    let jobs = vec(rows.prop_map(|rows| rows.concat().into()), 1..4);
    let faults = btree_map(0..40_u32, select(faults), 0..4);
    let plan =
        (faults, any::<bool>()).prop_map(|(faults, is_hasty)| WorkerPlan { faults, is_hasty });
    (jobs, vec(plan, 0..8)).prop_map(|(jobs, worker_plans)| Scenario { jobs, worker_plans })
}

impl Scenario {
    /// Whether messages are never doubled and marks never lost, so that deaths are counted exactly.
    fn is_orderly(&self) -> bool {
        let mut faults = self
            .worker_plans
            .iter()
            .flat_map(|plan| plan.faults.values());
        !faults.any(|fault| matches!(fault, Fault::Refused | Fault::Unheard | Fault::Lose))
    }
}

/// Everything except the workers.
struct World {
    is_orderly: bool,
    store: MemoryStore,
    broker: MemoryBroker,
    jobs: Vec<Job>,
    scenario: Mutex<Scenario>,
    ledger: Mutex<Ledger>,
    /// Cancelled once every job is over.
    over: CancellationToken,
}

#[derive(Debug, Default)]
struct Ledger {
    entries: Vec<Entry>,
    violations: Vec<String>,
    /// Objects read or looked for, and written.
    reads: u32,
    writes: u32,
}

/// What is known of a job.
#[derive(Debug, Clone, Default)]
struct Entry {
    /// Its messages, wherever they are.
    messages: i32,
    /// Whether there was ever more than one.
    is_doubled: bool,
    /// Attempts that failed, and were settled.
    failures: u32,
    /// Whether one failed for good.
    is_refused: bool,
    /// Claims that ended without being settled.
    drops: u32,
    /// Workers killed in a row, without a checkpoint that grew.
    kills: u32,
    /// Results written.
    results: u32,
    /// Steps in the checkpoint that the store has.
    kept: u64,
    /// How often an engine resumed from a checkpoint.
    resumptions: u32,
}

impl World {
    async fn new(scenario: Scenario) -> Arc<Self> {
        let world = Self {
            is_orderly: scenario.is_orderly(),
            store: MemoryStore::default(),
            broker: MemoryBroker::impatient(),
            jobs: (0..scenario.jobs.len()).map(numbered).collect(),
            over: CancellationToken::new(),
            ledger: Mutex::new(Ledger {
                entries: scenario.jobs.iter().map(|_| Entry::default()).collect(),
                ..Ledger::default()
            }),
            scenario: Mutex::new(scenario),
        };
        for (number, job) in world.jobs.iter().enumerate() {
            let key = keys::input(&Digest::of(text(number).as_bytes()));
            let put = world.store.put(&key, text(number).into());
            put.await.expect("writes");
            world.publish(job).await;
        }
        Arc::new(world)
    }

    async fn publish(&self, job: &Job) {
        self.note(&job.id, |entry| {
            entry.messages += 1;
            entry.is_doubled |= entry.messages > 1;
        });
        let jobs = std::slice::from_ref(job);
        let submitted = self.broker.submit(jobs, &mut |_| {}).await;
        submitted.expect("submits");
    }

    /// One worker after the other, until every job is over.
    async fn work(self: Arc<Self>) {
        while !self.over.is_cancelled() {
            let plan = lock(&self.scenario).worker_plans.pop().unwrap_or_default();
            let worker = Arc::new(Worker {
                world: self.clone(),
                drain: self.over.child_token(),
                is_dead: AtomicBool::new(false),
                faults: Mutex::new(plan.faults),
                holds: Mutex::default(),
                tried: Mutex::default(),
            });
            let kind = ScenarioKind(Arc::new(Shared {
                worker: worker.clone(),
                turns: Mutex::new(vec![0; self.jobs.len()]),
            }));
            let service = Service {
                context: Arc::new(WorkerContext {
                    worker: "worker".into(),
                    kinds: Kinds::default().with(kind),
                    inputs: Inputs::new(worker.clone(), None),
                    own_store: OwnStore::new(worker.clone()),
                    store: worker.clone(),
                    engine: engine().await,
                    read_ahead: None,
                    checkpoint_every: Duration::ZERO,
                    activity: Activity::default(),
                }),
                broker: worker.clone(),
                drain: worker.drain.clone(),
                slice: if plan.is_hasty {
                    Duration::from_millis(1)
                } else {
                    FOREVER
                },
            };
            if let Err(ServiceError::Panic(panic)) = service.run().await {
                self.violation(format!("a worker panicked: {panic}"));
            }
        }
    }

    fn claimed(&self, claim: &Claim) {
        let Job { id, attempt, .. } = claim.job;
        let entry = self.note(&id, |entry| entry.clone());
        let expected = entry.failures + 1;
        let is_right = attempt == expected || entry.is_doubled && attempt < expected;
        if !is_right || attempt > ATTEMPTS {
            self.violation(format!("{id}: attempt {attempt} after {entry:?}"));
        }
    }

    /// An engine begins a job, or resumes from so many steps.
    fn begun(&self, job: &JobId, steps: u64) {
        let entry = self.note(job, |entry| {
            entry.resumptions += u32::from(steps > 0);
            entry.clone()
        });
        // The worker that has the job's other message may have written more meanwhile.
        if steps != entry.kept && !entry.is_doubled {
            self.violation(format!("{job}: goes on from {steps} in {entry:?}"));
        }
    }

    /// A claim is about to be settled.
    async fn settled(&self, job: &Job, ended: &Ended) {
        let settlement = lifecycle::settle(job.attempt, ended);
        if let Settlement::SetAside { .. } = settlement
            && !self.has(&keys::failed(&job.id)).await
        {
            self.violation(format!(
                "{}: set aside without a failure in the store",
                job.id
            ));
        }
        self.note(&job.id, |entry| {
            entry.kills = 0;
            match settlement {
                Settlement::Over | Settlement::SetAside { .. } => entry.messages -= 1,
                Settlement::Retry => entry.failures += 1,
                Settlement::Continue => {}
            }
        });
        if lock(&self.ledger)
            .entries
            .iter()
            .all(|entry| entry.messages == 0)
        {
            self.over.cancel();
        }
    }

    /// A result was written.
    async fn finished(&self, job: &JobId, record: &[u8]) {
        let record: Record = serde_json::from_slice(record).expect("a record");
        for output in &record.outputs {
            if !self.has(&output.key).await {
                self.violation(format!("{job}: a result before its {}", output.role));
            }
        }
        self.note(job, |entry| entry.results += 1);
    }

    /// What holds once every job is over.
    async fn check(&self) {
        if let Some(extra) = self.next_in_queue().await {
            self.violation(format!("{extra}: is over, and still in the queue"));
        }
        let dead = self.broker.dead();
        for Job { id, .. } in &self.jobs {
            let entry = self.note(id, |entry| entry.clone());
            let dead_letters = dead.iter().filter(|(job, _)| job.id == *id);
            let reasons: Vec<_> = dead_letters.map(|(_, reason)| reason).collect();
            let failed = self.store.get(&keys::failed(id)).await.expect("reads");
            let failed = failed.map(|json| serde_json::from_slice(&json).expect("a failure"));
            let is_due = |reason: &str| {
                if reason.contains("workers in a row") {
                    entry.drops >= DEATHS
                } else {
                    entry.is_refused || entry.failures + 1 >= ATTEMPTS
                }
            };
            let is_reported = match (entry.results, reasons.is_empty(), &failed) {
                (1, ..) => true,
                (0, false, Some(Failure { reason, .. })) => {
                    is_due(reason) && reasons.contains(&reason)
                }
                (0, true, _) => self.has(&keys::cancelled(id)).await,
                _ => false,
            };
            if !is_reported || self.has(&keys::result(id)).await != (entry.results == 1) {
                self.violation(format!(
                    "{id}: ended badly: {entry:?}, {reasons:?}, {failed:?}"
                ));
            }
        }
    }

    async fn next_in_queue(&self) -> Option<JobId> {
        let stop = CancellationToken::new();
        tokio::select! {
            biased;
            claim = self.broker.claim(&stop) => claim.expect("claims").map(|claim| claim.job.id),
            () = tokio::task::yield_now() => None,
        }
    }

    async fn has(&self, key: &str) -> bool {
        self.store.contains(key).await.expect("looks")
    }

    /// The job that has `key` for what `of` names.
    fn whose(&self, key: &str, of: fn(&JobId) -> String) -> Option<JobId> {
        let mut ids = self.jobs.iter().map(|job| job.id);
        ids.find(|id| of(id) == key)
    }

    /// Reads a job's entry, or changes it.
    fn note<T>(&self, job: &JobId, note: impl FnOnce(&mut Entry) -> T) -> T {
        let place = self.jobs.iter().position(|known| known.id == *job);
        note(&mut lock(&self.ledger).entries[place.expect("is one of ours")])
    }

    fn violation(&self, violation: String) {
        lock(&self.ledger).violations.push(violation);
    }
}

/// What a worker has of the world, until it dies.
struct Worker {
    world: Arc<World>,
    drain: CancellationToken,
    is_dead: AtomicBool,
    faults: Mutex<BTreeMap<u32, Fault>>,
    /// Its claims, and whether they hold.
    holds: Mutex<Vec<(Job, Hold)>>,
    /// Keys that it wrote, or tried to, once for each time.
    tried: Mutex<Vec<String>>,
}

/// A request failed, as far as the worker can tell.
struct RequestFailed;

impl Worker {
    /// Makes a request to store or broker, with the fault that is due, if any.
    async fn request<T>(&self, request: impl Future<Output = T>) -> Result<T, RequestFailed> {
        if self.is_dead() {
            return Err(RequestFailed);
        }
        match self.next_fault() {
            None => return Ok(request.await),
            Some(Fault::DieBefore) => self.die(),
            Some(Fault::DieAfter) => {
                request.await;
                self.die();
            }
            Some(Fault::Refused) => {}
            Some(Fault::Unheard) => drop(request.await),
            Some(Fault::Drain) => {
                self.drain.cancel();
                return Ok(request.await);
            }
            Some(Fault::Lose) => {
                let lost = std::mem::take(&mut *lock(&self.holds));
                for (job, hold) in lost {
                    self.world.publish(&job).await;
                    self.world.note(&job.id, |entry| entry.drops += 1);
                    hold.lost.cancel();
                    hold.void.cancel();
                }
                return Ok(request.await);
            }
            Some(Fault::Cancel(number)) => {
                if let Some(job) = self.world.jobs.get(number) {
                    let key = keys::cancelled(&job.id);
                    let put = self.world.store.put(&key, Bytes::new()).await;
                    put.expect("writes");
                }
                return Ok(request.await);
            }
        }
        Err(RequestFailed)
    }

    fn is_next(&self, wanted: Fault) -> bool {
        lock(&self.faults)
            .get(&0)
            .is_some_and(|fault| *fault == wanted)
    }

    /// The fault that is due now. Each request brings the later ones one nearer.
    fn next_fault(&self) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let nearer = std::mem::take(&mut *faults).into_iter();
        let mut now = None;
        for (requests, fault) in nearer {
            match requests {
                0 => now = Some(fault),
                _ => drop(faults.insert(requests - 1, fault)),
            }
        }
        now
    }

    /// From now on nothing that it does has any effect.
    fn die(&self) {
        self.is_dead.store(true, SeqCst);
        self.drain.cancel();
    }

    fn is_dead(&self) -> bool {
        self.is_dead.load(SeqCst)
    }

    /// How often it wrote `key`, or tried to.
    fn tries(&self, key: &str) -> usize {
        let tried = lock(&self.tried);
        tried.iter().filter(|tried| *tried == key).count()
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let put = self.world.store.put(key, bytes.clone()).await;
        if let Some(job) = self.world.whose(key, keys::checkpoint) {
            let kept = steps_in(&bytes, &job);
            self.world.note(&job, |entry| {
                entry.kept = kept;
                entry.kills = 0;
            });
        }
        put
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let deleted = self.world.store.delete(key).await;
        // It removes its mark: the job did not kill it.
        if let Some(job) = self.world.whose(key, keys::started) {
            self.world.note(&job, |entry| entry.kills = 0);
        }
        if let Some(job) = self.world.whose(key, keys::checkpoint) {
            self.world.note(&job, |entry| entry.kept = 0);
        }
        deleted
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let is_new = self.world.store.put_new(key, bytes.clone()).await;
        if matches!(is_new, Ok(true))
            && let Some(job) = self.world.whose(key, keys::result)
        {
            self.world.finished(&job, &bytes).await;
        }
        is_new
    }

    fn guard(&self, key: &str) {
        if self.world.whose(key, keys::result).is_some() {
            self.world.violation(format!("{key}: changed"));
        }
    }
}

impl From<RequestFailed> for StoreError {
    fn from(_: RequestFailed) -> Self {
        Self::Unreachable {
            endpoint: "the store".to_owned(),
            source: "of a fault".into(),
        }
    }
}

#[async_trait]
impl Store for Worker {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        lock(&self.world.ledger).reads += 1;
        self.request(self.world.store.get(key)).await?
    }

    async fn read(
        &self,
        key: &str,
        range: Range<u64>,
        wanted: Option<&Version>,
    ) -> Result<Option<Reading>, StoreError> {
        self.request(self.world.store.read(key, range, wanted))
            .await?
    }

    async fn stat(&self, key: &str) -> Result<Option<Stat>, StoreError> {
        lock(&self.world.ledger).reads += 1;
        self.request(self.world.store.stat(key)).await?
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        lock(&self.world.ledger).writes += 1;
        self.guard(key);
        let outcome = self.request(self.put(key, bytes)).await;
        lock(&self.tried).push(key.to_owned());
        outcome?
    }

    async fn put_file(&self, key: &str, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        self.guard(key);
        self.request(self.world.store.put_file(key, path, digest))
            .await?
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
        lock(&self.world.ledger).writes += 1;
        self.request(self.put_new(key, bytes)).await?
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.guard(key);
        self.request(self.delete(key)).await?
    }

    async fn present(&self, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        self.request(self.world.store.present(keys)).await?
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.request(self.world.store.list(folder)).await?
    }

    fn locate(&self, key: &str) -> String {
        self.world.store.locate(key)
    }
}

/// The error of a broker that cannot be reached.
fn lost() -> BrokerError {
    BrokerError::Lost {
        broker: "b".to_owned(),
        source: "of a fault".into(),
    }
}

#[async_trait]
impl WorkerEnd for Worker {
    async fn claim(&self, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        let Some(claim) = self.world.broker.claim(stop).await? else {
            return Ok(None);
        };
        self.world.claimed(&claim);
        let job = claim.job.clone();
        lock(&self.holds).push((job.clone(), claim.hold.clone()));
        match self.request(async { claim }).await {
            Ok(claim) => Ok(Some(claim)),
            Err(RequestFailed) => {
                self.world.note(&job.id, |entry| entry.drops += 1);
                Err(lost())
            }
        }
    }

    fn publish(&self, event: Event<Update>) {
        self.world.broker.publish(event);
    }

    async fn settle(&self, claim: Claim, ended: Event<Ended>) -> Result<(), BrokerError> {
        let job = claim.job.clone();
        lock(&self.holds).retain(|(held, _)| held.id != job.id);
        let mut is_settled = false;
        let settling = async {
            is_settled = true;
            self.world.settled(&job, &ended.kind).await;
            self.world.broker.settle(claim, ended).await
        };
        let is_unheard = !self.is_dead() && self.is_next(Fault::Unheard);
        if is_unheard {
            self.world.publish(&job).await;
        }
        let outcome = self.request(settling).await;
        if !is_settled {
            self.world.note(&job.id, |entry| entry.drops += 1);
        }
        outcome.unwrap_or_else(|RequestFailed| Err(lost()))
    }

    async fn close(&self) {}
}

/// The kind whose tasks behave as a scenario says.
struct ScenarioKind(Arc<Shared>);

/// What the tasks of one worker share.
struct Shared {
    worker: Arc<Worker>,
    /// How often it had each job.
    turns: Mutex<Vec<usize>>,
}

/// One job of a scenario.
struct ScenarioTask {
    shared: Arc<Shared>,
    number: usize,
}

impl fmt::Debug for ScenarioTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScenarioTask({})", self.number)
    }
}

#[async_trait]
impl Kind for ScenarioKind {
    fn name(&self) -> &'static str {
        Asked::KIND
    }

    async fn prepare(&self, job: &Job, inputs: &Inputs) -> Result<Assignment, crate::Failure> {
        let text = text_of(job, inputs).await?;
        let task = Arc::new(ScenarioTask {
            shared: self.0.clone(),
            number: usize::from(text[0] - b'0'),
        });
        Ok(Assignment {
            task,
            specification: serde_json::Value::Null,
        })
    }
}

impl Task for ScenarioTask {
    fn run(
        &self,
        _: &mut Engine,
        resumed: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let (worker, number) = (&self.shared.worker, self.number);
        let world = &worker.world;
        let job = &world.jobs[number];
        let turns = {
            let mut turns = lock(&self.shared.turns);
            turns[number] += 1;
            turns[number]
        };
        let begun = resumed.map_or(0, |bytes| steps_in(bytes, &job.id));
        world.begun(&job.id, begun);
        let stop = |steps| {
            Ok(Outcome::Interrupted {
                checkpoint: checkpoint(&job.id, steps),
                steps,
            })
        };
        let behaviour = lock(&world.scenario).jobs[number].pop_front();
        match behaviour.unwrap_or(Behaviour::Finish) {
            Behaviour::Finish => Ok(Outcome::Finished(finished())),
            Behaviour::Fail => Err(Error::Torch("it fails".into())),
            Behaviour::Refuse => {
                world.note(&job.id, |entry| entry.is_refused = true);
                Err(Error::NotFinite(f64::NAN))
            }
            Behaviour::Panic => panic!("it panics"),
            Behaviour::Stay => {
                wait(A_WHILE, || {
                    observer.progressed(&progress(1)) == Control::Interrupt
                });
                stop(begun + 1)
            }
            Behaviour::Kill { grown } => {
                let mark = keys::started(&job.id);
                wait(FOREVER, || worker.is_dead() || worker.tries(&mark) >= turns);
                if grown {
                    let kept = keys::checkpoint(&job.id);
                    let before = worker.tries(&kept);
                    wait(FOREVER, || {
                        observer.accepted(&State {
                            steps: begun + 1,
                            checkpoint: &|| Ok(checkpoint(&job.id, begun + 1)),
                            preview: &|| Ok(Vec::new()),
                        });
                        worker.is_dead() || worker.tries(&kept) > before
                    });
                }
                if !worker.is_dead() {
                    worker.die();
                    let kills = world.note(&job.id, |entry| {
                        entry.kills += 1;
                        entry.kills
                    });
                    if world.is_orderly && kills > DEATHS {
                        world.violation(format!("{}: killed {kills} workers in a row", job.id));
                    }
                }
                stop(begun)
            }
        }
    }
}

/// Waits on the engine's thread, which must not wait for ever: whoever ends the thread waits for
/// it.
fn wait(longest: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() && began.elapsed() < longest {
        std::thread::sleep(Duration::from_micros(20));
    }
}

/// What the job of that number works on.
fn text(number: usize) -> String {
    format!("{number} text")
}

fn numbered(number: usize) -> Job {
    job_of(text(number).as_bytes())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What went wrong in a scenario, and how often a job resumed from a checkpoint.
fn run(scenario: Scenario, workers: usize) -> (Vec<String>, u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("starts").block_on(async {
        let world = World::new(scenario).await;
        let workers = (0..workers).map(|_| tokio::spawn(world.clone().work()));
        let workers: Vec<_> = workers.collect();
        for worker in workers {
            match tokio::time::timeout(FOREVER, worker).await {
                Ok(ended) => ended.expect("no panic"),
                Err(_) => {
                    world.violation("not every job is ever over".to_owned());
                    break;
                }
            }
        }
        world.check().await;
        let ledger = std::mem::take(&mut *lock(&world.ledger));
        let resumptions = ledger.entries.iter().map(|entry| entry.resumptions);
        (ledger.violations, resumptions.sum())
    })
}

/// Runs random scenarios, in some of which jobs resume from checkpoints.
fn expect_order_in(scenarios: impl Strategy<Value = Scenario>) {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 400,
        max_shrink_iters: 300,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    });
    let all_resumptions = Cell::new(0);
    let outcome = runner.run(&scenarios, |scenario| {
        let (violations, resumptions) = run(scenario, 2);
        all_resumptions.set(all_resumptions.get() + resumptions);
        prop_assert_eq!(violations, [""; 0]);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(all_resumptions.get() > 100, "{all_resumptions:?}");
}

#[tokio::test]
async fn a_job_makes_the_requests_that_fleets_are_planned_with() {
    let scenario = Scenario {
        jobs: vec![[Behaviour::Finish].into()],
        worker_plans: Vec::new(),
    };
    let world = World::new(scenario).await;
    world.clone().work().await;
    let Ledger { reads, writes, .. } = std::mem::take(&mut *lock(&world.ledger));
    let scaling = include_str!("../../../deploy/SCALING.md");
    // One read for a picture's second input, and one for a bucket, which looks for the result
    // before it writes one.
    for figure in [
        format!("writes  =  {writes} +"),
        format!("reads   =  {} +", reads + 1 + 1),
    ] {
        assert!(
            scaling.contains(&figure),
            "SCALING.md does not say {figure}"
        );
    }
}

#[test]
fn no_job_is_lost_or_done_twice() {
    expect_order_in(scenarios(FAULTS.to_vec()));
}

#[test]
fn a_job_takes_no_more_workers_down_than_it_may() {
    let faults = vec![Fault::DieBefore, Fault::DieAfter, Fault::Drain];
    expect_order_in(scenarios(faults));
}

#[test]
fn no_single_fault_at_any_step_loses_a_job() {
    let kill = Behaviour::Kill { grown: false };
    let grown = Behaviour::Kill { grown: true };
    for (behaviours, resumes) in [
        (vec![Behaviour::Finish], false),
        (vec![Behaviour::Stay, Behaviour::Finish], true),
        (vec![Behaviour::Fail; ATTEMPTS as usize], false),
        (vec![Behaviour::Refuse], false),
        (vec![Behaviour::Panic], false),
        (vec![kill; DEATHS as usize + 1], false),
        (vec![kill, grown, kill, kill, kill, kill, kill], true),
    ] {
        for fault in FAULTS {
            let mut all_resumptions = 0;
            // No scenario has more steps.
            for step in 0..90 {
                let faults = BTreeMap::from([(step, fault)]);
                let is_hasty = true;
                let scenario = Scenario {
                    jobs: vec![behaviours.clone().into()],
                    worker_plans: vec![WorkerPlan { faults, is_hasty }],
                };
                let (violations, resumptions) = run(scenario.clone(), 1);
                assert_eq!(violations, [""; 0], "{scenario:?}");
                all_resumptions += resumptions;
            }
            assert_eq!(
                all_resumptions > 0,
                resumes,
                "{behaviours:?} with {fault:?}"
            );
        }
    }
}

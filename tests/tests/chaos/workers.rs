//! Workers, and a supervisor that replaces those that end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::signal;
use stylefleet_tests::relay::Relay;
use stylefleet_tests::services::Services;
use tempfile::TempDir;

use crate::faults::HEARTBEAT;
use crate::{asked, log};

/// Least time between two checkpoints of a job, in seconds.
pub const CHECKPOINT_SECONDS: f64 = 0.2;
/// How long a worker may take to stop.
const GRACE_SECONDS: &str = "10";
/// How long a supervisor waits with the next worker where one could not begin.
const PAUSE: Duration = Duration::from_millis(500);
/// Time between two looks after everybody.
const TICK: Duration = Duration::from_millis(10);

/// Places for workers, all of which are to be taken all the time.
#[derive(Debug)]
pub struct Workers {
    places: Vec<Place>,
    /// How workers ended.
    pub endings: BTreeMap<&'static str, usize>,
    /// Workers that ended as none should, and the ends of their logs.
    pub broken: Vec<String>,
    /// Workers that there ever were.
    pub started: usize,
    /// Everybody's log.
    pub logs: Logs,
}

/// A folder of logs, which stays where the test fails.
#[derive(Debug)]
pub struct Logs(Option<TempDir>);

/// A place for a worker, and its way to the servers.
#[derive(Debug)]
pub struct Place {
    command: Command,
    /// To the broker and to the store; without, it goes there directly.
    relays: Option<[Relay; 2]>,
    /// When blocked relays open again.
    opens: Option<Instant>,
    worker: Option<Worker>,
    /// When the next worker may begin.
    vacant_until: Instant,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    log: PathBuf,
    takes_jobs: bool,
    fate: Fate,
    /// When it goes on, while it stands still.
    wakes: Option<Instant>,
    /// When it is told to stop once more.
    hurries: Option<Instant>,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It may still be starting.
    Hired,
    /// It takes jobs.
    Ready,
    /// It is at a job.
    AtWork,
    /// It has made a job's last step, and brings the picture into the store.
    Finishing,
}

/// What a worker was told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Work,
    Stop,
    Die,
}

impl Workers {
    /// So many places. The last one's way to the servers is direct; relays lead there from the
    /// others, but not to a broker of several nodes.
    pub fn new(workshop: &Workshop<'_>, services: &Services, places: usize) -> Self {
        let place = |number: usize| {
            let broker = &workshop.fleet.worker;
            let store = services.setting("STYLEFLEET_S3_ENDPOINT");
            let is_far = (number + 1 < places || places == 1) && !broker.contains(',');
            let relays = is_far.then(|| [broker, store].map(Relay::before));
            let [broker, store] = match &relays {
                Some(relays) => [0, 1].map(|end: usize| relays[end].url.as_str()),
                None => [broker, store],
            };
            let mut command = workshop.worker();
            command
                .env(
                    "STYLEFLEET_BROKER",
                    format!("{broker}?heartbeat={HEARTBEAT}"),
                )
                .env("STYLEFLEET_S3_ENDPOINT", store)
                .env(
                    "STYLEFLEET_CHECKPOINT_SECONDS",
                    CHECKPOINT_SECONDS.to_string(),
                )
                .env("STYLEFLEET_GRACE_SECONDS", GRACE_SECONDS)
                .env("STYLEFLEET_CACHE_BYTES", "0") // every job asks the store for its inputs
                .env("STYLEFLEET_LOG", "info,stylefleet_worker=trace")
                .env("STYLEFLEET_LOG_FORMAT", "json");
            Place {
                command,
                relays,
                opens: None,
                worker: None,
                vacant_until: Instant::now(),
            }
        };
        Self {
            places: (0..places).map(place).collect(),
            endings: BTreeMap::new(),
            broken: Vec::new(),
            started: 0,
            logs: Logs(Some(tempfile::tempdir().expect("a temporary folder"))),
        }
    }

    /// Sees to everything that is due, then waits for a moment.
    pub fn tick(&mut self) {
        self.look_after_all(true);
        sleep(TICK);
    }

    /// Whether nobody stands still or is away.
    pub fn is_calm(&self) -> bool {
        let disturbed = |place: &Place| {
            let wakes = place.worker.as_ref().and_then(|worker| worker.wakes);
            place.opens.is_some() || wakes.is_some()
        };
        !self.places.iter().any(disturbed)
    }

    /// Tells all to stop, and waits until they have.
    pub fn dismiss(&mut self) {
        for place in &mut self.places {
            place.tell_to_stop();
        }
        let deadline = Instant::now() + stylefleet_tests::PATIENCE;
        while self.places.iter().any(|place| place.worker.is_some()) {
            assert!(Instant::now() < deadline, "a worker does not stop");
            self.look_after_all(false);
            sleep(TICK);
        }
    }

    /// The first place from `lot` on that may be struck, with a worker that is so far. It has
    /// relays if it is to be `far`.
    pub fn victim(&self, lot: usize, stage: Stage, far: bool) -> Option<usize> {
        let count = self.places.len();
        let mut order = (0..count).map(|step| (lot + step) % count);
        order.find(|&number| {
            let place = &self.places[number];
            place.is_at(stage) && (place.relays.is_some() || !far)
        })
    }

    /// Whether a place has a worker to which nothing happened yet.
    pub fn is_free(&self, place: usize) -> bool {
        self.places[place].is_at(Stage::Hired)
    }

    /// A place.
    pub fn place(&mut self, place: usize) -> &mut Place {
        &mut self.places[place]
    }

    fn look_after_all(&mut self, start: bool) {
        let now = Instant::now();
        for place in &mut self.places {
            place.do_what_is_due(now);
            let Some(worker) = &mut place.worker else {
                if start && now >= place.vacant_until {
                    let log = self
                        .logs
                        .path()
                        .join(format!("worker-{}.log", self.started));
                    place.start(self.started, log);
                    self.started += 1;
                }
                continue;
            };
            if let Some(status) = worker.child.try_wait().expect("is our child") {
                match ending(status, worker.fate) {
                    Some(ending) => *self.endings.entry(ending).or_default() += 1,
                    None => self.broken.push(format!(
                        "a worker ended with {status}, told to {:?}:\n{}",
                        worker.fate,
                        end_of(&worker.log)
                    )),
                }
                place.worker = None;
                let pause = if status.success() {
                    Duration::ZERO
                } else {
                    PAUSE
                };
                place.vacant_until = now + pause;
            } else if !worker.takes_jobs {
                let log = fs::read_to_string(&worker.log).unwrap_or_default();
                worker.takes_jobs = log.contains("takes jobs on");
            }
        }
    }
}

/// How a worker ended, if it was one of the ways in which workers may.
fn ending(status: ExitStatus, fate: Fate) -> Option<&'static str> {
    match (status.code(), status.signal(), fate) {
        (_, Some(9), Fate::Die) => Some("killed"),
        (Some(0), _, Fate::Stop) => Some("drained"),
        // By itself: it was told twice, or its grace was over.
        (_, Some(9), Fate::Stop) => Some("stopped at once"),
        // It did not listen yet.
        (_, Some(15), Fate::Stop) => Some("stopped while it started"),
        // A server was away; it says so.
        (Some(2), _, _) => Some("could not begin"),
        _ => None,
    }
}

impl Place {
    /// Whether it has a worker that is so far, and to which nothing happened yet.
    fn is_at(&self, stage: Stage) -> bool {
        let is_at = |worker: &Worker| {
            worker.fate == Fate::Work
                && worker.wakes.is_none()
                && match stage {
                    Stage::Hired => true,
                    Stage::Ready => worker.takes_jobs,
                    Stage::AtWork => log::step(&worker.log).is_some(),
                    Stage::Finishing => log::step(&worker.log).is_some_and(asked::is_last),
                }
        };
        self.opens.is_none() && self.worker.as_ref().is_some_and(is_at)
    }

    /// Kills the worker.
    pub fn kill(&mut self) {
        let worker = self.worker();
        worker.fate = Fate::Die;
        let _ = worker.child.kill(); // it may have ended by itself
    }

    /// Tells the worker to stop.
    pub fn drain(&mut self) {
        self.tell_to_stop();
    }

    /// Tells the worker to stop, and tells it again after a while.
    pub fn hurry(&mut self, after: Duration) {
        self.tell_to_stop();
        self.worker().hurries = Some(Instant::now() + after);
    }

    /// Has the worker stand still for a while.
    pub fn freeze(&mut self, time: Duration) {
        let worker = self.worker();
        signal(worker.child.id(), "STOP");
        worker.wakes = Some(Instant::now() + time);
    }

    /// Cuts its connections to the broker.
    pub fn cut_broker(&self) {
        self.relays().for_each(|[broker, _]| broker.cut());
    }

    /// Cuts its connections to the store.
    pub fn cut_store(&self) {
        self.relays().for_each(|[_, store]| store.cut());
    }

    /// Keeps it from reaching anything for a while.
    pub fn block(&mut self, time: Duration) {
        self.relays().flatten().for_each(Relay::block);
        self.opens = Some(Instant::now() + time);
    }

    /// The same, but its connections seem to stand.
    pub fn silence(&mut self, time: Duration) {
        self.relays().flatten().for_each(Relay::hold);
        self.opens = Some(Instant::now() + time);
    }

    fn do_what_is_due(&mut self, now: Instant) {
        let is_due = |time: &mut Instant| *time <= now;
        if self.opens.take_if(is_due).is_some() {
            self.relays().flatten().for_each(Relay::open);
        }
        if let Some(worker) = &mut self.worker {
            if worker.wakes.take_if(is_due).is_some() {
                signal(worker.child.id(), "CONT");
            }
            if worker.hurries.take_if(is_due).is_some() {
                signal(worker.child.id(), "TERM");
            }
        }
    }

    fn tell_to_stop(&mut self) {
        if let Some(worker) = &mut self.worker {
            worker.fate = Fate::Stop;
            signal(worker.child.id(), "TERM");
        }
    }

    fn start(&mut self, number: usize, log: PathBuf) {
        let output = File::create(&log).expect("a log");
        self.command
            .env("STYLEFLEET_NAME", format!("worker-{number}"))
            .stdout(Stdio::null())
            .stderr(output);
        self.worker = Some(Worker {
            child: self.command.spawn().expect("a worker"),
            log,
            takes_jobs: false,
            fate: Fate::Work,
            wakes: None,
            hurries: None,
        });
    }

    fn worker(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("a victim is there")
    }

    fn relays(&self) -> impl Iterator<Item = &[Relay; 2]> {
        self.relays.iter()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(worker) = &mut self.worker {
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

impl Logs {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.as_ref().expect("is there until the end").path()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.0.take()
        {
            eprintln!("the workers' logs stay in {}", folder.keep().display());
        }
    }
}

fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

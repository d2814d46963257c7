//! What a fleet tells Prometheus: every metric with its name, its labels and what it means.
//!
//! Who counts takes names and descriptions from here, and docs/METRICS.md follows from it. Names
//! keep to Prometheus' conventions: base units, and `_total` for what only grows.

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it changes.
    pub shape: Shape,
    /// What it counts, in one sentence without a full stop.
    pub help: &'static str,
    /// What tells its series apart, in this order.
    pub labels: &'static [Label],
}

/// How a metric changes.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts values by these upper bounds.
    Histogram(&'static [f64]),
}

/// What tells the series of a metric apart.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Its values and what each means, if they are few and fixed.
    pub values: &'static [(&'static str, &'static str)],
}

impl Shape {
    /// Prometheus' word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

impl Metric {
    /// The unit that its name ends in, if it has one.
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.trim_end_matches("_total");
        let units = ["seconds", "bytes"];
        units.into_iter().find(|unit| name.ends_with(unit))
    }

    const fn of(shape: Shape, name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            shape,
            help,
            labels: &[],
        }
    }

    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::of(Shape::Counter, name, help)
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::of(Shape::Gauge, name, help)
    }

    const fn histogram(bounds: &'static [f64], name: &'static str, help: &'static str) -> Self {
        Self::of(Shape::Histogram(bounds), name, help)
    }

    const fn by(self, labels: &'static [Label]) -> Self {
        Self { labels, ..self }
    }
}

impl Label {
    const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            values: &[],
        }
    }
}

/// Defines the values of a label.
macro_rules! label {
    ($(#[$about:meta])* $type:ident, $name:literal, $help:literal {
        $($variant:ident = $word:literal: $meaning:literal,)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $(#[doc = $meaning] $variant,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const LABEL: Label = Label {
                name: $name,
                help: $help,
                values: &[$(($word, $meaning),)*],
            };

            /// The label's value.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

label! {
    /// What became of a job that a worker let go of.
    Outcome, "outcome", "what became of the job" {
        Finished = "finished": "It is done, or was found done.",
        Cancelled = "cancelled": "Somebody cancelled it.",
        Interrupted = "interrupted": "It goes on later, at this worker or another.",
        Retried = "retried": "The attempt failed, and another follows.",
        SetAside = "set_aside": "It was given up, and is a dead letter.",
    }
}

label! {
    /// What a worker does for a job, one after the other.
    Stage, "stage", "what the worker did for the job; one follows the other" {
        Prepare = "prepare": "Looks for its result, its checkpoint and whether it was cancelled.",
        Fetch = "fetch": "Fetches its inputs; on a GPU reads them too.",
        Wait = "wait": "Has it ready while the device is busy with the job before.",
        Compute = "compute": "Has the device compute it.",
        Upload = "upload": "Stores its outputs and its record, or its checkpoint.",
        Settle = "settle": "Tells the broker.",
    }
}

label! {
    /// Why an attempt failed.
    Reason, "reason", "why the attempt failed" {
        Input = "input": "An input is missing, altered, or cannot be used.",
        Message = "message": "The message is no valid job.",
        Request = "request": "What the job asks for is invalid.",
        Kind = "kind": "The worker does not know the kind of job.",
        Numbers = "numbers": "The computation came to numbers that are not finite.",
        Memory = "memory": "It does not fit into memory.",
        Weights = "weights": "The worker has no network, or not the one that is needed.",
        Store = "store": "The store refused something, or failed.",
        Engine = "engine": "libtorch failed.",
        Crash = "crash": "Worker after worker died over it.",
        Panic = "panic": "The worker panicked.",
        Worker = "worker": "Anything else that is wrong with the worker.",
    }
}

label! {
    /// What a program is connected to.
    Service, "to", "what the program needs" {
        Broker = "broker": "RabbitMQ.",
        Store = "store": "The bucket or folder.",
    }
}

label! {
    /// Where jobs are that no worker holds.
    Queue, "queue", "where the jobs are" {
        High = "high": "They wait for a worker, first of all.",
        Normal = "normal": "They wait for a worker.",
        Low = "low": "They wait for a worker, last of all.",
        Retrying = "retrying": "An attempt failed; they are tried again within seconds.",
        Abandoned = "abandoned": "Worker after worker died over them; the next sets them aside.",
        Dead = "dead": "They were given up, and people decide: dead letters.",
    }
}

label! {
    /// What a worker does.
    WorkerState, "state", "of a worker" {
        Busy = "busy": "It has a job.",
        Idle = "idle": "It has none.",
    }
}

label! {
    /// How far a batch is.
    BatchState, "state", "of a batch" {
        Open = "open": "Results of it are still to come.",
        Over = "over": "Each of its results is done, failed or cancelled.",
        Damaged = "damaged": "Its documents cannot be read.",
    }
}

label! {
    /// What has become of a result.
    ResultState, "state", "of a result" {
        Done = "done": "It is in the store.",
        Failed = "failed": "It was given up.",
        Cancelled = "cancelled": "It is not wanted any more.",
        Running = "running": "A worker is at it, or died over it.",
        Stopped = "stopped": "It was begun, and waits for its next turn.",
        Waiting = "waiting": "It waits for a worker.",
        NotAccepted = "not_accepted": "The broker was never known to have its job.",
    }
}

const KIND: Label = Label::new(
    "kind",
    "the kind of job, or `unknown` where the worker does not know it",
);
const PRIORITY: Label = Label::new("priority", "`high`, `normal` or `low`");
const UNIT: Label = Label::new("unit", "what the job counts, as in `evaluations`");
const ROLE: Label = Label::new("role", "what the file is to the job, as in `picture`");
const VERSION: Label = Label::new("version", "of the program");
const COMMIT: Label = Label::new("commit", "that it was built from; empty if unknown");
const LIBTORCH: Label = Label::new("libtorch", "its version");
const DEVICE: Label = Label::new("device", "where it computes: `cpu`, `cuda:0`, ...");

/// From a hundredth of a second to a slice.
const SECONDS: &[f64] = &[
    0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0,
];
/// From a tenth of a second, as a network takes, to a day.
const LONG: &[f64] = &[
    0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, 100_000.0,
];
const BYTES: &[f64] = &[1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// What program this is.
pub const BUILD: Metric = Metric::gauge(
    "stylefleet_build_info",
    "Always 1: there is one for each worker, and its labels say what it is",
)
.by(&[VERSION, COMMIT, LIBTORCH, DEVICE]);
/// Whether broker and store can be reached.
pub const CONNECTED: Metric = Metric::gauge(
    "stylefleet_connected",
    "1 while what the worker needs can be reached, else 0",
)
.by(&[Service::LABEL]);
/// Jobs by outcome.
pub const JOBS: Metric = Metric::counter(
    "stylefleet_jobs_total",
    "Jobs that the worker let go of, each time one was delivered",
)
.by(&[KIND, Outcome::LABEL]);
/// Attempts that another follows.
pub const RETRIES: Metric = Metric::counter(
    "stylefleet_retries_total",
    "Attempts that failed and that another follows",
)
.by(&[Reason::LABEL]);
/// Jobs that were given up.
pub const DEAD_LETTERS: Metric = Metric::counter(
    "stylefleet_dead_letters_total",
    "Jobs that the worker set aside, and messages that were none",
)
.by(&[Reason::LABEL]);
/// Waiting in the queue.
pub const QUEUE_WAIT: Metric = Metric::histogram(
    LONG,
    "stylefleet_queue_wait_seconds",
    "How long jobs waited in the queue, to the second, whether submitted or interrupted; those \
     to be tried again are not counted",
)
.by(&[PRIORITY]);
/// Time by stage.
pub const STAGES: Metric = Metric::histogram(
    SECONDS,
    "stylefleet_stage_seconds",
    "How long the worker took for each stage of a job",
)
.by(&[KIND, Stage::LABEL]);
/// Time by job.
pub const WORK: Metric = Metric::histogram(
    LONG,
    "stylefleet_job_work_seconds",
    "How long a finished job was computed, over all workers that had it",
)
.by(&[KIND]);
/// Time in which the device had a job.
pub const BUSY: Metric = Metric::counter(
    "stylefleet_busy_seconds_total",
    "Time in which the device had a job, in whole seconds",
);
/// Steps.
pub const STEPS: Metric = Metric::counter(
    "stylefleet_steps_total",
    "Steps that the device did, as it does them; of a picture these are evaluations",
)
.by(&[KIND, UNIT]);
/// Age of the last step.
pub const STEP_AGE: Metric = Metric::gauge(
    "stylefleet_step_age_seconds",
    "Time since the job at work got ahead; 0 while there is none",
);
/// Files that jobs made.
pub const OUTPUTS: Metric =
    Metric::counter("stylefleet_outputs_total", "Files that finished jobs made").by(&[KIND, ROLE]);
/// Size of checkpoints.
pub const CHECKPOINT_SIZE: Metric = Metric::histogram(
    BYTES,
    "stylefleet_checkpoint_bytes",
    "Size of the checkpoints that were stored",
)
.by(&[KIND]);
/// Age of the last checkpoint.
pub const CHECKPOINT_AGE: Metric = Metric::gauge(
    "stylefleet_checkpoint_age_seconds",
    "Work that would be lost if the worker died now: time since the job at work was begun or \
     last stored; 0 while there is none",
);
/// Memory that is taken.
pub const MEMORY_USED: Metric = Metric::gauge(
    "stylefleet_device_memory_used_bytes",
    "Memory that is taken: on a GPU all of its memory that is not free, on a CPU the worker's",
);
/// Memory that there is.
pub const MEMORY_SIZE: Metric = Metric::gauge(
    "stylefleet_device_memory_size_bytes",
    "Memory that there is: the GPU's, the machine's, or the container's",
);

/// What program shows the fleet.
pub const FLEET_BUILD: Metric = Metric::gauge(
    "stylefleet_fleet_build_info",
    "Always 1: there is one for each dashboard, and its labels say what it is",
)
.by(&[VERSION, COMMIT]);
/// Whether it reaches broker and store.
pub const FLEET_CONNECTED: Metric = Metric::gauge(
    "stylefleet_fleet_connected",
    "1 while the dashboard reaches what it needs, else 0",
)
.by(&[Service::LABEL]);
/// Jobs that no worker holds.
pub const FLEET_QUEUES: Metric = Metric::gauge(
    "stylefleet_fleet_queue_jobs",
    "Jobs that no worker holds; absent while the broker is away",
)
.by(&[Queue::LABEL]);
/// Workers that live.
pub const FLEET_WORKERS: Metric = Metric::gauge(
    "stylefleet_fleet_workers",
    "Workers that were heard of within 15 seconds",
)
.by(&[WorkerState::LABEL]);
/// Batches in the store.
pub const FLEET_BATCHES: Metric =
    Metric::gauge("stylefleet_fleet_batches", "Batches in the store").by(&[BatchState::LABEL]);
/// What has become of what was asked for.
pub const FLEET_RESULTS: Metric = Metric::gauge(
    "stylefleet_fleet_results",
    "Results that these batches ask for; several may share a job",
)
.by(&[ResultState::LABEL]);
/// Jobs that do not get ahead.
pub const FLEET_STUCK: Metric = Metric::gauge(
    "stylefleet_fleet_stuck_jobs",
    "Jobs that a worker should be at, and that got no further for ten minutes",
);

/// What a worker tells at /metrics.
pub const WORKER: &[Metric] = &[
    BUILD,
    CONNECTED,
    JOBS,
    RETRIES,
    DEAD_LETTERS,
    QUEUE_WAIT,
    STAGES,
    WORK,
    BUSY,
    STEPS,
    STEP_AGE,
    OUTPUTS,
    CHECKPOINT_SIZE,
    CHECKPOINT_AGE,
    MEMORY_USED,
    MEMORY_SIZE,
];

/// What a dashboard tells at /metrics. No label names a batch, a job or a worker: there may be too
/// many of them.
pub const FLEET: &[Metric] = &[
    FLEET_BUILD,
    FLEET_CONNECTED,
    FLEET_QUEUES,
    FLEET_WORKERS,
    FLEET_BATCHES,
    FLEET_RESULTS,
    FLEET_STUCK,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_conventions() {
        let all: Vec<_> = WORKER.iter().chain(FLEET).collect();
        for (index, metric) in all.iter().enumerate() {
            let name = metric.name;
            assert!(name.starts_with("stylefleet_"), "{name}");
            let grows = matches!(metric.shape, Shape::Counter);
            assert_eq!(name.ends_with("_total"), grows, "{name}");
            let measures = matches!(metric.shape, Shape::Histogram(_));
            assert!(!measures || metric.unit().is_some(), "{name}");
            assert!(!metric.help.ends_with('.'), "{name}");
            assert!(all[..index].iter().all(|other| other.name != name));
        }
        assert_eq!(BUSY.unit(), Some("seconds"));
        assert_eq!(JOBS.unit(), None);
    }
}

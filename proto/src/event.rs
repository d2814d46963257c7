//! What workers publish, and what local workers receive.

use stylefleet_model::{Figures, Progress};

use crate::check::{figures, number, optional, required, words};
use crate::{Digest, Invalid, Job, JobId, VERSION, wire};

/// Something that happened to a job. `K` is what: an [`Update`], how the attempt [`Ended`], or
/// either.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<K = EventKind> {
    /// The job.
    pub job: JobId,
    /// Name of the worker.
    pub worker: String,
    /// The attempt it happened in, from 1.
    pub attempt: u32,
    /// When it happened, by the worker's clock: milliseconds since 1970-01-01 UTC.
    pub unix_millis: u64,
    /// What happened.
    pub kind: K,
}

/// What happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// The attempt goes on.
    Update(Update),
    /// The attempt is over.
    Ended(Ended),
}

/// What goes on in an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// The worker has the job.
    Started {
        /// Steps found in the checkpoint.
        steps: u64,
        /// The device it computes on.
        device: String,
    },
    /// Where the job stands.
    Progress(Progress),
    /// Something a person should know that is no failure.
    Note(String),
    /// A progress picture is in the store.
    Previewed {
        /// The steps that it goes by.
        steps: u64,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// Outputs and result are in the store.
    Finished {
        /// Seconds of work, over all attempts that were resumed.
        seconds: f64,
        /// Steps of the job.
        steps: u64,
        /// What it came to.
        figures: Figures,
    },
    /// The attempt failed.
    Failed {
        /// Whether another attempt may succeed.
        retryable: bool,
        /// One line: subject, cause, remedy.
        reason: String,
    },
    /// The job was stopped, to go on later; the checkpoint is in the store.
    Interrupted {
        /// Steps kept.
        steps: u64,
    },
    /// The job was stopped for good.
    Cancelled,
}

impl<K> Event<K> {
    /// The same event, with what happened put in other terms.
    pub fn map<T>(self, into: impl FnOnce(K) -> T) -> Event<T> {
        Event {
            job: self.job,
            worker: self.worker,
            attempt: self.attempt,
            unix_millis: self.unix_millis,
            kind: into(self.kind),
        }
    }
}

impl Event<Update> {
    /// The event as one of progress, if it is that.
    pub fn into_progress(self) -> Result<Event<Progress>, Box<Self>> {
        match self.kind {
            Update::Progress(kind) => Ok(Event {
                job: self.job,
                worker: self.worker,
                attempt: self.attempt,
                unix_millis: self.unix_millis,
                kind,
            }),
            kind => Err(Box::new(Self { kind, ..self })),
        }
    }
}

impl From<Update> for EventKind {
    fn from(update: Update) -> Self {
        Self::Update(update)
    }
}

impl From<Ended> for EventKind {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl TryFrom<wire::Event> for Event {
    type Error = Invalid;

    fn try_from(from: wire::Event) -> Result<Self, Invalid> {
        Ok(Self {
            job: from.job.parse().map_err(|e: Invalid| e.within("job"))?,
            worker: from.worker,
            attempt: number("attempt", from.attempt, 1..=u32::MAX)?,
            unix_millis: from.unix_millis,
            kind: required("kind", from.kind)?.try_into()?,
        })
    }
}

impl TryFrom<wire::event::Kind> for EventKind {
    type Error = Invalid;

    fn try_from(from: wire::event::Kind) -> Result<Self, Invalid> {
        use wire::event::Kind;
        Ok(match from {
            Kind::Started(e) => Self::Update(Update::Started {
                steps: e.steps,
                device: e.device,
            }),
            Kind::Progress(e) => Self::Update(Update::Progress(progress(e)?)),
            Kind::Note(e) => Self::Update(Update::Note(e.text)),
            Kind::Previewed(e) => Self::Update(Update::Previewed { steps: e.steps }),
            Kind::Finished(e) => {
                figures(&e.figures)?;
                Self::Ended(Ended::Finished {
                    seconds: e.seconds,
                    steps: e.steps,
                    figures: e.figures,
                })
            }
            Kind::Failed(e) => Self::Ended(Ended::Failed {
                retryable: e.retryable,
                reason: e.reason,
            }),
            Kind::Interrupted(e) => Self::Ended(Ended::Interrupted { steps: e.steps }),
            Kind::Cancelled(_) => Self::Ended(Ended::Cancelled),
        })
    }
}

fn progress(from: wire::Progress) -> Result<Progress, Invalid> {
    words("phase", &from.phase)?;
    words("unit", &from.unit)?;
    figures(&from.figures)?;
    let seconds = |left| number("seconds_left", left, 0.0..=f64::MAX);
    Ok(Progress {
        phase: from.phase,
        done: from.done,
        total: from.total,
        unit: from.unit,
        steps: from.steps,
        figures: from.figures,
        seconds_left: from.seconds_left.map(seconds).transpose()?,
    })
}

impl<K: Into<EventKind>> From<Event<K>> for wire::Event {
    fn from(from: Event<K>) -> Self {
        Self {
            job: from.job.to_string(),
            worker: from.worker,
            attempt: from.attempt,
            unix_millis: from.unix_millis,
            kind: Some(match from.kind.into() {
                EventKind::Update(update) => update.into(),
                EventKind::Ended(ended) => ended.into(),
            }),
        }
    }
}

impl From<Update> for wire::event::Kind {
    fn from(from: Update) -> Self {
        match from {
            Update::Started { steps, device } => Self::Started(wire::Started { steps, device }),
            Update::Progress(progress) => Self::Progress(progress.into()),
            Update::Note(text) => Self::Note(wire::Note { text }),
            Update::Previewed { steps } => Self::Previewed(wire::Previewed { steps }),
        }
    }
}

impl From<Progress> for wire::Progress {
    fn from(from: Progress) -> Self {
        Self {
            phase: from.phase,
            done: from.done,
            total: from.total,
            unit: from.unit,
            steps: from.steps,
            figures: from.figures,
            seconds_left: from.seconds_left,
        }
    }
}

impl From<Ended> for wire::event::Kind {
    fn from(from: Ended) -> Self {
        match from {
            Ended::Finished {
                seconds,
                steps,
                figures,
            } => Self::Finished(wire::Finished {
                seconds,
                steps,
                figures,
            }),
            Ended::Failed { retryable, reason } => Self::Failed(wire::Failed { retryable, reason }),
            Ended::Interrupted { steps } => Self::Interrupted(wire::Interrupted { steps }),
            Ended::Cancelled => Self::Cancelled(wire::Cancelled {}),
        }
    }
}

/// A worker lives, and where its job stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// Name of the worker.
    pub worker: String,
    /// The device it computes on.
    pub device: String,
    /// The progress of the job at work; none: it is idle, or the job has just begun.
    pub progress: Option<Event<Progress>>,
    /// The identity of its store, if it knows that.
    pub store: Option<Digest>,
    /// How the memory of its device stands, if it knows that.
    pub memory: Option<Memory>,
}

/// Memory of a worker's device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What is taken: on a GPU by anybody, on a CPU by the worker.
    pub used: u64,
    /// What there is: the GPU's, the machine's, or the container's.
    pub size: u64,
}

impl From<wire::Memory> for Memory {
    fn from(wire::Memory { used, size }: wire::Memory) -> Self {
        Self { used, size }
    }
}

impl From<Memory> for wire::Memory {
    fn from(Memory { used, size }: Memory) -> Self {
        Self { used, size }
    }
}

impl TryFrom<wire::Pulse> for Pulse {
    type Error = Invalid;

    fn try_from(from: wire::Pulse) -> Result<Self, Invalid> {
        Ok(Self {
            worker: from.worker,
            device: from.device,
            progress: from.progress.map(progress_event).transpose()?,
            store: optional("store", &from.store)?,
            memory: from.memory.map(Into::into),
        })
    }
}

impl From<Pulse> for wire::Pulse {
    fn from(from: Pulse) -> Self {
        Self {
            worker: from.worker,
            device: from.device,
            progress: from
                .progress
                .map(|event| event.map(Update::Progress).into()),
            store: from.store.map(String::from).unwrap_or_default(),
            memory: from.memory.map(Into::into),
        }
    }
}

/// A pulse's event, which is progress.
fn progress_event(from: wire::Event) -> Result<Event<Progress>, Invalid> {
    let event = Event::try_from(from)?;
    match event.kind.clone() {
        EventKind::Update(Update::Progress(progress)) => Ok(event.map(|_| progress)),
        _ => Err(Invalid::new("progress", "is another kind of event")),
    }
}

/// What a local worker receives.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// Start this job.
    Delivery(Box<Delivery>),
    /// Interrupt the job under way, then exit.
    Drain,
}

/// A job handed to a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The job.
    pub job: Job,
    /// Whether it was delivered before and never settled: a worker may have died over it.
    pub redelivered: bool,
    /// Whether that happened so often that it is not to be tried again.
    pub abandoned: bool,
}

impl TryFrom<wire::ToWorker> for ToWorker {
    type Error = Invalid;

    fn try_from(from: wire::ToWorker) -> Result<Self, Invalid> {
        match required("frame", from.frame)? {
            wire::to_worker::Frame::Delivery(delivery) => {
                Ok(Self::Delivery(Box::new(delivery.try_into()?)))
            }
            wire::to_worker::Frame::Drain(_) => Ok(Self::Drain),
        }
    }
}

impl TryFrom<wire::Delivery> for Delivery {
    type Error = Invalid;

    fn try_from(from: wire::Delivery) -> Result<Self, Invalid> {
        let job = Job::try_from(required("job", from.job)?)?;
        Ok(Self {
            job: Job {
                trace: from.trace.map(Into::into).unwrap_or_default(),
                ..job
            },
            redelivered: from.redelivered,
            abandoned: from.abandoned,
        })
    }
}

impl From<&ToWorker> for wire::ToWorker {
    fn from(from: &ToWorker) -> Self {
        Self {
            frame: Some(match from {
                ToWorker::Delivery(delivery) => wire::to_worker::Frame::Delivery(wire::Delivery {
                    job: Some((&delivery.job).into()),
                    trace: Some((&delivery.job.trace).into()),
                    redelivered: delivery.redelivered,
                    abandoned: delivery.abandoned,
                }),
                ToWorker::Drain => wire::to_worker::Frame::Drain(wire::Drain {}),
            }),
        }
    }
}

/// What a local worker says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Name of the worker.
    pub worker: String,
    /// The device it computes on.
    pub device: String,
    /// CUDA devices that it sees.
    pub cuda_devices: u32,
}

impl TryFrom<wire::Hello> for Hello {
    type Error = Invalid;

    fn try_from(from: wire::Hello) -> Result<Self, Invalid> {
        if from.version == VERSION {
            Ok(Self {
                worker: from.worker,
                device: from.device,
                cuda_devices: from.cuda_devices,
            })
        } else {
            Err(Invalid::new(
                "version",
                format!(
                    "the worker speaks {}, this program {VERSION}: install both from one release",
                    from.version
                ),
            ))
        }
    }
}

impl From<Hello> for wire::Hello {
    fn from(from: Hello) -> Self {
        Self {
            version: VERSION,
            worker: from.worker,
            device: from.device,
            cuda_devices: from.cuda_devices,
        }
    }
}

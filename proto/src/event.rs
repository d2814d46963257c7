//! What workers tell, and what local workers are told.

use crate::check::{integer, optional, required};
use crate::{Digest, Invalid, Job, JobId, VERSION, wire};

/// What a worker tells of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The job.
    pub job: JobId,
    /// Name of the worker.
    pub worker: String,
    /// The attempt it happened in, from 1.
    pub attempt: u32,
    /// When it happened, by the worker's clock: milliseconds since 1970-01-01 UTC.
    pub unix_millis: u64,
    /// What happened.
    pub happening: Happening,
}

/// What happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// The worker has the job.
    Started {
        /// Evaluations found in the checkpoint, over all scales.
        resumed_evaluations: u32,
        /// The device it computes on.
        device: String,
    },
    /// Where the optimisation stands.
    Progress(Progress),
    /// Something a person should know that is no failure.
    Note(String),
    /// A progress picture is in the store.
    Previewed {
        /// The evaluations that it goes by, over all scales.
        evaluations: u32,
    },
    /// Picture and result are in the store.
    Finished {
        /// Seconds of work, over all attempts that were resumed.
        seconds: f64,
        /// Evaluations over all scales.
        evaluations: u32,
        /// Final loss.
        loss: f64,
    },
    /// The attempt failed.
    Failed {
        /// Whether another attempt may succeed.
        retryable: bool,
        /// One line: the thing, the reason, the mend.
        reason: String,
    },
    /// The job was stopped, to go on later; the checkpoint is in the store.
    Interrupted {
        /// Evaluations kept, over all scales.
        evaluations: u32,
    },
    /// The job was stopped for good.
    Cancelled,
}

/// Where the optimisation stands; the fields are those of `stylefleet.proto`.
pub type Progress = wire::Progress;

impl Happening {
    /// Whether the worker is done with the job.
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Finished { .. }
                | Self::Failed { .. }
                | Self::Interrupted { .. }
                | Self::Cancelled
        )
    }
}

impl TryFrom<wire::Event> for Event {
    type Error = Invalid;

    fn try_from(from: wire::Event) -> Result<Self, Invalid> {
        use wire::event::Kind;
        Ok(Self {
            job: from.job.parse().map_err(|e: Invalid| e.within("job"))?,
            worker: from.worker,
            attempt: integer("attempt", from.attempt, 1..=u32::MAX)?,
            unix_millis: from.unix_millis,
            happening: match required("kind", from.kind)? {
                Kind::Started(e) => Happening::Started {
                    resumed_evaluations: e.resumed_evaluations,
                    device: e.device,
                },
                Kind::Progress(e) => Happening::Progress(e),
                Kind::Note(e) => Happening::Note(e.text),
                Kind::Previewed(e) => Happening::Previewed {
                    evaluations: e.evaluations,
                },
                Kind::Finished(e) => Happening::Finished {
                    seconds: e.seconds,
                    evaluations: e.evaluations,
                    loss: e.loss,
                },
                Kind::Failed(e) => Happening::Failed {
                    retryable: e.retryable,
                    reason: e.reason,
                },
                Kind::Interrupted(e) => Happening::Interrupted {
                    evaluations: e.evaluations,
                },
                Kind::Cancelled(_) => Happening::Cancelled,
            },
        })
    }
}

impl From<Event> for wire::Event {
    fn from(from: Event) -> Self {
        use wire::event::Kind;
        Self {
            job: from.job.to_string(),
            worker: from.worker,
            attempt: from.attempt,
            unix_millis: from.unix_millis,
            kind: Some(match from.happening {
                Happening::Started {
                    resumed_evaluations,
                    device,
                } => Kind::Started(wire::Started {
                    resumed_evaluations,
                    device,
                }),
                Happening::Progress(progress) => Kind::Progress(progress),
                Happening::Note(text) => Kind::Note(wire::Note { text }),
                Happening::Previewed { evaluations } => {
                    Kind::Previewed(wire::Previewed { evaluations })
                }
                Happening::Finished {
                    seconds,
                    evaluations,
                    loss,
                } => Kind::Finished(wire::Finished {
                    seconds,
                    evaluations,
                    loss,
                }),
                Happening::Failed { retryable, reason } => {
                    Kind::Failed(wire::Failed { retryable, reason })
                }
                Happening::Interrupted { evaluations } => {
                    Kind::Interrupted(wire::Interrupted { evaluations })
                }
                Happening::Cancelled => Kind::Cancelled(wire::Cancelled {}),
            }),
        }
    }
}

/// A worker behind a broker lives, and where its job stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// Name of the worker.
    pub worker: String,
    /// The device it computes on.
    pub device: String,
    /// The progress of the job at work; none: it is idle, or the job has just begun.
    pub progress: Option<Event>,
    /// The identity of its store, if it knows that.
    pub store: Option<Digest>,
}

impl TryFrom<wire::Pulse> for Pulse {
    type Error = Invalid;

    fn try_from(from: wire::Pulse) -> Result<Self, Invalid> {
        Ok(Self {
            worker: from.worker,
            device: from.device,
            progress: from.progress.map(Event::try_from).transpose()?,
            store: optional("store", &from.store)?,
        })
    }
}

impl From<Pulse> for wire::Pulse {
    fn from(from: Pulse) -> Self {
        Self {
            worker: from.worker,
            device: from.device,
            progress: from.progress.map(wire::Event::from),
            store: from.store.map(String::from).unwrap_or_default(),
        }
    }
}

/// What a local worker is told.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// Start this job.
    Job(Box<Job>),
    /// Interrupt the job under way, then exit.
    Drain,
}

impl TryFrom<wire::ToWorker> for ToWorker {
    type Error = Invalid;

    fn try_from(from: wire::ToWorker) -> Result<Self, Invalid> {
        match required("frame", from.frame)? {
            wire::to_worker::Frame::Job(job) => Ok(Self::Job(Box::new(job.try_into()?))),
            wire::to_worker::Frame::Drain(_) => Ok(Self::Drain),
        }
    }
}

impl From<&ToWorker> for wire::ToWorker {
    fn from(from: &ToWorker) -> Self {
        Self {
            frame: Some(match from {
                ToWorker::Job(job) => wire::to_worker::Frame::Job(job.as_ref().into()),
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

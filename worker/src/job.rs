//! One attempt at one job: prepare, compute, finish.
//!
//! The store is the truth. A job that has a result there is not done again; one that has a
//! checkpoint there resumes from it. The result is written last: whatever kills the worker, the
//! next attempt finds either everything or a checkpoint. Events only report progress to people.
//! Only a job's kind knows what the job is about.

mod finish;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use stylefleet_engine::{Error, Outcome, Task, checkpoint};
use stylefleet_proto::lifecycle::{self, DEATHS};
use stylefleet_proto::metrics::{Reason, Stage};
use stylefleet_proto::queues::DELIVERY_LIMIT;
use stylefleet_proto::{Asked, Ended, Invalid, Job, JobId, Record, Start, Update, keys};
use stylefleet_transport::broker::Claim;
use stylefleet_transport::store::Store;

use crate::activity::Activity;
use crate::checkpoints;
use crate::engine_thread::EngineThread;
use crate::events::{Events, unix_millis};
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::kinds::{Assignment, Kinds};
use crate::metrics::{self, Meter};
use crate::own_store::OwnStore;
use crate::previews;
use crate::watch::{Signals, Watch};

/// What a worker works with, whatever the job.
pub struct WorkerContext {
    /// The worker's name.
    pub worker: Arc<str>,
    /// The kinds of jobs that it does.
    pub kinds: Kinds,
    /// Where results go.
    pub store: Arc<dyn Store>,
    /// Which store that is.
    pub own_store: OwnStore,
    /// Where inputs come from.
    pub inputs: Inputs,
    /// What computes.
    pub engine: EngineThread,
    /// Largest image, in pixels, that is read before its task runs; none: tasks read all images
    /// themselves.
    pub read_ahead: Option<u64>,
    /// Least time between two checkpoints.
    pub checkpoint_every: Duration,
    /// What the device is at.
    pub activity: Activity,
}

/// One attempt at one job.
#[derive(Clone)]
pub struct Attempt {
    job: Job,
    context: Arc<WorkerContext>,
    events: Events,
}

/// What came of preparing.
pub enum Preparation {
    /// The job can be computed.
    Ready(Prepared),
    /// There is nothing to compute, or it cannot be.
    Over(Conclusion),
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Conclusion {
    /// What the broker is told.
    pub ended: Ended,
    /// What it failed of, if it failed.
    pub reason: Option<Reason>,
}

impl From<Ended> for Conclusion {
    fn from(ended: Ended) -> Self {
        Self {
            ended,
            reason: None,
        }
    }
}

/// What the store has of a job.
enum Found {
    /// The job is done, or is not wanted.
    Nothing(Ended),
    /// It is to be computed.
    Work {
        checkpoint: Option<Vec<u8>>,
        steps: u64,
        deaths: u32,
    },
}

/// Everything that the engine needs for a job.
pub struct Prepared {
    assignment: Assignment,
    checkpoint: Option<Vec<u8>>,
    /// Steps in the checkpoint.
    pub steps: u64,
    /// Workers that died over the job in a row.
    deaths: u32,
}

/// What came of computing.
pub struct Computed {
    outcome: Outcome,
    /// What was asked, for the record.
    specification: serde_json::Value,
    notes: Vec<String>,
}

/// Why a job was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Other jobs get their turn, or the worker stops: the job resumes later.
    Turn,
    /// It was cancelled.
    Cancelled,
    /// Another worker has the claim now.
    Void,
}

impl Attempt {
    /// An attempt at `job` that publishes to `events`.
    pub fn new(job: Job, context: Arc<WorkerContext>, events: Events) -> Self {
        Self {
            job,
            context,
            events,
        }
    }

    /// Fetches everything that the job is computed from, unless there is nothing to compute.
    pub async fn prepare(&self, claim: &Claim) -> Preparation {
        let conclusion = match self.look_and_fetch(claim).await {
            Ok(Preparation::Ready(prepared)) => return Preparation::Ready(prepared),
            Ok(Preparation::Over(conclusion)) => conclusion,
            Err(failure) => self.fail(failure).await,
        };
        let ended = &conclusion.ended;
        // A worker that died before it tidied up, or that the job killed, left its mark.
        if lifecycle::settle(self.job.attempt, ended).is_terminal() {
            self.tidy_up(is_finished(ended)).await;
        }
        Preparation::Over(conclusion)
    }

    async fn look_and_fetch(&self, claim: &Claim) -> Result<Preparation, Failure> {
        let looking = self.look(claim);
        match metrics::timed(self.kind(), Stage::Prepare, looking).await? {
            Found::Nothing(ended) => Ok(Preparation::Over(ended.into())),
            Found::Work {
                checkpoint,
                steps,
                deaths,
            } => {
                let fetching = self.fetch();
                let assignment = metrics::timed(self.kind(), Stage::Fetch, fetching).await?;
                Ok(Preparation::Ready(Prepared {
                    assignment,
                    checkpoint,
                    steps,
                    deaths,
                }))
            }
        }
    }

    /// Looks whether there is anything to compute, and what there is of it already.
    async fn look(&self, claim: &Claim) -> Result<Found, Failure> {
        if let Some(record) = self.result().await? {
            return Ok(Found::Nothing(finished(&record)));
        }
        if self.is_cancelled().await? {
            return Ok(Found::Nothing(Ended::Cancelled));
        }
        let left = if claim.redelivered {
            self.left_behind().await?
        } else {
            None
        };
        if claim.abandoned {
            return Err(crash_loop(DELIVERY_LIMIT, left));
        }
        let checkpoint = self.checkpoint().await?;
        let steps = checkpoint.as_ref().map_or(0, |(_, steps)| *steps);
        let deaths = lifecycle::deaths(left.as_ref(), steps);
        if deaths >= DEATHS {
            return Err(crash_loop(deaths, left));
        }
        Ok(Found::Work {
            checkpoint: checkpoint.map(|(bytes, _)| bytes),
            steps,
            deaths,
        })
    }

    /// Fetches the inputs.
    async fn fetch(&self) -> Result<Assignment, Failure> {
        let WorkerContext { kinds, inputs, .. } = &*self.context;
        let kind = kinds.get(&self.job.kind)?;
        let assignment = kind.prepare(&self.job, inputs).await?;
        self.read_ahead(&assignment.task).await;
        Ok(assignment)
    }

    /// The job's kind in metrics.
    pub fn kind(&self) -> &'static str {
        self.context.kinds.label(&self.job.kind)
    }

    /// Has the task read its inputs ahead.
    async fn read_ahead(&self, task: &Arc<dyn Task>) {
        let Some(max_pixels) = self.context.read_ahead else {
            return;
        };
        let task = task.clone();
        let reading = tokio::task::spawn_blocking(move || task.read_ahead(max_pixels));
        // If this panics, so will the engine, which reports it.
        let _ = reading.await;
    }

    /// The checkpoint and the steps it holds, if there is a usable one.
    async fn checkpoint(&self) -> Result<Option<(Vec<u8>, u64)>, Failure> {
        let key = keys::checkpoint(&self.job.id);
        let Some(checkpoint) = self.context.store.get(&key).await? else {
            return Ok(None);
        };
        let identity = self.job.id.to_string();
        let looking = tokio::task::spawn_blocking(move || {
            let steps = checkpoint::steps(&checkpoint, &identity);
            steps.map(|steps| (checkpoint.into(), steps))
        });
        match looking.await? {
            Ok(usable) => Ok(Some(usable)),
            Err(refused) => {
                self.events.note(refused);
                Ok(None)
            }
        }
    }

    /// The job's result, if there is a valid one. A damaged one is deleted, or the job would count
    /// as done for ever.
    async fn result(&self) -> Result<Option<Record>, Failure> {
        let key = keys::result(&self.job.id);
        let Some(json) = self.context.store.get(&key).await? else {
            return Ok(None);
        };
        match self.verified(&json).await? {
            Ok(record) => Ok(Some(record)),
            Err(damage) => {
                let note = format!("its result is damaged ({damage}): the job is done anew");
                self.events.note(note);
                self.context.store.delete(&key).await?;
                Ok(None)
            }
        }
    }

    /// The record in `json`, if it is the job's and the outputs that it names are there; else what
    /// is wrong.
    async fn verified(&self, json: &[u8]) -> Result<Result<Record, Damage>, Failure> {
        let record = match parsed(json, &self.job.id) {
            Ok(record) => record,
            Err(damage) => return Ok(Err(damage)),
        };
        let store = &self.context.store;
        for (index, output) in record.outputs.iter().enumerate() {
            let key = &output.key;
            // The main output is read and checked against its hash; the others only have to be
            // there.
            let is_good = match index {
                0 => store.get(key).await?.is_some_and(|file| output.is(&file)),
                _ => store.contains(key).await?,
            };
            if !is_good {
                return Ok(Err(Damage::Output(key.clone())));
            }
        }
        Ok(Ok(record))
    }

    /// The mark that another worker left and did not remove, if it is valid.
    async fn left_behind(&self) -> Result<Option<Start>, Failure> {
        let json = self.context.store.get(&keys::started(&self.job.id)).await?;
        let left = json.and_then(|json| serde_json::from_slice::<Start>(&json).ok());
        Ok(left.filter(|left| left.job == self.job.id))
    }

    /// Whether the job was cancelled.
    pub async fn is_cancelled(&self) -> Result<bool, Failure> {
        let key = keys::cancelled(&self.job.id);
        Ok(self.context.store.contains(&key).await?)
    }

    /// Resumes from the checkpoint if there is one, else starts anew.
    pub async fn compute(
        &self,
        prepared: Prepared,
        signals: &Signals,
    ) -> Result<Computed, Failure> {
        let (computed, marked) =
            tokio::join!(self.resume(&prepared, signals), self.mark(&prepared));
        // Without the mark, a death is not counted here; but the broker counts too.
        if let Err(failure) = marked {
            tracing::warn!("{failure}");
        }
        computed
    }

    /// Marks the job as begun by this worker. If it dies, the next one finds the mark.
    async fn mark(&self, prepared: &Prepared) -> Result<(), Failure> {
        let start = Start {
            job: self.job.id,
            worker: self.context.worker.to_string(),
            attempt: self.job.attempt,
            steps: prepared.steps,
            deaths: prepared.deaths,
            unix_millis: unix_millis(),
            exit_reason: None,
            asked: Some(Asked {
                kind: self.job.kind.clone(),
                inputs: self.job.inputs.clone(),
                specification: prepared.assignment.specification.clone(),
            }),
        };
        let key = keys::started(&self.job.id);
        let json = json(&key, &start)?;
        Ok(self.context.store.put(&key, json.into()).await?)
    }

    /// Removes that mark: the worker is alive, and is done with the job or has lost its claim.
    pub async fn unmark(&self) {
        self.remove(&keys::started(&self.job.id)).await;
    }

    /// Removes what nobody needs once an attempt is over, and once the job is done.
    async fn tidy_up(&self, is_done: bool) {
        self.unmark().await;
        if is_done {
            self.remove(&keys::checkpoint(&self.job.id)).await;
        }
    }

    /// Removes an object that only takes up space.
    async fn remove(&self, key: &str) {
        if let Err(error) = self.context.store.delete(key).await {
            tracing::warn!("{error}");
        }
    }

    async fn resume(&self, prepared: &Prepared, signals: &Signals) -> Result<Computed, Failure> {
        self.events.publish(Update::Started {
            steps: prepared.steps,
            device: self.context.engine.description().device.clone(),
        });
        let assignment = &prepared.assignment;
        if let Some(checkpoint) = &prepared.checkpoint {
            let resumed = Some((checkpoint.clone(), prepared.steps));
            match self.watched(assignment, resumed, signals).await {
                Err(Failure::Engine(refused @ Error::Checkpoint(_))) => self.events.note(refused),
                ended => return ended,
            }
        }
        self.watched(assignment, None, signals).await
    }

    /// Runs the task, from a checkpoint and the steps it holds if there is one. Meanwhile, stores
    /// checkpoints and progress pictures.
    async fn watched(
        &self,
        assignment: &Assignment,
        resumed: Option<(Vec<u8>, u64)>,
        signals: &Signals,
    ) -> Result<Computed, Failure> {
        let WorkerContext { engine, store, .. } = &*self.context;
        let (sender, writer) = checkpoints::channel(self.context.checkpoint_every);
        let (checkpoint, steps) = resumed.unzip();
        let (previews, preview_writer) =
            previews::channel_of(self.job.preview_every, steps.unwrap_or(0));
        let meter = Meter {
            kind: self.kind(),
            activity: self.context.activity.clone(),
        };
        let (watch, notes) = Watch::new(
            self.events.clone(),
            signals.clone(),
            sender,
            previews,
            meter.clone(),
        );
        let key = keys::checkpoint(&self.job.id);
        let (outcome, (), ()) = tokio::join!(
            engine.run(assignment.task.clone(), checkpoint, watch),
            writer.write(&**store, &key, &self.events, &meter),
            preview_writer.write(&**store, &self.job.id, &self.events),
        );
        Ok(Computed {
            outcome: outcome?,
            specification: assignment.specification.clone(),
            notes: notes.try_iter().collect(),
        })
    }
}

/// What is wrong with a result.
#[derive(Debug, thiserror::Error)]
enum Damage {
    /// It is no record.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is no record of the job.
    #[error(transparent)]
    Record(#[from] Invalid),
    /// An output that it names is not in the store as it was.
    #[error("{0} is missing, or another file")]
    Output(String),
}

/// The record in `json`, if it is one of that job.
fn parsed(json: &[u8], job: &JobId) -> Result<Record, Damage> {
    let record: Record = serde_json::from_slice(json)?;
    record.check(job)?;
    Ok(record)
}

fn json(key: &str, document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(document).map_err(|source| Failure::Document {
        what: key.to_owned(),
        source,
    })
}

/// The failure of a job that kills its workers, the last of which `left` a mark.
fn crash_loop(workers: u32, left: Option<Start>) -> Failure {
    Failure::CrashLoop {
        workers,
        exit_reason: left.and_then(|left| left.exit_reason),
    }
}

fn is_finished(ended: &Ended) -> bool {
    matches!(ended, Ended::Finished { .. })
}

fn finished(record: &Record) -> Ended {
    Ended::Finished {
        seconds: record.seconds,
        steps: record.steps,
        figures: record.figures.clone(),
    }
}

#[cfg(test)]
mod tests;

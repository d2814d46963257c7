//! One attempt at one job: prepare, compute, finish.
//!
//! The store is the truth. A result in it is never made again; a checkpoint in it is continued
//! from; the result is written last, so that whatever kills the worker, the next attempt finds
//! either everything or a checkpoint. Events only tell people what goes on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use stylefleet_engine::{self as engine, Engine, Error, Outcome, Picture, Request, Source};
use stylefleet_model::Valid;
use stylefleet_model::stylize::Stylize;
use stylefleet_proto::lifecycle::{self, ATTEMPTS, DEATHS, Settlement};
use stylefleet_proto::queues::DELIVERY_LIMIT;
use stylefleet_proto::{Digest, Ended, Job, Record, Role, Start, Update, keys};
use stylefleet_transport::broker::Claim;
use stylefleet_transport::store::{Store, StoreError};

use crate::checkpoints;
use crate::engine_thread::EngineThread;
use crate::events::{Events, unix_millis};
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::own_store::OwnStore;
use crate::previews;
use crate::record::{curve, record};
use crate::watch::{Signals, Watch};

/// How often a result is written that does not come to stand.
const CONFIRMATIONS: u32 = 3;

/// What a worker works with, whatever the job.
pub struct WorkerContext {
    /// The worker's name.
    pub worker: Arc<str>,
    /// Where results go.
    pub store: Arc<dyn Store>,
    /// Which store that is.
    pub own_store: OwnStore,
    /// Where inputs come from.
    pub inputs: Inputs,
    /// What computes.
    pub engine: EngineThread,
    /// Largest image that is read before the engine asks for it, in pixels; none: it reads them all
    /// itself.
    pub read_ahead: Option<u64>,
    /// Least time between two checkpoints.
    pub checkpoint_every: Duration,
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
    Over(Ended),
}

/// Everything that the engine needs for a job.
pub struct Prepared {
    request: Arc<Request>,
    checkpoint: Option<Vec<u8>>,
    /// Evaluations in the checkpoint, over all scales.
    pub evaluations: u32,
    /// Workers that died over the job in a row.
    deaths: u32,
}

/// What came of computing.
pub struct Computed {
    outcome: Outcome,
    notes: Vec<String>,
}

/// Why a job was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Other jobs' turn, or the worker ends: it goes on later.
    Turn,
    /// It is not wanted any more.
    Cancelled,
    /// The claim is another worker's now.
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

    /// Fetches everything that is to be computed with, if anything is.
    pub async fn prepare(&self, claim: &Claim) -> Preparation {
        let ended = match self.fetch(claim).await {
            Ok(Preparation::Ready(prepared)) => return Preparation::Ready(prepared),
            Ok(Preparation::Over(ended)) => ended,
            Err(failure) => self.fail(failure).await,
        };
        // A worker that died when all was done but this, or that the job killed, left its mark.
        if lifecycle::settle(self.job.attempt, &ended).is_terminal() {
            self.tidy_up(is_finished(&ended)).await;
        }
        Preparation::Over(ended)
    }

    async fn fetch(&self, claim: &Claim) -> Result<Preparation, Failure> {
        if let Some(record) = self.result().await? {
            return Ok(Preparation::Over(finished(&record)));
        }
        if self.is_cancelled().await? {
            return Ok(Preparation::Over(Ended::Cancelled));
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
        let evaluations = checkpoint.as_ref().map_or(0, |(_, count)| *count);
        let deaths = lifecycle::deaths(left.as_ref(), evaluations);
        if deaths >= DEATHS {
            return Err(crash_loop(deaths, left));
        }
        let request = Arc::new(self.request().await?);
        self.read_ahead(&request).await;
        Ok(Preparation::Ready(Prepared {
            request,
            checkpoint: checkpoint.map(|(bytes, _)| bytes),
            evaluations,
            deaths,
        }))
    }

    /// The request, with the images that the job names.
    async fn request(&self) -> Result<Request, Failure> {
        let asked: Valid<Stylize> = self.job.specification()?;
        let mut styles = Vec::with_capacity(asked.weights.len());
        for (index, weight) in asked.weights.iter().enumerate() {
            styles.push(engine::Style {
                image: self.image(Stylize::style(index)).await?,
                share: *weight,
                mask: self.image_if_any(Stylize::mask(index)).await?,
            });
        }
        Ok(Request {
            identity: self.job.id.to_string(),
            content: self.image(Stylize::content()).await?,
            styles,
            start: self.image_if_any(Stylize::start()).await?,
            parameters: asked.parameters(),
        })
    }

    async fn image(&self, role: Role) -> Result<Source, Failure> {
        let image = self.image_if_any(role.clone()).await?;
        image.ok_or(Failure::NoInput(role))
    }

    async fn image_if_any(&self, role: Role) -> Result<Option<Source>, Failure> {
        match self.job.input(&role) {
            Some(input) => self.context.inputs.get(input).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads what differs from job to job.
    async fn read_ahead(&self, request: &Arc<Request>) {
        let Some(max_pixels) = self.context.read_ahead else {
            return;
        };
        let request = request.clone();
        let reading = tokio::task::spawn_blocking(move || request.content.read_ahead(max_pixels));
        // If it panics, so will the engine, which knows what to say.
        let _ = reading.await;
    }

    /// The checkpoint and the evaluations it holds, if there is one of use.
    async fn checkpoint(&self) -> Result<Option<(Vec<u8>, u32)>, Failure> {
        let key = keys::checkpoint(&self.job.id);
        let Some(checkpoint) = self.context.store.get(&key).await? else {
            return Ok(None);
        };
        let identity = self.job.id.to_string();
        let looking = tokio::task::spawn_blocking(move || {
            let evaluations = Engine::steps_in(&checkpoint, &identity);
            evaluations.map(|evaluations| (checkpoint.into(), evaluations))
        });
        match looking.await? {
            Ok(usable) => Ok(Some(usable)),
            Err(refused) => {
                self.events.note(refused);
                Ok(None)
            }
        }
    }

    /// The job's result, if there is one that is good. One that is not makes way for another, or
    /// the job would pass for done for ever.
    async fn result(&self) -> Result<Option<Record>, Failure> {
        let key = keys::result(&self.job.id);
        let Some(json) = self.context.store.get(&key).await? else {
            return Ok(None);
        };
        match self.proven(&json).await? {
            Ok(record) => Ok(Some(record)),
            Err(reason) => {
                let note = format!("its result is damaged ({reason}): the picture is made anew");
                self.events.note(note);
                self.context.store.delete(&key).await?;
                Ok(None)
            }
        }
    }

    /// The record in `json`, if it is the job's and the picture that it names is there; or why not.
    async fn proven(&self, json: &[u8]) -> Result<Result<Record, String>, Failure> {
        let record: Record = match serde_json::from_slice(json) {
            Ok(record) => record,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Err(invalid) = record.check(&self.job.id) {
            return Ok(Err(invalid.to_string()));
        }
        let Some(file) = self.context.store.get(&record.picture).await? else {
            return Ok(Err(format!("there is no {}", record.picture)));
        };
        Ok(
            if keys::is_of_picture(&record.picture, &Digest::of(&file)) {
                Ok(record)
            } else {
                Err(format!("{} is another file", record.picture))
            },
        )
    }

    /// The mark that another worker left and did not remove, if it is valid.
    async fn left_behind(&self) -> Result<Option<Start>, Failure> {
        let json = self.context.store.get(&keys::started(&self.job.id)).await?;
        let left = json.and_then(|json| serde_json::from_slice::<Start>(&json).ok());
        Ok(left.filter(|left| left.job == self.job.id))
    }

    /// Whether somebody marked the job as not wanted.
    pub async fn is_cancelled(&self) -> Result<bool, Failure> {
        let key = keys::cancelled(&self.job.id);
        Ok(self.context.store.contains(&key).await?)
    }

    /// Continues from the checkpoint where there is one, else begins afresh.
    pub async fn compute(
        &self,
        prepared: Prepared,
        signals: &Signals,
    ) -> Result<Computed, Failure> {
        let (computed, marked) = tokio::join!(
            self.stylize(&prepared, signals),
            self.mark(prepared.evaluations, prepared.deaths),
        );
        // Without the mark a death goes uncounted, here; the broker counts too.
        if let Err(failure) = marked {
            tracing::warn!("{}: {failure}", self.job.id);
        }
        computed
    }

    /// Marks the job as at work here, for whoever finds the mark should the worker die.
    async fn mark(&self, evaluations: u32, deaths: u32) -> Result<(), Failure> {
        let start = Start {
            job: self.job.id,
            worker: self.context.worker.to_string(),
            attempt: self.job.attempt,
            evaluations,
            deaths,
            unix_millis: unix_millis(),
            exit_reason: None,
        };
        let key = keys::started(&self.job.id);
        let json = json(&key, &start)?;
        Ok(self.context.store.put(&key, json.into()).await?)
    }

    /// Removes that mark: the worker lives, and is done with the job or lost its claim.
    pub async fn unmark(&self) {
        self.remove(&keys::started(&self.job.id)).await;
    }

    /// Removes what is of no more use once an attempt is over, and once the job is done.
    async fn tidy_up(&self, is_done: bool) {
        self.unmark().await;
        if is_done {
            self.remove(&keys::checkpoint(&self.job.id)).await;
        }
    }

    /// Removes something that only takes room.
    async fn remove(&self, key: &str) {
        if let Err(error) = self.context.store.delete(key).await {
            tracing::warn!("{error}");
        }
    }

    async fn stylize(&self, prepared: &Prepared, signals: &Signals) -> Result<Computed, Failure> {
        self.events.publish(Update::Started {
            resumed_evaluations: prepared.evaluations,
            device: self.context.engine.description().device.clone(),
        });
        let request = &prepared.request;
        if let Some(checkpoint) = &prepared.checkpoint {
            let resumed = Some((checkpoint.clone(), prepared.evaluations));
            match self.watched(request, resumed, signals).await {
                Err(Failure::Engine(refused @ Error::Checkpoint(_))) => self.events.note(refused),
                ended => return ended,
            }
        }
        self.watched(request, None, signals).await
    }

    /// Runs the engine, from a checkpoint and the evaluations it holds if there is one, and keeps
    /// checkpoints and progress pictures meanwhile.
    async fn watched(
        &self,
        request: &Arc<Request>,
        resumed: Option<(Vec<u8>, u32)>,
        signals: &Signals,
    ) -> Result<Computed, Failure> {
        let WorkerContext { engine, store, .. } = &*self.context;
        let (sender, writer) = checkpoints::channel(self.context.checkpoint_every);
        let (checkpoint, evaluations) = resumed.unzip();
        let (previews, preview_writer) =
            previews::channel_of(self.job.preview_every, evaluations.unwrap_or(0));
        let (watch, notes) = Watch::new(self.events.clone(), signals.clone(), sender, previews);
        let key = keys::checkpoint(&self.job.id);
        let (outcome, (), ()) = tokio::join!(
            engine.stylize(request.clone(), checkpoint, watch),
            writer.write(&**store, &key, &self.events),
            preview_writer.write(&**store, &self.job.id, &self.events),
        );
        Ok(Computed {
            outcome: outcome?,
            notes: notes.try_iter().collect(),
        })
    }

    /// Brings what was computed into the store. Returns how the attempt ended; none if the job is
    /// another worker's now.
    pub async fn finish(
        &self,
        computed: Result<Computed, Failure>,
        why: Option<Why>,
    ) -> Option<Ended> {
        let ended = match computed {
            Ok(computed) => self.keep(computed, why).await,
            Err(failure) => Err(failure),
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(failure) => Some(self.fail(failure).await),
        };
        if why != Some(Why::Void) {
            self.tidy_up(ended.as_ref().is_some_and(is_finished)).await;
        } else if self.is_done().await.unwrap_or(false) {
            // Whoever has the job now tidies up, but may have done so before this attempt wrote
            // its last.
            self.tidy_up(true).await;
        }
        ended
    }

    async fn keep(&self, computed: Computed, why: Option<Why>) -> Result<Option<Ended>, Failure> {
        let Computed { outcome, notes } = computed;
        let (checkpoint, evaluations) = match outcome {
            Outcome::Finished(picture) => {
                let record = self.upload(picture, notes).await?;
                self.confirm(&record).await?;
                return Ok(Some(finished(&record)));
            }
            Outcome::Interrupted {
                checkpoint,
                evaluations,
            } => (checkpoint, evaluations),
        };
        // The worker that has the job now may have got further.
        if why != Some(Why::Void) || self.is_ahead(evaluations).await? {
            let key = keys::checkpoint(&self.job.id);
            self.context.store.put(&key, checkpoint.into()).await?;
        }
        Ok(match why {
            Some(Why::Void) => None,
            Some(Why::Cancelled) => Some(Ended::Cancelled),
            Some(Why::Turn) | None => Some(Ended::Interrupted { evaluations }),
        })
    }

    /// Whether this many evaluations are more than the store has.
    async fn is_ahead(&self, evaluations: u32) -> Result<bool, Failure> {
        if self.is_done().await? {
            return Ok(false);
        }
        let there = self.checkpoint().await?;
        Ok(there.is_none_or(|(_, there)| there < evaluations))
    }

    /// Whether the job has a result.
    async fn is_done(&self) -> Result<bool, Failure> {
        let key = keys::result(&self.job.id);
        Ok(self.context.store.contains(&key).await?)
    }

    /// Puts the picture in the store.
    async fn upload(&self, picture: Picture, notes: Vec<String>) -> Result<Record, Failure> {
        if !picture.loss.is_finite() {
            return Err(Error::NotFinite(picture.loss).into());
        }
        let asked: Valid<Stylize> = self.job.specification()?;
        let format = asked.parameters.format;
        let encoding = tokio::task::spawn_blocking(move || {
            let file = picture.encode(format);
            (picture, file)
        });
        let (picture, file) = encoding.await?;
        let file = file?;
        let WorkerContext { engine, store, .. } = &*self.context;
        let key = keys::picture(&self.job.id, &Digest::of(&file), format);
        if let Some(key) = keys::curve(&self.job.id, &key) {
            store
                .put(&key, json(&key, &curve(&picture))?.into())
                .await?;
        }
        store.put(&key, file.into()).await?;
        Ok(record(
            &self.job,
            &asked,
            &picture,
            key,
            engine.description(),
            notes,
        ))
    }

    /// Makes the result stand. Where another attempt's stands already, it says the same; one that
    /// is damaged gives way.
    async fn confirm(&self, record: &Record) -> Result<(), Failure> {
        let key = keys::result(&self.job.id);
        let json = Bytes::from(json(&key, record)?);
        let store = &self.context.store;
        for _ in 0..CONFIRMATIONS {
            if store.put_new(&key, json.clone()).await? || self.result().await?.is_some() {
                return Ok(());
            }
        }
        let what = store.locate(&key);
        Err(StoreError::Unreliable { what }.into())
    }

    /// How an attempt ended that failed. Where there is to be no other, the store says why.
    async fn fail(&self, failure: Failure) -> Ended {
        let retryable = failure.is_retryable();
        let reason = failure.to_string();
        let failed = Ended::Failed { retryable, reason };
        let settlement = lifecycle::settle(self.job.attempt, &failed);
        let Settlement::SetAside { reason } = settlement else {
            return failed;
        };
        let record = stylefleet_proto::Failure {
            job: self.job.id,
            reason: reason.clone(),
            attempts: self.job.attempt,
        };
        let key = keys::failed(&self.job.id);
        let written = match json(&key, &record) {
            Ok(json) => self.context.store.put(&key, json.into()).await.err(),
            Err(_) => None,
        };
        match written {
            // Not without a failure in the store: somebody else is to write it.
            Some(error) if error.is_retryable() && self.job.attempt < ATTEMPTS => Ended::Failed {
                retryable: true,
                reason: error.to_string(),
            },
            Some(error) if error.is_retryable() => {
                self.events.note(error);
                Ended::Interrupted { evaluations: 0 }
            }
            Some(error) => {
                tracing::warn!("{}: {error}", self.job.id);
                Ended::Failed {
                    retryable: false,
                    reason,
                }
            }
            None => Ended::Failed {
                retryable: false,
                reason,
            },
        }
    }
}

fn json(key: &str, document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(document).map_err(|reason| Failure::Document {
        key: key.to_owned(),
        reason,
    })
}

/// The failure of a job that ends its workers, the last of which `left` a mark.
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
        evaluations: record.evaluations,
        loss: record.score.loss,
    }
}

#[cfg(test)]
pub mod tests;

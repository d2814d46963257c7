//! One attempt at one job: claim, fetch, stylize, upload, confirm.
//!
//! The store is the truth. A result in it is never made again; a checkpoint in it is continued
//! from; the result is written last, so that whatever kills the worker, the next attempt finds
//! either everything or a checkpoint. Events only tell people what goes on.

use std::sync::Arc;
use std::time::Duration;

use stylefleet_engine::{self as engine, Engine, Error, Outcome, Picture, Request, Source};
use stylefleet_proto::{Digest, Happening, Image, Init, Job, Record, keys};
use stylefleet_transport::store::Store;
use tokio_util::sync::CancellationToken;

use crate::checkpoints;
use crate::engine_thread::EngineThread;
use crate::events::Events;
use crate::failure::Failure;
use crate::record::record;
use crate::request::request;
use crate::watch::Watch;

/// One attempt at one job, and what it takes.
pub struct Attempt<'a> {
    /// The job.
    pub job: &'a Job,
    /// Where inputs come from and results go.
    pub store: &'a dyn Store,
    /// What computes.
    pub engine: &'a EngineThread,
    /// Who is told.
    pub events: &'a Events,
    /// Cancelled when the job is to be interrupted.
    pub drain: &'a CancellationToken,
    /// Least time between two checkpoints.
    pub checkpoint_every: Duration,
}

impl Attempt<'_> {
    /// Runs the attempt to its end, whatever that is, and tells of it.
    pub async fn run(&self) {
        let last = self
            .happening()
            .await
            .unwrap_or_else(|failure| Happening::Failed {
                retryable: failure.is_retryable(),
                reason: failure.to_string(),
            });
        self.events.tell(last);
    }

    async fn happening(&self) -> Result<Happening, Failure> {
        if let Some(record) = self.result().await? {
            return Ok(finished(&record));
        }
        let request = Arc::new(self.fetch().await?);
        let (outcome, notes) = self.stylize(request).await?;
        match outcome {
            Outcome::Finished(picture) => {
                let record = self.upload(picture, notes).await?;
                self.confirm(&record).await?;
                Ok(finished(&record))
            }
            Outcome::Interrupted {
                checkpoint,
                evaluations,
            } => {
                let key = keys::checkpoint(&self.job.id);
                self.store.put(&key, checkpoint.into()).await?;
                Ok(Happening::Interrupted { evaluations })
            }
        }
    }

    /// The result, if the job has one already.
    async fn result(&self) -> Result<Option<Record>, Failure> {
        let key = keys::result(&self.job.id);
        let json = self.store.get(&key).await?;
        json.map(|json| serde_json::from_slice(&json))
            .transpose()
            .map_err(|reason| Failure::Record { key, reason })
    }

    /// The request, with the images that the job names.
    async fn fetch(&self) -> Result<Request, Failure> {
        let content = self.input(&self.job.content).await?;
        let mut styles = Vec::with_capacity(self.job.styles.len());
        for style in &self.job.styles {
            styles.push((self.input(&style.image).await?, style.weight));
        }
        let parameters = &self.job.parameters;
        let init = match &parameters.init {
            Init::Content => engine::Init::Content,
            Init::Noise => engine::Init::Noise,
            Init::Style(index) => engine::Init::Style(*index as usize),
            Init::Image(image) => engine::Init::Image(self.input(image).await?),
        };
        Ok(request(parameters, content, styles, init)?)
    }

    /// An image from the store, and truly that image.
    async fn input(&self, image: &Image) -> Result<Source, Failure> {
        let Image { sha256, name } = image.clone();
        let Some(bytes) = self.store.get(&keys::input(&sha256)).await? else {
            return Err(Failure::Missing { name, sha256 });
        };
        if Digest::of(&bytes) != sha256 {
            return Err(Failure::Altered { name, sha256 });
        }
        Ok(Source {
            name: name.into(),
            bytes: bytes.into(),
        })
    }

    /// Continues from the checkpoint where there is one of use, else begins afresh.
    async fn stylize(&self, request: Arc<Request>) -> Result<(Outcome, Vec<String>), Failure> {
        let checkpoint = self.checkpoint().await?;
        let resumed_evaluations = checkpoint
            .as_ref()
            .map_or(0, |(_, evaluations)| *evaluations);
        self.events.tell(Happening::Started {
            resumed_evaluations,
        });
        if let Some((checkpoint, _)) = checkpoint {
            match self.watched(request.clone(), Some(checkpoint)).await {
                Err(Failure::Engine(refused @ Error::Checkpoint(_))) => self.events.note(refused),
                ended => return ended,
            }
        }
        self.watched(request, None).await
    }

    /// The checkpoint and the evaluations it holds.
    async fn checkpoint(&self) -> Result<Option<(Vec<u8>, u32)>, Failure> {
        let Some(checkpoint) = self.store.get(&keys::checkpoint(&self.job.id)).await? else {
            return Ok(None);
        };
        match Engine::evaluations_in(&checkpoint) {
            Ok(evaluations) => Ok(Some((checkpoint.into(), evaluations))),
            Err(refused) => {
                self.events.note(refused);
                Ok(None)
            }
        }
    }

    /// Runs the engine, keeping checkpoints meanwhile. Gives its notes back with the outcome.
    async fn watched(
        &self,
        request: Arc<Request>,
        checkpoint: Option<Vec<u8>>,
    ) -> Result<(Outcome, Vec<String>), Failure> {
        let (offers, keeper) = checkpoints::channel(self.checkpoint_every);
        let (watch, notes) = Watch::new(self.events.clone(), self.drain.clone(), offers);
        let key = keys::checkpoint(&self.job.id);
        let (outcome, ()) = tokio::join!(
            self.engine.stylize(request, checkpoint, watch),
            keeper.keep(self.store, &key, self.events),
        );
        Ok((outcome?, notes.try_iter().collect()))
    }

    /// Puts the picture in the store.
    async fn upload(&self, picture: Picture, notes: Vec<String>) -> Result<Record, Failure> {
        let record = record(self.job, &picture, self.engine.description(), notes);
        let format = crate::request::format(self.job.parameters.format);
        let file = tokio::task::spawn_blocking(move || picture.encode(format)).await??;
        self.store.put(&record.picture, file.into()).await?;
        Ok(record)
    }

    /// Makes the result stand. Where another attempt's stands already, it says the same.
    async fn confirm(&self, record: &Record) -> Result<(), Failure> {
        let key = keys::result(&self.job.id);
        match serde_json::to_vec_pretty(record) {
            Ok(json) => self.store.put_new(&key, json.into()).await?,
            Err(reason) => return Err(Failure::Record { key, reason }),
        };
        // The job is done: a checkpoint left behind only takes room.
        if let Err(error) = self.store.delete(&keys::checkpoint(&self.job.id)).await {
            self.events.note(error);
        }
        Ok(())
    }
}

fn finished(record: &Record) -> Happening {
    Happening::Finished {
        seconds: record.seconds,
        evaluations: record.evaluations,
        loss: record.score.loss,
    }
}

#[cfg(test)]
pub mod tests;

//! What is asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use stylefleet_model::apply::Apply;
use stylefleet_model::trained::{Header, Trained};
use stylefleet_model::{Digest, Valid};
use tch::{Device, Tensor};

use super::job::{Job, pictures, report};
use crate::arithmetic::Arithmetic;
use crate::checkpoint::{self, Owner};
use crate::observer::Halt;
use crate::transform::Transform;
use crate::{Cause, Engine, Error, Finished, Observer, Outcome, Source, Task};

/// The kind in checkpoints.
const KIND: &str = "apply";

/// One picture to make.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identifies the request: it resumes only from a checkpoint of the same identity.
    pub identity: String,
    /// The picture to redraw.
    pub content: Source,
    /// The network that redraws it.
    pub model: Model,
    /// For each style that is asked for, where in the picture it counts: white everything, black
    /// nothing; stretched to the picture. None: everywhere.
    pub masks: Vec<Option<Source>>,
    /// How to redraw it.
    pub asked: Valid<Apply>,
}

/// A model file.
#[derive(Clone)]
pub struct Model {
    /// What people call it, for messages.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// The file's bytes.
    pub bytes: Arc<[u8]>,
}

/// What requests keep in the engine for later ones.
#[derive(Debug, Default)]
struct Kept {
    network: Option<Network>,
    /// What automatic precision means on this device.
    automatic: Option<Arithmetic>,
}

/// A model on the device.
#[derive(Debug)]
pub(super) struct Network {
    sha256: Digest,
    pub header: Header,
    pub transform: Transform,
}

impl Task for Request {
    /// A checkpoint holds nothing: a picture takes less time than its checkpoint would.
    fn run(
        &self,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let clock = Instant::now();
        let owner = Owner {
            kind: KIND,
            identity: &self.identity,
        };
        if let Some(bytes) = checkpoint {
            checkpoint::read(bytes, owner)?;
        }
        let mut kept: Kept = engine.kept.take();
        let outcome = self.redraw(&mut kept, engine, observer);
        engine.kept.put(kept);
        match outcome {
            Ok(finished) => Ok(Outcome::Finished(Finished {
                seconds: clock.elapsed().as_secs_f64(),
                ..finished
            })),
            Err(Halt::Interrupted) => Ok(Outcome::Interrupted {
                checkpoint: checkpoint::save(owner, 0, &())?,
                steps: 0,
            }),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    fn read_ahead(&self, max_pixels: u64) {
        self.content.read_ahead(max_pixels);
    }
}

impl Request {
    /// Only the picture, `[1, 3, H, W]`, R, G, B, 0 to 255, on the CPU.
    pub(in crate::tasks) fn picture(
        &self,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<Tensor, Halt> {
        let mut kept: Kept = engine.kept.take();
        let picture = self.job(&mut kept, engine, observer);
        let picture = picture.and_then(|mut job| job.picture());
        engine.kept.put(kept);
        picture
    }

    fn redraw(
        &self,
        kept: &mut Kept,
        engine: &Engine,
        observer: &mut dyn Observer,
    ) -> Result<Finished, Halt> {
        self.job(kept, engine, observer)?.run()
    }

    fn job<'a>(
        &'a self,
        kept: &'a mut Kept,
        engine: &Engine,
        observer: &'a mut dyn Observer,
    ) -> Result<Job<'a>, Halt> {
        report(observer, pictures(0))?;
        let arithmetic = match Arithmetic::asked(self.asked.precision) {
            Some(asked) => asked,
            None => kept.arithmetic(engine.device)?,
        };
        let network = kept.network(&self.model, engine.device)?;
        Ok(Job::new(self, network, arithmetic, engine, observer)?)
    }
}

impl Kept {
    fn arithmetic(&mut self, device: Device) -> Result<Arithmetic, Error> {
        let automatic = match self.automatic {
            Some(automatic) => automatic,
            None => Arithmetic::automatic(device)?,
        };
        self.automatic = Some(automatic);
        Ok(automatic)
    }

    /// The network of `model`, loaded if it is not the last one used.
    fn network(&mut self, model: &Model, device: Device) -> Result<&Network, Error> {
        let network = match self.network.take() {
            Some(network) if network.sha256 == model.sha256 => network,
            _ => Network::load(model, device)?,
        };
        Ok(self.network.insert(network))
    }
}

impl Network {
    fn load(model: &Model, device: Device) -> Result<Self, Error> {
        let trained = Trained::read(&model.bytes).map_err(|invalid| {
            let reason = Cause::new(invalid.reason.clone(), invalid);
            model.refuse(reason)
        })?;
        Ok(Self {
            sha256: model.sha256,
            transform: Transform::load(&trained, device)?,
            header: trained.header,
        })
    }
}

impl Model {
    /// The complaint that it cannot be used.
    pub(super) fn refuse(&self, reason: impl Into<Cause>) -> Error {
        Error::Model {
            name: self.name.clone(),
            reason: reason.into(),
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.bytes.len())
    }
}

//! The engine: a network on a device, and what it keeps between jobs.

use std::path::PathBuf;

use crate::{Error, Observer, Picture, Request};

/// What an engine is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// `cpu`, `cuda:N`, or `auto`: the first CUDA device, or the CPU where there is none.
    pub device: String,
    /// Threads to compute with on the CPU; none lets libtorch choose.
    pub threads: Option<usize>,
    /// The weights of VGG19 as `deploy/setup` makes them.
    pub weights: PathBuf,
    /// Largest image accepted, in pixels; checked before it is decoded.
    pub max_pixels: u64,
}

/// What an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The device: `cpu`, `cuda:0`, ...
    pub device: String,
    /// CUDA devices that this process sees.
    pub cuda_devices: u32,
    /// Version of libtorch.
    pub libtorch: String,
    /// Threads that the CPU computes with.
    pub threads: usize,
    /// Vector instructions in use on the CPU.
    pub cpu_capability: String,
    /// SHA-256 of the weights file, in hexadecimal.
    pub weights_sha256: String,
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a picture.
    Finished(Picture),
    /// The observer interrupted it.
    Interrupted {
        /// The optimiser's whole state, to resume from.
        checkpoint: Vec<u8>,
        /// Evaluations it holds, over all scales.
        evaluations: u32,
    },
}

/// VGG19 on a device. One job at a time.
#[derive(Debug)]
pub struct Engine {
    description: Description,
}

impl Engine {
    /// Loads the network and checks the device.
    pub fn open(_options: &Options) -> Result<Self, Error> {
        todo!()
    }

    /// What this engine is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Makes one picture, from the start or from where `checkpoint` left it. Where the checkpoint
    /// is of no use, [`Error::Checkpoint`] says so and nothing was done.
    pub fn stylize(
        &mut self,
        _request: &Request,
        _checkpoint: Option<&[u8]>,
        _observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        todo!()
    }

    /// Evaluations that `checkpoint` holds, over all scales.
    pub fn evaluations_in(_checkpoint: &[u8]) -> Result<u32, Error> {
        todo!()
    }

    /// Seconds that one evaluation of the default objective takes at `side` x `side` pixels.
    pub fn time_evaluation(&mut self, _side: u32) -> Result<f64, Error> {
        todo!()
    }
}

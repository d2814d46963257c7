//! What an engine is given to do, and how that ends.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use stylefleet_model::Figures;

use crate::{Engine, Error, Observer};

/// One job of some kind, with all its inputs at hand.
pub trait Task: Debug + Send + Sync {
    /// Works until it is done or the observer interrupts it, from the start or from `checkpoint`.
    /// If the checkpoint cannot be used, fails with [`Error::Checkpoint`] before it does anything.
    fn run(
        &self,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error>;

    /// Reads now, on whatever thread this is, what a GPU would have to wait for later. Images of
    /// more than `max_pixels` are refused. Errors are left for [`Task::run`] to find.
    fn read_ahead(&self, max_pixels: u64) {
        let _ = max_pixels;
    }
}

/// How a task ended.
#[derive(Debug)]
pub enum Outcome<T = Finished> {
    /// It is done.
    Finished(T),
    /// The observer interrupted it.
    Interrupted {
        /// Its whole state, to resume from.
        checkpoint: Vec<u8>,
        /// Steps that this holds.
        steps: u64,
    },
}

/// The result of a task.
#[derive(Debug)]
pub struct Finished {
    /// What it made, the main output first.
    pub outputs: Vec<Output>,
    /// Seconds of work, over all attempts that were resumed.
    pub seconds: f64,
    /// Steps done.
    pub steps: u64,
    /// Its figures; all are finite.
    pub figures: Figures,
    /// What made it besides the program and libtorch, by name: weights, arithmetic.
    pub made_with: BTreeMap<String, String>,
}

/// A file that a task made.
pub struct Output {
    /// What it is to the job: no two have the same.
    pub role: &'static str,
    /// What kind of file it is, as in `image/png`.
    pub media_type: &'static str,
    /// The ending of its name, letters and digits without the dot.
    pub ending: &'static str,
    /// Gives its bytes, on any thread: encoding takes time that the engine can use.
    pub encode: Box<dyn FnOnce() -> Result<Vec<u8>, Error> + Send>,
}

impl<T> Outcome<T> {
    /// The same outcome, with the result converted.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Finished(finished) => Outcome::Finished(into(finished)),
            Self::Interrupted { checkpoint, steps } => Outcome::Interrupted { checkpoint, steps },
        }
    }
}

impl Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.role, self.media_type)
    }
}

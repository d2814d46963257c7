//! What is asked for.

use std::sync::Arc;

use stylefleet_model::Valid;
use stylefleet_model::train::Train;

use super::Photographs;
use super::job::Job;
use crate::{Engine, Error, Observer, Outcome, Source, Task};

/// One network to train.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identifies the request: it resumes only from a checkpoint of the same identity.
    pub identity: String,
    /// The images of the styles, in the order of their names.
    pub styles: Vec<Source>,
    /// What to train on.
    pub photographs: Arc<dyn Photographs>,
    /// What to train for, and how.
    pub asked: Valid<Train>,
}

impl Task for Request {
    fn run(
        &self,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let _no_grad = tch::no_grad_guard();
        Job::begin(self, engine, checkpoint, observer)?.run()
    }
}

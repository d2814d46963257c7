//! How a task reports its progress, and is told to stop.

use stylefleet_model::Progress;

use crate::Error;

/// Watches one task.
pub trait Observer {
    /// Something that a person should know and that is not a failure.
    fn noted(&mut self, note: &str);

    /// After every step, or every few.
    fn progressed(&mut self, progress: &Progress) -> Control;

    /// After steps that a checkpoint would hold: the task can resume from its current state.
    fn accepted(&mut self, state: &State<'_>);
}

/// What a running task can show. Making any of it costs time and memory: ask only for what will be
/// kept.
pub struct State<'a> {
    /// Steps done.
    pub steps: u64,
    /// Encodes all that the task resumes from.
    pub checkpoint: &'a dyn Fn() -> Result<Vec<u8>, Error>,
    /// Encodes the result so far, as a JPEG.
    pub preview: &'a dyn Fn() -> Result<Vec<u8>, Error>,
}

/// What a task does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop and hand back a checkpoint.
    Interrupt,
}

/// Why work ends early.
pub(crate) enum Halt {
    /// The observer asked for it.
    Interrupted,
    /// Something went wrong.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

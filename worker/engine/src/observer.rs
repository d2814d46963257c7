//! How a task tells where it stands, and is told to stop.

use stylefleet_model::Progress;

use crate::Error;

/// Watches one task.
pub trait Observer {
    /// Something a person should know that is no failure.
    fn noted(&mut self, note: &str);

    /// After every step, or every few.
    fn progressed(&mut self, progress: &Progress) -> Control;

    /// After steps that a checkpoint would hold: where the task stands now, it can go on from.
    fn accepted(&mut self, state: &State<'_>);
}

/// What a task has to show on its way. To have any of it made costs time and memory: ask only for
/// what is to be kept.
pub struct State<'a> {
    /// Steps done.
    pub steps: u64,
    /// Encodes all that the task goes on from.
    pub checkpoint: &'a dyn Fn() -> Result<Vec<u8>, Error>,
    /// Encodes what it came to so far, as a JPEG.
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

//! How the engine tells where it stands, and is told to stop.

use crate::Error;

/// Watches one job.
pub trait Observer {
    /// Something a person should know that is no failure.
    fn noted(&mut self, note: &str);

    /// After every evaluation.
    fn evaluated(&mut self, progress: &Progress) -> Control;

    /// After every accepted iteration.
    fn accepted(&mut self, state: &State<'_>);
}

/// What there is after an iteration. To have any of it made costs time and memory: ask only for
/// what is to be kept.
pub struct State<'a> {
    /// Evaluations done over all scales.
    pub evaluations: u32,
    /// Encodes the optimiser's whole state.
    pub checkpoint: &'a dyn Fn() -> Result<Vec<u8>, Error>,
    /// Encodes the picture as it looks now, at the size of the scale at work, as a JPEG.
    pub picture: &'a dyn Fn() -> Result<Vec<u8>, Error>,
}

/// What the engine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop and hand back a checkpoint.
    Interrupt,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The scale at work, from 1.
    pub scale: u32,
    /// How many scales there are.
    pub scales: u32,
    /// Width of this scale in pixels.
    pub width: u32,
    /// Height of this scale in pixels.
    pub height: u32,
    /// Evaluations done at this scale.
    pub evaluation: u32,
    /// Budget of evaluations at this scale.
    pub evaluations: u32,
    /// Evaluations done over all scales.
    pub total_evaluations: u32,
    /// Lowest loss at this scale so far.
    pub loss: f64,
    /// Estimated seconds until the job ends; none before there is an idea.
    pub seconds_left: Option<f64>,
}

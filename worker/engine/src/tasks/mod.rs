//! Kinds of jobs, a folder each.

pub mod apply;
mod curve;
mod picture;
pub mod stylize;
pub mod train;
pub mod video;

/// How far off each other pictures are, in grey levels, that add as much to the loss as all else at
/// a temporal weight of 1.
const TEMPORAL_UNIT: f64 = 10.0;

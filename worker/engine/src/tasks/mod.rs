//! Kinds of jobs, a folder each.

mod curve;
pub mod stylize;
pub mod train;

//! Kinds of jobs, a folder each.

pub mod apply;
mod curve;
mod picture;
pub mod stylize;
pub mod train;
pub mod video;

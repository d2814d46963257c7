//! What is asked for: options and batch files, made sense of, and the jobs that come of them.

mod batch_file;
mod door;
pub mod expand;
#[cfg(test)]
mod fuzz;
pub mod intake;
mod names;
pub mod options;
pub mod parameters;
mod pattern;
pub mod plan;
pub mod remote;
pub mod values;
mod walk;

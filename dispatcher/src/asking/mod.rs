//! What is asked for: options and batch files, made sense of, and the jobs that come of them.

mod batch_file;
mod door;
mod expand;
#[cfg(test)]
mod fuzz;
pub mod intake;
mod names;
pub mod options;
pub mod plan;
pub mod remote;
pub mod values;

pub use names::is_plain;

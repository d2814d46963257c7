//! One network trained to redraw any picture in some styles.
//!
//! Start reading at `job`, which takes a [`Request`] from step to step.

mod held_out;
mod job;
mod learner;
mod loader;
mod losses;
mod motion;
mod order;
mod photographs;
mod position;
mod request;
mod sorter;

pub use photographs::Photographs;
pub use request::Request;

#[cfg(test)]
mod tests;

//! One picture redrawn in the style of others.
//!
//! Start reading at `job`, which takes a [`Request`] through its scales.

mod inputs;
mod job;
mod monitor;
mod picture;
mod position;
mod request;
pub(super) mod scales;
mod styles;
mod targets;

pub(super) use picture::Picture;
pub use request::{Request, Style};

#[cfg(test)]
mod robustness;
#[cfg(test)]
mod tests;

//! One picture redrawn by a trained network, in one pass.
//!
//! Start reading at `job`, which takes a [`Request`]'s content through the network.

mod job;
mod regions;
mod request;

pub use request::{Model, Request};

#[cfg(test)]
mod tests;

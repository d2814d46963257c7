//! A chunk of a video, redrawn frame by frame.
//!
//! Start reading at `request`; `optimized` takes a chunk through the optimiser, `network` through a
//! trained network.

mod contents;
mod course;
mod flows;
mod frame;
mod made;
mod network;
mod optimized;
mod relay;
mod request;
mod temporal;
#[cfg(test)]
mod tests;

pub use flows::FlowFile;
pub use request::{ClipFile, Inputs, Request};

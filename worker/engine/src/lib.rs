//! Style transfer on one device, synchronously: VGG19 or VGG16, the objectives, L-BFGS,
//! coarse to fine.
//!
//! [`Engine::open`] loads the network; [`Engine::stylize`] redraws one picture and reports to an
//! [`Observer`], through which it can be interrupted and checkpointed. The engine knows no queue,
//! no store and no async runtime, and no type of libtorch leaves it.

pub mod allocator;
mod checkpoint;
pub mod cuda;
mod curve;
mod device;
mod engine;
mod error;
mod image;
mod inputs;
mod memory;
mod minimize;
mod monitor;
mod objective;
mod observer;
mod picture;
mod position;
mod request;
mod scales;
mod source;
mod styles;
mod stylize;
mod targets;
#[doc(hidden)]
pub mod testing;
mod tiles;
mod vgg;
mod weights;

pub use engine::{Description, Engine, Evaluation, Options, Outcome};
pub use error::Error;
pub use observer::{Control, Observer, Progress, State};
pub use picture::{CurvePoint, Picture};
pub use request::{Request, Style};
pub use source::Source;
pub use weights::SETUP_FILE;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod tests;

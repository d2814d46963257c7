//! What computes: tasks on one device, synchronously.
//!
//! [`Engine::open`] takes a device; a [`Task`] runs on it, reports to an [`Observer`], through
//! which it can be interrupted and checkpointed, and ends in [`Output`]s. The engine knows no
//! queue, no store and no async runtime, and no type of libtorch leaves it.
//!
//! - `tasks`: a folder for each kind of job, and in it all that is of this kind alone:
//!   [`tasks::stylize`], [`tasks::train`], [`tasks::apply`] and [`tasks::video`].
//! - `task`, `observer`, [`checkpoint`]: what a task is, who watches it, and where it stands.
//! - `error`, `cause`: what can go wrong, and the error of a library behind it.
//! - `engine`, `device`, [`cuda`], `memory`, [`allocator`], `kept`: the device, its memory, and
//!   what is kept from task to task.
//! - `arithmetic`: 32-bit or bf16, and what of it gains on the device.
//! - `vgg`, `weights`, `tiles`, `objective`, `evaluation`: the network, in tiles where memory is
//!   short, and the losses that are taken with it.
//! - `minimize`: L-BFGS and Adam.
//! - `flow`: where each pixel of one picture lies in another.
//! - `transform`: networks that redraw a picture in one pass.
//! - `source`, `image`: image files in and out, their sizes and colours.

pub mod allocator;
mod arithmetic;
pub mod checkpoint;
pub mod cuda;
mod device;
mod engine;
mod error;
mod evaluation;
pub(crate) mod flow;
mod image;
mod kept;
mod memory;
mod minimize;
mod objective;
mod observer;
mod source;
mod task;
pub mod tasks;
mod tiles;
mod transform;
mod vgg;
mod weights;

pub use device::DeviceMemory;
pub use engine::{Description, Engine, Options};
pub use error::Error;
pub use evaluation::Evaluation;
pub use observer::{Control, Observer, State};
pub use source::Source;
pub use stylefleet_model::{Cause, Figures, Progress};
pub use stylefleet_video::Tools;
pub use task::{Finished, Outcome, Output, Task};
pub use weights::SETUP_FILE;

#[cfg(test)]
mod golden;

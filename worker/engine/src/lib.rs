//! Style transfer on one device, synchronously: VGG19, the objectives, L-BFGS, coarse to fine.
//!
//! [`Engine::open`] loads the network; [`Engine::stylize`] redraws one picture and reports to an
//! [`Observer`], through which it can be interrupted and checkpointed. The engine knows no queue,
//! no store and no async runtime, and no type of libtorch leaves it.

mod error;
mod request;

pub use error::Error;
pub use request::{
    Colors, ContentLoss, Format, Init, Layer, LayerWeight, Means, Objective, Optimizer, Pooling,
    Precision, Request, Size, Source, StyleLoss, TotalVariation,
};

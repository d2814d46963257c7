//! The contract between the dispatcher and the workers: protobuf messages ([`wire`]), the
//! validated types that the rest of the code works with, and the names of objects in the store.
//!
//! Pure: no I/O. What enters from outside passes through a `TryFrom` of this crate, which checks
//! every field; past that door a value is known to be good.

mod digest;
mod event;
mod invalid;
mod job;
pub mod keys;
mod layer;
pub mod lifecycle;
mod parameters;
mod presets;
pub mod queues;
mod records;

pub use digest::{Digest, Hasher};
pub use event::{Event, Happening, Hello, Progress, Pulse, ToWorker};
pub use invalid::Invalid;
pub use job::{BatchId, Image, Job, JobId, MAX_PREVIEW_EVERY, Name, Priority, Style, VERSION};
pub use layer::{Layer, UnknownLayer};
pub use parameters::{
    Colors, ContentLoss, Format, Init, LayerWeight, MAX_EVALUATIONS, MAX_SIDE, MIN_SIDE, Means,
    Network, Objective, Optimizer, Parameters, Pooling, Precision, Size, StyleLoss, TotalVariation,
};
pub use presets::Preset;
pub use records::{
    Accepted, Curve, Failure, Manifest, ManifestEntry, Record, Scored, Start, SubmitId,
};

/// The protobuf messages as prost generates them: unchecked. See `stylefleet.proto`.
#[allow(missing_docs, clippy::all)]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/stylefleet.v1.rs"));
}

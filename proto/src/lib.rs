//! The contract between the dispatcher and the workers: protobuf messages ([`wire`]), the
//! validated types that the rest of the code works with (those of jobs' contents are
//! [`stylefleet_model`]'s), and the names of objects in the store.
//!
//! Pure: no I/O. What enters from outside passes through a `TryFrom` of this crate, which checks
//! every field; past that door a value is known to be good.

mod build;
mod check;
mod event;
mod job;
pub mod keys;
mod labels;
pub mod lifecycle;
pub mod metrics;
mod parameters;
pub mod queues;
mod records;
mod specification;
pub mod testing;
mod trace;

pub use build::Build;
pub use event::{Delivery, Ended, Event, EventKind, Hello, Memory, Pulse, ToWorker, Update};
pub use job::{Input, Job, JobId, MAX_PREVIEW_EVERY, Priority, VERSION};
pub use labels::Labels;
pub use records::{
    Accepted, Asked, Failure, Manifest, ManifestEntry, Output, Record, Start, SubmitId,
};

pub use specification::Specification;
pub use stylefleet_model::{
    BatchId, Curve, Digest, Figures, Hasher, Invalid, Name, Progress, Role, Valid, headline,
};
pub use trace::{Trace, TraceParent};

/// The protobuf messages as prost generates them: unchecked. See `stylefleet.proto`.
#[allow(missing_docs, clippy::all)]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/stylefleet.v2.rs"));
}

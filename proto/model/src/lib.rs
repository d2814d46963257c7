//! What jobs are about: the domain types that the contract and the engine share.
//!
//! Pure: no I/O, no protobuf, no tensors. A value is checked once, where it enters the program, and
//! becomes a [`Valid`] one; from there on its type is the proof.

pub mod apply;
mod cause;
mod choice;
mod curve;
mod define;
mod digest;
mod invalid;
mod names;
mod parameter;
mod progress;
mod role;
mod similar;
pub mod stylize;
mod text;
pub mod train;
pub mod trained;
mod valid;
pub mod video;

pub use cause::{Cause, with_sources};
pub use choice::Choice;
pub use curve::Curve;
pub use digest::{Digest, Hasher};
pub use invalid::Invalid;
pub use names::{BatchId, MAX_PART, Name};
pub use parameter::{Heading, Limits, Parameter, Value};
pub use progress::{Figures, Progress, headline};
pub use role::{Role, RoleRule};
pub use similar::{did_you_mean, similar};
pub use valid::{Valid, Validate};

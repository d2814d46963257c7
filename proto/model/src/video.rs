//! The kind of job that redraws a chunk of a video: some frames that follow each other, by the
//! optimiser, held together in time, or by a trained network, each by itself.

mod encoding;
mod specification;
mod table;
mod temporal;

pub use encoding::{Codec, Encoding};
pub use specification::{Chunk, MAX_FRAMES, TimeBase, Video, Way};
pub use temporal::{Overrides, Temporal, table};

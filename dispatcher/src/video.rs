//! Jobs of the kind `video`: a clip is looked at, cut into chunks, and a job comes of each. In the
//! end the chunks are joined, with the clip's sound.

mod chunks;
mod flow;
mod join;
pub mod manual;
mod options;
mod plan;

pub use join::{FetchVideoArgs, fetch};
pub use options::VideoOptions;

//! Jobs of the kind `train`: networks that are trained for styles, each a job. The photographs are
//! found, checked and uploaded, a few at a time.

mod jobs;
pub mod manual;
mod options;
mod plan;

pub use options::TrainOptions;

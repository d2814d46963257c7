//! Images as inputs of jobs: what people name, as files, folders, patterns and objects in buckets,
//! is found, checked and uploaded.

pub mod buckets;
pub mod check;
pub mod contents;
pub mod expand;
mod pattern;
pub mod upload;
pub mod walk;

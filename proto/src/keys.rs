//! Where things lie in the store. Built from digests and checked names alone, so that nothing
//! from outside can point elsewhere.

use crate::{BatchId, Digest, Format, JobId};

/// An input image, by the hash of its bytes.
pub fn input(digest: &Digest) -> String {
    format!("inputs/{digest}")
}

/// What a batch asked for: a [`crate::Manifest`].
pub fn manifest(batch: &BatchId) -> String {
    format!("batches/{batch}/manifest.json")
}

/// The optimiser's whole state.
pub fn checkpoint(job: &JobId) -> String {
    format!("jobs/{job}/checkpoint.safetensors")
}

/// The finished picture.
pub fn picture(job: &JobId, format: Format) -> String {
    format!("jobs/{job}/image.{}", format.extension())
}

/// What became of the job: a [`crate::Record`]. Written last and once.
pub fn result(job: &JobId) -> String {
    format!("jobs/{job}/result.json")
}

/// Why the job was given up: a [`crate::Failure`].
pub fn failed(job: &JobId) -> String {
    format!("jobs/{job}/failed.json")
}

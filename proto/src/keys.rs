//! Where things lie in the store. Built from digests and checked names alone, so that nothing
//! from outside can point elsewhere.
//!
//! What tells a job's state lies in a folder per state, one object a job: a listing of `results/`
//! answers for thousands of jobs at once, and a bucket's lifecycle rules, which know prefixes
//! only, can clear away old checkpoints.

use crate::{BatchId, Digest, JobId, Role, SubmitId};

/// An input image, by the hash of its bytes.
pub fn input(digest: &Digest) -> String {
    format!("inputs/{digest}")
}

/// Which store this is: something random, written once, in 64 lower-case hex digits.
pub const IDENTITY: &str = "identity";

/// Under which all batches lie.
pub const BATCHES: &str = "batches/";

/// Under which everything of a batch lies.
pub fn batch(batch: &BatchId) -> String {
    format!("batches/{batch}/")
}

/// What one submit asked for: a [`crate::Manifest`]. Each submit writes objects of its own, so
/// that several at once to one batch never write over each other.
pub fn manifest(batch: &BatchId, submit: &SubmitId) -> String {
    format!("batches/{batch}/{submit}{MANIFEST}")
}

/// How the keys of manifests end.
pub const MANIFEST: &str = ".manifest.json";

/// Which jobs of one submit the broker has taken: an [`crate::Accepted`].
pub fn accepted(batch: &BatchId, submit: &SubmitId) -> String {
    format!("batches/{batch}/{submit}{ACCEPTED}")
}

/// How the keys of what was accepted end.
pub const ACCEPTED: &str = ".accepted.json";

/// Weights of the network, by the hash of their bytes.
pub fn weights(digest: &Digest) -> String {
    format!("weights/{digest}")
}

/// Under which the marks of jobs at work lie.
pub const STARTED: &str = "started/";

/// A job that a worker has begun: a [`crate::Start`]. Gone once the job is settled.
pub fn started(job: &JobId) -> String {
    format!("{STARTED}{job}.json")
}

/// An object to try the store out with, where workers have every right that they need. The digest
/// is to be of something random.
pub fn probe(random: &Digest) -> String {
    format!("{STARTED}{random}.json")
}

/// An empty marker: the job is not wanted any more.
pub fn cancelled(job: &JobId) -> String {
    format!("cancelled/{job}")
}

/// Under which all checkpoints lie.
pub const CHECKPOINTS: &str = "checkpoints/";

/// Where the job stands, to go on from.
pub fn checkpoint(job: &JobId) -> String {
    format!("{CHECKPOINTS}{job}.safetensors")
}

/// Digits of its file's hash that the key of an output has.
const OUTPUT_HASH: usize = 16;

/// Longest ending of an output's file, in bytes: `safetensors` has 11.
const MAX_ENDING: usize = 12;

/// A file that the job made, by the hash of its bytes: two attempts that come to different bytes,
/// on different machines, never write over each other. `ending` is that of the file's name, 1 to 12
/// small letters and digits without the dot.
pub fn output(job: &JobId, role: &Role, file: &Digest, ending: &str) -> String {
    let file = file.to_string();
    let (start, _) = file.split_at(OUTPUT_HASH);
    format!("jobs/{job}/{role}.{start}.{ending}")
}

/// Whether `key`, which comes from outside, may be that of the job's output of that role.
pub fn is_output(job: &JobId, role: &Role, key: &str) -> bool {
    key.strip_prefix(&format!("jobs/{job}/{role}."))
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(hash, ending)| {
            let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            is_hash(hash)
                && (1..=MAX_ENDING).contains(&ending.len())
                && ending.bytes().all(is_allowed)
        })
}

/// Whether `file` is the output that lies under `key`, by as much of its hash as the key has.
pub fn is_of_output(key: &str, file: &Digest) -> bool {
    let mut parts = key.rsplit('.');
    let hash = parts.nth(1).filter(|hash| is_hash(hash));
    hash.is_some_and(|hash| file.to_string().starts_with(hash))
}

fn is_hash(digits: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits.len() == OUTPUT_HASH && digits.bytes().all(is_digit)
}

/// Where the job's progress pictures lie.
pub fn previews(job: &JobId) -> String {
    format!("jobs/{job}/previews/")
}

/// What it looked like after so many steps: a JPEG.
pub fn preview(job: &JobId, steps: u64) -> String {
    format!("jobs/{job}/previews/{steps:06}.jpg")
}

/// What became of the job: a [`crate::Record`]. Written last and once.
pub fn result(job: &JobId) -> String {
    format!("results/{job}.json")
}

/// Why the job was given up: a [`crate::Failure`].
pub fn failed(job: &JobId) -> String {
    format!("failures/{job}.json")
}

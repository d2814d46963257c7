//! What workers did, by their own logs: whatever ends a worker, what it wrote is there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that hold the last lines of a log.
const TAIL: i64 = 1000;

/// What workers did.
#[derive(Debug, Default)]
pub struct Work {
    /// Times that a worker began to compute a job.
    pub attempts: usize,
    /// Of those, the ones that a checkpoint spared some steps.
    pub resumed: usize,
    /// Steps that these checkpoints spared.
    pub spared: usize,
    /// Steps made.
    pub steps: usize,
    /// Attempts that were given back in good order.
    pub given_back: usize,
    /// Deliveries that found the job done.
    pub found_done: usize,
}

/// What the workers did whose logs are in `folder`.
pub fn read(folder: &Path) -> Work {
    let mut work = Work::default();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(path).expect("a log");
        let mut at_work = HashSet::new();
        for (job, what) in text.lines().filter_map(line) {
            if what.starts_with("step ") {
                work.steps += 1;
            } else if let Some(rest) = what.strip_prefix("Started { steps: ") {
                let (spared, _) = rest.split_once(',').expect("more fields");
                let spared: usize = spared.parse().expect("a number");
                work.attempts += 1;
                work.resumed += usize::from(spared > 0);
                work.spared += spared;
                at_work.insert(job);
            } else if what.starts_with("Finished") {
                work.found_done += usize::from(!at_work.remove(job));
            } else if what.starts_with("Interrupted") {
                work.given_back += usize::from(at_work.remove(job));
            }
        }
    }
    work
}

/// The number of the step that the worker with this log made last; none if it is not at a
/// job.
pub fn step(log: &Path) -> Option<u32> {
    let end = || {
        let mut file = File::open(log).ok()?;
        let _ = file.seek(SeekFrom::End(-TAIL)); // a shorter one is read from its beginning
        let mut end = Vec::new();
        file.read_to_end(&mut end).ok()?;
        Some(end)
    };
    let end = end()?;
    let text = String::from_utf8_lossy(&end);
    let (_, what) = text.lines().filter_map(line).next_back()?;
    what.strip_prefix("step ")?.parse().ok()
}

/// The job that a line is of, and what it says: "... Events(JOB, attempt 1): WHAT".
fn line(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(" Events(")?;
    let (job, rest) = rest.split_once(',')?;
    let (_, what) = rest.split_once("): ")?;
    Some((job, what))
}

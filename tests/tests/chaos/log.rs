//! What workers did, by their own logs: whatever ends a worker, what it wrote is there.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that hold the last lines of a log.
const TAIL: i64 = 1000;

/// What workers did with a job, over all attempts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Work {
    /// Times that a worker began to compute.
    pub attempts: u32,
    /// Of those, the ones that a checkpoint spared some evaluations.
    pub resumed: u32,
    /// Evaluations that these checkpoints spared.
    pub spared: u32,
    /// Evaluations made.
    pub evaluations: u32,
    /// Attempts that ended in a result.
    pub finished: u32,
    /// Attempts that ended in a checkpoint, in good order.
    pub interrupted: u32,
}

/// What all workers did, by job.
pub fn read(folder: &Path) -> HashMap<String, Work> {
    let mut work = HashMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(path).expect("a log");
        for (job, what) in text.lines().filter_map(line) {
            let work: &mut Work = work.entry(job.to_owned()).or_default();
            work.take(what);
        }
    }
    work
}

/// Whether the worker with this log is at a job.
pub fn is_at_work(log: &Path) -> bool {
    let end = || {
        let mut file = File::open(log).ok()?;
        let _ = file.seek(SeekFrom::End(-TAIL)); // a shorter one is read from its beginning
        let mut end = Vec::new();
        file.read_to_end(&mut end).ok()?;
        Some(end)
    };
    let end = end().unwrap_or_default();
    let text = String::from_utf8_lossy(&end);
    let last = text.lines().filter_map(line).next_back();
    last.is_some_and(|(_, what)| what.starts_with("evaluation "))
}

/// The job that a line is of, and what it says: "... Events(JOB, attempt 1): WHAT".
fn line(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(" Events(")?;
    let (job, rest) = rest.split_once(',')?;
    let (_, what) = rest.split_once("): ")?;
    Some((job, what))
}

impl Work {
    fn take(&mut self, what: &str) {
        if what.starts_with("evaluation ") {
            self.evaluations += 1;
        } else if let Some(rest) = what.strip_prefix("Started { resumed_evaluations: ") {
            self.attempts += 1;
            let spared = rest.split(',').next().and_then(|n| n.parse().ok());
            let spared: u32 = spared.expect("a number of evaluations");
            self.spared += spared;
            self.resumed += u32::from(spared > 0);
        } else if what.starts_with("Finished") {
            self.finished += 1;
        } else if what.starts_with("Interrupted") {
            self.interrupted += 1;
        }
    }
}

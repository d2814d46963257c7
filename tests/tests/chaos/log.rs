//! What workers did, by their own logs: whatever ends a worker, what it wrote is there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

/// Bytes that hold the last lines of a log.
const TAIL: i64 = 10_000;

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
        for line in text.lines().filter_map(line) {
            match line {
                Line { event: "step", .. } => work.steps += 1,
                Line {
                    event: "started",
                    steps: Some(spared),
                    job,
                    ..
                } => {
                    work.attempts += 1;
                    work.resumed += usize::from(spared > 0);
                    work.spared += spared as usize;
                    at_work.insert(job);
                }
                Line {
                    event: "ended",
                    outcome: Some("finished"),
                    job,
                    ..
                } => work.found_done += usize::from(!at_work.remove(job)),
                Line {
                    event: "ended",
                    outcome: Some("interrupted"),
                    job,
                    ..
                } => work.given_back += usize::from(at_work.remove(job)),
                _ => {}
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
    let last = text.lines().filter_map(line).next_back()?;
    (last.event == "step").then_some(last.steps?)
}

/// A line about a job.
#[derive(Deserialize)]
struct Line<'a> {
    job: &'a str,
    event: &'a str,
    steps: Option<u32>,
    #[serde(borrow)]
    outcome: Option<&'a str>,
}

/// What a line says, if it is about a job. It may be cut off.
fn line(line: &str) -> Option<Line<'_>> {
    serde_json::from_str(line).ok()
}

//! What people are told of a set of pictures: their names, what happens to them, how many came
//! to which end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use stylefleet_proto::{JobId, ManifestEntry};

use crate::asking::expand::PassedOver;
use crate::output::{News, Output};

/// Knows what the pictures of jobs are called, tells news of them, and counts.
pub struct Board {
    output: Box<dyn Output>,
    entries: HashMap<JobId, Vec<ManifestEntry>>,
    tally: Tally,
    opened: Instant,
}

/// How many pictures came to which end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// All that were asked for.
    pub asked: usize,
    /// Made while we looked.
    pub done: usize,
    /// Made before.
    pub kept: usize,
    /// Not to be made.
    pub failed: usize,
    /// Not wanted any more.
    pub cancelled: usize,
}

impl Tally {
    /// Not over yet.
    pub fn unfinished(&self) -> usize {
        self.asked - self.done - self.kept - self.failed - self.cancelled
    }
}

impl Board {
    /// A board for `asked` pictures.
    pub fn new(asked: usize, output: Box<dyn Output>) -> Self {
        Self {
            output,
            entries: HashMap::new(),
            tally: Tally {
                asked,
                ..Tally::default()
            },
            opened: Instant::now(),
        }
    }

    /// Learns which pictures the jobs make.
    pub fn expect(&mut self, entries: impl IntoIterator<Item = ManifestEntry>) {
        for entry in entries {
            self.entries.entry(entry.job).or_default().push(entry);
        }
    }

    /// The pictures that a job makes.
    pub fn entries(&self, job: &JobId) -> Vec<ManifestEntry> {
        self.entries.get(job).cloned().unwrap_or_default()
    }

    /// Tells news. An end of a picture is counted.
    pub fn show(&mut self, news: &News<'_>) {
        match news {
            News::Finished { .. } => self.tally.done += 1,
            News::Kept { .. } => self.tally.kept += 1,
            News::Failed { .. } => self.tally.failed += 1,
            News::Cancelled { .. } => self.tally.cancelled += 1,
            _ => {}
        }
        self.output.show(news);
    }

    /// Tells news of a job that is not over, by its first picture's name.
    pub fn show_of<'a>(&'a mut self, job: JobId, news: impl FnOnce(&'a str) -> News<'a>) {
        if let Some(first) = self.entries.get(&job).and_then(|list| list.first()) {
            self.output.show(&news(first.name.as_ref()));
        }
    }

    /// Tells what is no news of a job.
    pub fn remark(&mut self, text: &str) {
        self.output.remark(text);
    }

    /// Tells of files in contents that were passed over.
    pub fn pass_over(&mut self, contents: &[(PathBuf, PassedOver)]) {
        for (content, passed_over) in contents {
            self.show(&News::PassedOver {
                content,
                files: passed_over.files(),
                endings: passed_over,
            });
        }
    }

    /// Turns down a picture that did not come to a job.
    pub fn refuse(&mut self, name: &str, reason: &str) {
        self.show(&News::Failed {
            job: None,
            name,
            reason,
            attempts: 0,
        });
    }

    /// Tells how it all ended.
    pub fn close(mut self) -> Tally {
        let tally = self.tally;
        let seconds = self.opened.elapsed().as_secs_f64();
        self.show(&News::Summary {
            done: tally.done,
            kept: tally.kept,
            failed: tally.failed,
            cancelled: tally.cancelled,
            unfinished: tally.unfinished(),
            seconds,
        });
        tally
    }
}

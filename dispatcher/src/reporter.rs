//! Reports to people on the results that they asked for: what they are called, what happens to
//! them, how many came to which end.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use stylefleet_proto::{JobId, ManifestEntry};

use crate::images::expand::PassedOver;
use crate::output::{News, Output};

/// Knows what the results of jobs are called, reports news of them, and counts.
pub struct Reporter {
    output: Box<dyn Output>,
    entries: HashMap<JobId, Vec<ManifestEntry>>,
    tally: Tally,
    begun: Instant,
}

/// How many results came to which end.
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
        let over = self.done + self.kept + self.failed + self.cancelled;
        self.asked.saturating_sub(over)
    }
}

impl Reporter {
    /// Reports on `asked` results.
    pub fn new(asked: usize, output: Box<dyn Output>) -> Self {
        Self {
            output,
            entries: HashMap::new(),
            tally: Tally {
                asked,
                ..Tally::default()
            },
            begun: Instant::now(),
        }
    }

    /// Learns which results the jobs make.
    pub fn expect(&mut self, entries: impl IntoIterator<Item = ManifestEntry>) {
        for entry in entries {
            self.entries.entry(entry.job).or_default().push(entry);
        }
    }

    /// The results that a job makes.
    pub fn entries(&self, job: &JobId) -> Vec<ManifestEntry> {
        self.entries.get(job).cloned().unwrap_or_default()
    }

    /// Reports news. An end of a result is counted.
    pub fn report(&mut self, news: &News<'_>) {
        match news {
            News::Finished { .. } => self.tally.done += 1,
            News::Kept { .. } => self.tally.kept += 1,
            News::Failed { .. } => self.tally.failed += 1,
            News::Cancelled { .. } => self.tally.cancelled += 1,
            _ => {}
        }
        self.output.show(news);
    }

    /// Reports news of a job that is not over, by its first result's name.
    pub fn report_job<'a>(&'a mut self, job: JobId, news: impl FnOnce(&'a str) -> News<'a>) {
        if let Some(first) = self.entries.get(&job).and_then(|list| list.first()) {
            self.output.show(&news(first.name.as_ref()));
        }
    }

    /// Says what is no news of a job.
    pub fn remark(&mut self, text: &str) {
        self.output.remark(text);
    }

    /// Reports that files of a CONTENT were passed over.
    pub(crate) fn pass_over(&mut self, content: &Path, files: &PassedOver) {
        self.report(&News::PassedOver {
            content,
            files: files.files(),
            endings: files,
        });
    }

    /// Reports that a job does without something.
    pub(crate) fn leave_out(&mut self, input: &Path, reason: &str) {
        self.report(&News::LeftOut { input, reason });
    }

    /// Reports that something asked for does not come to a job.
    pub fn refuse(&mut self, name: &str, reason: &str) {
        self.report(&News::Failed {
            job: None,
            name,
            reason,
            attempts: 0,
        });
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Reports how it all ended.
    pub fn close(mut self) -> Tally {
        let tally = self.tally;
        let seconds = self.begun.elapsed().as_secs_f64();
        self.report(&News::Summary {
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

//! The front desk: what becomes of jobs is written down and told here, and pictures are handed
//! over.

use std::collections::HashMap;
use std::time::Instant;

use stylefleet_proto::{Failure, Job, JobId, keys};
use stylefleet_transport::store::{FolderStore, Store, StoreError};

use crate::gallery::Gallery;
use crate::intake::Commission;
use crate::output::{News, Output};

/// Counts pictures and knows what they are called.
pub struct Desk {
    store: FolderStore,
    gallery: Gallery,
    output: Box<dyn Output>,
    commissions: HashMap<JobId, Vec<Commission>>,
    tally: Tally,
    opened: Instant,
}

/// How many pictures came to which end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// All that were asked for.
    pub asked: usize,
    /// Made by this run.
    pub done: usize,
    /// Made by earlier runs.
    pub kept: usize,
    /// Not to be made.
    pub failed: usize,
}

impl Tally {
    /// Left to another run.
    pub fn unfinished(&self) -> usize {
        self.asked - self.done - self.kept - self.failed
    }
}

impl Desk {
    /// A desk for `asked` pictures.
    pub fn open(
        asked: usize,
        store: FolderStore,
        gallery: Gallery,
        output: Box<dyn Output>,
    ) -> Self {
        Self {
            store,
            gallery,
            output,
            commissions: HashMap::new(),
            tally: Tally {
                asked,
                ..Tally::default()
            },
            opened: Instant::now(),
        }
    }

    /// Learns which pictures the jobs make.
    pub fn expect(&mut self, commissions: HashMap<JobId, Vec<Commission>>) {
        self.commissions = commissions;
    }

    /// Tells news.
    pub fn show(&mut self, news: &News<'_>) {
        self.output.show(news);
    }

    /// Tells news of a job, by its first picture's name.
    pub fn show_of<'a>(&'a mut self, job: JobId, news: impl FnOnce(&'a str) -> News<'a>) {
        if let Some(first) = self.commissions.get(&job).and_then(|list| list.first()) {
            self.output.show(&news(first.name.as_ref()));
        }
    }

    /// Turns down a picture that did not come to a job.
    pub fn refuse(&mut self, name: &str, reason: &str) {
        self.tally.failed += 1;
        self.show(&News::Failed {
            job: None,
            name,
            reason,
            attempts: 0,
        });
    }

    /// Hands over the pictures of jobs that earlier runs finished. Returns the other jobs.
    pub async fn keep_done(&mut self, jobs: Vec<Job>) -> Result<Vec<Job>, StoreError> {
        let mut open = Vec::new();
        for job in jobs {
            if !self.deliver(job.id, true).await? {
                open.push(job);
            }
        }
        Ok(open)
    }

    /// Hands over the pictures of a job if it is finished; says whether it is over.
    pub async fn deliver(&mut self, job: JobId, kept: bool) -> Result<bool, StoreError> {
        let record = match self.gallery.record(&job).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(false),
            Err(error) => {
                self.fail(job, &error.into_reason()?, 0);
                return Ok(true);
            }
        };
        self.store.delete(&keys::failed(&job)).await?;
        for commission in self.commissions.get(&job).into_iter().flatten() {
            let name = commission.name.as_ref();
            let hung = match self.gallery.hang(commission, &record).await {
                Ok(picture) => Ok(picture),
                Err(error) => Err(error.into_reason()?),
            };
            let (count, news) = match &hung {
                Ok(picture) if kept => (&mut self.tally.kept, News::Kept { job, name, picture }),
                Ok(picture) => {
                    let finished = News::Finished {
                        job,
                        name,
                        picture,
                        seconds: record.seconds,
                        evaluations: record.evaluations,
                        loss: record.score.loss,
                    };
                    (&mut self.tally.done, finished)
                }
                Err(reason) => {
                    let failed = News::Failed {
                        job: Some(job),
                        name,
                        reason,
                        attempts: record.attempt,
                    };
                    (&mut self.tally.failed, failed)
                }
            };
            *count += 1;
            self.output.show(&news);
        }
        Ok(true)
    }

    /// Writes down that a job is given up, and tells.
    pub async fn give_up(
        &mut self,
        job: JobId,
        reason: String,
        attempts: u32,
    ) -> Result<(), StoreError> {
        self.fail(job, &reason, attempts);
        let key = keys::failed(&job);
        let failure = Failure {
            job,
            reason,
            attempts,
        };
        match serde_json::to_vec_pretty(&failure) {
            Ok(json) => self.store.put(&key, json.into()).await,
            Err(error) => Err(StoreError::Io {
                action: "write",
                what: key,
                source: error.into(),
            }),
        }
    }

    fn fail(&mut self, job: JobId, reason: &str, attempts: u32) {
        for commission in self.commissions.get(&job).into_iter().flatten() {
            self.tally.failed += 1;
            self.output.show(&News::Failed {
                job: Some(job),
                name: commission.name.as_ref(),
                reason,
                attempts,
            });
        }
    }

    /// Tells how it all ended.
    pub fn close(mut self) -> Tally {
        let tally = self.tally;
        let seconds = self.opened.elapsed().as_secs_f64();
        self.show(&News::Summary {
            done: tally.done,
            kept: tally.kept,
            failed: tally.failed,
            unfinished: tally.unfinished(),
            seconds,
        });
        tally
    }
}

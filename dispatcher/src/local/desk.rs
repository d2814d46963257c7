//! The front desk: what becomes of jobs is written down and told here, and pictures are handed
//! over.

use std::sync::Arc;

use stylefleet_proto::{Failure, Job, JobId, keys};
use stylefleet_transport::store::Store;

use crate::board::{Board, Tally};
use crate::documents::{self, DocumentError};
use crate::gallery::{Gallery, GalleryError};
use crate::output::News;
use crate::state;

/// Looks after the pictures of a run.
pub struct Desk {
    /// What people are told.
    pub board: Board,
    store: Arc<dyn Store>,
    gallery: Gallery,
}

impl Desk {
    /// A desk that hands pictures of `store` over to `gallery`.
    pub fn open(board: Board, gallery: Gallery, store: Arc<dyn Store>) -> Self {
        Self {
            board,
            gallery,
            store,
        }
    }

    /// Hands over the pictures of jobs that earlier runs finished. Returns the other jobs.
    pub async fn keep_done(&mut self, jobs: Vec<Job>) -> Result<Vec<Job>, GalleryError> {
        let mut open = Vec::new();
        for job in jobs {
            if !self.deliver(job.id, true).await? {
                open.push(job);
            }
        }
        Ok(open)
    }

    /// Hands over the pictures of a job if it is finished; says whether it is over.
    pub async fn deliver(&mut self, job: JobId, kept: bool) -> Result<bool, GalleryError> {
        let record = match state::record(&*self.store, &job).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(false),
            Err(error) => {
                let reason = GalleryError::from(error).into_reason()?;
                self.fail(job, &reason, 0);
                return Ok(true);
            }
        };
        let deleted = self.store.delete(&keys::failed(&job)).await;
        deleted.map_err(DocumentError::from)?;
        for entry in self.board.entries(&job) {
            let name = entry.name.as_ref();
            match self.gallery.hang(&entry, &record).await {
                Ok(hung) if kept => {
                    let picture = &hung.path;
                    self.board.show(&News::Kept { job, name, picture });
                }
                Ok(hung) => self.board.show(&News::Finished {
                    job,
                    name,
                    picture: &hung.path,
                    seconds: record.seconds,
                    evaluations: record.evaluations,
                    loss: record.score.loss,
                }),
                Err(error) => self.board.show(&News::Failed {
                    job: Some(job),
                    name,
                    reason: &error.into_reason()?,
                    attempts: record.attempt,
                }),
            }
        }
        Ok(true)
    }

    /// Hands over what a job's pictures look like after so many evaluations.
    pub async fn preview(&mut self, job: JobId, evaluations: u32) -> Result<(), GalleryError> {
        for entry in self.board.entries(&job) {
            if let Some(picture) = self.gallery.hang_preview(&entry, evaluations).await? {
                self.board.show(&News::Previewed {
                    job,
                    name: entry.name.as_ref(),
                    picture: &picture,
                    evaluations,
                });
            }
        }
        Ok(())
    }

    /// Writes down that a job is given up, and tells.
    pub async fn give_up(
        &mut self,
        job: JobId,
        reason: String,
        attempts: u32,
    ) -> Result<(), GalleryError> {
        self.fail(job, &reason, attempts);
        let failure = Failure {
            job,
            reason,
            attempts,
        };
        Ok(documents::write(&*self.store, &keys::failed(&job), &failure).await?)
    }

    fn fail(&mut self, job: JobId, reason: &str, attempts: u32) {
        for entry in self.board.entries(&job) {
            self.board.show(&News::Failed {
                job: Some(job),
                name: entry.name.as_ref(),
                reason,
                attempts,
            });
        }
    }

    /// Tells how it all ended.
    pub fn close(self) -> Tally {
        self.board.close()
    }
}

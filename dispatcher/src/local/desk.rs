//! The front desk: what becomes of jobs is written down and told here, and pictures are handed
//! over.

use std::sync::Arc;

use stylefleet_proto::{Failure, Job, JobId, keys};
use stylefleet_transport::store::Store;

use crate::board::{Board, Tally};
use crate::documents::{self, DocumentError};
use crate::output::{News, left_as_it_is};
use crate::picture_folder::{FolderError, PictureFolder, Saved};
use crate::state;

/// Looks after the pictures of a run.
pub struct Desk {
    /// What people are told.
    pub board: Board,
    store: Arc<dyn Store>,
    folder: PictureFolder,
}

impl Desk {
    /// A desk that hands pictures of `store` over to `folder`.
    pub fn open(board: Board, folder: PictureFolder, store: Arc<dyn Store>) -> Self {
        Self {
            board,
            folder,
            store,
        }
    }

    /// Hands over the pictures of jobs that earlier runs finished. Returns the other jobs.
    pub async fn keep_done(&mut self, jobs: Vec<Job>) -> Result<Vec<Job>, FolderError> {
        let mut open = Vec::new();
        for job in jobs {
            if !self.deliver(job.id, true).await? {
                open.push(job);
            }
        }
        Ok(open)
    }

    /// Hands over the pictures of a job if it is finished; says whether it is over.
    pub async fn deliver(&mut self, job: JobId, kept: bool) -> Result<bool, FolderError> {
        let record = match state::record(&*self.store, &job).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(false),
            Err(error) => {
                let reason = FolderError::from(error).into_reason()?;
                self.fail(job, &reason, 0);
                return Ok(true);
            }
        };
        let deleted = self.store.delete(&keys::failed(&job)).await;
        deleted.map_err(DocumentError::from)?;
        for entry in self.board.entries(&job) {
            let name = entry.name.as_ref();
            let Saved {
                path: picture,
                changed,
                ..
            } = match self.folder.save(&entry, &record).await {
                Ok(saved) => saved,
                Err(error) => {
                    self.board.show(&News::Failed {
                        job: Some(job),
                        name,
                        reason: &error.into_reason()?,
                        attempts: record.attempt,
                    });
                    continue;
                }
            };
            for file in changed {
                let text = left_as_it_is(&file);
                let text = &text;
                self.board.show(&News::Note { job, name, text });
            }
            let picture = &picture;
            self.board.show(&match kept {
                true => News::Kept { job, name, picture },
                false => News::Finished {
                    job,
                    name,
                    picture,
                    seconds: record.seconds,
                    evaluations: record.evaluations,
                    loss: record.score.loss,
                },
            });
        }
        Ok(true)
    }

    /// Hands over what a job's pictures look like after so many evaluations.
    pub async fn preview(&mut self, job: JobId, evaluations: u32) -> Result<(), FolderError> {
        for entry in self.board.entries(&job) {
            if let Some(picture) = self.folder.save_preview(&entry, evaluations).await? {
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
    ) -> Result<(), FolderError> {
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

//! What people are shown of what happens to jobs: events of the broker and ends in the store become
//! news.

use std::path::PathBuf;

use stylefleet_proto::lifecycle::{Settlement, settle};
use stylefleet_proto::{Ended, Event, EventKind, JobId, ManifestEntry, Record, Update};

use super::look::{self, End};
use super::{FollowError, Follower};
use crate::output::{News, Position, left_as_it_is};
use crate::picture_folder::FolderError;

impl Follower<'_> {
    /// Shows what happened to a job. Whether it is over is for the store to say.
    pub(super) async fn event(&mut self, event: Event) -> Result<(), FollowError> {
        let job = event.job;
        if !self.open.contains(&job) {
            return Ok(());
        }
        match event.kind.clone() {
            EventKind::Update(update) => self.update(&event, update).await,
            EventKind::Ended(ended) => {
                self.ended(event.map(|_| ended));
                Ok(())
            }
        }
    }

    async fn update(&mut self, event: &Event, update: Update) -> Result<(), FollowError> {
        let &Event { job, attempt, .. } = event;
        match update {
            Update::Started {
                resumed_evaluations,
                device,
            } => self.board.show_of(job, |name| News::Started {
                job,
                name,
                device: &device,
                attempt,
                resumed_evaluations,
            }),
            Update::Progress(progress) => self.board.show_of(job, |name| News::Progress {
                job,
                name,
                position: Position::from(&progress),
            }),
            Update::Note(text) => self.note(job, &text),
            Update::Previewed { evaluations } => self.preview(job, evaluations).await?,
        }
        Ok(())
    }

    /// An attempt is over.
    fn ended(&mut self, event: Event<Ended>) {
        let job = event.job;
        if settle(event.attempt, &event.kind).is_terminal() {
            // What was published before this began may have been taken back since.
            let is_news = self.fleet.is_none() || event.unix_millis > self.begun_millis;
            let look = look::one(self.store.clone(), event, is_news);
            self.looks.spawn(look);
            return;
        }
        match event.kind {
            Ended::Interrupted { evaluations } => {
                self.board.show_of(job, |name| News::Interrupted {
                    job,
                    name,
                    evaluations,
                });
            }
            Ended::Failed { reason, .. } => {
                self.note(job, &format!("{reason}: it is tried again"));
            }
            // These are terminal.
            Ended::Finished { .. } | Ended::Cancelled => {}
        }
    }

    fn note(&mut self, job: JobId, text: &str) {
        self.board
            .show_of(job, |name| News::Note { job, name, text });
    }

    /// Saves what a job's pictures look like after so many evaluations. A fleet's are for `fetch`.
    async fn preview(&mut self, job: JobId, evaluations: u32) -> Result<(), FolderError> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        for entry in self.board.entries(&job) {
            if let Some(picture) = folder.save_preview(&entry, evaluations).await? {
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

    /// Shows how a job ended.
    pub(super) async fn end(&mut self, job: JobId, end: End) -> Result<(), FolderError> {
        if !self.open.remove(&job) {
            return Ok(());
        }
        for entry in self.board.entries(&job) {
            let name = entry.name.as_ref();
            match &end {
                End::Done(record) => self.picture(&entry, record).await?,
                End::Failed { reason, attempts } => self.board.show(&News::Failed {
                    job: Some(job),
                    name,
                    reason,
                    attempts: *attempts,
                }),
                End::Cancelled => self.board.show(&News::Cancelled { job, name }),
            }
        }
        Ok(())
    }

    /// Shows a picture that is made, and saves it where it is to be saved.
    async fn picture(&mut self, entry: &ManifestEntry, record: &Record) -> Result<(), FolderError> {
        let (job, name) = (entry.job, entry.name.as_ref());
        let picture = match self.save(entry, record).await {
            Ok(picture) => picture,
            Err(error) => {
                self.board.show(&News::Failed {
                    job: Some(job),
                    name,
                    reason: &error.into_reason()?,
                    attempts: record.attempt,
                });
                return Ok(());
            }
        };
        let picture = &picture;
        self.board.show(&if self.has_swept {
            News::Finished {
                job,
                name,
                picture,
                seconds: record.seconds,
                evaluations: record.evaluations,
                loss: record.score.loss,
            }
        } else {
            News::Kept { job, name, picture }
        });
        Ok(())
    }

    /// Saves a picture, if it is to be saved. Returns where it is.
    async fn save(
        &mut self,
        entry: &ManifestEntry,
        record: &Record,
    ) -> Result<PathBuf, FolderError> {
        let Some(folder) = &self.folder else {
            return Ok(self.store.locate(&record.picture).into());
        };
        let saved = folder.save(entry, record).await?;
        for file in saved.changed {
            self.board.show(&News::Note {
                job: entry.job,
                name: entry.name.as_ref(),
                text: &left_as_it_is(&file),
            });
        }
        Ok(saved.path)
    }

    /// A job is over, says a worker, and the store has nothing of it.
    pub(super) async fn absent(&mut self, event: Event<Ended>) -> Result<(), FolderError> {
        if self.fleet.is_none() {
            let reason = match settle(event.attempt, &event.kind) {
                Settlement::SetAside { reason } => reason,
                _ => "its worker is done with it, but the store has no result: run it again".into(),
            };
            let attempts = event.attempt;
            let end = End::Failed { reason, attempts };
            return self.end(event.job, end).await;
        }
        if let Some(entry) = self.board.entries(&event.job).first() {
            self.board.remark(&format!(
                "{}: worker {} says that it is over, but the store here has nothing of it: does \
                 that worker use another store?",
                entry.name, event.worker
            ));
        }
        Ok(())
    }
}

//! Shows people what happens to jobs that are followed, and saves what they make: `watch` follows
//! the jobs of a fleet, `run` those of its own workers.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use stylefleet_fleet::clock::millis;
use stylefleet_fleet::follow::{FollowError, Follower, Happening};
use stylefleet_fleet::frames::{Followed, VideoStatus};
use stylefleet_fleet::state::{Outcome, State};
use stylefleet_proto::{Ended, Event, JobId, ManifestEntry, Output, Record, Update};
use stylefleet_transport::store::Store;

use crate::output::{Files, News, left_as_it_is};
use crate::output_folder::{FolderError, OutputFolder, wanted};
use crate::reporter::Reporter;

/// Jobs that are followed, and what is made of what happens to them.
pub struct Presenter<'a> {
    /// What happens.
    pub follower: Follower<'a>,
    /// Who tells people.
    pub reporter: Reporter,
    store: Arc<dyn Store>,
    /// Where outputs are saved as they are made; none: they stay in the store.
    folder: Option<OutputFolder>,
    /// Whether jobs that were over before have been told of.
    has_caught_up: bool,
    /// Jobs that a worker is at.
    at_work: HashSet<JobId>,
    /// The video that the jobs make, if they make one.
    video: Option<Followed>,
    /// What was last told of it.
    told: VideoStatus,
}

/// Why jobs cannot be followed, or what they make not be saved.
#[derive(Debug, thiserror::Error)]
pub enum PresentError {
    /// The jobs cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Outputs cannot be saved.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl<'a> Presenter<'a> {
    /// Presents jobs that make these results.
    pub fn new(
        follower: Follower<'a>,
        mut reporter: Reporter,
        entries: &[ManifestEntry],
        store: Arc<dyn Store>,
        folder: Option<OutputFolder>,
    ) -> Self {
        reporter.expect(entries.iter().cloned());
        Self {
            follower,
            reporter,
            store,
            folder,
            has_caught_up: false,
            at_work: HashSet::new(),
            video: Followed::new(entries),
            told: VideoStatus::default(),
        }
    }

    /// Shows all jobs to their ends.
    pub async fn run(&mut self) -> Result<(), PresentError> {
        while let Some(happening) = self.follower.next().await? {
            self.show(happening).await?;
        }
        Ok(())
    }

    /// Shows which jobs were over before.
    pub async fn catch_up(&mut self) -> Result<(), PresentError> {
        while !self.has_caught_up
            && let Some(happening) = self.follower.next().await?
        {
            self.show(happening).await?;
        }
        Ok(())
    }

    /// Shows what happened.
    pub async fn show(&mut self, happening: Happening) -> Result<(), FolderError> {
        self.follow_video(&happening);
        match happening {
            Happening::Update(event) => self.update(event).await?,
            Happening::AttemptEnded(event) => self.attempt_ended(event),
            Happening::Over(job, outcome) => self.over(job, &outcome).await?,
            Happening::CaughtUp => self.has_caught_up = true,
            Happening::Absent(event) => self.absent(&event),
            Happening::Remark(text) => self.reporter.remark(&text),
        }
        self.show_video();
        Ok(())
    }

    /// Notes what a happening is to the video.
    fn follow_video(&mut self, happening: &Happening) {
        let Some(video) = &mut self.video else {
            return;
        };
        match happening {
            Happening::Update(event) => video.update(event, millis(SystemTime::now())),
            Happening::AttemptEnded(event) => video.attempt_ended(&event.job),
            Happening::Over(job, outcome) => video.over(job, State::from(outcome)),
            Happening::CaughtUp | Happening::Absent(_) | Happening::Remark(_) => {}
        }
    }

    /// Shows how far the video is, if its frames or its workers are others than before.
    fn show_video(&mut self) {
        let Some(video) = self.video.as_mut().filter(|_| self.has_caught_up) else {
            return;
        };
        let status = video.status(millis(SystemTime::now()));
        let counts = |status: &VideoStatus| (status.done, status.total, status.workers);
        if counts(&status) != counts(&self.told) {
            self.told = status;
            self.reporter.report(&News::Video(&status));
        }
    }

    async fn update(&mut self, event: Event<Update>) -> Result<(), FolderError> {
        let Event { job, attempt, .. } = event;
        match event.kind {
            Update::Started { steps, device } => {
                self.at_work.insert(job);
                self.reporter.report_job(job, |name| News::Started {
                    job,
                    name,
                    device: &device,
                    attempt,
                    steps,
                });
            }
            Update::Progress(progress) => self.reporter.report_job(job, |name| News::Progress {
                job,
                name,
                progress: &progress,
            }),
            Update::Note(text) => self.note(job, &text),
            Update::Previewed { steps } => self.preview(job, steps).await?,
        }
        Ok(())
    }

    /// An attempt is over, and another follows.
    fn attempt_ended(&mut self, event: Event<Ended>) {
        let job = event.job;
        let had_begun = self.at_work.remove(&job);
        match event.kind {
            // It was only held ready, and nobody knows that.
            Ended::Interrupted { .. } if !had_begun => {}
            Ended::Interrupted { steps } => {
                let news = |name| News::Interrupted { job, name, steps };
                self.reporter.report_job(job, news);
            }
            Ended::Failed { reason, .. } => {
                self.note(job, &format!("{reason}: it is tried again"));
            }
            // No attempt follows these.
            Ended::Finished { .. } | Ended::Cancelled => {}
        }
    }

    fn note(&mut self, job: JobId, text: &str) {
        let news = |name| News::Note { job, name, text };
        self.reporter.report_job(job, news);
    }

    /// Saves how a job looks after so many steps. Of a fleet's jobs, `fetch` does that.
    async fn preview(&mut self, job: JobId, steps: u64) -> Result<(), FolderError> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        for entry in self.reporter.entries(&job) {
            if let Some(file) = folder.save_preview(&entry, steps).await? {
                self.reporter.report(&News::Previewed {
                    job,
                    name: entry.name.as_ref(),
                    file: &file,
                    steps,
                });
            }
        }
        Ok(())
    }

    /// Shows how a job ended.
    async fn over(&mut self, job: JobId, outcome: &Outcome) -> Result<(), FolderError> {
        for entry in self.reporter.entries(&job) {
            let name = entry.name.as_ref();
            match outcome {
                Outcome::Done(record) => self.done(&entry, record).await?,
                Outcome::Failed(failure) => self.reporter.report(&News::Failed {
                    job: Some(job),
                    name,
                    reason: &failure.reason,
                    attempts: failure.attempts,
                }),
                Outcome::Cancelled => self.reporter.report(&News::Cancelled { job, name }),
            }
        }
        Ok(())
    }

    /// Shows a result that is there, and saves it where it is to be saved.
    async fn done(&mut self, entry: &ManifestEntry, record: &Record) -> Result<(), FolderError> {
        let (job, name) = (entry.job, entry.name.as_ref());
        let files = match self.save(entry, record).await {
            Ok(files) => &Files(files),
            Err(error) => {
                self.reporter.report(&News::Failed {
                    job: Some(job),
                    name,
                    reason: &error.into_reason()?,
                    attempts: record.attempt,
                });
                return Ok(());
            }
        };
        self.reporter.report(&if self.has_caught_up {
            News::Finished {
                job,
                name,
                files,
                seconds: record.seconds,
                steps: record.steps,
                figures: &record.figures,
            }
        } else {
            News::Kept { job, name, files }
        });
        Ok(())
    }

    /// Saves what a job made, if that is to be saved. Returns where it is.
    async fn save(
        &mut self,
        entry: &ManifestEntry,
        record: &Record,
    ) -> Result<Vec<PathBuf>, FolderError> {
        let Some(folder) = &self.folder else {
            let outputs = wanted(&record.outputs);
            let place = |output: &Output| self.store.locate(&output.key).into();
            return Ok(outputs.map(place).collect());
        };
        let saved = folder.save(entry, record).await?;
        for file in saved.changed {
            self.reporter.report(&News::Note {
                job: entry.job,
                name: entry.name.as_ref(),
                text: &left_as_it_is(&file),
            });
        }
        Ok(saved.files)
    }

    /// A job is over, says a worker, and the store has nothing of it.
    fn absent(&mut self, event: &Event<Ended>) {
        if let Some(entry) = self.reporter.entries(&event.job).first() {
            self.reporter.remark(&format!(
                "{}: worker {} says that it is over, but the store here has nothing of it: does \
                 that worker use another store?",
                entry.name, event.worker
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use stylefleet_fleet::documents;
    use stylefleet_proto::{EventKind, keys, testing};
    use stylefleet_transport::broker::Notification;
    use stylefleet_transport::store::MemoryStore;
    use tokio::sync::mpsc;

    use super::*;
    use crate::output;

    /// Keeps the events that it is shown, with their names.
    #[derive(Clone, Default)]
    struct Shown(Arc<Mutex<Vec<String>>>);

    impl output::Output for Shown {
        fn show(&mut self, news: &News<'_>) {
            let news = serde_json::to_value(news).expect("JSON");
            let text = |field: &str| news[field].as_str().unwrap_or_default().to_owned();
            let line = format!("{} {}", text("event"), text("name"));
            self.0.lock().expect("whole").push(line);
        }
    }

    async fn finish(store: &MemoryStore, job: JobId) {
        let record = testing::record(job, b"a picture");
        let written = documents::write(store, &keys::result(&job), &record).await;
        written.expect("writes");
    }

    fn job(number: u8) -> JobId {
        format!("{number:064x}").parse().expect("an id")
    }

    fn entry(number: u8, name: &str) -> ManifestEntry {
        ManifestEntry {
            job: job(number),
            name: name.parse().expect("a name"),
            kind: None,
            labels: Default::default(),
        }
    }

    fn started() -> Update {
        Update::Started {
            steps: 0,
            device: "cpu".to_owned(),
        }
    }

    /// Something that a worker says of a job.
    fn said(number: u8, kind: EventKind) -> Notification {
        Notification::Event(Event {
            job: job(number),
            worker: "w".to_owned(),
            attempt: 1,
            unix_millis: 1,
            kind,
        })
    }

    #[tokio::test]
    async fn a_job_that_was_only_held_ready_is_not_told_to_be_stopped() {
        let store = Arc::new(MemoryStore::default());
        let (publish, notifications) = mpsc::channel(4);
        let shown = Shown::default();
        let reporter = Reporter::new(2, Box::new(shown.clone()));
        let jobs = [job(1), job(2)];
        let follower = Follower::of_own_workers(notifications, jobs, store.clone());
        let entries = [entry(1, "a"), entry(2, "b")];
        let mut presenter = Presenter::new(follower, reporter, &entries, store, None);
        let interrupted = Ended::Interrupted { steps: 0 };
        for (number, kind) in [
            (1, started().into()),
            (1, interrupted.clone().into()),
            (2, interrupted.into()),
        ] {
            let sent = publish.send(said(number, kind)).await;
            sent.expect("is followed");
        }
        drop(publish);
        presenter.run().await.expect("follows");
        let lines = shown.0.lock().expect("whole").clone();
        assert_eq!(lines, ["started a", "interrupted a"]);
    }

    #[tokio::test]
    async fn a_job_goes_by_its_first_name_until_it_is_over() {
        let entries = [entry(1, "a"), entry(2, "b"), entry(2, "also b")];
        let store = Arc::new(MemoryStore::default());
        finish(&store, job(1)).await;
        let (publish, notifications) = mpsc::channel(2);
        let shown = Shown::default();
        let reporter = Reporter::new(3, Box::new(shown.clone()));
        let jobs = [job(1), job(2)];
        let follower = Follower::of_own_workers(notifications, jobs, store.clone());
        let mut presenter = Presenter::new(follower, reporter, &entries, store.clone(), None);
        presenter.catch_up().await.expect("follows");

        finish(&store, job(2)).await;
        let finished = Ended::Finished {
            seconds: 1.0,
            steps: 1,
            figures: Default::default(),
        };
        for kind in [started().into(), finished.into()] {
            let sent = publish.send(said(2, kind)).await;
            sent.expect("is followed");
        }
        presenter.run().await.expect("follows");
        let tally = presenter.reporter.close();
        assert_eq!((tally.kept, tally.done, tally.unfinished()), (1, 2, 0));
        let lines = shown.0.lock().expect("whole").clone();
        let ends = ["finished b", "finished also b", "summary "];
        assert_eq!(lines, [&["kept a", "started b"][..], &ends].concat());
    }
}

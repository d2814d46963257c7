//! The work itself: jobs go out to lanes, reports come back, until all jobs are over or the run
//! is asked to stop.

use std::collections::HashMap;
use std::time::Instant;

use stylefleet_proto::{Ended, Event, EventKind, Hello, Job, JobId, Update};
use tokio::time::sleep_until;

use crate::asking::values::Devices;

use crate::local::crew::{Crew, Loss, Report, What};
use crate::local::desk::Desk;
use crate::local::scheduler::{ATTEMPTS, Scheduler, Verdict};
use crate::local::worker::Launch;
use crate::output::{News, Position};
use crate::picture_folder::FolderError;
use crate::signals::Signals;

/// Why the work cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// What came of a job can be neither read nor written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no worker to be had.
    #[error(transparent)]
    Worker(Loss),
}

/// Has all jobs worked on. Returns once no worker is left.
pub async fn work(
    jobs: Vec<Job>,
    devices: &Devices,
    launch: Launch,
    desk: &mut Desk,
    signals: &mut Signals,
) -> Result<(), DispatchError> {
    let mut dispatch = Dispatch {
        scheduler: Scheduler::new(jobs.iter().map(|job| job.id), Instant::now()),
        jobs: jobs.into_iter().map(|job| (job.id, job)).collect(),
        crew: Crew::new(launch),
        seats: Vec::new(),
        desk,
        stopping: false,
    };
    dispatch.open_lanes(devices);
    let outcome = dispatch.run(signals).await;
    dispatch.crew.close(signals).await;
    outcome
}

struct Dispatch<'a> {
    scheduler: Scheduler,
    jobs: HashMap<JobId, Job>,
    crew: Crew,
    /// One per lane of the crew.
    seats: Vec<Seat>,
    desk: &'a mut Desk,
    stopping: bool,
}

/// What is known of a lane.
struct Seat {
    /// As asked for, then as its worker says: cpu, cuda:0, ...
    device: String,
    job: Option<JobId>,
    /// Whether a worker was ever ready here, so that the set-up is known to be right.
    was_ready: bool,
}

impl Dispatch<'_> {
    fn open_lanes(&mut self, devices: &Devices) {
        match devices {
            Devices::Auto => self.open_lane("auto"),
            Devices::These(devices) => {
                for device in devices.iter().take(self.scheduler.waiting()) {
                    self.open_lane(device);
                }
            }
        }
    }

    fn open_lane(&mut self, device: &str) {
        self.crew.open(device);
        self.seats.push(Seat {
            device: device.to_owned(),
            job: None,
            was_ready: false,
        });
    }

    async fn run(&mut self, signals: &mut Signals) -> Result<(), DispatchError> {
        loop {
            self.hand_out();
            let is_busy = self.seats.iter().any(|seat| seat.job.is_some());
            if !is_busy && (self.stopping || self.scheduler.is_done()) {
                return Ok(());
            }
            // Where a lane is idle, all jobs that could go out have gone.
            let is_idle = self.seats.iter().any(|seat| seat.job.is_none());
            let next = self
                .scheduler
                .next_at()
                .filter(|_| is_idle && !self.stopping);
            tokio::select! {
                report = self.crew.report() => self.heed(report).await?,
                () = sleep_until(next.unwrap_or_else(Instant::now).into()), if next.is_some() => {}
                () = signals.recv() => {
                    if self.stopping {
                        self.crew.kill();
                        return Ok(());
                    }
                    self.stop();
                }
            }
        }
    }

    fn hand_out(&mut self) {
        if self.stopping {
            return;
        }
        for (lane, seat) in self.seats.iter_mut().enumerate() {
            if seat.job.is_some() {
                continue;
            }
            let Some((id, attempt)) = self.scheduler.take(Instant::now()) else {
                return;
            };
            if let Some(job) = self.jobs.get(&id) {
                seat.job = Some(id);
                self.crew.give(
                    lane,
                    Job {
                        attempt,
                        ..job.clone()
                    },
                );
            }
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.desk.board.show(&News::Stopping);
        self.crew.drain();
    }

    async fn heed(&mut self, report: Report) -> Result<(), DispatchError> {
        match report.what {
            What::Ready(hello) => {
                self.welcome(report.lane, hello);
                Ok(())
            }
            What::Told(event) => self.told(report.lane, event).await,
            What::Lost(loss) => {
                let seat = &mut self.seats[report.lane];
                match (loss, seat.job.take()) {
                    // Killed while it started, or a device that worked before: worth a retry.
                    (Loss::Stillborn { death, .. }, Some(job))
                        if seat.was_ready || death.is_by_signal() =>
                    {
                        self.lose(job, death.to_string()).await
                    }
                    (Loss::Death(death), Some(job)) => self.lose(job, death.to_string()).await,
                    (Loss::Death(_), None) | (Loss::Drained, _) => Ok(()),
                    (loss @ (Loss::Spawn { .. } | Loss::Stillborn { .. }), _) => {
                        Err(DispatchError::Worker(loss))
                    }
                }
            }
        }
    }

    /// Learns where a worker computes. Where the device was left to it and there are more of the
    /// kind, they are put to work too.
    fn welcome(&mut self, lane: usize, hello: Hello) {
        let seat = &mut self.seats[lane];
        let was_auto = seat.device == "auto";
        seat.was_ready = true;
        seat.device = hello.device;
        if was_auto && seat.device == "cuda:0" {
            for device in (1..hello.cuda_devices).take(self.scheduler.waiting()) {
                self.open_lane(&format!("cuda:{device}"));
            }
        }
    }

    async fn told(&mut self, lane: usize, event: Event) -> Result<(), DispatchError> {
        let seat = &mut self.seats[lane];
        if matches!(event.kind, EventKind::Ended(_)) {
            seat.job = None;
        }
        let Event { job, attempt, .. } = event;
        match event.kind {
            EventKind::Update(Update::Started {
                resumed_evaluations,
                ..
            }) => self.desk.board.show_of(job, |name| News::Started {
                job,
                name,
                device: &seat.device,
                attempt,
                resumed_evaluations,
            }),
            EventKind::Update(Update::Progress(progress)) => {
                self.desk.board.show_of(job, |name| News::Progress {
                    job,
                    name,
                    position: Position::from(&progress),
                })
            }
            EventKind::Update(Update::Note(text)) => self.note(job, &text),
            EventKind::Update(Update::Previewed { evaluations }) => {
                self.desk.preview(job, evaluations).await?
            }
            EventKind::Ended(Ended::Finished { .. }) => {
                if self.desk.deliver(job, false).await? {
                    self.scheduler.end(job);
                } else {
                    let reason =
                        "the worker says it is finished, but its result is not in the store";
                    self.lose(job, reason.to_owned()).await?;
                }
            }
            EventKind::Ended(Ended::Failed {
                retryable: true,
                reason,
            }) => self.lose(job, reason).await?,
            EventKind::Ended(Ended::Failed {
                retryable: false,
                reason,
            }) => {
                self.scheduler.end(job);
                self.desk.give_up(job, reason, attempt).await?;
            }
            EventKind::Ended(Ended::Interrupted { evaluations }) => {
                self.desk.board.show_of(job, |name| News::Interrupted {
                    job,
                    name,
                    evaluations,
                });
                self.scheduler.put_back(job, Instant::now());
            }
            // A store that a fleet used before may hold a marker.
            EventKind::Ended(Ended::Cancelled) => {
                self.scheduler.end(job);
                self.desk
                    .give_up(job, "cancelled".to_owned(), attempt)
                    .await?;
            }
        }
        Ok(())
    }

    /// The job lost an attempt, unless it was lost in the course of stopping.
    async fn lose(&mut self, job: JobId, reason: String) -> Result<(), DispatchError> {
        if self.stopping {
            self.note(
                job,
                &format!("{reason}: it goes on from its last checkpoint another time"),
            );
            return Ok(());
        }
        match self.scheduler.lose(job, Instant::now()) {
            Verdict::Retry(wait) => {
                let wait = wait.as_secs_f64();
                self.note(job, &format!("{reason}: another attempt in {wait} s"));
            }
            Verdict::GiveUp => {
                let reason = format!("{reason} (given up after {ATTEMPTS} attempts)");
                self.desk.give_up(job, reason, ATTEMPTS).await?;
            }
        }
        Ok(())
    }

    fn note(&mut self, job: JobId, text: &str) {
        self.desk
            .board
            .show_of(job, |name| News::Note { job, name, text });
    }
}

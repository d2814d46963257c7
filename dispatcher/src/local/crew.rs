//! The local workers: a lane per device, each with one worker at a time, started when there is a
//! job for it and replaced when it dies.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use stylefleet_proto::{Delivery, Ended, Event, EventKind, Hello, Job, ToWorker};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::local::worker::{Complaint, Death, Launch, Worker};
use crate::signals::Signals;

/// Reports that may wait to be read.
const BACKLOG: usize = 64;

/// All lanes. Workers are killed when it is dropped; [`Crew::close`] lets them end in peace.
#[derive(Debug)]
pub struct Crew {
    launch: Arc<Launch>,
    lanes: Vec<mpsc::Sender<Job>>,
    tasks: JoinSet<()>,
    drain: CancellationToken,
    reports: mpsc::Receiver<Report>,
    reporter: mpsc::Sender<Report>,
}

/// News from a lane.
#[derive(Debug)]
pub struct Report {
    /// The lane's number, from 0.
    pub lane: usize,
    /// What happened there.
    pub what: What,
}

/// What happened in a lane.
#[derive(Debug)]
pub enum What {
    /// A worker is ready.
    Ready(Hello),
    /// A worker told something of the lane's job.
    Told(Event),
    /// The lane's job is no longer worked on, and no event said so.
    Lost(Loss),
}

/// Why a job is no longer worked on.
#[derive(Debug, thiserror::Error)]
pub enum Loss {
    /// Its worker died.
    #[error("{0}")]
    Death(Death),
    /// The worker's program cannot be started.
    #[error(
        "cannot start {}: {source}: install it beside stylefleet, or name it in STYLEFLEET_WORKER",
        program.display()
    )]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The worker ended before it was ready.
    #[error("cannot start a worker on device {device}: {death}")]
    Stillborn {
        /// The device.
        device: String,
        /// How it ended.
        death: Death,
    },
    /// The run was stopped before the worker was ready.
    #[error("stopped before the worker was ready")]
    Drained,
}

impl Crew {
    /// A crew without lanes.
    pub fn new(launch: Launch) -> Self {
        let (reporter, reports) = mpsc::channel(BACKLOG);
        Self {
            launch: Arc::new(launch),
            lanes: Vec::new(),
            tasks: JoinSet::new(),
            drain: CancellationToken::new(),
            reports,
            reporter,
        }
    }

    /// Opens a lane on `device`. Lanes are numbered from 0.
    pub fn open(&mut self, device: &str) {
        let (sender, jobs) = mpsc::channel(1);
        let lane = Lane {
            number: self.lanes.len(),
            device: device.to_owned(),
            launch: self.launch.clone(),
            drain: self.drain.clone(),
            reporter: self.reporter.clone(),
        };
        self.lanes.push(sender);
        self.tasks.spawn(lane.serve(jobs));
    }

    /// Gives a job to a lane that has none.
    pub fn give(&self, lane: usize, job: Job) {
        // A lane without a job has room for one, and is there as long as the crew is.
        if let Err(error) = self.lanes[lane].try_send(job) {
            tracing::error!(lane, "a lane took no job: {error}");
        }
    }

    /// The next report. Safe to cancel.
    pub async fn report(&mut self) -> Report {
        // Never ends: the crew itself holds a sender.
        loop {
            if let Some(report) = self.reports.recv().await {
                return report;
            }
        }
    }

    /// Tells all workers to save their checkpoints and end.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Kills all workers.
    pub fn kill(&mut self) {
        self.tasks.abort_all();
    }

    /// Waits until all workers have ended; a signal kills them.
    pub async fn close(mut self, signals: &mut Signals) {
        self.drain();
        self.lanes.clear();
        // Nobody reads reports any more, and nobody is to wait for that.
        self.reports.close();
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = all_ended => {}
            () = signals.recv() => {}
        }
    }
}

/// One device.
struct Lane {
    number: usize,
    device: String,
    launch: Arc<Launch>,
    drain: CancellationToken,
    reporter: mpsc::Sender<Report>,
}

impl Lane {
    async fn serve(self, mut jobs: mpsc::Receiver<Job>) {
        let mut idle = None;
        while let Some(job) = jobs.recv().await {
            match self.attempt(idle.take(), job).await {
                Ok(worker) => idle = worker,
                Err(loss) => self.report(What::Lost(loss)).await,
            }
        }
        if let Some(worker) = idle {
            worker.end().await;
        }
    }

    /// Has the job worked on until it is over. Returns the worker if it is fit for another.
    async fn attempt(&self, idle: Option<Worker>, job: Job) -> Result<Option<Worker>, Loss> {
        let mut worker = match idle.and_then(Worker::if_alive) {
            Some(worker) => worker,
            None => self.start().await?,
        };
        match self.follow(&mut worker, job).await {
            Ok(true) => Ok(Some(worker)),
            Ok(false) => {
                worker.end().await;
                Ok(None)
            }
            Err(complaint) => Err(Loss::Death(worker.autopsy(complaint).await)),
        }
    }

    async fn start(&self) -> Result<Worker, Loss> {
        let mut worker =
            Worker::spawn(&self.launch, &self.device).map_err(|source| Loss::Spawn {
                program: self.launch.program.clone(),
                source,
            })?;
        let hello = tokio::select! {
            hello = worker.hello() => hello,
            () = self.drain.cancelled() => return Err(Loss::Drained),
        };
        match hello {
            Ok(hello) => {
                self.report(What::Ready(hello)).await;
                Ok(worker)
            }
            Err(complaint) => Err(Loss::Stillborn {
                device: self.device.clone(),
                death: worker.autopsy(complaint).await,
            }),
        }
    }

    /// Passes on what the worker tells of the job. Says whether the worker is fit for another:
    /// one that was interrupted is about to end, one that hit a fault may be broken.
    async fn follow(&self, worker: &mut Worker, job: Job) -> Result<bool, Complaint> {
        let id = job.id;
        let delivery = Delivery {
            job,
            redelivered: false,
            abandoned: false,
        };
        worker.tell(&ToWorker::Delivery(Box::new(delivery))).await?;
        let mut told_to_drain = false;
        loop {
            let event = tokio::select! {
                event = worker.event() => event?,
                () = self.drain.cancelled(), if !told_to_drain => {
                    told_to_drain = true;
                    // If the pipe is broken, the next event says so.
                    let _ = worker.tell(&ToWorker::Drain).await;
                    continue;
                }
            };
            if event.job != id {
                return Err(Complaint::Stray);
            }
            let is_fit = match &event.kind {
                EventKind::Update(_) => None,
                EventKind::Ended(ended) => Some(matches!(
                    ended,
                    Ended::Finished { .. }
                        | Ended::Cancelled
                        | Ended::Failed {
                            retryable: false,
                            ..
                        }
                )),
            };
            self.report(What::Told(event)).await;
            if let Some(is_fit) = is_fit {
                return Ok(is_fit);
            }
        }
    }

    async fn report(&self, what: What) {
        let lane = self.number;
        // Without a reader nobody is interested.
        let _ = self.reporter.send(Report { lane, what }).await;
    }
}

//! `stylefleet watch`: follows a batch until all its jobs are over. The broker tells what
//! happens; the store says what is so, and is enough where there is no broker.

use std::collections::HashSet;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt, stream};
use stylefleet_proto::lifecycle::{Settlement, settle};
use stylefleet_proto::{BatchId, Event, Happening, JobId};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd, RabbitDispatcher, Told};
use stylefleet_transport::store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::batch::Batch;
use crate::board::{Board, Tally};
use crate::clock::millis;
use crate::commands::{CommandError, Ending, fetch, open_store};
use crate::config::Settings;
use crate::documents::DocumentError;
use crate::output::{self, News, Position};
use crate::state::{self, AT_ONCE, Over};

/// How often at most the store is asked about all jobs that are not over.
const PAUSE: Duration = Duration::from_secs(15);
/// A store that takes long to answer is asked less often: it rests this many times as long,
const REST: u32 = 10;
/// but no longer than this: it may have been away meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(120);
/// How much the clocks of brokers and dispatchers may differ.
const SKEW: Duration = Duration::from_secs(60);
/// Answers that may wait to be read.
const ROOM: usize = 256;

/// Arguments of `stylefleet watch`.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// The batch
    pub batch: BatchId,

    /// Print one JSON object per event, one a line, on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// How a batch is followed.
#[derive(Debug)]
pub struct Follow {
    /// Whether events are printed as JSON.
    pub json: bool,
    /// Where pictures go in the end; none: they stay in the store.
    pub out: Option<PathBuf>,
    /// What goes there beside them.
    pub extras: fetch::Extras,
}

/// Does what is asked.
pub async fn run(
    args: WatchArgs,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let follow = Follow {
        json: args.json,
        out: None,
        extras: fetch::Extras::default(),
    };
    follow.batch(&args.batch, store, settings, stop).await
}

impl Follow {
    /// Follows a batch to its end.
    pub async fn batch(
        self,
        batch: &BatchId,
        store: Arc<dyn Store>,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> Result<Ending, CommandError> {
        let options = settings.broker()?;
        let connect = async || {
            let broker = RabbitDispatcher::connect(options.clone()).await?;
            Ok(Arc::new(broker) as Arc<dyn DispatcherEnd>)
        };
        let batch = Batch::open(&*store, batch).await?;
        let pictures = batch.manifest.jobs.len();
        let board = Board::new(pictures, output::open(self.json, pictures));
        let tally = watch(&batch, board, store.clone(), PAUSE, connect, stop).await?;
        let ending = Ending::of(&tally);
        match self.out {
            Some(folder) if ending != Ending::Interrupted => {
                let batch = &batch.manifest.batch;
                let fetched = fetch::fetch(store, batch, &folder, self.extras).await?;
                if !self.json {
                    fetched.print();
                }
                Ok(match ending {
                    Ending::AllDone => fetched.ending(),
                    worse => worse,
                })
            }
            _ => Ok(ending),
        }
    }
}

/// Tells of a batch until all its jobs are over, or it is to stop.
async fn watch(
    batch: &Batch,
    mut board: Board,
    store: Arc<dyn Store>,
    pause: Duration,
    connect: impl AsyncFn() -> Result<Arc<dyn DispatcherEnd>, BrokerError>,
    stop: &CancellationToken,
) -> Result<Tally, CommandError> {
    board.expect(batch.manifest.jobs.iter().cloned());
    let jobs = batch.jobs();
    let lost = jobs.iter().filter(|job| !batch.accepted.jobs.contains(job));
    match lost.count() {
        0 => {}
        n => board.remark(&format!(
            "{n} jobs were never handed in: run the same submit again"
        )),
    }
    let (found, finds) = mpsc::channel(ROOM);
    let mut watch = Watch {
        open: jobs.into_iter().collect(),
        board,
        store,
        pause,
        found,
        news: None,
        begun_millis: millis(SystemTime::now()),
        lost: 0,
        last_trouble: String::new(),
    };
    let outcome = tokio::select! {
        outcome = watch.run(finds, batch.manifest.unix_seconds, connect) => outcome,
        () = stop.cancelled() => Ok(()),
    };
    let tally = watch.board.close();
    outcome.map(|()| tally)
}

/// What the broker tells next; waits for ever where there is none.
async fn next(news: &mut Option<Listening>) -> Option<Told> {
    match news {
        Some(news) => news.told.recv().await,
        None => pending().await,
    }
}

/// Reads how a job ended that did. One whose documents are no use has failed.
async fn end(store: &dyn Store, job: JobId, over: Over) -> Find {
    let end = match over {
        Over::Done => state::record(store, &job).await.map(|record| {
            record.map(|record| End::Done {
                picture: store.locate(&record.picture),
                seconds: record.seconds,
                evaluations: record.evaluations,
                loss: record.score.loss,
            })
        }),
        Over::Failed => state::failure(store, &job).await.map(|failure| {
            failure.map(|failure| End::Failed {
                reason: failure.reason,
                attempts: failure.attempts,
            })
        }),
        Over::Cancelled => Ok(Some(End::Cancelled)),
    };
    match end {
        Ok(Some(end)) => Find::Over(job, end),
        // Asked for anew in this very moment.
        Ok(None) => Find::Nothing,
        Err(DocumentError::Store(error)) => Find::Trouble(error),
        Err(damaged @ DocumentError::Damaged { .. }) => {
            let reason = damaged.to_string();
            let attempts = 0;
            Find::Over(job, End::Failed { reason, attempts })
        }
    }
}

/// How many of these open jobs nobody has: no worker is at them, and the broker has fewer waiting.
/// Of trouble the next look tells.
async fn lost(store: &dyn Store, broker: &dyn DispatcherEnd, open: HashSet<JobId>) -> usize {
    let open: Vec<_> = open.into_iter().collect();
    match (broker.waiting().await, state::started(store, &open).await) {
        (Ok(waiting), Ok(started)) => (open.len() - started.len()).saturating_sub(waiting),
        _ => 0,
    }
}

struct Watch {
    /// Jobs that are not known to be over.
    open: HashSet<JobId>,
    board: Board,
    store: Arc<dyn Store>,
    /// How often at most the store is asked about all open jobs.
    pause: Duration,
    found: mpsc::Sender<Find>,
    /// None: there is no broker just now.
    news: Option<Listening>,
    /// When this began, by this machine's clock: milliseconds since 1970-01-01 UTC.
    begun_millis: u64,
    /// Jobs that were with nobody at the last look: they may have been on their way then.
    lost: usize,
    /// What was last complained of: once is enough.
    last_trouble: String,
}

/// What the broker tells, and the connection that it comes over.
struct Listening {
    told: mpsc::Receiver<Told>,
    broker: Arc<dyn DispatcherEnd>,
}

/// What a look into the store came to.
enum Find {
    /// Nothing new.
    Nothing,
    /// A job is over.
    Over(JobId, End),
    /// A worker says that a job is over, and the store has nothing of it.
    Absent { job: JobId, worker: String },
    /// All jobs were looked at, which took so long. So many are with nobody.
    Swept { took: Duration, lost: usize },
    /// The store did not answer.
    Trouble(StoreError),
}

/// How a job ended.
enum End {
    Done {
        picture: String,
        seconds: f64,
        evaluations: u32,
        loss: f64,
    },
    Failed {
        reason: String,
        attempts: u32,
    },
    Cancelled,
}

impl Watch {
    async fn run(
        &mut self,
        mut finds: mpsc::Receiver<Find>,
        since: u64,
        connect: impl AsyncFn() -> Result<Arc<dyn DispatcherEnd>, BrokerError>,
    ) -> Result<(), CommandError> {
        let mut swept_once = false;
        let mut next_sweep = None;
        self.sweep();
        while !self.open.is_empty() {
            let sweep_at = next_sweep.unwrap_or_else(Instant::now);
            tokio::select! {
                find = finds.recv() => match find {
                    Some(Find::Over(job, end)) => self.end(job, end, !swept_once),
                    Some(Find::Trouble(error)) if swept_once && error.is_retryable() => {
                        self.say_once(error.to_string());
                    }
                    Some(Find::Trouble(error)) => return Err(error.into()),
                    Some(Find::Nothing) => {}
                    Some(Find::Absent { job, worker }) => self.wonder_at(job, &worker),
                    Some(Find::Swept { took, lost }) => {
                        swept_once = true;
                        self.miss(lost);
                        let rest = (took * REST).min(LONGEST_REST);
                        next_sweep = Some(Instant::now() + self.pause.max(rest));
                        // The broker comes second: with the store alone all is known, if later.
                        if self.news.is_none() && !self.open.is_empty() {
                            self.listen(since, &connect).await?;
                        }
                    }
                    None => return Ok(()),
                },
                told = next(&mut self.news) => match told {
                    Some(Told::Event(event)) => self.heed(event),
                    Some(Told::Pulse(pulse)) => {
                        if let Some(event) = pulse.progress {
                            self.heed(event);
                        }
                    }
                    None => self.news = None,
                },
                () = sleep_until(sweep_at), if next_sweep.is_some() => {
                    next_sweep = None;
                    self.sweep();
                }
            }
        }
        Ok(())
    }

    /// Listens to the broker. That it is away is said, and no error.
    async fn listen(
        &mut self,
        since: u64,
        connect: &impl AsyncFn() -> Result<Arc<dyn DispatcherEnd>, BrokerError>,
    ) -> Result<(), CommandError> {
        let since = Duration::from_secs(since).saturating_sub(SKEW);
        let since = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
        let listen = async {
            let broker = connect().await?;
            Ok(Listening {
                told: broker.follow(since).await?,
                broker,
            })
        };
        let listening: Result<_, BrokerError> = listen.await;
        match listening {
            Ok(listening) => self.news = Some(listening),
            Err(error) if error.is_retryable() => {
                self.say_once(format!(
                    "{error}: following the store alone until it is back"
                ));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Looks for the ends of all open jobs, in the background.
    fn sweep(&self) {
        let jobs: Vec<_> = self.open.iter().copied().collect();
        let (store, found) = (self.store.clone(), self.found.clone());
        let broker = self.news.as_ref().map(|news| news.broker.clone());
        tokio::spawn(async move {
            let begun = Instant::now();
            let mut open: HashSet<_> = jobs.iter().copied().collect();
            let mut sweep = pin!(state::sweep(&*store, &jobs));
            while let Some(ends) = sweep.next().await {
                let ends = match ends {
                    Ok(ends) => ends,
                    Err(error) => {
                        // A watch that is over has no use for what is found.
                        let _ = found.send(Find::Trouble(error)).await;
                        continue;
                    }
                };
                open.retain(|job| !ends.contains_key(job));
                let finds = stream::iter(ends).map(|(job, over)| end(&*store, job, over));
                let mut finds = pin!(finds.buffer_unordered(AT_ONCE));
                while let Some(find) = finds.next().await {
                    let _ = found.send(find).await;
                }
            }
            let took = begun.elapsed();
            let lost = match broker {
                Some(broker) => lost(&*store, &*broker, open).await,
                None => 0,
            };
            let _ = found.send(Find::Swept { took, lost }).await;
        });
    }

    /// Looks for the end of a job, in the background, where a worker says now that it came.
    fn look_at(&self, job: JobId, worker: Option<String>) {
        let (store, found) = (self.store.clone(), self.found.clone());
        tokio::spawn(async move {
            let find = match (state::over(&*store, &job).await, worker) {
                (Ok(Some(over)), _) => end(&*store, job, over).await,
                (Ok(None), Some(worker)) => Find::Absent { job, worker },
                (Ok(None), None) => Find::Nothing,
                (Err(error), _) => Find::Trouble(error),
            };
            let _ = found.send(find).await;
        });
    }

    /// Tells the end of a job; `before`: it was over before we looked.
    fn end(&mut self, job: JobId, end: End, before: bool) {
        if !self.open.remove(&job) {
            return;
        }
        for entry in self.board.entries(&job) {
            let name = entry.name.as_ref();
            self.board.show(&match &end {
                End::Done { picture, .. } if before => News::Kept {
                    job,
                    name,
                    picture: Path::new(picture),
                },
                End::Done {
                    picture,
                    seconds,
                    evaluations,
                    loss,
                } => News::Finished {
                    job,
                    name,
                    picture: Path::new(picture),
                    seconds: *seconds,
                    evaluations: *evaluations,
                    loss: *loss,
                },
                End::Failed { reason, attempts } => News::Failed {
                    job: Some(job),
                    name,
                    reason,
                    attempts: *attempts,
                },
                End::Cancelled => News::Cancelled { job, name },
            });
        }
    }

    /// Tells what happened to a job. Whether it is over is for the store to say.
    fn heed(&mut self, event: Event) {
        let Event {
            job,
            worker,
            attempt,
            unix_millis,
            happening,
        } = event;
        if !self.open.contains(&job) {
            return;
        }
        let board = &mut self.board;
        match (settle(attempt, &happening), happening) {
            (Some(Settlement::Over | Settlement::SetAside { .. }), _) => {
                // What was said before this began may have been taken back since.
                self.look_at(job, (unix_millis > self.begun_millis).then_some(worker));
            }
            (
                _,
                Happening::Started {
                    resumed_evaluations,
                    device,
                },
            ) => board.show_of(job, |name| News::Started {
                job,
                name,
                device: &device,
                attempt,
                resumed_evaluations,
            }),
            (_, Happening::Progress(progress)) => board.show_of(job, |name| News::Progress {
                job,
                name,
                position: Position::from(&progress),
            }),
            (_, Happening::Note(text)) => {
                board.show_of(job, |name| News::Note {
                    job,
                    name,
                    text: &text,
                });
            }
            (_, Happening::Interrupted { evaluations }) => {
                board.show_of(job, |name| News::Interrupted {
                    job,
                    name,
                    evaluations,
                });
            }
            (_, Happening::Failed { reason, .. }) => {
                let text = format!("{reason}: it is tried again");
                board.show_of(job, |name| News::Note {
                    job,
                    name,
                    text: &text,
                });
            }
            // `fetch` brings progress pictures.
            (
                _,
                Happening::Previewed { .. } | Happening::Finished { .. } | Happening::Cancelled,
            ) => {}
        }
    }

    /// Tells that a job is over elsewhere.
    fn wonder_at(&mut self, job: JobId, worker: &str) {
        if let Some(entry) = self.board.entries(&job).first() {
            self.board.remark(&format!(
                "{}: worker {worker} says that it is over, but the store here has nothing of it: \
                 does that worker use another store?",
                entry.name
            ));
        }
    }

    /// Tells of jobs that were with nobody at two looks in a row.
    fn miss(&mut self, lost: usize) {
        let sure = lost.min(self.lost);
        self.lost = lost;
        if sure > 0 {
            self.say_once(format!(
                "{sure} jobs are lost: they wait, and the broker does not have them, perhaps \
                 because its queues were purged: run the same submit again"
            ));
        }
    }

    fn say_once(&mut self, trouble: String) {
        if self.last_trouble != trouble {
            self.board.remark(&trouble);
            self.last_trouble = trouble;
        }
    }
}

#[cfg(test)]
mod tests;

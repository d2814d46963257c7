//! `stylefleet submit`: hands jobs to the fleet. Done again, it does only what is missing.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use stylefleet_proto::{Accepted, BatchId, Job, JobId, Priority, keys};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd};
use stylefleet_transport::store::Store;

use crate::asking::intake::{Porter, Title};
use crate::asking::options::Options;
use crate::asking::plan::{Asked, Plan};
use crate::asking::remote::Remotes;
use crate::asking::values::preview_every;
use crate::board::Board;
use crate::commands::fetch::Extras;
use crate::commands::{CommandError, Ending, connect, open_store, watch};
use crate::config::Settings;
use crate::output::{self, Line, News};
use crate::signals::Signals;
use crate::state::{self, Over};
use crate::{batch, documents};

/// Jobs that are looked at, then published, together.
const CHUNK: usize = 1000;
/// How often at most it is written down which jobs the broker has. One that was not written down
/// is published again by the next submit, which is no harm.
const PAUSE: Duration = Duration::from_secs(5);

/// Arguments of `stylefleet submit`.
#[derive(Debug, clap::Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub options: Options,

    /// Take contents, styles and options from a batch file, as `run` does
    ///
    /// Its out, device, threads and memory are for `run` alone, and passed over.
    #[arg(long, value_name = "batch.toml")]
    pub file: Option<PathBuf>,

    /// Name of the batch: 1 to 64 of a to z, 0 to 9 and - [default: derived from what is asked]
    ///
    /// A batch that is there already grows.
    #[arg(long, value_name = "NAME")]
    pub batch: Option<BatchId>,

    /// Which jobs go first: high, normal, low
    #[arg(long, value_name = "P", default_value = "normal", value_parser = priority)]
    pub priority: Priority,

    /// Keep the picture as it is after every N evaluations, over all scales, for `fetch --previews`
    #[arg(long, alias = "save-iter", value_name = "N", value_parser = preview_every())]
    pub preview_every: Option<u32>,

    /// Hand in jobs that were accepted before too, unless they are done, and compare the inputs
    /// that are in the store already: for a broker that lost its queues, and damaged inputs
    #[arg(long)]
    pub again: bool,

    /// Follow the batch until all its jobs are over, as `watch` does
    #[arg(long)]
    pub wait: bool,

    /// With --wait: then fetch the pictures into DIR, as `fetch` does, with the progress pictures
    /// that --preview-every asks for
    #[arg(long, value_name = "DIR", requires = "wait")]
    pub out: Option<PathBuf>,

    /// With --out: a chart of how the loss fell too, in NAME.svg
    #[arg(long, requires = "out")]
    pub curve: bool,

    /// Print one JSON object per event, one a line, on standard output
    #[arg(long)]
    pub json: bool,
}

/// What became of the jobs handed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    /// The broker took them.
    accepted: usize,
    /// It had taken them before, and they are not over.
    pending: usize,
    /// They were done before.
    done: usize,
}

fn priority(text: &str) -> Result<Priority, String> {
    let mut known = Priority::ORDER.into_iter();
    known
        .find(|priority| priority.word() == text)
        .ok_or_else(|| "it is none of high, normal, low".to_owned())
}

/// Does what is asked.
pub async fn run(args: SubmitArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let mut signals = Signals::listen().map_err(CommandError::Signals)?;
    let store = open_store(settings).await?;
    let follow = watch::Follow {
        json: args.json,
        out: args.out.clone(),
        extras: Extras {
            previews: args.preview_every.is_some(),
            curve: args.curve,
        },
    };
    let wait = args.wait;
    let submitted = tokio::select! {
        submitted = submit(args, store.clone(), settings) => submitted?,
        () = signals.recv() => return Ok(Ending::Interrupted),
    };
    let (batch, ending) = submitted;
    if !wait {
        return Ok(ending);
    }
    let watched = follow.batch(&batch, store, settings, &mut signals).await?;
    Ok(match watched {
        Ending::AllDone => ending,
        worse => worse,
    })
}

/// Hands in what is asked. Returns the batch, and whether all pictures could be asked for.
async fn submit(
    args: SubmitArgs,
    store: Arc<dyn Store>,
    settings: &Settings,
) -> Result<(BatchId, Ending), CommandError> {
    let mut asked = Asked::read(args.options, args.file.as_deref())?;
    // Before anything is uploaded: a broker that cannot be reached is worth knowing at once.
    let broker = connect(settings).await?;
    let remotes = Remotes::new(settings.s3());
    let contents = asked.contents().map(|content| content.as_path());
    let buckets = remotes.list(contents).await?;
    let plan = Plan::new(asked, &buckets)?;
    let mut board = Board::new(0, output::lines(args.json));
    board.pass_over(&plan.passed_over);
    for (content, reason) in &plan.absent {
        board.refuse(&content.to_string_lossy(), &reason.to_string());
    }
    let porter = Porter {
        store: store.clone(),
        remotes: Some(remotes),
        max_pixels: plan.max_pixels,
        compare: args.again,
    };
    let title = args.batch.map_or(Title::Derived("b"), Title::Given);
    let mut intake = porter.take_in(plan.pictures, title).await?;
    for (name, refusal) in &intake.refused {
        board.refuse(name.as_ref(), &refusal.to_string());
    }
    for job in &mut intake.jobs {
        job.priority = args.priority;
        job.preview_every = args.preview_every.unwrap_or(0);
    }

    let batch = intake.manifest.batch.clone();
    let refused = plan.absent.len() + intake.refused.len();
    let mut count = Count::default();
    if !intake.jobs.is_empty() {
        batch::record(&*store, intake.manifest).await?;
        let mut counter = Counter::open(&*store, &broker, &batch).await?;
        count = counter.hand_in(&intake.jobs, args.again).await?;
    }
    broker.close().await;
    let Count {
        accepted,
        pending,
        done,
    } = count;
    if !args.json {
        let text = format!(
            "{accepted} jobs accepted, {pending} accepted before, {done} done before, \
             {refused} pictures refused"
        );
        Line::Remark(text).print();
    }
    board.show(&News::Submitted {
        batch: &batch,
        accepted,
        pending,
        done,
        refused,
    });
    let ending = match refused {
        0 => Ending::AllDone,
        _ => Ending::SomeFailed,
    };
    Ok((batch, ending))
}

/// Where jobs are handed in.
struct Counter<'a> {
    store: &'a dyn Store,
    broker: &'a dyn DispatcherEnd,
    batch: &'a BatchId,
    accepted: Accepted,
    written: Instant,
}

impl<'a> Counter<'a> {
    async fn open(
        store: &'a dyn Store,
        broker: &'a dyn DispatcherEnd,
        batch: &'a BatchId,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            store,
            broker,
            batch,
            accepted: batch::accepted(store, batch).await?,
            written: Instant::now(),
        })
    }

    /// Hands in the jobs that are neither done nor with the broker; `again`: those that are not
    /// done.
    async fn hand_in(&mut self, jobs: &[Job], again: bool) -> Result<Count, CommandError> {
        let mut count = Count::default();
        for chunk in jobs.chunks(CHUNK) {
            let ids = chunk.iter().map(|job| job.id);
            let ends: HashMap<_, _> = state::sweep(self.store, ids).try_collect().await?;
            let mut wanted = Vec::new();
            let mut given_up = HashSet::new();
            for job in chunk {
                match ends.get(&job.id).copied().flatten() {
                    Some(Over::Done) => count.done += 1,
                    Some(Over::Failed | Over::Cancelled) => {
                        given_up.insert(job.id);
                        wanted.push(job.clone());
                    }
                    None if !again && self.accepted.jobs.contains(&job.id) => count.pending += 1,
                    None => wanted.push(job.clone()),
                }
            }
            self.revive(&given_up).await?;
            let published = self.publish(&wanted, &mut count.accepted).await;
            if published.is_err() || self.written.elapsed() > PAUSE {
                self.write_down().await?;
            }
            published.map_err(|source| CommandError::HalfSubmitted {
                accepted: count.accepted + count.pending + count.done,
                asked: jobs.len(),
                source,
            })?;
        }
        self.write_down().await?;
        Ok(count)
    }

    /// Makes jobs that were given up wanted again. That they are with the broker is forgotten
    /// first: whatever happens next, another submit hands them in.
    async fn revive(&mut self, jobs: &HashSet<JobId>) -> Result<(), CommandError> {
        let before = self.accepted.jobs.len();
        self.accepted.jobs.retain(|job| !jobs.contains(job));
        if self.accepted.jobs.len() < before {
            self.write_down().await?;
        }
        for job in jobs {
            state::revive(self.store, job).await?;
        }
        Ok(())
    }

    async fn publish(&mut self, jobs: &[Job], count: &mut usize) -> Result<(), BrokerError> {
        let accepted = &mut self.accepted.jobs;
        self.broker
            .publish(jobs, &mut |job| {
                accepted.insert(job);
                *count += 1;
            })
            .await
    }

    async fn write_down(&mut self) -> Result<(), CommandError> {
        let key = keys::accepted(self.batch);
        documents::write(self.store, &key, &self.accepted).await?;
        self.written = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use stylefleet_proto::{Digest, Image, Preset, Style};
    use stylefleet_transport::broker::{MemoryBroker, WorkerEnd};
    use stylefleet_transport::store::MemoryStore;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// A fleet of one process, and a batch of three jobs.
    struct Scene {
        store: MemoryStore,
        broker: MemoryBroker,
        batch: BatchId,
        jobs: Vec<Job>,
    }

    impl Scene {
        fn new() -> Self {
            let batch: BatchId = "b-1".parse().expect("a name");
            let image = Image {
                sha256: Digest::of(&[]),
                name: "a.png".parse().expect("a name"),
            };
            let job = |seed| {
                let mut parameters = Preset::Studio.parameters();
                parameters.seed = seed;
                let style = Style {
                    image: image.clone(),
                    weight: 1.0,
                    mask: None,
                };
                let name = format!("a-{seed}").parse().expect("a name");
                let styles = vec![style];
                Job::new(batch.clone(), name, image.clone(), styles, parameters).expect("a job")
            };
            Self {
                jobs: (1..=3).map(job).collect(),
                store: MemoryStore::default(),
                broker: MemoryBroker::default(),
                batch,
            }
        }

        async fn hand_in(&self, again: bool) -> Count {
            let counter = Counter::open(&self.store, &self.broker, &self.batch).await;
            let mut counter = counter.expect("opens");
            counter.hand_in(&self.jobs, again).await.expect("hands in")
        }

        async fn mark(&self, key: String) {
            self.store.put(&key, Bytes::new()).await.expect("writes");
        }

        /// What workers can have, which is taken from the queue for good.
        async fn queued(&self) -> Vec<JobId> {
            let mut queued = Vec::new();
            let stop = CancellationToken::new();
            loop {
                let claim = tokio::select! {
                    biased;
                    claim = self.broker.claim(&stop) => claim.expect("claims"),
                    () = tokio::task::yield_now() => return queued,
                };
                let claim = claim.expect("not stopped");
                queued.push(claim.job.id);
                // Never dropped: a claim that is goes back.
                std::mem::forget(claim);
            }
        }
    }

    fn count(accepted: usize, pending: usize, done: usize) -> Count {
        Count {
            accepted,
            pending,
            done,
        }
    }

    #[tokio::test]
    async fn submitting_again_doubles_nothing() {
        let scene = Scene::new();
        let ids: Vec<_> = scene.jobs.iter().map(|job| job.id).collect();
        assert_eq!(scene.hand_in(false).await, count(3, 0, 0));
        assert_eq!(scene.queued().await, ids);
        let accepted = batch::accepted(&scene.store, &scene.batch).await;
        let accepted = accepted.expect("reads").jobs;
        assert_eq!(accepted, ids.iter().copied().collect());

        scene.mark(keys::result(&ids[0])).await;
        assert_eq!(scene.hand_in(false).await, count(0, 2, 1));
        assert_eq!(scene.queued().await, []);
        assert_eq!(scene.hand_in(true).await, count(2, 0, 1), "--again");
        assert_eq!(scene.queued().await, ids[1..]);
    }

    #[tokio::test]
    async fn jobs_that_were_given_up_are_wanted_again() {
        let scene = Scene::new();
        scene.hand_in(false).await;
        scene.queued().await;
        let (failed, cancelled) = (scene.jobs[0].id, scene.jobs[2].id);
        scene.mark(keys::failed(&failed)).await;
        scene.mark(keys::cancelled(&cancelled)).await;
        assert_eq!(scene.hand_in(false).await, count(2, 1, 0));
        assert_eq!(scene.queued().await, [failed, cancelled]);
        for job in [failed, cancelled] {
            let over = state::over(&scene.store, &job).await.expect("looks");
            assert_eq!(over, None);
        }
    }
}

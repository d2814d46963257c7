//! `stylefleet submit`: hands jobs to the fleet. Done again, it does only what is missing.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_proto::{Accepted, BatchId, Job, JobId, Priority, SubmitId, keys};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd};
use stylefleet_transport::store::{self, Store};
use tokio_util::sync::CancellationToken;

use crate::asking::intake::{Porter, Title};
use crate::asking::options::Options;
use crate::asking::plan::{Asked, Plan};
use crate::asking::remote::Remotes;
use crate::asking::values::preview_every;
use crate::batch;
use crate::board::Board;
use crate::commands::fetch::Extras;
use crate::commands::{CommandError, Ending, connect, open_store, watch};
use crate::config::Settings;
use crate::documents::{self, DocumentError};
use crate::output::{self, Line, News};
use crate::state::{self, AT_ONCE, Over};

/// Jobs that are published together.
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

    /// Hand in all jobs that are not done, those that the broker should have too, and compare the
    /// inputs that are in the store already: for damaged inputs, and queues that lost some jobs
    ///
    /// Where a broker has fewer jobs than wait here, plain submit hands them in again too.
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
pub async fn run(
    args: SubmitArgs,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<Ending, CommandError> {
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
    let (batch, ending) = submit(args, store.clone(), settings).await?;
    if !wait {
        return Ok(ending);
    }
    let watched = follow.batch(&batch, store, settings, stop).await?;
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
        let identity = store::establish_identity(&*store).await?;
        for job in &mut intake.jobs {
            job.store = Some(identity);
        }
        let submit = batch::new_submit();
        let known = batch::record(&*store, intake.manifest, &submit).await?;
        let mut counter = Counter {
            store: &*store,
            broker: &*broker,
            batch: &batch,
            submit,
            accepted: known.accepted,
            own: Accepted::default(),
            written: Instant::now(),
        };
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
    submit: SubmitId,
    /// What the broker took before.
    accepted: Accepted,
    /// What it took of this submit.
    own: Accepted,
    /// When that was last written down.
    written: Instant,
}

/// Jobs by what is to be done about them.
#[derive(Default)]
struct Sorted {
    done: usize,
    /// Given up: to be wanted again, and handed in.
    given_up: HashSet<JobId>,
    /// With the broker, as far as is known.
    pending: Vec<Job>,
    /// To be handed in.
    wanted: Vec<Job>,
}

impl Counter<'_> {
    /// Hands in the jobs that are neither done nor with the broker; `again`: those that are not
    /// done.
    async fn hand_in(&mut self, jobs: &[Job], again: bool) -> Result<Count, CommandError> {
        let mut sorted = self.sort(jobs, again).await?;
        let lost = self.lost(&mut sorted.pending).await?;
        sorted.wanted.extend(lost);
        self.revive(&sorted.given_up).await?;
        let mut count = Count {
            accepted: 0,
            pending: sorted.pending.len(),
            done: sorted.done,
        };
        for chunk in sorted.wanted.chunks(CHUNK) {
            let published = self.publish(chunk, &mut count.accepted).await;
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

    async fn sort(&self, jobs: &[Job], again: bool) -> Result<Sorted, CommandError> {
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        let mut ends = state::ends(self.store, &ids).await?;
        if again {
            for job in self.without_record(&ends).await? {
                ends.remove(&job);
            }
        }
        let mut sorted = Sorted::default();
        for job in jobs {
            match ends.get(&job.id) {
                Some(Over::Done) => sorted.done += 1,
                Some(Over::Failed | Over::Cancelled) => {
                    sorted.given_up.insert(job.id);
                    sorted.wanted.push(job.clone());
                }
                None if !again && self.accepted.jobs.contains(&job.id) => {
                    sorted.pending.push(job.clone());
                }
                None => sorted.wanted.push(job.clone()),
            }
        }
        Ok(sorted)
    }

    /// Those of the done jobs whose results are no use: a worker makes them anew.
    async fn without_record(
        &self,
        ends: &HashMap<JobId, Over>,
    ) -> Result<Vec<JobId>, CommandError> {
        let done = ends.iter().filter(|(_, over)| **over == Over::Done);
        let look = |(job, _)| async move {
            match state::record(self.store, job).await {
                Err(DocumentError::Store(error)) => Err(error),
                Ok(Some(_)) => Ok(None),
                Ok(None) | Err(DocumentError::Damaged { .. }) => Ok(Some(*job)),
            }
        };
        let looks: Vec<_> = stream::iter(done)
            .map(look)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(looks.into_iter().flatten().collect())
    }

    /// Takes those jobs out of `pending` that no worker is at, where the broker has fewer waiting:
    /// somebody purged its queues, or set them up anew. To hand in what it still has does no harm.
    async fn lost(&self, pending: &mut Vec<Job>) -> Result<Vec<Job>, CommandError> {
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = pending.iter().map(|job| job.id).collect();
        let started = state::started(self.store, &ids).await?;
        if self.broker.depths().await?.held() as usize >= ids.len() - started.len() {
            return Ok(Vec::new());
        }
        Ok(pending
            .extract_if(.., |job| !started.contains(&job.id))
            .collect())
    }

    /// Makes jobs that were given up wanted again. That they are with the broker is forgotten
    /// first: whatever happens next, another submit hands them in.
    async fn revive(&mut self, jobs: &HashSet<JobId>) -> Result<(), CommandError> {
        if self.accepted.jobs.iter().any(|job| jobs.contains(job)) {
            batch::forget(self.store, self.batch, jobs).await?;
        }
        stream::iter(jobs.iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, |job| state::revive(self.store, job))
            .await?;
        Ok(())
    }

    async fn publish(&mut self, jobs: &[Job], count: &mut usize) -> Result<(), BrokerError> {
        let accepted = &mut self.own.jobs;
        self.broker
            .submit(jobs, &mut |job| {
                accepted.insert(job);
                *count += 1;
            })
            .await
    }

    async fn write_down(&mut self) -> Result<(), CommandError> {
        if !self.own.jobs.is_empty() {
            let key = keys::accepted(self.batch, &self.submit);
            documents::write(self.store, &key, &self.own).await?;
        }
        self.written = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use stylefleet_model::stylize::Preset;
    use stylefleet_proto::{Digest, Image, Manifest, ManifestEntry, Style, Valid};
    use stylefleet_transport::broker::{MemoryBroker, WorkerEnd};
    use stylefleet_transport::store::MemoryStore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::batch::Batch;
    use crate::samples::record;

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
                let parameters = Valid::new(parameters).expect("is valid");
                let style = Style {
                    image: image.clone(),
                    weight: 1.0,
                    mask: None,
                };
                let name = format!("a-{seed}").parse().expect("a name");
                let styles = vec![style];
                Job::new(batch.clone(), name, image.clone(), styles, None, parameters)
                    .expect("a job")
            };
            Self {
                jobs: (1..=3).map(job).collect(),
                store: MemoryStore::default(),
                broker: MemoryBroker::default(),
                batch,
            }
        }

        async fn hand_in(&self, again: bool) -> Count {
            let entry = |job: &Job| ManifestEntry {
                job: job.id,
                name: job.name.clone(),
                preset: Preset::Studio,
            };
            let asked = Manifest {
                batch: self.batch.clone(),
                jobs: self.jobs.iter().map(entry).collect(),
                unix_seconds: 1,
            };
            let submit = batch::new_submit();
            let known = batch::record(&self.store, asked, &submit).await;
            let mut counter = Counter {
                store: &self.store,
                broker: &self.broker,
                batch: &self.batch,
                submit,
                accepted: known.expect("records").accepted,
                own: Accepted::default(),
                written: Instant::now(),
            };
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
        let batch = Batch::open(&scene.store, &scene.batch).await;
        let accepted = batch.expect("opens").accepted.jobs;
        assert_eq!(accepted, ids.iter().copied().collect());

        let result = keys::result(&ids[0]);
        let written = documents::write(&scene.store, &result, &record(ids[0], b"a picture")).await;
        written.expect("writes");
        for job in &ids[1..] {
            scene.mark(keys::started(job)).await;
        }
        assert_eq!(scene.hand_in(false).await, count(0, 2, 1));
        assert_eq!(scene.queued().await, []);
        assert_eq!(scene.hand_in(true).await, count(2, 0, 1), "--again");
        assert_eq!(scene.queued().await, ids[1..]);

        // A damaged result passes for one unless it is looked at.
        scene.mark(result).await;
        assert_eq!(scene.hand_in(false).await, count(0, 2, 1));
        assert_eq!(scene.hand_in(true).await, count(3, 0, 0), "--again");
        assert_eq!(scene.queued().await, ids);
    }

    #[tokio::test]
    async fn what_the_broker_lost_is_handed_in_again() {
        let scene = Scene::new();
        let ids: Vec<_> = scene.jobs.iter().map(|job| job.id).collect();
        scene.hand_in(false).await;
        assert_eq!(
            scene.hand_in(false).await,
            count(0, 3, 0),
            "it has them all"
        );
        scene.queued().await;
        scene.mark(keys::started(&ids[0])).await;
        // One is at work; the others are gone.
        assert_eq!(scene.hand_in(false).await, count(2, 1, 0));
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
        scene.mark(keys::started(&scene.jobs[1].id)).await;
        assert_eq!(scene.hand_in(false).await, count(2, 1, 0));
        assert_eq!(scene.queued().await, [failed, cancelled]);
        for job in [failed, cancelled] {
            let over = state::over(&scene.store, &job).await.expect("looks");
            assert_eq!(over, None);
        }
    }
}

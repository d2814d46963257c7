//! `stylefleet status`: what the store knows. The broker is asked only whether it still has the
//! jobs of a batch that wait, and need not answer.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use stylefleet_proto::{BatchId, Failure, JobId, ManifestEntry, Record, Start, keys};
use stylefleet_transport::store::Store;
use tokio::time::timeout;

use crate::batch::{self, Batch};
use crate::commands::{CommandError, Ending, Target, connect, open_store};
use crate::config::Settings;
use crate::documents;
use crate::output::{self, Line, ago};
use crate::state::{self, State};

/// How long the broker may take to say how much waits.
const ASK_BROKER: Duration = Duration::from_secs(3);

/// Arguments of `stylefleet status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// A batch, one of its pictures as BATCH/NAME, or a job's id [default: list the batches]
    pub target: Option<Target>,

    /// Of a batch: one line per picture too
    #[arg(long)]
    pub jobs: bool,

    /// Of the list of batches: count their pictures by state, which asks after every job
    #[arg(long)]
    pub all: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Pictures of a batch by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub done: usize,
    pub failed: usize,
    pub cancelled: usize,
    pub running: usize,
    pub stopped: usize,
    pub waiting: usize,
    pub not_accepted: usize,
}

#[derive(Default, Serialize)]
struct Batches {
    /// The latest first.
    batches: Vec<BatchStatus>,
    /// Those whose documents are no use.
    damaged: Vec<Damaged>,
}

#[derive(Serialize)]
struct Damaged {
    batch: BatchId,
    reason: String,
}

#[derive(Serialize)]
struct BatchStatus {
    batch: BatchId,
    /// When it was first submitted: seconds since 1970-01-01 UTC.
    unix_seconds: u64,
    pictures: usize,
    /// Jobs that the broker took.
    accepted: usize,
    /// Absent where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    states: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Vec<PictureStatus>>,
    /// Pictures that wait and that the broker does not have; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<usize>,
}

#[derive(Serialize)]
struct PictureStatus {
    job: JobId,
    name: String,
    state: State,
}

#[derive(Serialize)]
struct JobStatus {
    job: JobId,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Where the picture is.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    /// The worker that is at it, or died over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Start>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Checkpoint>,
}

#[derive(Serialize)]
struct Checkpoint {
    bytes: u64,
    /// When it was written, by the store's clock: seconds since 1970-01-01 UTC.
    unix_seconds: u64,
}

/// Does what is asked.
pub async fn run(args: StatusArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let store = &*store;
    match args.target {
        None => {
            let batches = Batches::read(store, args.all).await?;
            match args.json {
                true => output::document(&batches),
                false => batches.print(),
            }
            if !batches.damaged.is_empty() {
                return Ok(Ending::SomeFailed);
            }
        }
        Some(Target::Batch(batch)) => {
            let batch = Batch::open(store, &batch).await?;
            let mut status = of_batch(store, &batch, args.jobs).await?;
            status.lost = lost(settings, status.states.unwrap_or_default()).await;
            match args.json {
                true => output::document(&status),
                false => status.print(),
            }
        }
        Some(Target::Picture(batch, name)) => {
            let batch = Batch::open(store, &batch).await?;
            let entry = batch.picture(&name)?;
            let accepted = batch.accepted.jobs.contains(&entry.job);
            let mut status = of_job(store, entry.job, Some(accepted)).await?;
            status.name = Some(entry.name.to_string());
            status.batch = Some(batch.manifest.batch);
            status.show(args.json);
        }
        Some(Target::Job(job)) => of_job(store, job, None).await?.show(args.json),
    }
    Ok(Ending::AllDone)
}

impl Batches {
    async fn read(store: &dyn Store, count: bool) -> Result<Self, CommandError> {
        let mut read = Self::default();
        for (name, batch) in batch::all(store).await? {
            match batch {
                Ok(batch) if count => read.batches.push(of_batch(store, &batch, false).await?),
                Ok(batch) => read.batches.push(BatchStatus::new(&batch)),
                Err(error) => read.damaged.push(Damaged {
                    batch: name,
                    reason: error.to_string(),
                }),
            }
        }
        read.batches
            .sort_by_key(|batch| std::cmp::Reverse(batch.unix_seconds));
        Ok(read)
    }

    fn print(&self) {
        let row = |batch: &BatchStatus| {
            let accepted = match batch.states {
                Some(states) => states.words(),
                // Whether they are done is not known here.
                None if batch.accepted >= batch.pictures => String::new(),
                None => format!(
                    "{} not accepted",
                    batch.pictures.saturating_sub(batch.accepted)
                ),
            };
            [
                batch.batch.to_string(),
                ago(batch.unix_seconds),
                format!("{} pictures", batch.pictures),
                accepted,
            ]
        };
        output::table(&self.batches.iter().map(row).collect::<Vec<_>>());
        for Damaged { batch, reason } in &self.damaged {
            Line::Remark(format!("{batch}: {reason}")).print();
        }
    }
}

async fn of_batch(
    store: &dyn Store,
    batch: &Batch,
    list: bool,
) -> Result<BatchStatus, CommandError> {
    let entries = &batch.manifest.jobs;
    let accepted = |job| (job, Some(batch.accepted.jobs.contains(&job)));
    let jobs: Vec<_> = entries.iter().map(|entry| accepted(entry.job)).collect();
    let states = state::of_all(store, &jobs).await?;
    let mut status = BatchStatus::new(batch);
    let mut counts = Counts::default();
    states.iter().for_each(|state| counts.add(*state));
    status.states = Some(counts);
    status.jobs = list.then(|| {
        let picture = |(entry, state): (&ManifestEntry, State)| PictureStatus {
            job: entry.job,
            name: entry.name.to_string(),
            state,
        };
        entries.iter().zip(states).map(picture).collect()
    });
    Ok(status)
}

async fn of_job(
    store: &dyn Store,
    job: JobId,
    accepted: Option<bool>,
) -> Result<JobStatus, CommandError> {
    let result = state::record(store, &job).await?;
    let checkpoint = store.stat(&keys::checkpoint(&job)).await?;
    Ok(JobStatus {
        job,
        state: state::of(store, job, accepted).await?,
        batch: None,
        name: None,
        picture: result.as_ref().map(|record| store.locate(&record.picture)),
        result,
        failure: state::failure(store, &job).await?,
        started: documents::read(store, &keys::started(&job)).await?,
        checkpoint: checkpoint.map(|stat| Checkpoint {
            bytes: stat.size,
            unix_seconds: stat
                .modified
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }),
    })
}

/// How many of those that wait the broker does not have. None where it is not set, or does not
/// answer soon: what the store says is worth as much without it.
async fn lost(settings: &Settings, counts: Counts) -> Option<usize> {
    let idle = counts.waiting + counts.stopped;
    if idle == 0 {
        return Some(0);
    }
    let depths = async {
        let broker = connect(settings).await.ok()?;
        let depths = broker.depths().await.ok();
        broker.close().await;
        depths
    };
    let depths = timeout(ASK_BROKER, depths).await.ok().flatten()?;
    Some(idle.saturating_sub(depths.held() as usize))
}

impl Counts {
    fn add(&mut self, state: State) {
        *match state {
            State::Done => &mut self.done,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
            State::Running => &mut self.running,
            State::Stopped => &mut self.stopped,
            State::Waiting => &mut self.waiting,
            State::NotAccepted | State::Unknown => &mut self.not_accepted,
        } += 1;
    }

    /// Those that are not zero, in words.
    fn words(&self) -> String {
        let counts = [
            (State::Done, self.done),
            (State::Failed, self.failed),
            (State::Cancelled, self.cancelled),
            (State::Running, self.running),
            (State::Stopped, self.stopped),
            (State::Waiting, self.waiting),
            (State::NotAccepted, self.not_accepted),
        ];
        let word = |&(state, count): &(State, usize)| {
            (count > 0).then(|| format!("{count} {}", state.word()))
        };
        let words: Vec<_> = counts.iter().filter_map(word).collect();
        words.join(", ")
    }
}

impl BatchStatus {
    fn new(batch: &Batch) -> Self {
        Self {
            batch: batch.manifest.batch.clone(),
            unix_seconds: batch.manifest.unix_seconds,
            pictures: batch.manifest.jobs.len(),
            accepted: batch.accepted.jobs.len(),
            states: None,
            jobs: None,
            lost: None,
        }
    }

    fn print(&self) {
        let states = self.states.unwrap_or_default();
        print(format!(
            "{}: {} pictures, submitted {}: {}",
            self.batch,
            self.pictures,
            ago(self.unix_seconds),
            states.words()
        ));
        let row = |picture: &PictureStatus| {
            let state = picture.state.word().to_owned();
            [state, picture.job.to_string(), picture.name.clone()]
        };
        let rows: Vec<_> = self.jobs.iter().flatten().map(row).collect();
        output::table(&rows);
        if let Some(lost @ 1..) = self.lost {
            let text = format!(
                "{lost} of them are lost: the broker does not have them, perhaps because its \
                 queues were purged: run the same submit again"
            );
            Line::Remark(text).print();
        }
    }
}

impl JobStatus {
    fn show(&self, json: bool) {
        if json {
            output::document(self);
            return;
        }
        print(format!("job         {}", self.job));
        if let (Some(batch), Some(name)) = (&self.batch, &self.name) {
            print(format!("picture     {name}, of batch {batch}"));
        }
        print(format!("state       {}", self.state.word()));
        if let (Some(picture), Some(result)) = (&self.picture, &self.result) {
            print(format!("file        {picture}"));
            print(format!(
                "made        {}x{} in {} on {}, {} evaluations, loss {:.3e}, attempt {}",
                result.width,
                result.height,
                output::duration(result.seconds),
                result.device,
                result.evaluations,
                result.score.loss,
                result.attempt
            ));
        }
        if let Some(failure) = &self.failure {
            let Failure {
                reason, attempts, ..
            } = failure;
            print(format!("failed      {reason} ({attempts} attempts)"));
        }
        if let Some(start) = &self.started {
            let when = ago(start.unix_millis / 1000);
            print(format!(
                "begun       {when} by {}, attempt {}, after {} evaluations",
                start.worker, start.attempt, start.evaluations
            ));
        }
        if let Some(checkpoint) = &self.checkpoint {
            let when = ago(checkpoint.unix_seconds);
            print(format!("checkpoint  {when}, {} bytes", checkpoint.bytes));
        }
    }
}

fn print(text: String) {
    Line::Result(text).print();
}

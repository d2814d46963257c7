//! `stylefleet status`: what the store knows. Asks no broker.

use std::time::UNIX_EPOCH;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use stylefleet_proto::{BatchId, Failure, JobId, ManifestEntry, Record, Start, keys};
use stylefleet_transport::store::Store;

use crate::batch::{self, Batch};
use crate::commands::{CommandError, Ending, Target, open_store};
use crate::config::Settings;
use crate::documents;
use crate::output::{self, Line, ago};
use crate::state::{self, AT_ONCE, State};

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

#[derive(Serialize)]
struct Batches {
    batches: Vec<BatchStatus>,
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
            let batches = batches(store, args.all).await?;
            match args.json {
                true => output::document(&Batches { batches }),
                false => print_batches(&batches),
            }
        }
        Some(Target::Batch(batch)) => {
            let batch = Batch::open(store, &batch).await?;
            let status = of_batch(store, &batch, args.jobs).await?;
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

/// All batches, the latest first.
async fn batches(store: &dyn Store, count: bool) -> Result<Vec<BatchStatus>, CommandError> {
    let mut batches = Vec::new();
    for batch in batch::all(store).await? {
        let batch = Batch::open(store, &batch).await?;
        batches.push(match count {
            true => of_batch(store, &batch, false).await?,
            false => BatchStatus::new(&batch),
        });
    }
    batches.sort_by_key(|batch| std::cmp::Reverse(batch.unix_seconds));
    Ok(batches)
}

async fn of_batch(
    store: &dyn Store,
    batch: &Batch,
    list: bool,
) -> Result<BatchStatus, CommandError> {
    let look = |entry: ManifestEntry| async move {
        let accepted = batch.accepted.jobs.contains(&entry.job);
        let state = state::of(store, &entry.job, Some(accepted)).await?;
        Ok::<_, CommandError>((entry, state))
    };
    let entries = stream::iter(batch.manifest.jobs.iter().cloned());
    let looks: Vec<_> = entries.map(look).buffered(AT_ONCE).try_collect().await?;
    let mut status = BatchStatus::new(batch);
    let mut counts = Counts::default();
    looks.iter().for_each(|(_, state)| counts.add(*state));
    status.states = Some(counts);
    status.jobs = list.then(|| {
        let picture = |(entry, state): (ManifestEntry, State)| PictureStatus {
            job: entry.job,
            name: entry.name.to_string(),
            state,
        };
        looks.into_iter().map(picture).collect()
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
        state: state::of(store, &job, accepted).await?,
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
    }
}

fn print_batches(batches: &[BatchStatus]) {
    let row = |batch: &BatchStatus| {
        let accepted = match batch.states {
            Some(states) => states.words(),
            None => format!("{} accepted", batch.accepted),
        };
        [
            batch.batch.to_string(),
            ago(batch.unix_seconds),
            format!("{} pictures", batch.pictures),
            accepted,
        ]
    };
    output::table(&batches.iter().map(row).collect::<Vec<_>>());
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

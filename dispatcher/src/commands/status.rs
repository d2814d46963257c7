//! `stylefleet status`: what the store knows. The broker is asked only whether it still has the
//! jobs of a batch that wait, and need not answer.

use std::time::Duration;

use stylefleet_fleet::batch::Batch;
use stylefleet_fleet::lost;
use stylefleet_fleet::state::State;
use stylefleet_fleet::status::{
    BatchList, BatchStatus, Counts, JobStatus, OutputStatus, ResultStatus,
};
use stylefleet_proto::Failure;
use tokio::time::timeout;

use crate::commands::{CommandError, Ending, Target, connect, open_store};
use crate::config::Settings;
use crate::output::{self, Line, ago};

/// How long the broker may take to say how much waits.
const ASK_BROKER: Duration = Duration::from_secs(3);

/// Arguments of `stylefleet status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// A batch, one of its results as BATCH/NAME, or a job's id [default: list the batches]
    pub target: Option<Target>,

    /// Of a batch: one line per result too
    #[arg(long)]
    pub jobs: bool,

    /// Of the list of batches: count their results by state, which asks after every job
    #[arg(long)]
    pub all: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub async fn run(args: StatusArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let store = &*store;
    match args.target {
        None => {
            let list = BatchList::read(store, args.all).await?;
            output::answer(&list, args.json, print_list);
            if !list.damaged.is_empty() {
                return Ok(Ending::SomeFailed);
            }
        }
        Some(Target::Batch(batch)) => {
            let batch = Batch::open(store, &batch).await?;
            let mut status = BatchStatus::read(store, &batch, args.jobs).await?;
            status.lost = lost(settings, status.states.unwrap_or_default()).await;
            output::answer(&status, args.json, print_batch);
        }
        Some(Target::Result(batch, name)) => {
            let batch = Batch::open(store, &batch).await?;
            let status = JobStatus::of_result(store, &batch, &name).await?;
            output::answer(&status, args.json, print_job);
        }
        Some(Target::Job(job)) => {
            let status = JobStatus::of_job(store, job).await?;
            output::answer(&status, args.json, print_job);
        }
    }
    Ok(Ending::AllDone)
}

/// How many of those that wait the broker does not have. None where it is not set, or does not
/// answer soon: what the store says is worth as much without it.
async fn lost(settings: &Settings, counts: Counts) -> Option<usize> {
    if counts.idle() == 0 {
        return Some(0);
    }
    let depths = async {
        let broker = connect(settings).await.ok()?;
        let depths = broker.depths().await.ok();
        broker.close().await;
        depths
    };
    let depths = timeout(ASK_BROKER, depths).await.ok().flatten()?;
    Some(lost::count(counts.idle(), &depths))
}

fn print_list(list: &BatchList) {
    let row = |batch: &BatchStatus| {
        let states = match batch.states {
            Some(counts) => words(&counts),
            // Whether they are done is not known here.
            None if batch.accepted >= batch.results => String::new(),
            None => format!("{} not accepted", batch.results - batch.accepted),
        };
        [
            batch.batch.to_string(),
            ago(batch.unix_seconds),
            format!("{} results", batch.results),
            states,
        ]
    };
    output::table(&list.batches.iter().map(row).collect::<Vec<_>>());
    for damaged in &list.damaged {
        Line::Remark(format!("{}: {}", damaged.batch, damaged.reason)).print();
    }
}

fn print_batch(status: &BatchStatus) {
    print(format!(
        "{}: {} results, submitted {}: {}",
        status.batch,
        status.results,
        ago(status.unix_seconds),
        words(&status.states.unwrap_or_default())
    ));
    if let Some(video) = &status.video {
        print(output::of_video(video));
    }
    let row = |result: &ResultStatus| {
        let state = result.state.word().to_owned();
        [state, result.job.to_string(), result.name.to_string()]
    };
    let rows: Vec<_> = status.jobs.iter().flatten().map(row).collect();
    output::table(&rows);
    if let Some(lost @ 1..) = status.lost {
        Line::Remark(lost::message(lost)).print();
    }
}

fn print_job(status: &JobStatus) {
    print(format!("job         {}", status.job));
    if let (Some(batch), Some(name)) = (&status.batch, &status.name) {
        print(format!("result      {name}, of batch {batch}"));
    }
    print(format!("state       {}", status.state.word()));
    for OutputStatus { role, location, .. } in &status.outputs {
        print(format!("output      {role}: {location}"));
    }
    if let Some(record) = &status.record {
        print(format!(
            "made        in {} on {}, {} steps{}, attempt {}",
            output::duration(record.seconds),
            record.device,
            record.steps,
            output::listed(&record.figures),
            record.attempt
        ));
    }
    if let Some(failure) = &status.failure {
        let Failure {
            reason, attempts, ..
        } = failure;
        print(format!("failed      {reason} ({attempts} attempts)"));
    }
    if let Some(start) = &status.started {
        let when = ago(start.unix_millis / 1000);
        print(format!(
            "begun       {when} by {}, attempt {}, after {} steps",
            start.worker, start.attempt, start.steps
        ));
    }
    if let Some(checkpoint) = &status.checkpoint {
        let when = ago(checkpoint.unix_seconds);
        print(format!("checkpoint  {when}, {} bytes", checkpoint.bytes));
    }
}

/// The counts that are not zero, in words.
fn words(counts: &Counts) -> String {
    let counts = [
        (State::Done, counts.done),
        (State::Failed, counts.failed),
        (State::Cancelled, counts.cancelled),
        (State::Running, counts.running),
        (State::Stopped, counts.stopped),
        (State::Waiting, counts.waiting),
        (State::NotAccepted, counts.not_accepted),
    ];
    let word =
        |&(state, count): &(State, usize)| (count > 0).then(|| format!("{count} {}", state.word()));
    let words: Vec<_> = counts.iter().filter_map(word).collect();
    words.join(", ")
}

fn print(text: String) {
    Line::Result(text).print();
}

//! `stylefleet queue`: how many jobs wait, who works, how fast.

use bytesize::ByteSize;
use stylefleet_fleet::activity::{Rates, WorkerStatus};
use stylefleet_fleet::queue::QueueStatus;
use stylefleet_transport::broker::Depths;

use crate::commands::{CommandError, Ending, connect};
use crate::config::Settings;
use crate::output::{self, Line, duration, short, standing};

/// Arguments of `stylefleet queue`.
#[derive(Debug, clap::Args)]
pub struct QueueArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: QueueArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let broker = connect(settings).await?;
    let queue = QueueStatus::read(&*broker).await?;
    broker.close().await;
    output::answer(&queue, args.json, print);
    Ok(Ending::AllDone)
}

fn print(queue: &QueueStatus) {
    let Depths {
        high,
        normal,
        low,
        retrying,
        abandoned,
        dead,
    } = queue.waiting;
    let result = |text: String| Line::Result(text).print();
    result(format!("waiting   {high} high, {normal} normal, {low} low"));
    result(format!("retrying  {retrying}"));
    result(format!("set aside {dead}, and {abandoned} about to be"));
    let Rates {
        finished_per_hour,
        failed_per_hour,
        ..
    } = queue.rates;
    let left = match queue.seconds_to_empty {
        Some(seconds @ 1.0..) => format!("; nothing waits in about {}", duration(seconds)),
        _ => String::new(),
    };
    result(format!(
        "rates     {finished_per_hour:.0} finished an hour, {failed_per_hour:.0} attempts \
         failed{left}"
    ));
    result(format!("workers   {}", queue.workers.len()));
    let row = |worker: &WorkerStatus| {
        let (name, device) = (worker.name.clone(), worker.device.clone());
        let doing = match (&worker.job, &worker.progress) {
            (Some(job), Some(at)) => format!("{}  {}", short(job), standing(at)),
            (Some(job), None) => short(job),
            (None, _) => "idle".to_owned(),
        };
        [format!("  {name}"), device, memory(worker), doing]
    };
    output::table(&queue.workers.iter().map(row).collect::<Vec<_>>());
}

fn memory(worker: &WorkerStatus) -> String {
    let bytes = |bytes| ByteSize(bytes).display().si();
    match (worker.memory_bytes, worker.memory_size_bytes) {
        (Some(used), Some(size)) => format!("{} of {}", bytes(used), bytes(size)),
        _ => "-".to_owned(),
    }
}

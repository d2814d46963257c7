//! `stylefleet submit`: submits jobs to the fleet. Done again, it does only what is missing.

use std::path::PathBuf;
use std::sync::Arc;

use stylefleet_fleet::batch::Batch;
use stylefleet_fleet::submit::{self, Submitted};
use stylefleet_proto::{BatchId, Priority};
use stylefleet_transport::store::Store;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::commands::fetch::Extras;
use crate::commands::{CommandError, Ending, connect, open_store, preview_every, watch};
use crate::config::Settings;
use crate::images::buckets::Buckets;
use crate::order::{
    Assembly, Order, OrderError, Ordered, Plan, Title, Uploader, on_this_machine, priority_of,
};
use crate::output::{self, Line, News};
use crate::reporter::Reporter;

/// Arguments of `stylefleet submit`, where `O` are those of the kind of job.
#[derive(Debug, clap::Args)]
pub struct SubmitArgs<O: Order> {
    #[command(flatten)]
    order: O,

    /// Name of the batch: 1 to 64 of a to z, 0 to 9 and - [default: derived from what is asked]
    ///
    /// A batch that is there already grows.
    #[arg(id = "batch_name", long = "batch", value_name = "NAME")]
    batch: Option<BatchId>,

    /// Which jobs go first: high, normal, low
    #[arg(long, value_name = "P", default_value = "normal", value_parser = priority)]
    priority: Priority,

    /// Keep how a job looks after every N steps, as a picture for `fetch --previews`
    #[arg(long, alias = "save-iter", value_name = "N", value_parser = preview_every())]
    preview_every: Option<u32>,

    /// Hand in all jobs that are not done, those that the broker should have too, and compare the
    /// inputs that are in the store already: for damaged inputs, and queues that lost some jobs
    ///
    /// Where a broker has fewer jobs than wait here, plain submit hands them in again too.
    #[arg(long)]
    again: bool,

    /// Follow the batch until all its jobs are over, as `watch` does
    #[arg(long)]
    wait: bool,

    /// With --wait: then fetch the results into DIR, as `fetch` does, with the progress pictures
    /// that --preview-every asks for
    #[arg(long, value_name = "DIR", requires = "wait")]
    out: Option<PathBuf>,

    /// With --out: a chart of how the loss fell too, in NAME.svg
    #[arg(long, requires = "out")]
    curve: bool,

    /// Print one JSON object per event, one a line, on standard output
    #[arg(long)]
    json: bool,
}

fn priority(text: &str) -> Result<Priority, String> {
    priority_of(text).ok_or_else(|| "it is none of high, normal, low".to_owned())
}

/// Runs the command.
pub async fn run<O: Order>(
    args: SubmitArgs<O>,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let (json, wait) = (args.json, args.wait);
    let extras = Extras {
        previews: args.preview_every.is_some(),
        curve: args.curve,
    };
    let span = stylefleet_telemetry::root(tracing::info_span!("submit"));
    let submitted = submit_order(args, store.clone(), settings).instrument(span);
    let Handed {
        batch,
        out,
        assembly,
        ending,
    } = submitted.await?;
    if !wait {
        return Ok(ending);
    }
    let (out, assembly) = match (out, assembly) {
        (Some(_), Some(assembly)) => (None, Some(assembly)),
        (out, _) => (out, None),
    };
    let follow = watch::Follow { json, out, extras };
    let watched = follow.batch(&batch, store.clone(), settings, stop).await?;
    if let Some(assembly) = assembly.filter(|_| watched == Ending::AllDone) {
        let entries = Batch::open(&*store, &batch).await?.manifest.jobs;
        let assembled = assembly.assemble(store, entries).await?;
        output::lines(json).show(&assembled.news());
    }
    Ok(match watched {
        Ending::AllDone => ending,
        worse => worse,
    })
}

/// What was handed in.
struct Handed {
    batch: BatchId,
    /// The folder for the results, if they are to be fetched.
    out: Option<PathBuf>,
    /// What makes one file of them, if anything does.
    assembly: Option<Assembly>,
    /// Whether all results could be asked for.
    ending: Ending,
}

/// Submits what is asked for.
async fn submit_order<O: Order>(
    args: SubmitArgs<O>,
    store: Arc<dyn Store>,
    settings: &Settings,
) -> Result<Handed, CommandError> {
    let buckets = Buckets::new(settings.s3());
    let mut plan = args.order.plan(&buckets).await?;
    let out = args.out.map(|out| plan.folder(on_this_machine(out)?));
    let out = out.transpose()?;
    let assembly = plan.assembly();
    // Before anything is uploaded: a broker that cannot be reached is worth knowing at once.
    let broker = connect(settings).await?;
    let mut reporter = Reporter::new(plan.results(), output::lines(args.json));
    let uploader = Uploader::new(store.clone(), buckets, args.again);
    let requests = plan.requests(&uploader, &mut reporter).await?;
    let title = args.batch.map_or(Title::Derived("b"), Title::Given);
    let Ordered { mut jobs, manifest } = Ordered::new(requests, title).map_err(OrderError::from)?;
    for job in &mut jobs {
        job.priority = args.priority;
        job.preview_every = args.preview_every.unwrap_or(0);
    }

    let batch = manifest.batch.clone();
    let refused = reporter.tally().failed;
    let submitted = submit::submit(&*store, &*broker, manifest, jobs, args.again).await?;
    broker.close().await;
    show(&mut reporter, args.json, &batch, submitted, refused);
    let ending = if refused == 0 {
        Ending::AllDone
    } else {
        Ending::SomeFailed
    };
    Ok(Handed {
        batch,
        out,
        assembly,
        ending,
    })
}

/// Shows what became of the jobs.
fn show(
    reporter: &mut Reporter,
    json: bool,
    batch: &BatchId,
    submitted: Submitted,
    refused: usize,
) {
    let Submitted {
        accepted,
        pending,
        done,
    } = submitted;
    if !json {
        let text = format!(
            "{accepted} jobs accepted, {pending} accepted before, {done} done before, \
             {refused} refused"
        );
        Line::Remark(text).print();
    }
    reporter.report(&News::Submitted {
        batch,
        accepted,
        pending,
        done,
        refused,
    });
}

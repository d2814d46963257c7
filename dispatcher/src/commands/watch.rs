//! `stylefleet watch`: follows a batch until all its jobs are over.

use std::path::PathBuf;
use std::sync::Arc;

use stylefleet_fleet::batch::Batch;
use stylefleet_fleet::follow::{Fleet, Follower, PAUSE};
use stylefleet_proto::BatchId;
use stylefleet_transport::store::Store;
use tokio_util::sync::CancellationToken;

use crate::brokers;
use crate::commands::{CommandError, Ending, fetch, open_store};
use crate::config::Settings;
use crate::follow::Presenter;
use crate::output;
use crate::reporter::{Reporter, Tally};

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
    /// Where results go in the end; none: they stay in the store.
    pub out: Option<PathBuf>,
    /// What goes there beside them.
    pub extras: fetch::Extras,
}

/// Runs the command.
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
        let connect = || Box::pin(brokers::open(options.clone())) as _;
        let batch = Batch::open(&*store, batch).await?;
        let fleet = Fleet {
            connect: Box::new(connect),
            since: batch.manifest.unix_seconds,
            pause: PAUSE,
        };
        let tally = self.show(&batch, fleet, store.clone(), stop).await?;
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

    /// Shows how a batch gets on until all its jobs are over, or it is to stop.
    async fn show(
        &self,
        batch: &Batch,
        fleet: Fleet<'_>,
        store: Arc<dyn Store>,
        stop: &CancellationToken,
    ) -> Result<Tally, CommandError> {
        let entries = &batch.manifest.jobs;
        let mut reporter = Reporter::new(entries.len(), output::open(self.json, entries.len()));
        let jobs = batch.jobs();
        let missing = jobs.iter().filter(|job| !batch.has_accepted(job)).count();
        if missing > 0 {
            reporter.remark(&format!(
                "{missing} jobs were never handed in: run the same submit again"
            ));
        }
        let follower = Follower::of_fleet(fleet, jobs, store.clone());
        let mut presenter = Presenter::new(follower, reporter, entries, store, None);
        let outcome = tokio::select! {
            outcome = presenter.run() => outcome,
            () = stop.cancelled() => Ok(()),
        };
        let tally = presenter.reporter.close();
        outcome?;
        Ok(tally)
    }
}

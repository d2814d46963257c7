//! `stylefleet run`: everything on this machine, with a folder as the store.

use std::fs::{File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use stylefleet_fleet::batch;
use stylefleet_fleet::follow::Follower;
use stylefleet_fleet::state::{self, End};
use stylefleet_proto::{Build, Job, ManifestEntry};
use stylefleet_transport::broker::{DispatcherEnd, MemoryBroker};
use stylefleet_transport::store::{FolderStore, Store};
use tokio_util::sync::CancellationToken;

use crate::commands::{CommandError, Ending, dashboard, preview_every};
use crate::config::Settings;
use crate::follow::Presenter;
use crate::images::buckets::Buckets;
use crate::local::{self, Context, Devices, Launch, Machine, WHOLE};
use crate::order::{Order, OrderError, Ordered, Plan, Title, Uploader, on_this_machine};
use crate::output;
use crate::output_folder::OutputFolder;
use crate::reporter::Reporter;
use crate::signals::Signals;

/// The store's folder, in the folder of results.
pub const STORE: &str = ".stylefleet";
/// What a run holds on to, in the store's folder.
const LOCK: &str = "lock";

/// Where results go unless told otherwise.
const OUT: &str = "out";

/// Arguments of `stylefleet run`, where `O` are those of the kind of job.
#[derive(Debug, clap::Args)]
pub struct RunArgs<O: Order> {
    #[command(flatten)]
    pub(crate) order: O,

    #[command(flatten)]
    machine: Machine,

    /// Show how a job looks after every N steps, as a picture in NAME.previews
    #[arg(long, alias = "save-iter", value_name = "N", value_parser = preview_every())]
    preview_every: Option<u32>,

    /// Draw how the loss fell, in NAME.svg
    #[arg(long)]
    curve: bool,

    /// Print one JSON object per event, one a line, on standard output, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,

    /// Show it on a web page too, while it lasts, at ADDRESS:PORT of this machine [default:
    /// 127.0.0.1:8780]
    ///
    /// Afterwards `stylefleet dashboard --folder DIR` shows the same.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = dashboard::ADDRESS,
        help_heading = WHOLE
    )]
    dashboard: Option<SocketAddr>,
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no folder to write into.
    #[error("cannot write into {}: {source}: choose another folder with --out", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another run uses the folder.
    #[error(
        "another stylefleet run is using {}: wait for its end, or choose another folder with --out",
        .0.display()
    )]
    Busy(PathBuf),
}

/// Runs the command.
pub async fn run<O: Order>(
    args: RunArgs<O>,
    settings: &Settings,
    build: Build,
    signals: &mut Signals,
) -> Result<Ending, CommandError> {
    let buckets = Buckets::new(settings.s3());
    let mut plan = args.order.plan(&buckets).await?;
    let machine = args.machine.over(plan.machine());
    let max_pixels = machine.max_pixels();
    let out = match machine.out {
        Some(out) => plan.folder(on_this_machine(out)?)?,
        None => OUT.into(),
    };
    let assembly = plan.assembly();
    let folder = out.join(STORE);
    let _lock = lock(&folder)?;
    let asked = plan.results();
    let store: Arc<dyn Store> = Arc::new(FolderStore::new(&folder));
    let mut reporter = Reporter::new(asked, output::open(args.json, asked));
    let outputs = OutputFolder::new(out, store.clone(), args.curve);
    let devices = machine.device.unwrap_or(Devices::Auto);
    let launch = Launch {
        program: settings.worker(),
        store: folder,
        threads: machine.threads.or_else(|| devices.threads_each()),
        max_pixels,
        memory: machine.memory,
        shows_log: settings.wants_log(),
    };

    let uploader = Uploader::new(store.clone(), buckets, true);
    let preview_every = args.preview_every.unwrap_or(0);
    let prepared = tokio::select! {
        prepared = prepare(plan, &uploader, preview_every, &store, &mut reporter) => Some(prepared),
        () = signals.recv() => None,
    };
    let (jobs, entries) = match prepared {
        Some(Ok(prepared)) => prepared,
        Some(Err(error)) => {
            reporter.close();
            return Err(error);
        }
        // It was asked to stop before anything began.
        None => return Ok(Ending::of(&reporter.close())),
    };
    let broker = MemoryBroker::default();
    let notifications = broker.follow(UNIX_EPOCH).await?;
    let ids = entries.iter().map(|entry| entry.job);
    let follower = Follower::of_own_workers(notifications, ids, store.clone());
    let outputs = assembly.is_none().then_some(outputs);
    let mut presenter = Presenter::new(follower, reporter, &entries, store.clone(), outputs);
    let results = store.clone();
    let context = Context {
        launch,
        broker,
        store,
        drain: CancellationToken::new(),
    };
    let page = match args.dashboard {
        Some(address) => Some(dashboard::open_local(address, settings, build, &context).await?),
        None => None,
    };
    if let Some(url) = page.as_ref().map(|page| page.url()).transpose()? {
        presenter.reporter.remark(&format!("it is shown at {url}"));
    }
    let work = local::work(&jobs, &devices, context, &mut presenter, signals);
    let outcome = dashboard::beside(page, work).await?;
    let mut assembled = Ok(());
    if let Some(assembly) = assembly {
        let reporter = &mut presenter.reporter;
        if outcome.is_ok() && Ending::of(&reporter.tally()) == Ending::AllDone {
            let made = assembly.assemble(results, entries).await;
            assembled = made.map(|made| reporter.report(&made.news()));
        }
    }
    let tally = presenter.reporter.close();
    outcome?;
    assembled?;
    Ok(Ending::of(&tally))
}

/// Brings the inputs into the store. Returns the jobs that are to be done, and the results that all
/// jobs make.
async fn prepare(
    plan: impl Plan,
    uploader: &Uploader,
    preview_every: u32,
    store: &Arc<dyn Store>,
    reporter: &mut Reporter,
) -> Result<(Vec<Job>, Vec<ManifestEntry>), CommandError> {
    let requests = plan.requests(uploader, reporter).await?;
    let ordered = Ordered::new(requests, Title::Derived("run")).map_err(OrderError::from)?;
    let Ordered { jobs, manifest } = ordered;
    let entries = manifest.jobs.clone();
    batch::record(&**store, manifest, &batch::new_submit()).await?;

    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let ends = state::ends(&**store, &ids).await?;
    let trace = stylefleet_telemetry::current();
    let mut open = Vec::new();
    for mut job in jobs {
        if ends.get(&job.id) != Some(&End::Done) {
            // What an earlier run gave up is wanted again.
            state::revive(&**store, &job.id).await?;
            job.preview_every = preview_every;
            job.trace = trace.clone();
            open.push(job);
        }
    }
    Ok((open, entries))
}

/// Claims the store's folder until the file returned is dropped.
fn lock(folder: &Path) -> Result<File, RunError> {
    let denied = |source| RunError::Folder {
        path: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(denied)?;
    let file = File::create(folder.join(LOCK)).map_err(denied)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::Busy(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(denied(source)),
    }
}

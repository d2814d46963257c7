//! `stylefleet run`: everything on this machine, with a folder as the store.

use std::fs::{File, TryLockError};
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytesize::ByteSize;
use stylefleet_fleet::batch;
use stylefleet_fleet::follow::Follower;
use stylefleet_fleet::state::{self, End};
use stylefleet_proto::{Job, ManifestEntry};
use stylefleet_transport::broker::{DispatcherEnd, MemoryBroker};
use stylefleet_transport::store::{FolderStore, Store};
use tokio_util::sync::CancellationToken;

use crate::asking::expand::Listings;
use crate::asking::intake::{Porter, Title};
use crate::asking::options::{Options, WHOLE};
use crate::asking::plan::{Asked, Plan};
use crate::asking::values::{Devices, preview_every};
use crate::commands::{CommandError, Ending};
use crate::config::Settings;
use crate::follow::Presenter;
use crate::local::{self, Context, Launch};
use crate::output;
use crate::output_folder::OutputFolder;
use crate::reporter::Reporter;
use crate::signals::Signals;

/// The store's folder, in the folder of pictures.
const STORE: &str = ".stylefleet";
/// What a run holds on to, in the store's folder.
const LOCK: &str = "lock";

/// Arguments of `stylefleet run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub options: Options,

    #[command(flatten)]
    pub machine: Machine,

    /// Take contents, styles and options from a batch file, described below
    ///
    /// Options on the command line win over the file's defaults, a job's own win over both.
    #[arg(long, value_name = "batch.toml")]
    pub file: Option<PathBuf>,

    /// Show how a job looks after every N steps, as a picture in NAME.previews
    #[arg(long, alias = "save-iter", value_name = "N", value_parser = preview_every())]
    pub preview_every: Option<u32>,

    /// Draw how the loss fell, in NAME.svg
    #[arg(long)]
    pub curve: bool,

    /// Print one JSON object per event, one a line, on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// What only a run on this machine can be told.
#[derive(Debug, clap::Args)]
pub struct Machine {
    /// Folder for the results, made if need be; its .stylefleet holds the store [default: out]
    ///
    /// One run at a time may use a folder.
    #[arg(long, aliases = ["output", "output-image"], value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Where to compute: auto, cpu, cuda, or cuda:N[,cuda:M...] [default: auto]
    ///
    /// auto: every CUDA device, or the CPU where there is none. cuda: the first. A worker is
    /// started for each device listed; a CUDA device that is not there is an error.
    #[arg(long, value_name = "D", help_heading = WHOLE)]
    pub device: Option<Devices>,

    /// CPU threads of each worker, 1 or more [default: the cores, shared evenly]
    #[arg(long, value_name = "N", help_heading = WHOLE)]
    pub threads: Option<NonZero<u32>>,

    /// Memory that each worker's job may take, to about a tenth, such as 4GiB [default: most of the
    /// machine's, all of a GPU's]
    ///
    /// Larger pictures go through the network in tiles: more slowly, to the same end.
    #[arg(long, value_name = "SIZE", help_heading = WHOLE)]
    pub memory: Option<ByteSize>,
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
pub async fn run(
    args: RunArgs,
    settings: &Settings,
    signals: &mut Signals,
) -> Result<Ending, CommandError> {
    let options = Options {
        out: args.machine.out,
        device: args.machine.device,
        threads: args.machine.threads,
        memory: args.machine.memory,
        ..args.options
    };
    let asked = Asked::read(options, args.file.as_deref())?;
    let plan = Plan::new(asked, &Listings::new())?;
    let folder = plan.out.join(STORE);
    let _lock = lock(&folder)?;
    let asked = plan.pictures.len() + plan.absent.len();
    let store: Arc<dyn Store> = Arc::new(FolderStore::new(&folder));
    let mut reporter = Reporter::new(asked, output::open(args.json, asked));
    let outputs = OutputFolder::new(plan.out.clone(), store.clone(), args.curve);
    let devices = plan.devices.clone();
    let launch = Launch {
        program: settings.worker(),
        store: folder,
        threads: plan.threads.or_else(|| plan.devices.threads_each()),
        max_pixels: plan.max_pixels,
        memory: plan.memory,
        shows_log: settings.wants_log(),
    };

    let preview_every = args.preview_every.unwrap_or(0);
    let prepared = tokio::select! {
        prepared = prepare(plan, preview_every, &store, &mut reporter) => Some(prepared),
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
    let mut presenter = Presenter::new(follower, reporter, &entries, store.clone(), Some(outputs));
    let context = Context {
        launch,
        broker,
        store,
        drain: CancellationToken::new(),
    };
    let outcome = local::work(&jobs, &devices, context, &mut presenter, signals).await;
    let tally = presenter.reporter.close();
    outcome?;
    Ok(Ending::of(&tally))
}

/// Brings the pictures into the store. Returns the jobs that are to be done, and the pictures that
/// all jobs make.
async fn prepare(
    plan: Plan,
    preview_every: u32,
    store: &Arc<dyn Store>,
    reporter: &mut Reporter,
) -> Result<(Vec<Job>, Vec<ManifestEntry>), CommandError> {
    for (content, files) in &plan.passed_over {
        reporter.pass_over(content, files);
    }
    for (content, reason) in &plan.absent {
        let name = content.to_string_lossy();
        reporter.refuse(&name, &reason.to_string());
    }
    let porter = Porter {
        store: store.clone(),
        remotes: None,
        max_pixels: plan.max_pixels,
        compare: true,
    };
    let intake = porter.take_in(plan.pictures, Title::Derived("run")).await?;
    for (name, refusal) in &intake.refused {
        reporter.refuse(name.as_ref(), &refusal.to_string());
    }
    let entries = intake.manifest.jobs.clone();
    batch::record(&**store, intake.manifest, &batch::new_submit()).await?;

    let ids: Vec<_> = intake.jobs.iter().map(|job| job.id).collect();
    let ends = state::ends(&**store, &ids).await?;
    let mut open = Vec::new();
    for mut job in intake.jobs {
        if ends.get(&job.id) != Some(&End::Done) {
            // What an earlier run gave up is wanted again.
            state::revive(&**store, &job.id).await?;
            job.preview_every = preview_every;
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

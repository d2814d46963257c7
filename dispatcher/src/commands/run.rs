//! `stylefleet run`: everything on this machine, with a folder as the store.

use std::fs::{File, TryLockError};
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytesize::ByteSize;
use stylefleet_transport::store::{FolderStore, Store};

use crate::asking::expand::Listings;
use crate::asking::intake::{Porter, Title};
use crate::asking::options::{Options, WHOLE};
use crate::asking::plan::{Asked, Plan};
use crate::asking::values::{Devices, preview_every};
use crate::batch;
use crate::board::Board;
use crate::commands::{CommandError, Ending};
use crate::config::Settings;
use crate::local::desk::Desk;
use crate::local::{Launch, dispatch};
use crate::output;
use crate::picture_folder::PictureFolder;
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

    /// Show the picture as it is after every N evaluations, over all scales: in
    /// NAME.previews
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
    /// Folder for the pictures, made if need be; its .stylefleet holds the store [default: out]
    ///
    /// One run at a time may use a folder.
    #[arg(long, aliases = ["output", "output-image"], value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Where to compute: auto, cpu, or cuda:N[,cuda:M...] [default: auto]
    ///
    /// auto: every CUDA device, or the CPU where there is none. A worker is started for each
    /// device listed; a CUDA device that is not there is an error.
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

/// Does what is asked.
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
    let board = Board::new(asked, output::open(args.json, asked));
    let folder_of_pictures = PictureFolder::new(plan.out.clone(), store.clone(), args.curve);
    let mut desk = Desk::open(board, folder_of_pictures, store.clone());
    let launch = Launch {
        program: settings.worker(),
        store: folder,
        threads: plan.threads.or_else(|| plan.devices.threads_each()),
        max_pixels: plan.max_pixels,
        memory: plan.memory,
    };

    let preview_every = args.preview_every.unwrap_or(0);
    let outcome = work(plan, preview_every, launch, store, &mut desk, signals).await;
    let tally = desk.close();
    outcome?;
    Ok(Ending::of(&tally))
}

async fn work(
    plan: Plan,
    preview_every: u32,
    launch: Launch,
    store: Arc<dyn Store>,
    desk: &mut Desk,
    signals: &mut Signals,
) -> Result<(), CommandError> {
    desk.board.pass_over(&plan.passed_over);
    for (content, reason) in &plan.absent {
        let name = content.to_string_lossy();
        desk.board.refuse(&name, &reason.to_string());
    }
    // The jobs left, once the pictures are taken in and those that earlier runs made handed over.
    let prepare = async {
        let porter = Porter {
            store: store.clone(),
            remotes: None,
            max_pixels: plan.max_pixels,
            compare: true,
        };
        let title = Title::Derived("run");
        let mut intake = porter.take_in(plan.pictures, title).await?;
        for job in &mut intake.jobs {
            job.preview_every = preview_every;
        }
        for (name, refusal) in &intake.refused {
            desk.board.refuse(name.as_ref(), &refusal.to_string());
        }
        desk.board.expect(intake.manifest.jobs.iter().cloned());
        batch::record(&*store, intake.manifest, &batch::new_submit()).await?;
        Ok::<_, CommandError>(desk.keep_done(intake.jobs).await?)
    };
    let prepared = tokio::select! {
        jobs = prepare => Some(jobs?),
        () = signals.recv() => None,
    };
    match prepared {
        Some(jobs) if !jobs.is_empty() => {
            Ok(dispatch::work(jobs, &plan.devices, launch, desk, signals).await?)
        }
        // All is done, or it was asked to stop before anything began.
        Some(_) | None => Ok(()),
    }
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

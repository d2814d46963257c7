//! `stylefleet run`: everything on this machine, with a folder as the store.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use stylefleet_proto::Job;
use stylefleet_transport::store::{FolderStore, StoreError};

use crate::config::Settings;
use crate::desk::Desk;
use crate::dispatch::{self, DispatchError};
use crate::gallery::Gallery;
use crate::intake::{self, IntakeError};
use crate::output;
use crate::plan::{Picture, Plan};
use crate::signals::Signals;
use crate::worker::Launch;

/// The store's folder, in the folder of pictures.
const STORE: &str = ".stylefleet";
/// What a run holds on to, in the store's folder.
const LOCK: &str = "lock";

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every picture is there.
    AllDone,
    /// Some pictures could not be made.
    SomeFailed,
    /// It was asked to stop.
    Interrupted,
}

/// Why a run cannot go on.
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
        "another stylefleet run is using {}: wait for its end, or choose another folder with --out", .0.display()
    )]
    Busy(PathBuf),
    /// Signals cannot be caught.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// The pictures cannot be taken in.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// Finished pictures cannot be handed over.
    #[error(transparent)]
    Store(StoreError),
    /// The work cannot go on.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
}

/// Does what is planned.
pub async fn run(plan: Plan, json: bool, settings: &Settings) -> Result<Ending, RunError> {
    let mut signals = Signals::listen().map_err(RunError::Signals)?;
    let folder = plan.out.join(STORE);
    let _lock = lock(&folder)?;
    let asked = plan.pictures.len() + plan.absent.len();
    let store = FolderStore::new(&folder);
    let gallery = Gallery::new(plan.out.clone(), store.clone());
    let mut desk = Desk::open(asked, store, gallery, output::open(json, asked));
    let launch = Launch {
        program: settings.worker(),
        store: folder,
        threads: plan.threads.or_else(|| plan.devices.threads_each()),
        max_pixels: plan.max_pixels,
    };

    let outcome = work(plan, launch, &mut desk, &mut signals).await;
    let tally = desk.close();
    outcome?;
    Ok(if tally.unfinished() > 0 {
        Ending::Interrupted
    } else if tally.failed > 0 {
        Ending::SomeFailed
    } else {
        Ending::AllDone
    })
}

async fn work(
    plan: Plan,
    launch: Launch,
    desk: &mut Desk,
    signals: &mut Signals,
) -> Result<(), RunError> {
    for (content, reason) in &plan.absent {
        desk.refuse(&content.to_string_lossy(), &reason.to_string());
    }
    let prepared = tokio::select! {
        jobs = prepare(plan.pictures, plan.max_pixels, &launch.store, desk) => Some(jobs?),
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

/// Takes the pictures in and hands over those that earlier runs made. Returns the jobs left.
async fn prepare(
    pictures: Vec<Picture>,
    max_pixels: u64,
    store: &Path,
    desk: &mut Desk,
) -> Result<Vec<Job>, RunError> {
    let intake = intake::take_in(pictures, max_pixels, &FolderStore::new(store)).await?;
    for (name, refusal) in &intake.refused {
        desk.refuse(name.as_ref(), &refusal.to_string());
    }
    desk.expect(intake.commissions);
    desk.keep_done(intake.jobs).await.map_err(RunError::Store)
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

//! `stylefleet fetch`: pictures and their stories from the store into a folder. Asks no broker.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use stylefleet_fleet::batch::Batch;
use stylefleet_fleet::state::{self, State};
use stylefleet_proto::{BatchId, JobId, ManifestEntry};
use stylefleet_transport::store::Store;

use crate::commands::{CommandError, Ending, open_store};
use crate::config::Settings;
use crate::output::{self, Line, left_as_it_is};
use crate::picture_folder::{FolderError, PictureFolder, Saved};

/// Pictures that are fetched at once.
const AT_ONCE: usize = 8;

/// Arguments of `stylefleet fetch`.
#[derive(Debug, clap::Args)]
pub struct FetchArgs {
    /// The batch
    pub batch: BatchId,

    /// Folder for the pictures, made if need be
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    #[command(flatten)]
    pub extras: Extras,

    /// Print one JSON document: the pictures fetched, kept and missing
    #[arg(long)]
    pub json: bool,
}

/// What is fetched beside the pictures.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Extras {
    /// The progress pictures too, in NAME.previews, those of unfinished jobs included
    #[arg(long)]
    pub previews: bool,

    /// A chart of how the loss fell too, in NAME.svg
    #[arg(long)]
    pub curve: bool,
}

/// What was fetched, in the order of the batch.
#[derive(Debug, Serialize)]
pub struct Fetched {
    batch: BatchId,
    /// Pictures that were brought.
    fetched: usize,
    /// Pictures that were in the folder already.
    kept: usize,
    /// Pictures that cannot be had, or not yet.
    missing: usize,
    pictures: Vec<Picture>,
}

#[derive(Debug, Serialize)]
struct Picture {
    job: JobId,
    name: String,
    state: State,
    /// Absent where there is no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// Whether the file was there before.
    kept: bool,
    /// Files of the job that were changed since they were made, and left as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<PathBuf>,
    /// Why a finished picture cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Runs the command.
pub async fn run(args: FetchArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let fetched = fetch(store, &args.batch, &args.out, args.extras).await?;
    output::answer(&fetched, args.json, Fetched::print);
    Ok(fetched.ending())
}

/// Fetches what there is of a batch.
pub async fn fetch(
    store: Arc<dyn Store>,
    batch: &BatchId,
    folder: &Path,
    extras: Extras,
) -> Result<Fetched, CommandError> {
    let batch = Batch::open(&*store, batch).await?;
    let folder = PictureFolder::new(folder.to_owned(), store.clone(), extras.curve);
    let mut pictures: Vec<_> = stream::iter(&batch.manifest.jobs)
        .map(|entry| picture(&*store, &folder, entry))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let absent = pictures
        .iter_mut()
        .filter(|p| p.file.is_none() && p.reason.is_none());
    let mut absent: Vec<_> = absent.collect();
    let accepted = |job| (job, Some(batch.has_accepted(&job)));
    let jobs: Vec<_> = absent.iter().map(|picture| accepted(picture.job)).collect();
    let states = state::of_all(&*store, &jobs).await?;
    absent
        .iter_mut()
        .zip(states)
        .for_each(|(picture, state)| picture.state = state);
    if extras.previews {
        stream::iter(batch.manifest.jobs.iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, |entry| folder.save_previews(entry))
            .await?;
    }
    let there = pictures.iter().filter(|picture| picture.file.is_some());
    let (kept, fetched): (Vec<_>, Vec<_>) = there.partition(|picture| picture.kept);
    Ok(Fetched {
        fetched: fetched.len(),
        kept: kept.len(),
        missing: pictures.len() - fetched.len() - kept.len(),
        batch: batch.manifest.batch,
        pictures,
    })
}

/// Brings a picture, if the job is done.
async fn picture(
    store: &dyn Store,
    folder: &PictureFolder,
    entry: &ManifestEntry,
) -> Result<Picture, CommandError> {
    let mut picture = Picture {
        job: entry.job,
        name: entry.name.to_string(),
        state: State::Done,
        file: None,
        kept: false,
        changed: Vec::new(),
        reason: None,
    };
    match save(store, folder, entry).await {
        Ok(Some(saved)) => {
            picture.file = Some(saved.path);
            picture.kept = saved.kept;
            picture.changed = saved.changed;
        }
        Ok(None) => {}
        Err(error) => picture.reason = Some(error.into_reason()?),
    }
    Ok(picture)
}

async fn save(
    store: &dyn Store,
    folder: &PictureFolder,
    entry: &ManifestEntry,
) -> Result<Option<Saved>, FolderError> {
    match state::record(store, &entry.job).await? {
        Some(record) => Ok(Some(folder.save(entry, &record).await?)),
        None => Ok(None),
    }
}

impl Fetched {
    /// Whether all is there.
    pub fn ending(&self) -> Ending {
        if self.missing == 0 {
            Ending::AllDone
        } else {
            Ending::SomeFailed
        }
    }

    /// Says what was fetched, and what was not.
    pub fn print(&self) {
        for picture in &self.pictures {
            for file in &picture.changed {
                let text = left_as_it_is(file);
                Line::Remark(format!("note     {}: {text}", picture.name)).print();
            }
            let line = match (&picture.file, &picture.reason) {
                (Some(file), _) => {
                    let word = if picture.kept { "kept   " } else { "fetched" };
                    Line::Result(format!("{word}  {}", file.display()))
                }
                (None, Some(reason)) => {
                    Line::Remark(format!("missing  {}: {reason}", picture.name))
                }
                (None, None) => {
                    let state = picture.state.word();
                    Line::Remark(format!("missing  {}: it is {state}", picture.name))
                }
            };
            line.print();
        }
        Line::Remark(format!(
            "{} fetched, {} kept, {} missing",
            self.fetched, self.kept, self.missing
        ))
        .print();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use stylefleet_fleet::documents;
    use stylefleet_model::stylize::Preset;
    use stylefleet_proto::{Accepted, Manifest, SubmitId, keys};
    use stylefleet_transport::store::MemoryStore;

    use super::*;
    use crate::samples::record;

    const PICTURE: &[u8] = b"a picture";

    #[tokio::test]
    async fn fetches_what_is_new_and_says_what_is_missing() {
        let store = Arc::new(MemoryStore::default());
        let folder = tempfile::tempdir().expect("a folder");
        let job = |number: u8| format!("{number:064x}").parse().expect("an id");
        let entry = |number, name: &str| ManifestEntry {
            job: job(number),
            name: name.parse().expect("a name"),
            preset: Preset::Studio,
        };
        let batch: BatchId = "b".parse().expect("a name");
        let manifest = Manifest {
            batch: batch.clone(),
            jobs: vec![entry(1, "a"), entry(2, "b"), entry(3, "c"), entry(4, "d")],
            unix_seconds: 1,
        };
        let accepted = Accepted {
            jobs: [job(1), job(2), job(3)].into(),
        };
        let done = |number| (keys::result(&job(number)), record(job(number), PICTURE));
        for (key, record) in [done(1), done(2)] {
            let written = documents::write(&*store, &key, &record).await;
            written.expect("writes");
        }
        let submit = SubmitId {
            unix_millis: 1,
            random: 1,
        };
        let written = documents::write(&*store, &keys::manifest(&batch, &submit), &manifest).await;
        written.expect("writes");
        let written = documents::write(&*store, &keys::accepted(&batch, &submit), &accepted).await;
        written.expect("writes");
        let put = store
            .put(
                &record(job(1), PICTURE).picture,
                Bytes::from_static(PICTURE),
            )
            .await;
        put.expect("writes");

        for (fetched, kept) in [(1, 0), (0, 1)] {
            let outcome = fetch(store.clone(), &batch, folder.path(), Extras::default()).await;
            let outcome = outcome.expect("fetches");
            assert_eq!((outcome.fetched, outcome.kept), (fetched, kept));
            assert_eq!(outcome.missing, 3);
            assert_eq!(outcome.ending(), Ending::SomeFailed);
            let states: Vec<_> = outcome.pictures.iter().map(|p| p.state).collect();
            let (waiting, lost) = (State::Waiting, State::NotAccepted);
            assert_eq!(states, [State::Done, State::Done, waiting, lost]);
            let reason = outcome.pictures[1].reason.as_deref();
            assert!(reason.is_some_and(|r| r.contains("missing in the store")));
        }
        let file = folder.path().join("a.png");
        assert_eq!(std::fs::read(file).expect("reads"), PICTURE);
        let story = std::fs::read(folder.path().join("a.json")).expect("reads");
        let story: serde_json::Value = serde_json::from_slice(&story).expect("JSON");
        assert_eq!(story["preset"], "studio");
    }
}

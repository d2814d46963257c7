//! `stylefleet fetch`: what jobs made, and their records, from the store into a folder. Asks no
//! broker.

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
use crate::order::on_this_machine;
use crate::output::{self, Files, Line, left_as_it_is};
use crate::output_folder::{FolderError, OutputFolder, Saved};

/// Results that are fetched at once.
const AT_ONCE: usize = 8;

/// Arguments of `stylefleet fetch`.
#[derive(Debug, clap::Args)]
pub struct FetchArgs {
    /// The batch
    pub batch: BatchId,

    /// Folder for the results, made if need be
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    #[command(flatten)]
    pub extras: Extras,

    /// Print one JSON document: the results fetched, kept and missing
    #[arg(long)]
    pub json: bool,
}

/// What is fetched beside the results.
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
    /// Results that were brought.
    fetched: usize,
    /// Results that were in the folder already.
    kept: usize,
    /// Results that cannot be had, or not yet.
    missing: usize,
    results: Vec<FetchedResult>,
}

#[derive(Debug, Serialize)]
struct FetchedResult {
    job: JobId,
    name: String,
    state: State,
    /// None where there is no result.
    #[serde(flatten)]
    files: Files,
    /// Whether the files were there before.
    kept: bool,
    /// Files of the job that were changed since they were made, and left as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<PathBuf>,
    /// Why a finished result cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Runs the command.
pub async fn run(args: FetchArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let out = on_this_machine(args.out)?;
    let store = open_store(settings).await?;
    let fetched = fetch(store, &args.batch, &out, args.extras).await?;
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
    let folder = OutputFolder::new(folder.to_owned(), store.clone(), extras.curve);
    let mut results: Vec<_> = stream::iter(&batch.manifest.jobs)
        .map(|entry| result(&*store, &folder, entry))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let absent = results
        .iter_mut()
        .filter(|result| !result.is_there() && result.reason.is_none());
    let mut absent: Vec<_> = absent.collect();
    let accepted = |job| (job, Some(batch.has_accepted(&job)));
    let jobs: Vec<_> = absent.iter().map(|result| accepted(result.job)).collect();
    let states = state::of_all(&*store, &jobs).await?;
    absent
        .iter_mut()
        .zip(states)
        .for_each(|(result, state)| result.state = state);
    if extras.previews {
        stream::iter(batch.manifest.jobs.iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, |entry| folder.save_previews(entry))
            .await?;
    }
    let there = results.iter().filter(|result| result.is_there());
    let (kept, fetched): (Vec<_>, Vec<_>) = there.partition(|result| result.kept);
    Ok(Fetched {
        fetched: fetched.len(),
        kept: kept.len(),
        missing: results.len() - fetched.len() - kept.len(),
        batch: batch.manifest.batch,
        results,
    })
}

/// Brings a result, if the job is done.
async fn result(
    store: &dyn Store,
    folder: &OutputFolder,
    entry: &ManifestEntry,
) -> Result<FetchedResult, CommandError> {
    let mut result = FetchedResult {
        job: entry.job,
        name: entry.name.to_string(),
        state: State::Done,
        files: Files::default(),
        kept: false,
        changed: Vec::new(),
        reason: None,
    };
    match save(store, folder, entry).await {
        Ok(Some(saved)) => {
            result.files = Files(saved.files);
            result.kept = saved.kept;
            result.changed = saved.changed;
        }
        Ok(None) => {}
        Err(error) => result.reason = Some(error.into_reason()?),
    }
    Ok(result)
}

async fn save(
    store: &dyn Store,
    folder: &OutputFolder,
    entry: &ManifestEntry,
) -> Result<Option<Saved>, FolderError> {
    match state::record(store, &entry.job).await? {
        Some(record) => Ok(Some(folder.save(entry, &record).await?)),
        None => Ok(None),
    }
}

impl FetchedResult {
    fn is_there(&self) -> bool {
        !self.files.0.is_empty()
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
        for result in &self.results {
            for file in &result.changed {
                let text = left_as_it_is(file);
                Line::Remark(format!("note     {}: {text}", result.name)).print();
            }
            let line = if result.is_there() {
                let word = if result.kept { "kept   " } else { "fetched" };
                Line::Result(format!("{word}  {}", result.files.main().display()))
            } else if let Some(reason) = &result.reason {
                Line::Remark(format!("missing  {}: {reason}", result.name))
            } else {
                let state = result.state.word();
                Line::Remark(format!("missing  {}: it is {state}", result.name))
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
    use stylefleet_proto::testing::record;
    use stylefleet_proto::{Accepted, Labels, Manifest, SubmitId, keys};
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    const PICTURE: &[u8] = b"a picture";

    #[tokio::test]
    async fn fetches_what_is_new_and_says_what_is_missing() {
        let store = Arc::new(MemoryStore::default());
        let folder = tempfile::tempdir().expect("a folder");
        let job = |number: u8| format!("{number:064x}").parse().expect("an id");
        let entry = |number, name: &str| ManifestEntry {
            job: job(number),
            name: name.parse().expect("a name"),
            kind: None,
            labels: Labels::default().with("preset", "studio"),
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
        let output = &record(job(1), PICTURE).outputs[0];
        let put = store.put(&output.key, Bytes::from_static(PICTURE)).await;
        put.expect("writes");

        for (fetched, kept) in [(1, 0), (0, 1)] {
            let outcome = fetch(store.clone(), &batch, folder.path(), Extras::default()).await;
            let outcome = outcome.expect("fetches");
            assert_eq!((outcome.fetched, outcome.kept), (fetched, kept));
            assert_eq!(outcome.missing, 3);
            assert_eq!(outcome.ending(), Ending::SomeFailed);
            let states: Vec<_> = outcome.results.iter().map(|result| result.state).collect();
            let (waiting, lost) = (State::Waiting, State::NotAccepted);
            assert_eq!(states, [State::Done, State::Done, waiting, lost]);
            let reason = outcome.results[1].reason.as_deref();
            assert!(reason.is_some_and(|r| r.contains("missing in the store")));
        }
        let file = folder.path().join("a.png");
        assert_eq!(std::fs::read(file).expect("reads"), PICTURE);
        let story = std::fs::read(folder.path().join("a.json")).expect("reads");
        let story: serde_json::Value = serde_json::from_slice(&story).expect("JSON");
        assert_eq!(story["labels"]["preset"], "studio");
    }
}

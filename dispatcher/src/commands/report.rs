//! `stylefleet report`: one HTML file about a batch, or about what `run` made.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytesize::ByteSize;
use stylefleet_fleet::batch::{self, Batch};
use stylefleet_proto::BatchId;
use stylefleet_transport::store::{FolderStore, Store};

use crate::commands::run::STORE;
use crate::commands::{CommandError, Ending, open_store};
use crate::config::Settings;
use crate::output::{self, Line};
use crate::report::originals::Originals;
use crate::report::{self, ReportError, Subject, Written};

/// Arguments of `stylefleet report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// The batch
    #[arg(required_unless_present = "folder", conflicts_with = "folder")]
    pub batch: Option<BatchId>,

    /// Report on what `run`, `train` or `apply` made in DIR instead; needs no store
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,

    /// The file, written over if it is a report
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,

    /// Link results to the files that `fetch` left in DIR, rather than to their places in the store
    #[arg(long, value_name = "DIR", conflicts_with = "folder")]
    pub link_originals: Option<PathBuf>,

    /// Print one JSON document: the report's file, its size, and how much it shows
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub async fn run(args: ReportArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let folder = args.folder.as_ref().or(args.link_originals.as_ref());
    let originals = folder.map(|folder| Originals::find(folder, &args.out));
    let originals = originals.transpose()?.unwrap_or_default();
    let (store, subject): (Arc<dyn Store>, _) = match (&args.folder, &args.batch) {
        (Some(folder), _) => {
            let store = FolderStore::new(folder.join(STORE));
            let subject = of_folder(&store, folder).await?;
            (Arc::new(store), subject)
        }
        (None, Some(batch)) => {
            let store = open_store(settings).await?;
            let batch = Batch::open(&*store, batch).await?;
            (store, of_batch(batch))
        }
        // The command line is not like that.
        (None, None) => return Ok(Ending::SomeFailed),
    };
    let written = report::write(store, subject, &originals, &args.out).await?;
    output::answer(&written, args.json, print);
    Ok(Ending::AllDone)
}

fn of_batch(batch: Batch) -> Subject {
    let Batch { manifest, accepted } = batch;
    let entry = |entry: stylefleet_proto::ManifestEntry| {
        let is_accepted = accepted.jobs.contains(&entry.job);
        (entry, Some(is_accepted))
    };
    Subject {
        title: manifest.batch.to_string(),
        unix_seconds: manifest.unix_seconds,
        entries: manifest.jobs.into_iter().map(entry).collect(),
    }
}

/// All that was ever asked for in a folder: each command there made a batch.
async fn of_folder(store: &FolderStore, folder: &Path) -> Result<Subject, CommandError> {
    let mut manifests = Vec::new();
    for (_, batch) in batch::all(store).await? {
        manifests.push(batch?.manifest);
    }
    if manifests.is_empty() {
        return Err(ReportError::Nothing(folder.to_owned()).into());
    }
    manifests.sort_by_key(|manifest| manifest.unix_seconds);
    let mut seen = HashSet::new();
    let unix_seconds = manifests[0].unix_seconds;
    let entries = manifests.into_iter().flat_map(|manifest| manifest.jobs);
    let new = entries.filter(|entry| seen.insert((entry.job, entry.name.clone())));
    Ok(Subject {
        title: folder.display().to_string(),
        unix_seconds,
        entries: new.map(|entry| (entry, None)).collect(),
    })
}

fn print(written: &Written) {
    Line::Result(written.file.display().to_string()).print();
    Line::Remark(format!(
        "{} results, {} pictures, {}",
        written.results,
        written.pictures,
        ByteSize(written.bytes as u64).display().si()
    ))
    .print();
}

//! A report: one HTML file about the results of a batch, which needs nothing else to be looked at.
//!
//! [`results`] reads what became of the jobs, [`album`] makes their pictures small enough,
//! [`originals`] says where the files are, and [`page`] puts it all into one file.

mod album;
mod document;
pub mod originals;
mod page;
mod results;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use stylefleet_fleet::documents::DocumentError;
use stylefleet_proto::ManifestEntry;
use stylefleet_transport::store::{FolderStore, Store, StoreError};

use album::Album;
use document::Document;
use originals::Originals;

/// What a report is about.
pub struct Subject {
    /// What it is called.
    pub title: String,
    /// When it was first submitted: seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
    /// Its results, each with whether the broker took its job, where that is known.
    pub entries: Vec<(ManifestEntry, Option<bool>)>,
}

/// A report that was written: the document of `--json`.
#[derive(Debug, Serialize)]
pub struct Written {
    /// Its file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: usize,
    /// Results that it shows.
    pub results: usize,
    /// Pictures in it, each counted once.
    pub pictures: usize,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A folder with results cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is nothing to report on.
    #[error("nothing was made in {}: name the folder that `run` wrote into", .0.display())]
    Nothing(PathBuf),
    /// The file is something else.
    #[error("{} is there and no report: name another file with --out", .0.display())]
    Taken(PathBuf),
    /// The file cannot be written.
    #[error("cannot write the report: {0}")]
    Write(StoreError),
    /// A picture could not be made small.
    #[error("a thumbnail was not finished: {0}")]
    Thumbnail(#[from] tokio::task::JoinError),
    /// The page cannot be put together.
    #[error("the report cannot be put together: {0}")]
    Page(#[from] serde_json::Error),
}

/// Writes a report to the file `out`, over an older report if there is one.
pub async fn write(
    store: Arc<dyn Store>,
    subject: Subject,
    originals: &Originals,
    out: &Path,
) -> Result<Written, ReportError> {
    if std::fs::read(out).is_ok_and(|file| !page::is_report(&file)) {
        return Err(ReportError::Taken(out.to_owned()));
    }
    let mut album = Album::default();
    let results = results::read(&*store, &subject.entries, originals, &mut album).await?;
    let document = Document {
        title: subject.title,
        version: env!("CARGO_PKG_VERSION"),
        submitted: subject.unix_seconds,
        made: stylefleet_fleet::clock::millis(std::time::SystemTime::now()) / 1000,
        results,
        pictures: album.develop(&store).await?,
    };
    let html = page::html(&document)?;
    let bytes = html.len();
    put(out, html).await?;
    Ok(Written {
        file: out.to_owned(),
        bytes,
        results: document.results.len(),
        pictures: document.pictures.len(),
    })
}

/// Writes the file all at once: who looks at an older report meanwhile goes on seeing that.
async fn put(out: &Path, html: String) -> Result<(), ReportError> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let folder = FolderStore::new(out.parent().unwrap_or(Path::new("")));
    let written = folder.put(&name, html.into()).await;
    written.map_err(ReportError::Write)
}

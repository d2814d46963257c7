//! The folder of outputs: copies of what jobs made, with their records beside them. Nothing of
//! another's is written over, nor what a person left there or changed.

mod names;
pub mod record_file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use stylefleet_fleet::documents::{self, DocumentError, damaged};
use stylefleet_proto::{Curve, JobId, Labels, ManifestEntry, Output, Record, Role, keys};
use stylefleet_transport::store::{FolderStore, Store, StoreError};
use tokio::sync::Mutex;

use crate::curve;

use names::Names;
use record_file::RecordFile;

/// What a folder of progress pictures ends in, after the result's name.
pub const PREVIEWS: &str = "previews";
/// The ending of a drawn curve.
const CHART: &str = "svg";
/// What follows a result's name in the files that belong to it, whatever the job makes.
const ENDINGS: [&str; 3] = [RecordFile::ENDING, CHART, PREVIEWS];

/// The folder that people look into.
pub struct OutputFolder {
    folder: PathBuf,
    /// The same folder; a store writes files all at once.
    files: FolderStore,
    names: Mutex<Names>,
    store: Arc<dyn Store>,
    /// Whether a curve is drawn, where there is one.
    curves: bool,
}

/// Why outputs are not in the folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A document of the store is no use.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The folder cannot be read or written.
    #[error(transparent)]
    Folder(StoreError),
    /// The store has the record of a job, but not what it made.
    #[error("{output} is missing in the store: remove {record} to have it made again")]
    Missing {
        /// Where the output should be.
        output: String,
        /// Where the job's record is.
        record: String,
    },
    /// The store has something else in the place of what a job made.
    #[error("{output} is not what the job made: remove {record} to have it made again")]
    Damaged {
        /// Where the output is.
        output: String,
        /// Where the job's record is.
        record: String,
    },
}

impl FolderError {
    /// The reason why one result is not to be had; trouble with store or folder concerns them
    /// all.
    pub fn into_reason(self) -> Result<String, Self> {
        match self {
            Self::Document(DocumentError::Store(_)) | Self::Folder(_) => Err(self),
            Self::Document(DocumentError::Damaged { .. })
            | Self::Missing { .. }
            | Self::Damaged { .. } => Ok(self.to_string()),
        }
    }
}

/// A result in the folder.
#[derive(Debug)]
pub struct Saved {
    /// The files of its outputs, the main one first.
    pub files: Vec<PathBuf>,
    /// Whether all were there before.
    pub kept: bool,
    /// Files of the same job that were changed since they were made, and left as they are.
    pub changed: Vec<PathBuf>,
}

/// `<name>.json` as long as there are no outputs: the name is taken.
#[derive(Serialize)]
struct Claim {
    job: JobId,
}

/// `<name>.json`, beside the outputs: what [`RecordFile`] reads.
#[derive(Serialize)]
struct WrittenRecord<'a> {
    /// The main output's file, beside this one.
    file: &'a str,
    /// The files of all outputs.
    files: BTreeMap<&'a Role, &'a str>,
    /// What else is known of how it was asked for.
    labels: &'a Labels,
    #[serde(flatten)]
    record: &'a Record,
}

/// What became of outputs under one name.
enum Put {
    Written,
    Kept,
    /// Other files are there, which are a person's.
    Refused(Vec<String>),
}

/// How files of the folder compare with the outputs that they should be.
#[derive(Default)]
struct Compared<'r> {
    /// Those that are to be written.
    missing: Vec<(String, &'r Output)>,
    /// Those that have what the job came to the last time.
    outdated: Vec<String>,
    /// Those that are a person's.
    foreign: Vec<String>,
}

/// The outputs of a job that people want as files, the main one first: all but a curve, which is
/// for drawing.
pub fn wanted(outputs: &[Output]) -> impl Iterator<Item = &Output> {
    let is_wanted =
        |&(index, output): &(usize, &Output)| index == 0 || output.role.as_ref() != Curve::ROLE;
    let outputs = outputs.iter().enumerate().filter(is_wanted);
    outputs.map(|(_, output)| output)
}

/// The same with the files that they get under a name: NAME.ENDING, and NAME.ROLE.ENDING beside
/// it.
fn files<'o>(name: &str, outputs: &'o [Output]) -> Vec<(String, &'o Output)> {
    let file = |(index, output): (usize, &'o Output)| {
        let ending = output.ending();
        let file = if index == 0 && !ENDINGS.contains(&ending) {
            format!("{name}.{ending}")
        } else {
            format!("{name}.{}.{ending}", output.role)
        };
        (file, output)
    };
    wanted(outputs).enumerate().map(file).collect()
}

impl OutputFolder {
    /// The outputs in `folder`, from `store`, with curves drawn if asked.
    pub fn new(folder: PathBuf, store: Arc<dyn Store>, curves: bool) -> Self {
        Self {
            files: FolderStore::new(&folder),
            names: Mutex::new(Names::new(folder.clone())),
            folder,
            store,
            curves,
        }
    }

    /// Puts the outputs of a job and its record into the folder, unless they are there.
    pub async fn save(&self, entry: &ManifestEntry, record: &Record) -> Result<Saved, FolderError> {
        let mut changed = Vec::new();
        let mut left = Vec::new();
        let (name, kept) = loop {
            let name = self.name(entry, &left, Some(record)).await?;
            match self.put_outputs(&name, entry, record).await? {
                Put::Written => break (name, false),
                Put::Kept => break (name, true),
                Put::Refused(files) => {
                    changed.extend(files);
                    left.push(name);
                }
            }
        };
        if self.curves {
            self.draw_curve(&name, record).await?;
        }
        let path = |file: &String| self.folder.join(file);
        let files = files(&name, &record.outputs);
        Ok(Saved {
            files: files.iter().map(|(file, _)| path(file)).collect(),
            kept,
            changed: changed.iter().map(path).collect(),
        })
    }

    /// Puts the picture of how a job looked after so many steps into the folder, if the store has
    /// it.
    pub async fn save_preview(
        &self,
        entry: &ManifestEntry,
        steps: u64,
    ) -> Result<Option<PathBuf>, FolderError> {
        let key = keys::preview(&entry.job, steps);
        let bytes = self.store.get(&key).await.map_err(DocumentError::from)?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let name = self.name(entry, &[], None).await?;
        // In a folder of their own, so that nobody takes them for contents.
        let file = format!("{name}.{PREVIEWS}/{steps:06}.jpg");
        self.put(&file, bytes).await?;
        Ok(Some(self.folder.join(file)))
    }

    /// Puts all progress pictures of a job into the folder.
    pub async fn save_previews(&self, entry: &ManifestEntry) -> Result<(), FolderError> {
        let folder = keys::previews(&entry.job);
        let keys = self.store.list(&folder).await;
        for key in keys.map_err(DocumentError::from)? {
            let file = key.strip_prefix(&folder).unwrap_or(&key);
            let steps = file.strip_suffix(".jpg").map(str::parse);
            // Whatever else lies there is not ours.
            if let Some(Ok(steps)) = steps {
                self.save_preview(entry, steps).await?;
            }
        }
        Ok(())
    }

    /// The name that is the result's in this folder, from now on at the latest. One of `left` will
    /// not do.
    async fn name(
        &self,
        entry: &ManifestEntry,
        left: &[String],
        record: Option<&Record>,
    ) -> Result<String, FolderError> {
        let claim = document(&Claim { job: entry.job });
        let claim = claim.map_err(|e| damaged(&self.files, entry.name.as_ref(), e))?;
        let mut names = self.names.lock().await;
        let name = names.find_or_take(entry, left, &claim, record).await;
        name.map_err(FolderError::Folder)
    }

    /// Puts outputs and their record under a name that is the job's. The record is written first:
    /// files without one would be taken for a person's.
    async fn put_outputs(
        &self,
        name: &str,
        entry: &ManifestEntry,
        record: &Record,
    ) -> Result<Put, FolderError> {
        let files = files(name, &record.outputs);
        let json = self.record_file(&files, entry, record)?;
        let record_file = format!("{name}.{}", RecordFile::ENDING);
        let recorded = self.get(&record_file).await?.unwrap_or_default();
        let was = RecordFile::parse(&recorded).map_or(Vec::new(), RecordFile::into_outputs);
        let compared = self.compare(files, self::files(name, &was)).await?;
        if !compared.foreign.is_empty() {
            return Ok(Put::Refused(compared.foreign));
        }
        // All of them, before anything is deleted.
        let mut fetched = Vec::new();
        for (file, output) in compared.missing {
            fetched.push((file, output, self.fetch(output, record).await?));
        }
        if !compared.outdated.is_empty() {
            self.delete(&format!("{name}.{CHART}")).await?;
        }
        for file in compared.outdated {
            self.delete(&file).await?;
        }
        if recorded != json {
            self.put(&record_file, json).await?;
        }
        self.put_fetched(fetched).await
    }

    /// Compares the files that there are with what they should be, and with what they `were` the
    /// last time.
    async fn compare<'r>(
        &self,
        files: Vec<(String, &'r Output)>,
        were: Vec<(String, &Output)>,
    ) -> Result<Compared<'r>, FolderError> {
        let mut were: BTreeMap<_, _> = were.into_iter().collect();
        let mut compared = Compared::default();
        for (file, output) in files {
            let was = were.remove(&file);
            match self.get(&file).await? {
                Some(bytes) if output.is(&bytes) => continue,
                Some(bytes) if was.is_some_and(|was| was.is(&bytes)) => {
                    compared.outdated.push(file.clone());
                }
                Some(_) => compared.foreign.push(file.clone()),
                None => {}
            }
            compared.missing.push((file, output));
        }
        // What the job no longer makes.
        for (file, was) in were {
            if self.get(&file).await?.is_some_and(|bytes| was.is(&bytes)) {
                compared.outdated.push(file);
            }
        }
        Ok(compared)
    }

    /// Writes files that were not there.
    async fn put_fetched(
        &self,
        fetched: Vec<(String, &Output, Bytes)>,
    ) -> Result<Put, FolderError> {
        let mut put = Put::Kept;
        let mut foreign = Vec::new();
        for (file, output, bytes) in fetched {
            if self.put_new(&file, bytes).await? {
                put = Put::Written;
                continue;
            }
            // Somebody was quicker: another command with the same output, or a person.
            let there = self.get(&file).await?;
            if !there.is_some_and(|bytes| output.is(&bytes)) {
                foreign.push(file);
            }
        }
        if foreign.is_empty() {
            Ok(put)
        } else {
            Ok(Put::Refused(foreign))
        }
    }

    /// The record beside these files.
    fn record_file(
        &self,
        files: &[(String, &Output)],
        entry: &ManifestEntry,
        record: &Record,
    ) -> Result<Bytes, FolderError> {
        let beside = |file: &String| file.rsplit('/').next().unwrap_or(file).to_owned();
        let named: Vec<_> = files
            .iter()
            .map(|(file, output)| (&output.role, beside(file)))
            .collect();
        let written = WrittenRecord {
            file: named.first().map_or("", |(_, file)| file),
            files: named
                .iter()
                .map(|(role, file)| (*role, file.as_str()))
                .collect(),
            labels: &entry.labels,
            record,
        };
        let result = keys::result(&record.job);
        Ok(document(&written).map_err(|e| damaged(&*self.store, &result, e))?)
    }

    /// An output, from the store.
    async fn fetch(&self, output: &Output, record: &Record) -> Result<Bytes, FolderError> {
        let bytes = self.store.get(&output.key).await;
        let bytes = bytes.map_err(DocumentError::from)?;
        let (key, result) = (&output.key, keys::result(&record.job));
        let (output_at, record) = (self.store.locate(key), self.store.locate(&result));
        match bytes {
            Some(bytes) if output.is(&bytes) => Ok(bytes),
            Some(_) => Err(FolderError::Damaged {
                output: output_at,
                record,
            }),
            None => Err(FolderError::Missing {
                output: output_at,
                record,
            }),
        }
    }

    /// Draws `<name>.svg`, if the store knows how the loss fell, unless it is there.
    async fn draw_curve(&self, name: &str, record: &Record) -> Result<(), FolderError> {
        let Some(Output { key, .. }) = record.output(Curve::ROLE) else {
            return Ok(());
        };
        let Some(curve) = documents::read(&*self.store, key).await? else {
            return Ok(());
        };
        let chart = curve::chart(name, &curve);
        let chart = chart.map_err(|e| damaged(&*self.store, key, e))?;
        if let Some(chart) = chart {
            self.put_new(&format!("{name}.{CHART}"), chart.into())
                .await?;
        }
        Ok(())
    }

    async fn delete(&self, file: &str) -> Result<(), FolderError> {
        let deleted = self.files.delete(file).await;
        deleted.map_err(FolderError::Folder)
    }

    async fn get(&self, file: &str) -> Result<Option<Bytes>, FolderError> {
        self.files.get(file).await.map_err(FolderError::Folder)
    }

    async fn put(&self, file: &str, bytes: Bytes) -> Result<(), FolderError> {
        let put = self.files.put(file, bytes).await;
        put.map_err(FolderError::Folder)
    }

    async fn put_new(&self, file: &str, bytes: Bytes) -> Result<bool, FolderError> {
        let put = self.files.put_new(file, bytes).await;
        put.map_err(FolderError::Folder)
    }
}

/// A JSON file's bytes.
fn document(document: &impl Serialize) -> serde_json::Result<Bytes> {
    let mut json = serde_json::to_vec_pretty(document)?;
    json.push(b'\n');
    Ok(json.into())
}

#[cfg(test)]
mod tests;

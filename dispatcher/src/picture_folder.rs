//! The folder of pictures: each a copy of what the store holds, with its record beside it. Nothing
//! of another job's is written over, nor what a person left there or changed.

mod places;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use stylefleet_fleet::documents::{self, DocumentError, damaged};
use stylefleet_model::Choice;
use stylefleet_proto::{Digest, JobId, ManifestEntry, Record, keys};
use stylefleet_transport::store::{FolderStore, Store, StoreError};
use tokio::sync::Mutex;

use crate::asking::PREVIEWS;
use crate::asking::record_file::RecordFile;
use crate::curve;

use places::Places;

/// The folder that people look into.
pub struct PictureFolder {
    folder: PathBuf,
    /// The same folder; a store writes files all at once.
    files: FolderStore,
    places: Mutex<Places>,
    store: Arc<dyn Store>,
    /// Whether every picture comes with the curve of its loss.
    curves: bool,
}

/// Why a picture is not in the folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A document of the store is no use.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The folder cannot be read or written.
    #[error(transparent)]
    Folder(StoreError),
    /// The store has the record of a picture, but not the picture.
    #[error("{picture} is missing in the store: remove {record} to have it made again")]
    Missing {
        /// Where the picture should be.
        picture: String,
        /// Where its record is.
        record: String,
    },
}

impl FolderError {
    /// The reason why one picture is not to be had; trouble with store or folder concerns them
    /// all.
    pub fn into_reason(self) -> Result<String, Self> {
        match self {
            Self::Document(DocumentError::Store(_)) | Self::Folder(_) => Err(self),
            Self::Document(DocumentError::Damaged { .. }) | Self::Missing { .. } => {
                Ok(self.to_string())
            }
        }
    }
}

/// A picture in the folder.
#[derive(Debug)]
pub struct Saved {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was there before.
    pub kept: bool,
    /// Files of the same job that were changed since they were made, and left as they are.
    pub changed: Vec<PathBuf>,
}

/// `<name>.json` as long as there is no picture: the name is taken.
#[derive(Serialize)]
struct Claim {
    job: JobId,
}

/// `<name>.json`, beside the picture.
#[derive(Serialize)]
struct Story<'a> {
    /// The picture's file, beside this one.
    file: &'a str,
    /// What the parameters are based on.
    preset: &'static str,
    #[serde(flatten)]
    record: &'a Record,
}

/// What became of a picture under one name.
#[derive(Clone, Copy)]
enum Put {
    Written,
    Kept,
    /// Another file is there, which is a person's.
    Refused,
}

impl PictureFolder {
    /// The pictures in `folder`, from `store`, with the curves of their losses if asked.
    pub fn new(folder: PathBuf, store: Arc<dyn Store>, curves: bool) -> Self {
        Self {
            files: FolderStore::new(&folder),
            places: Mutex::new(Places::new(folder.clone())),
            folder,
            store,
            curves,
        }
    }

    /// Puts the picture of `record` and its story into the folder, unless they are there.
    pub async fn save(&self, entry: &ManifestEntry, record: &Record) -> Result<Saved, FolderError> {
        let file = |name: &String| format!("{name}.{}", record.ending());
        let mut changed = Vec::new();
        let (name, kept) = loop {
            let name = self.place(entry, &changed, Some(record)).await?;
            match self.put_picture(&name, &file(&name), entry, record).await? {
                Put::Written => break (name, false),
                Put::Kept => break (name, true),
                Put::Refused => changed.push(name),
            }
        };
        if self.curves {
            self.draw_curve(&name, record).await?;
        }
        let path = |name: &String| self.folder.join(file(name));
        Ok(Saved {
            path: path(&name),
            kept,
            changed: changed.iter().map(path).collect(),
        })
    }

    /// Puts the picture as it looked after so many evaluations into the folder, if the store has
    /// it.
    pub async fn save_preview(
        &self,
        entry: &ManifestEntry,
        evaluations: u32,
    ) -> Result<Option<PathBuf>, FolderError> {
        let key = keys::preview(&entry.job, evaluations);
        let bytes = self.store.get(&key).await.map_err(DocumentError::from)?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let name = self.place(entry, &[], None).await?;
        // In a folder of their own, so that nobody takes them for contents.
        let file = format!("{name}.{PREVIEWS}/{evaluations:06}.jpg");
        self.put(&file, bytes).await?;
        Ok(Some(self.folder.join(file)))
    }

    /// Puts all progress pictures of a job into the folder.
    pub async fn save_previews(&self, entry: &ManifestEntry) -> Result<(), FolderError> {
        let folder = keys::previews(&entry.job);
        let keys = self.store.list(&folder).await;
        for key in keys.map_err(DocumentError::from)? {
            let file = key.strip_prefix(&folder).unwrap_or(&key);
            let evaluations = file.strip_suffix(".jpg").map(str::parse);
            // Whatever else lies there is not ours.
            if let Some(Ok(evaluations)) = evaluations {
                self.save_preview(entry, evaluations).await?;
            }
        }
        Ok(())
    }

    /// The name that is the picture's in this folder, from now on at the latest. One of `changed`
    /// will not do.
    async fn place(
        &self,
        entry: &ManifestEntry,
        changed: &[String],
        record: Option<&Record>,
    ) -> Result<String, FolderError> {
        let claim = document(&Claim { job: entry.job });
        let claim = claim.map_err(|e| damaged(&self.files, entry.name.as_ref(), e))?;
        let mut places = self.places.lock().await;
        let place = places.find_or_take(entry, changed, &claim, record).await;
        place.map_err(FolderError::Folder)
    }

    /// Puts a picture and its story under a name that is the job's. The story is written first: a
    /// picture without one would be taken for a person's.
    async fn put_picture(
        &self,
        name: &str,
        file: &str,
        entry: &ManifestEntry,
        record: &Record,
    ) -> Result<Put, FolderError> {
        let is_it = |bytes: &Bytes| keys::is_of_picture(&record.picture, &Digest::of(bytes));
        let story_file = format!("{name}.{}", RecordFile::ENDING);
        let story = Story {
            file: file.rsplit('/').next().unwrap_or(file),
            preset: entry.preset.word(),
            record,
        };
        let result = keys::result(&record.job);
        let story = document(&story).map_err(|e| damaged(&*self.store, &result, e))?;
        let told = self.get(&story_file).await?.unwrap_or_default();
        let there = self.get(file).await?;
        let mut picture = None;
        match &there {
            Some(bytes) if is_it(bytes) => {}
            // The job came to another picture than the last time.
            Some(bytes) if RecordFile::parse(&told).is_some_and(|told| told.is_of(bytes)) => {
                picture = Some(self.picture(record).await?);
                for old in [file, &format!("{name}.svg")] {
                    self.files.delete(old).await.map_err(FolderError::Folder)?;
                }
            }
            Some(_) => return Ok(Put::Refused),
            None => picture = Some(self.picture(record).await?),
        }
        if told != story {
            self.put(&story_file, story).await?;
        }
        let Some(picture) = picture else {
            return Ok(Put::Kept);
        };
        if self.put_new(file, picture).await? {
            return Ok(Put::Written);
        }
        // Somebody was quicker: another command with the same picture, or a person.
        Ok(match self.get(file).await? {
            Some(bytes) if is_it(&bytes) => Put::Kept,
            _ => Put::Refused,
        })
    }

    /// The picture, from the store.
    async fn picture(&self, record: &Record) -> Result<Bytes, FolderError> {
        let picture = self.store.get(&record.picture).await;
        let picture = picture.map_err(DocumentError::from)?;
        picture.ok_or_else(|| FolderError::Missing {
            picture: self.store.locate(&record.picture),
            record: self.store.locate(&keys::result(&record.job)),
        })
    }

    /// Draws `<name>.svg`, if the store knows how the loss fell, unless it is there.
    async fn draw_curve(&self, name: &str, record: &Record) -> Result<(), FolderError> {
        let Some(key) = keys::curve(&record.job, &record.picture) else {
            return Ok(());
        };
        let Some(curve) = documents::read(&*self.store, &key).await? else {
            return Ok(());
        };
        let chart = curve::chart(name, &curve);
        let chart = chart.map_err(|e| damaged(&*self.store, &key, e))?;
        self.put_new(&format!("{name}.svg"), chart.into()).await?;
        Ok(())
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

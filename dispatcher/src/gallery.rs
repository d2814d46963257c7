//! The folder of pictures: each a copy of what the store holds, with its story beside it.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use stylefleet_proto::{ManifestEntry, Name, Record, keys};
use stylefleet_transport::store::{FolderStore, Store, StoreError};

use crate::curve;
use crate::documents::{self, DocumentError, damaged};

/// The folder that people look into.
pub struct Gallery {
    folder: PathBuf,
    /// The same folder; a store writes files all at once.
    files: FolderStore,
    store: Arc<dyn Store>,
    /// Whether every picture comes with the curve of its loss.
    curves: bool,
}

/// Why a picture is not in the folder.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
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

impl GalleryError {
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
pub struct Hung {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was there before.
    pub kept: bool,
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

impl Gallery {
    /// The gallery in `folder`, of pictures from `store`, with the curves of their losses if asked.
    pub fn new(folder: PathBuf, store: Arc<dyn Store>, curves: bool) -> Self {
        Self {
            files: FolderStore::new(&folder),
            folder,
            store,
            curves,
        }
    }

    /// Puts the picture of `record` and its story into the folder, unless they are there.
    pub async fn hang(&self, entry: &ManifestEntry, record: &Record) -> Result<Hung, GalleryError> {
        let name = &entry.name;
        let format = record.parameters.format;
        let file = format!("{name}.{}", format.extension());
        let story = Story {
            file: &file,
            preset: entry.preset.name(),
            record,
        };
        let key = keys::result(&record.job);
        let mut story =
            serde_json::to_vec_pretty(&story).map_err(|e| damaged(&*self.store, &key, e))?;
        story.push(b'\n');
        let story_file = format!("{name}.json");
        let path = self.folder.join(&file);
        if self.curves {
            self.draw_curve(name, record).await?;
        }
        // The story is written last, so where it is the same, so is the picture.
        let told = self.files.get(&story_file).await;
        let is_told = told.map_err(GalleryError::Folder)?.as_deref() == Some(&*story);
        let is_there = self.files.contains(&file).await;
        if is_told && is_there.map_err(GalleryError::Folder)? {
            return Ok(Hung { path, kept: true });
        }
        let picture = record.picture.clone();
        let bytes = self.store.get(&picture).await;
        let bytes = bytes
            .map_err(DocumentError::from)?
            .ok_or(GalleryError::Missing {
                picture,
                record: key,
            })?;
        for (file, bytes) in [(file, bytes), (story_file, story.into())] {
            self.put(&file, bytes).await?;
        }
        Ok(Hung { path, kept: false })
    }

    /// Puts the picture as it looked after so many evaluations into the folder, if the store has it.
    pub async fn hang_preview(
        &self,
        entry: &ManifestEntry,
        evaluations: u32,
    ) -> Result<Option<PathBuf>, GalleryError> {
        let key = keys::preview(&entry.job, evaluations);
        let bytes = self.store.get(&key).await.map_err(DocumentError::from)?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        // In a folder of their own, so that nobody takes them for contents.
        let file = format!("{}.previews/{evaluations:06}.jpg", entry.name);
        self.put(&file, bytes).await?;
        Ok(Some(self.folder.join(file)))
    }

    /// Puts all progress pictures of a job into the folder.
    pub async fn hang_previews(&self, entry: &ManifestEntry) -> Result<(), GalleryError> {
        let folder = keys::previews(&entry.job);
        let keys = self.store.list(&folder).await;
        for key in keys.map_err(DocumentError::from)? {
            let file = key.strip_prefix(&folder).unwrap_or(&key);
            let evaluations = file.strip_suffix(".jpg").map(str::parse);
            // Whatever else lies there is not ours.
            if let Some(Ok(evaluations)) = evaluations {
                self.hang_preview(entry, evaluations).await?;
            }
        }
        Ok(())
    }

    /// Draws `<name>.svg`, if the store knows how the loss fell.
    async fn draw_curve(&self, name: &Name, record: &Record) -> Result<(), GalleryError> {
        let Some(key) = keys::curve(&record.job, &record.picture) else {
            return Ok(());
        };
        let Some(curve) = documents::read(&*self.store, &key).await? else {
            return Ok(());
        };
        let chart = curve::chart(name.as_ref(), &curve);
        let chart = chart.map_err(|e| damaged(&*self.store, &key, e))?;
        self.put(&format!("{name}.svg"), chart.into()).await
    }

    async fn put(&self, file: &str, bytes: Bytes) -> Result<(), GalleryError> {
        let put = self.files.put(file, bytes).await;
        put.map_err(GalleryError::Folder)
    }
}

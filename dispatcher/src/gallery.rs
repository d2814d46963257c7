//! The folder of pictures: each a copy of what the store holds, with its story beside it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use stylefleet_proto::{ManifestEntry, Record, keys};
use stylefleet_transport::store::{FolderStore, Store, StoreError};

use crate::documents::{DocumentError, damaged};

/// The folder that people look into.
pub struct Gallery {
    folder: PathBuf,
    /// The same folder; a store writes files all at once.
    files: FolderStore,
    store: Arc<dyn Store>,
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
    /// The gallery in `folder`, of pictures from `store`.
    pub fn new(folder: PathBuf, store: Arc<dyn Store>) -> Self {
        Self {
            files: FolderStore::new(&folder),
            folder,
            store,
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
            let put = self.files.put(&file, bytes).await;
            put.map_err(GalleryError::Folder)?;
        }
        Ok(Hung { path, kept: false })
    }
}

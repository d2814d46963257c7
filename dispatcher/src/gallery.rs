//! The folder of pictures: each a copy of what the store holds, with its story beside it.

use std::path::PathBuf;

use serde::Serialize;
use stylefleet_proto::{JobId, Record, keys};
use stylefleet_transport::store::{FolderStore, Store, StoreError};

use crate::intake::Commission;

/// The folder that people look into.
#[derive(Debug)]
pub struct Gallery {
    folder: PathBuf,
    /// The same folder; a store writes files all at once.
    files: FolderStore,
    store: FolderStore,
}

/// Why a picture is not in the folder.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record in the store is no record.
    #[error("{key} in the store is damaged: {reason}: remove it to have the picture made again")]
    Damaged {
        /// Where it is.
        key: String,
        /// What is wrong.
        reason: serde_json::Error,
    },
    /// The store has the record of a picture, but not the picture.
    #[error("{picture} is missing in the store: remove {record} to have it made again")]
    Missing {
        /// Where the picture should be.
        picture: String,
        /// Where its record is.
        record: String,
    },
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

impl GalleryError {
    /// The reason why one picture is not to be had; an error of the store concerns them all.
    pub fn into_reason(self) -> Result<String, StoreError> {
        match self {
            Self::Store(error) => Err(error),
            Self::Damaged { .. } | Self::Missing { .. } => Ok(self.to_string()),
        }
    }
}

impl Gallery {
    /// The gallery in `folder`, of pictures from `store`.
    pub fn new(folder: PathBuf, store: FolderStore) -> Self {
        Self {
            files: FolderStore::new(&folder),
            folder,
            store,
        }
    }

    /// The record of a finished job; none if it is not finished.
    pub async fn record(&self, job: &JobId) -> Result<Option<Record>, GalleryError> {
        let key = keys::result(job);
        let Some(bytes) = self.store.get(&key).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|reason| GalleryError::Damaged { key, reason })
    }

    /// Puts the picture of `record` and its story into the folder, unless they are there.
    /// Returns where the picture is.
    pub async fn hang(
        &self,
        commission: &Commission,
        record: &Record,
    ) -> Result<PathBuf, GalleryError> {
        let name = &commission.name;
        let extension = record.parameters.format.extension();
        let file = format!("{name}.{extension}");
        let story = Story {
            file: &file,
            preset: commission.preset.name(),
            record,
        };
        let damaged = |reason| GalleryError::Damaged {
            key: keys::result(&record.job),
            reason,
        };
        let mut story = serde_json::to_vec_pretty(&story).map_err(damaged)?;
        story.push(b'\n');
        let story_file = format!("{name}.json");
        // The story is written last, so where it is the same, so is the picture.
        let is_told = self
            .files
            .get(&story_file)
            .await?
            .is_some_and(|told| told == story);
        if !is_told || !self.files.contains(&file).await? {
            let picture = self.store.get(&record.picture).await?;
            let picture = picture.ok_or_else(|| GalleryError::Missing {
                picture: record.picture.clone(),
                record: keys::result(&record.job),
            })?;
            self.files.put(&file, picture).await?;
            self.files.put(&story_file, story.into()).await?;
        }
        Ok(self.folder.join(file))
    }
}

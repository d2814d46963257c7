//! Brings images into the store.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_proto::{Digest, Input, Name, Role};

use crate::images::buckets::is_remote;
use crate::images::check;
use crate::names;
use crate::order::{OrderError, Uploader};

pub use crate::images::check::Refusal;

/// Images that are read and written at once.
const AT_ONCE: usize = 8;

/// Images by their paths, each in the store, or why it is not.
pub type Uploaded = HashMap<PathBuf, Result<Image, Arc<Refusal>>>;

/// An image in the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// Hash of the file.
    pub sha256: Digest,
    /// The file name that people know it by.
    pub name: Name,
}

impl Image {
    /// The image as what it is to a job.
    pub fn input(self, role: Role) -> Input {
        let Self { sha256, name } = self;
        Input { role, sha256, name }
    }
}

/// Uploads the images at these paths: those of at most so many pixels.
pub async fn upload(
    paths: HashSet<&PathBuf>,
    max_pixels: u64,
    uploader: &Uploader,
) -> Result<Uploaded, OrderError> {
    stream::iter(paths)
        .map(|path| async move { Ok((path.clone(), image(path, max_pixels, uploader).await?)) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn image(
    path: &Path,
    max_pixels: u64,
    uploader: &Uploader,
) -> Result<Result<Image, Arc<Refusal>>, OrderError> {
    let bytes = if is_remote(path) {
        let object = uploader.buckets().get(path).await?;
        check::check_object(path, object, max_pixels)
    } else {
        check::read_file(path, max_pixels)
    };
    Ok(match bytes {
        Ok(bytes) => Ok(Image {
            sha256: uploader.upload(bytes).await?,
            name: names::of_file(path)?,
        }),
        Err(refusal) => Err(refusal.into()),
    })
}

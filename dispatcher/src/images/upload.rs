//! Brings images into the store.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_proto::{Digest, Input, Name, Role};

use crate::images::buckets::{Buckets, is_remote};
use crate::images::check;
use crate::names;
use crate::order::{OrderError, Uploader};

pub use crate::images::check::Refusal;

/// Images that are read and written at once.
const AT_ONCE: usize = 8;

/// Which images are accepted.
pub struct Images<'a> {
    /// Where those in buckets come from; none: they are refused.
    pub buckets: Option<&'a Buckets>,
    /// The largest, in pixels.
    pub max_pixels: u64,
}

/// Images by their paths, each in the store, or why it is not.
pub type Uploaded = HashMap<PathBuf, Result<Image, Arc<Refusal>>>;

/// An image in the store.
#[derive(Debug, Clone)]
pub struct Image {
    sha256: Digest,
    name: Name,
}

impl Image {
    /// The image as what it is to a job.
    pub fn input(self, role: Role) -> Input {
        let Self { sha256, name } = self;
        Input { role, sha256, name }
    }
}

impl Images<'_> {
    /// Uploads the images at these paths.
    pub async fn upload(
        &self,
        paths: HashSet<&PathBuf>,
        uploader: &Uploader,
    ) -> Result<Uploaded, OrderError> {
        stream::iter(paths)
            .map(|path| async move { Ok((path.clone(), self.image(path, uploader).await?)) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn image(
        &self,
        path: &Path,
        uploader: &Uploader,
    ) -> Result<Result<Image, Arc<Refusal>>, OrderError> {
        let bytes = match self.buckets {
            Some(buckets) if is_remote(path) => {
                check::check_object(path, buckets.get(path).await?, self.max_pixels)
            }
            None if is_remote(path) => Err(check::refuse_object(path)),
            _ => check::read_file(path, self.max_pixels),
        };
        Ok(match bytes {
            Ok(bytes) => Ok(Image {
                sha256: uploader.upload(bytes).await?,
                name: names::of_file(path)?,
            }),
            Err(refusal) => Err(refusal.into()),
        })
    }
}

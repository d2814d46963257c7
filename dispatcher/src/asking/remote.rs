//! Images that lie in buckets: `s3://bucket/key`, and `s3://bucket/folder/` for those in a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use stylefleet_transport::store::{self, Location, Store, StoreError};
use tokio::sync::Mutex;

use crate::asking::expand::is_image;
use crate::stores;

const SCHEME: &str = "s3://";

/// Buckets to read images from.
pub struct Remotes {
    options: store::Options,
    open: Mutex<HashMap<String, Arc<dyn Store>>>,
}

/// Why a folder of a bucket means no image.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It has none.
    #[error("{0}: no image there")]
    Empty(String),
    /// The bucket cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a path means something in a bucket.
pub fn is_remote(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(SCHEME))
}

impl Remotes {
    /// Buckets of the server that `options` name.
    pub fn new(options: store::Options) -> Self {
        Self {
            options,
            open: Mutex::default(),
        }
    }

    /// The bytes of an object, or none if there is no such object.
    pub async fn get(&self, uri: &Path) -> Result<Option<Bytes>, StoreError> {
        let (bucket, key) = parts(uri)?;
        self.bucket(bucket).await?.get(&key).await
    }

    /// Replaces each folder of a bucket by the images in it, not those in its subfolders.
    pub async fn expand(&self, contents: &mut Vec<PathBuf>) -> Result<(), RemoteError> {
        let mut expanded = Vec::new();
        for content in contents.drain(..) {
            match content.to_str().filter(|text| text.starts_with(SCHEME)) {
                Some(uri) if uri.ends_with('/') || !uri[SCHEME.len()..].contains('/') => {
                    expanded.extend(self.images(uri).await?);
                }
                _ => expanded.push(content),
            }
        }
        *contents = expanded;
        Ok(())
    }

    async fn images(&self, folder: &str) -> Result<Vec<PathBuf>, RemoteError> {
        let (bucket, mut prefix) = parts(Path::new(folder))?;
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let keys = self.bucket(bucket.clone()).await?.list(&prefix).await?;
        let is_in_it = |key: &&String| !key[prefix.len()..].contains('/');
        let images: Vec<_> = keys
            .iter()
            .filter(is_in_it)
            .map(|key| PathBuf::from(format!("{SCHEME}{bucket}/{key}")))
            .filter(|uri| is_image(uri))
            .collect();
        match images.is_empty() {
            true => Err(RemoteError::Empty(folder.to_owned())),
            false => Ok(images),
        }
    }

    async fn bucket(&self, name: String) -> Result<Arc<dyn Store>, StoreError> {
        let mut open = self.open.lock().await;
        if let Some(store) = open.get(&name) {
            return Ok(store.clone());
        }
        let location = Location::Bucket {
            bucket: name.clone(),
            prefix: String::new(),
        };
        let store = stores::open(&location, &self.options).await?;
        open.insert(name, store.clone());
        Ok(store)
    }
}

/// Bucket and key.
fn parts(uri: &Path) -> Result<(String, String), StoreError> {
    match uri.to_string_lossy().parse()? {
        Location::Bucket { bucket, prefix } => Ok((bucket, prefix)),
        Location::Folder(path) => Err(StoreError::Key(path.display().to_string())),
    }
}

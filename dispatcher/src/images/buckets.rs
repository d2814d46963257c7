//! Inputs that lie in buckets: `s3://bucket/key`, and `s3://bucket/folder/` for those in a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use stylefleet_transport::store::{self, Location, Store, StoreError};
use tokio::sync::Mutex;

use crate::stores;

const SCHEME: &str = "s3://";

/// The folders of buckets among what people name, each with the names of what is in it, slashes
/// included.
pub type Listings = HashMap<PathBuf, Vec<String>>;

/// Buckets to read inputs from.
pub struct Buckets {
    options: store::Options,
    open: Mutex<HashMap<String, Arc<dyn Store>>>,
}

/// Whether a path means something in a bucket.
pub fn is_remote(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(SCHEME))
}

impl Buckets {
    /// Buckets of the server that `options` name.
    pub(crate) fn new(options: store::Options) -> Self {
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

    /// Lists those of the paths that are folders of buckets.
    pub async fn list(&self, paths: impl Iterator<Item = &Path>) -> Result<Listings, StoreError> {
        let mut listings = Listings::new();
        for path in paths {
            let uri = path.to_str().and_then(|text| text.strip_prefix(SCHEME));
            if uri.is_some_and(|uri| uri.ends_with('/') || !uri.contains('/')) {
                listings.insert(path.to_owned(), self.names(path).await?);
            }
        }
        Ok(listings)
    }

    /// The names of what is in a folder and in those below.
    async fn names(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        let (bucket, mut prefix) = parts(folder)?;
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let keys = self.bucket(bucket).await?.list(&prefix).await?;
        let name = |key: &String| Some(key.strip_prefix(&prefix)?.to_owned());
        Ok(keys.iter().filter_map(name).collect())
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

//! Where bytes are kept, under the keys of [`stylefleet_proto::keys`].

mod check;
mod download;
mod error;
mod files;
mod folder;
mod identity;
mod location;
mod memory;
mod patient;
mod s3;

pub use check::{Check, check};
pub use error::StoreError;
pub use folder::FolderStore;
pub use identity::{establish_identity, identity};
pub use location::Location;
pub use memory::MemoryStore;
pub use patient::{Patience, PatientStore};

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use stylefleet_proto::Digest;

use s3::S3Store;

/// A store of whole objects. An object is there entirely or not at all, whatever crashes.
///
/// Keys are relative paths that never climb; no key is a folder of another.
///
/// ```
/// use stylefleet_transport::store::{MemoryStore, Store, StoreError};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), StoreError> {
/// let store = MemoryStore::default();
/// assert!(store.put_new("results/a.json", "first".into()).await?);
/// assert!(!store.put_new("results/a.json", "second".into()).await?);
/// assert_eq!(store.get("results/a.json").await?, Some("first".into()));
/// assert_eq!(store.list("results/").await?, ["results/a.json"]);
/// assert!(matches!(store.get("../a.json").await, Err(StoreError::Key(_))));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Store: Send + Sync {
    /// The object's bytes, or none if there is no such object.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.get_range(key, 0..u64::MAX).await
    }

    /// The bytes of the object in this range, as far as it reaches, or none if there is no such
    /// object.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        download::get_range(self, key, range).await
    }

    /// Downloads the object into a file; says whether there is such an object. The file then holds
    /// the whole object; if there is none, or its bytes do not have the digest, the file stays as
    /// it was. The object is never in memory as a whole. A download that is cut off is resumed.
    async fn get_file(&self, key: &str, path: &Path, digest: &Digest) -> Result<bool, StoreError> {
        download::get_file(self, key, path, digest).await
    }

    /// Starts to read the bytes of the object in this range, as far as it reaches; none if there
    /// is no such object. If a version is wanted and the object is another one by now, the error
    /// is [`StoreError::Changed`].
    async fn read(
        &self,
        key: &str,
        range: Range<u64>,
        wanted: Option<&Version>,
    ) -> Result<Option<Reading>, StoreError>;

    /// What is known of the object without reading it, or none if there is no such object.
    async fn stat(&self, key: &str) -> Result<Option<Stat>, StoreError>;

    /// Whether there is such an object.
    async fn contains(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.stat(key).await?.is_some())
    }

    /// Which of these objects there are, in the order of their keys here. For many keys of one
    /// folder this is far cheaper than to ask after each.
    async fn present(&self, keys: &[String]) -> Result<Vec<bool>, StoreError>;

    /// Writes the object, over whatever was there.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError>;

    /// Uploads the file as the object, over whatever was there. A file whose bytes do not have the
    /// digest is an error, and what was there stays. The object is never in memory as a whole.
    async fn put_file(&self, key: &str, path: &Path, digest: &Digest) -> Result<(), StoreError>;

    /// Writes the object unless there is one; says whether it did. Of several writers at once
    /// exactly one is told so; where a server cannot promise that, [`check`] tells.
    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError>;

    /// Removes the object if it is there.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// The keys of all objects in a folder and in the folders below it, sorted. The folder ends
    /// with a slash; the empty one is the whole store.
    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError>;

    /// A URL that lets anyone read the object until its lifetime ends; whether there is such an
    /// object is not looked up. None if no server stands behind the store: then the caller has to
    /// serve the bytes itself.
    async fn presigned_url(
        &self,
        _key: &str,
        _lifetime: Duration,
    ) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// Where the object is, for people: a path or a URL.
    fn locate(&self, key: &str) -> String;
}

/// What a store knows of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its length in bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// Tells an object from those that were under the same key before and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

/// An object that is being read.
pub struct Reading {
    /// What to ask for to read on in the same object; none if the store does not say.
    pub version: Option<Version>,
    /// Its bytes, in order. After an error nothing follows.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

/// How to reach an S3 store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The server's address, `http[s]://host[:port]`; none: AWS.
    pub endpoint: Option<String>,
    /// A PEM file with certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
}

/// Opens the store at `location`. That the store answers is for [`check`] to find out.
pub async fn open(location: &Location, options: &Options) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match location {
        Location::Folder(path) => Arc::new(FolderStore::new(path)),
        Location::Bucket { bucket, prefix } => {
            Arc::new(S3Store::open(bucket, prefix, options).await?)
        }
    })
}

/// The key, if it is one that every store can hold: relative, and never climbing.
fn checked(key: &str) -> Result<&str, StoreError> {
    let part_is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if key.split('/').all(part_is_plain) && !key.contains(['\\', '\0']) {
        Ok(key)
    } else {
        Err(StoreError::Key(key.to_owned()))
    }
}

/// The folder, if it is one that [`Store::list`] takes.
fn checked_folder(folder: &str) -> Result<&str, StoreError> {
    match folder.strip_suffix('/') {
        Some(path) => checked(path).map(|_| folder),
        None if folder.is_empty() => Ok(folder),
        None => Err(StoreError::Key(folder.to_owned())),
    }
}

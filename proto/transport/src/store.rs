//! Where bytes are kept, under the keys of [`stylefleet_proto::keys`].

mod folder;

pub use folder::FolderStore;

use async_trait::async_trait;
use bytes::Bytes;

/// A store of whole objects. An object is there entirely or not at all, whatever crashes.
#[async_trait]
pub trait Store: Send + Sync {
    /// The object's bytes, or none if there is no such object.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError>;

    /// Whether there is such an object.
    async fn contains(&self, key: &str) -> Result<bool, StoreError>;

    /// Writes the object, over whatever was there.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError>;

    /// Writes the object unless there is one; says whether it did. Of several writers at once
    /// exactly one is told so.
    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError>;

    /// Removes the object if it is there.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;
}

/// Why a store did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The key is not one that this project makes.
    #[error("\"{0}\" is no key of this store")]
    Key(String),
    /// The disk is full.
    #[error("cannot write {what}: no space left: free some, then run the same command again")]
    Full {
        /// What was written.
        what: String,
    },
    /// Anything else that the file system says.
    #[error("cannot {action} {what}: {source}")]
    Io {
        /// What was tried: read, write, remove.
        action: &'static str,
        /// What it was tried on.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Key(_))
    }
}

//! The JSON documents of the store. What is read from there is checked like anything from
//! outside.

use serde::Serialize;
use serde::de::DeserializeOwned;
use stylefleet_transport::store::{Store, StoreError};

/// Why a document cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not what it should be.
    #[error("{place} is damaged: {reason}: remove it, then submit or run the same again")]
    Damaged {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl DocumentError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Damaged { .. } => false,
        }
    }
}

/// Reads a document; none if there is none.
pub async fn read<T: DeserializeOwned>(
    store: &dyn Store,
    key: &str,
) -> Result<Option<T>, DocumentError> {
    match store.get(key).await? {
        None => Ok(None),
        Some(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|reason| damaged(store, key, reason)),
    }
}

/// Writes a document.
pub async fn write<T: Serialize>(
    store: &dyn Store,
    key: &str,
    document: &T,
) -> Result<(), DocumentError> {
    let json = serde_json::to_vec_pretty(document).map_err(|e| damaged(store, key, e))?;
    Ok(store.put(key, json.into()).await?)
}

/// The error that what lies under `key` cannot be used.
pub fn damaged(store: &dyn Store, key: &str, reason: impl ToString) -> DocumentError {
    DocumentError::Damaged {
        place: store.locate(key),
        reason: reason.to_string(),
    }
}

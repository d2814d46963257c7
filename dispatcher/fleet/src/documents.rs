//! The JSON documents of the store. What is read from there is checked like anything from
//! outside.

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stylefleet_transport::Cause;
use stylefleet_transport::store::{Store, StoreError};

/// Why a document cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not what it should be.
    #[error("{place} is damaged: {source}: remove it, then submit or run the same again")]
    Damaged {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: Cause,
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
pub fn damaged(
    store: &dyn Store,
    key: &str,
    reason: impl Into<Box<dyn Error + Send + Sync>>,
) -> DocumentError {
    DocumentError::Damaged {
        place: store.locate(key),
        source: Cause::of(reason),
    }
}

#[cfg(test)]
mod tests {
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn what_is_wrong_with_a_document_is_in_the_chain_of_sources() {
        let store = MemoryStore::default();
        store
            .put("results/x.json", "{".into())
            .await
            .expect("writes");
        let damaged = read::<serde_json::Value>(&store, "results/x.json").await;
        let damaged = damaged.expect_err("is no JSON");
        let mut chain = std::iter::successors(damaged.source(), |&error| error.source());
        assert!(
            chain.any(|error| error.is::<serde_json::Error>()),
            "{damaged:?}"
        );
    }
}

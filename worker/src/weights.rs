//! Weights from the store: fetched once per machine, checked, and kept.

use std::io::Write;
use std::path::PathBuf;

use stylefleet_proto::{Digest, keys};
use stylefleet_transport::store::{Store, StoreError};
use tempfile::NamedTempFile;
use tokio::task::JoinError;

use crate::config::{Settings, SettingsError};

/// Why the weights are not there.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The setting is invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store does not have the weights that were asked for.
    #[error("{key} in the store is missing, or not what its name says: upload the weights anew")]
    Missing {
        /// Where they should be.
        key: String,
    },
    /// The weights cannot be kept on this machine.
    #[error("cannot write the weights into the cache folder: {0}: choose another with --cache")]
    Cache(#[source] std::io::Error),
    /// The code is wrong somewhere.
    #[error("the worker panicked: {0}: please report this")]
    Panic(#[from] JoinError),
}

/// Fetches the weights, if the settings say that they come from the store.
pub async fn ensure(settings: &Settings, store: &dyn Store) -> Result<(), WeightsError> {
    match settings.weights_in_store()? {
        Some(digest) => fetch(digest, settings.weights(), store).await,
        None => Ok(()),
    }
}

/// Fetches the weights of that digest into the file, unless they are there.
async fn fetch(digest: Digest, path: PathBuf, store: &dyn Store) -> Result<(), WeightsError> {
    if let Ok(bytes) = tokio::fs::read(&path).await
        && Digest::of(&bytes) == digest
    {
        return Ok(());
    }
    let key = keys::weights(&digest);
    let bytes = store.get(&key).await?;
    let bytes = bytes.filter(|bytes| Digest::of(bytes) == digest);
    let bytes = bytes.ok_or(WeightsError::Missing { key })?;
    tokio::task::spawn_blocking(move || {
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder)?;
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.persist(&path)?;
        Ok(())
    })
    .await?
    .map_err(WeightsError::Cache)
}

//! Weights from the store: fetched once a machine, checked, kept.

use std::io::Write;
use std::path::PathBuf;

use stylefleet_proto::{Digest, keys};
use stylefleet_transport::store::Store;
use tempfile::NamedTempFile;

use crate::config::Settings;
use crate::failure::Failure;

/// Brings the weights from the store, where they are to come from there.
pub async fn ensure(settings: &Settings, store: &dyn Store) -> Result<(), Failure> {
    match settings.weights_in_store()? {
        Some(digest) => fetch(digest, settings.weights(), store).await,
        None => Ok(()),
    }
}

/// Brings the weights of that digest into the file, unless they are there.
async fn fetch(digest: Digest, path: PathBuf, store: &dyn Store) -> Result<(), Failure> {
    if let Ok(bytes) = tokio::fs::read(&path).await
        && Digest::of(&bytes) == digest
    {
        return Ok(());
    }
    let key = keys::weights(&digest);
    let bytes = store.get(&key).await?;
    let bytes = bytes.filter(|bytes| Digest::of(bytes) == digest);
    let bytes = bytes.ok_or(Failure::Weights { key })?;
    tokio::task::spawn_blocking(move || {
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder)?;
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.persist(&path)?;
        Ok(())
    })
    .await?
    .map_err(Failure::Cache)
}

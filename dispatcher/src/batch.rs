//! Batches, as the store knows them.

use std::collections::{HashMap, HashSet};

use stylefleet_proto::{Accepted, BatchId, JobId, Manifest, ManifestEntry, Name, keys};
use stylefleet_transport::store::Store;

use crate::asking::is_plain;
use crate::documents::{self, DocumentError, damaged};

/// A batch: what was asked, and what of it the broker has taken. Its names are safe in paths.
#[derive(Debug)]
pub struct Batch {
    /// What was asked.
    pub manifest: Manifest,
    /// What the broker has taken.
    pub accepted: Accepted,
}

/// Why a batch cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// There is none of that name.
    #[error("there is no batch {0} in the store: `stylefleet status` lists those there are")]
    Missing(BatchId),
    /// It has no picture of that name.
    #[error("batch {batch} has no picture {name}: `stylefleet status {batch} --jobs` lists them")]
    NoPicture {
        /// The batch.
        batch: BatchId,
        /// What was looked for.
        name: Name,
    },
    /// Two pictures would have one name.
    #[error(
        "batch {batch} has a picture {name} already, of another job: give this one another name, \
         or another --batch"
    )]
    Taken {
        /// The batch.
        batch: BatchId,
        /// The name.
        name: Name,
    },
    /// One of its documents is no use.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl Batch {
    /// Reads a batch.
    pub async fn open(store: &dyn Store, batch: &BatchId) -> Result<Self, BatchError> {
        let manifest = manifest(store, batch).await?;
        Ok(Self {
            manifest: manifest.ok_or_else(|| BatchError::Missing(batch.clone()))?,
            accepted: accepted(store, batch).await?,
        })
    }

    /// Its jobs, each once, in the order given.
    pub fn jobs(&self) -> Vec<JobId> {
        let mut seen = HashSet::new();
        let jobs = self.manifest.jobs.iter().map(|entry| entry.job);
        jobs.filter(|job| seen.insert(*job)).collect()
    }

    /// The picture of a name.
    pub fn picture(&self, name: &Name) -> Result<&ManifestEntry, BatchError> {
        let mut entries = self.manifest.jobs.iter();
        entries
            .find(|entry| entry.name == *name)
            .ok_or_else(|| BatchError::NoPicture {
                batch: self.manifest.batch.clone(),
                name: name.clone(),
            })
    }
}

/// What the broker has taken of a batch.
pub async fn accepted(store: &dyn Store, batch: &BatchId) -> Result<Accepted, DocumentError> {
    let accepted = documents::read(store, &keys::accepted(batch)).await?;
    Ok(accepted.unwrap_or_default())
}

/// The names of all batches.
pub async fn all(store: &dyn Store) -> Result<Vec<BatchId>, DocumentError> {
    let keys = store.list(keys::BATCHES).await?;
    let batch = |key: &String| {
        let name = key.strip_prefix(keys::BATCHES)?;
        name.strip_suffix("/manifest.json")?.parse().ok()
    };
    Ok(keys.iter().filter_map(batch).collect())
}

/// Writes down what is asked for, beside what the batch asked for before. Returns all of it.
pub async fn record(store: &dyn Store, asked: Manifest) -> Result<Manifest, BatchError> {
    let key = keys::manifest(&asked.batch);
    let Some(mut known) = manifest(store, &asked.batch).await? else {
        documents::write(store, &key, &asked).await?;
        return Ok(asked);
    };
    let names: HashMap<_, _> = known.jobs.iter().map(|e| (e.name.clone(), e.job)).collect();
    let before = known.jobs.len();
    for entry in asked.jobs {
        match names.get(&entry.name) {
            None => known.jobs.push(entry),
            Some(job) if *job == entry.job => {}
            Some(_) => {
                return Err(BatchError::Taken {
                    batch: asked.batch,
                    name: entry.name,
                });
            }
        }
    }
    if known.jobs.len() > before {
        documents::write(store, &key, &known).await?;
    }
    Ok(known)
}

async fn manifest(store: &dyn Store, batch: &BatchId) -> Result<Option<Manifest>, DocumentError> {
    let key = keys::manifest(batch);
    let Some(manifest) = documents::read::<Manifest>(store, &key).await? else {
        return Ok(None);
    };
    if manifest.batch != *batch {
        let reason = format!("it is of batch {}", manifest.batch);
        return Err(damaged(store, &key, reason));
    }
    match manifest.jobs.iter().find(|entry| !is_plain(&entry.name)) {
        None => Ok(Some(manifest)),
        Some(entry) => {
            let reason = format!("\"{}\" is no name for a file", entry.name);
            Err(damaged(store, &key, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use stylefleet_proto::Preset;
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    fn manifest(batch: &str, pictures: &[(u8, &str)]) -> Manifest {
        let entry = |&(job, name): &(u8, &str)| ManifestEntry {
            job: format!("{job:064x}").parse().expect("an id"),
            name: name.parse().expect("a name"),
            preset: Preset::Studio,
        };
        Manifest {
            batch: batch.parse().expect("a name"),
            jobs: pictures.iter().map(entry).collect(),
            unix_seconds: pictures.len() as u64,
        }
    }

    #[tokio::test]
    async fn a_batch_grows_but_never_changes() {
        let store = MemoryStore::default();
        let first = manifest("b", &[(1, "a"), (2, "b")]);
        assert_eq!(record(&store, first.clone()).await.expect("new"), first);
        let more = manifest("b", &[(2, "b"), (3, "c"), (1, "d")]);
        let all = record(&store, more).await.expect("grows");
        let expected = Manifest {
            unix_seconds: 2,
            ..manifest("b", &[(1, "a"), (2, "b"), (3, "c"), (1, "d")])
        };
        assert_eq!(all, expected);
        let other = record(&store, manifest("b", &[(4, "a")])).await;
        assert!(matches!(other, Err(BatchError::Taken { .. })), "{other:?}");
        let batch = Batch::open(&store, &all.batch).await.expect("opens");
        assert_eq!(batch.manifest, expected);
        assert_eq!(batch.jobs().len(), 3);
        assert_eq!(super::all(&store).await.expect("lists"), [all.batch]);
    }

    #[tokio::test]
    async fn hostile_manifests_are_refused() {
        let store = MemoryStore::default();
        let batch: BatchId = "b".parse().expect("a name");
        for hostile in [
            manifest("b", &[(1, "../a")]),
            manifest("b", &[(1, "/etc/a")]),
            manifest("b", &[(1, "a\\b")]),
            manifest("b", &[(1, &"a".repeat(250))]),
            manifest("c", &[(1, "a")]),
        ] {
            let key = keys::manifest(&batch);
            let written = documents::write(&store, &key, &hostile).await;
            written.expect("writes");
            let refused = Batch::open(&store, &batch).await;
            let Err(BatchError::Document(DocumentError::Damaged { place, .. })) = refused else {
                panic!("not refused: {hostile:?}");
            };
            assert!(place.contains("batches/b/manifest.json"), "{place}");
        }
    }
}

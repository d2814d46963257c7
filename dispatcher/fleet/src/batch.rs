//! Batches, as the store knows them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use stylefleet_model::did_you_mean;
use stylefleet_proto::{Accepted, BatchId, JobId, Manifest, ManifestEntry, Name, SubmitId, keys};
use stylefleet_transport::store::{Store, StoreError};

use crate::clock::millis;
use crate::documents::{self, DocumentError, damaged};

/// Documents that are read at once.
const AT_ONCE: usize = 16;

/// A batch: what was asked, and what of it the broker has taken. Its names are safe in paths.
#[derive(Debug)]
pub struct Batch {
    /// What was asked.
    pub manifest: Manifest,
    /// What the broker has taken.
    pub accepted: Accepted,
}

/// Why a batch cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// There is none of that name.
    #[error(
        "there is no batch {batch} in the store: `stylefleet status` lists those there are{hint}"
    )]
    Missing {
        /// What was looked for.
        batch: BatchId,
        /// What was probably meant.
        hint: String,
    },
    /// It asks for no result of that name.
    #[error(
        "batch {batch} has no result {name}: `stylefleet status {batch} --jobs` lists them{hint}"
    )]
    NoResult {
        /// The batch.
        batch: BatchId,
        /// What was looked for.
        name: Name,
        /// What was probably meant.
        hint: String,
    },
    /// Two results would have one name.
    #[error(
        "batch {batch} has a result {name} already, of another job: give this one another name, \
         or another --batch"
    )]
    Taken {
        /// The batch.
        batch: BatchId,
        /// The name.
        name: Name,
    },
    /// One of its documents cannot be used.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl BatchError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::NoResult { .. } | Self::Taken { .. } => false,
            Self::Document(error) => error.is_retryable(),
        }
    }
}

impl Batch {
    /// Reads a batch.
    pub async fn open(store: &dyn Store, batch: &BatchId) -> Result<Self, BatchError> {
        let found = Self::find(store, batch).await?;
        if !found.manifest.jobs.is_empty() {
            return Ok(found);
        }
        let there = listing(store).await.map_err(DocumentError::from)?;
        Err(BatchError::Missing {
            batch: batch.clone(),
            hint: did_you_mean(batch.as_ref(), there.keys().map(AsRef::as_ref)),
        })
    }

    /// Reads what there is of a batch: an empty one if there is none of that name.
    async fn find(store: &dyn Store, batch: &BatchId) -> Result<Self, DocumentError> {
        let keys = store.list(&keys::batch(batch)).await?;
        read(store, batch.clone(), keys).await
    }

    /// Its jobs, each once, in the order given.
    pub fn jobs(&self) -> Vec<JobId> {
        let mut seen = HashSet::new();
        let jobs = self.manifest.jobs.iter().map(|entry| entry.job);
        jobs.filter(|job| seen.insert(*job)).collect()
    }

    /// Whether the broker has taken a job for certain.
    pub fn has_accepted(&self, job: &JobId) -> bool {
        self.accepted.jobs.contains(job)
    }

    /// The result of a name.
    pub fn result(&self, name: &Name) -> Result<&ManifestEntry, BatchError> {
        let mut entries = self.manifest.jobs.iter();
        entries
            .find(|entry| entry.name == *name)
            .ok_or_else(|| BatchError::NoResult {
                batch: self.manifest.batch.clone(),
                name: name.clone(),
                hint: did_you_mean(
                    name.as_ref(),
                    self.manifest.jobs.iter().map(|entry| entry.name.as_ref()),
                ),
            })
    }

    fn empty(batch: BatchId) -> Self {
        Self {
            manifest: Manifest {
                batch,
                jobs: Vec::new(),
                unix_seconds: 0,
            },
            accepted: Accepted::default(),
        }
    }

    /// Adds what submits asked for, the earliest first.
    fn add(&mut self, manifests: Vec<Manifest>) {
        let mut names = self.names();
        for manifest in manifests {
            if self.manifest.jobs.is_empty() {
                self.manifest.unix_seconds = manifest.unix_seconds;
            }
            for mut entry in manifest.jobs {
                // Two submits at the same moment may each have found the name free.
                entry.name = free(&names, &entry);
                if names.insert(entry.name.clone(), entry.job).is_none() {
                    self.manifest.jobs.push(entry);
                }
            }
        }
    }

    fn names(&self) -> HashMap<Name, JobId> {
        let entries = self.manifest.jobs.iter();
        entries
            .map(|entry| (entry.name.clone(), entry.job))
            .collect()
    }
}

/// The entry's name, or where another job has that, the first free one of the endings -2, -3, ...
fn free(names: &HashMap<Name, JobId>, entry: &ManifestEntry) -> Name {
    let endings = (2..).map_while(|number| format!("{}-{number}", entry.name).parse().ok());
    let is_free = |name: &Name| names.get(name).is_none_or(|job| *job == entry.job);
    let mut names = std::iter::once(entry.name.clone()).chain(endings);
    names.find(is_free).unwrap_or_else(|| entry.name.clone())
}

/// All batches, in the order of their names, those whose documents cannot be used among them.
pub async fn all(
    store: &dyn Store,
) -> Result<Vec<(BatchId, Result<Batch, DocumentError>)>, StoreError> {
    stream::iter(listing(store).await?)
        .map(|(batch, keys)| async move {
            match read(store, batch.clone(), keys).await {
                Err(DocumentError::Store(error)) => Err(error),
                read => Ok((batch, read)),
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// The keys of each batch's documents, sorted.
pub(crate) async fn listing(
    store: &dyn Store,
) -> Result<BTreeMap<BatchId, Vec<String>>, StoreError> {
    let mut batches: BTreeMap<BatchId, Vec<String>> = BTreeMap::new();
    for key in store.list(keys::BATCHES).await? {
        let name = key
            .strip_prefix(keys::BATCHES)
            .and_then(|rest| rest.split_once('/'));
        if let Some(Ok(batch)) = name.map(|(name, _)| name.parse()) {
            batches.entry(batch).or_default().push(key);
        }
    }
    Ok(batches)
}

/// Begins a submit.
pub fn new_submit() -> SubmitId {
    SubmitId {
        unix_millis: millis(SystemTime::now()),
        random: fastrand::u64(..),
    }
}

/// Writes down what is asked for, as far as the batch did not ask for it before. Returns all of
/// the batch.
pub async fn record(
    store: &dyn Store,
    mut asked: Manifest,
    submit: &SubmitId,
) -> Result<Batch, BatchError> {
    let mut known = Batch::find(store, &asked.batch).await?;
    let names = known.names();
    let taken = asked
        .jobs
        .iter()
        .find(|entry| names.get(&entry.name).is_some_and(|job| *job != entry.job));
    if let Some(entry) = taken {
        return Err(BatchError::Taken {
            batch: asked.batch,
            name: entry.name.clone(),
        });
    }
    asked.jobs.retain(|entry| !names.contains_key(&entry.name));
    if !asked.jobs.is_empty() {
        let key = keys::manifest(&asked.batch, submit);
        documents::write(store, &key, &asked).await?;
        known.add(vec![asked]);
    }
    Ok(known)
}

/// Forgets that the broker took jobs, whichever submit handed them in.
pub async fn forget(
    store: &dyn Store,
    batch: &BatchId,
    jobs: &HashSet<JobId>,
) -> Result<(), DocumentError> {
    for key in store.list(&keys::batch(batch)).await? {
        if !key.ends_with(keys::ACCEPTED) {
            continue;
        }
        let accepted = documents::read::<Accepted>(store, &key).await?;
        let mut accepted = accepted.unwrap_or_default();
        let before = accepted.jobs.len();
        accepted.jobs.retain(|job| !jobs.contains(job));
        if accepted.jobs.len() < before {
            documents::write(store, &key, &accepted).await?;
        }
    }
    Ok(())
}

/// Reads a batch, whose objects lie under `keys`, sorted.
pub(crate) async fn read(
    store: &dyn Store,
    batch: BatchId,
    keys: Vec<String>,
) -> Result<Batch, DocumentError> {
    let (manifests, accepted) = tokio::try_join!(
        read_each::<Manifest>(store, &keys, keys::MANIFEST),
        read_each::<Accepted>(store, &keys, keys::ACCEPTED),
    )?;
    for (key, manifest) in &manifests {
        check(manifest, &batch).map_err(|reason| damaged(store, key, reason))?;
    }
    let mut read = Batch::empty(batch);
    read.add(
        manifests
            .into_iter()
            .map(|(_, manifest)| manifest)
            .collect(),
    );
    let accepted = accepted.into_iter().flat_map(|(_, accepted)| accepted.jobs);
    read.accepted.jobs = accepted.collect();
    Ok(read)
}

/// Reads the documents whose keys end so.
async fn read_each<T: DeserializeOwned>(
    store: &dyn Store,
    keys: &[String],
    ending: &str,
) -> Result<Vec<(String, T)>, DocumentError> {
    let keys = keys.iter().filter(|key| key.ends_with(ending));
    // Owned: a future that borrows from what it is made of can be sent to no other thread.
    let keys: Vec<_> = keys.cloned().collect();
    let read = |key: String| async move {
        let document = documents::read(store, &key).await?;
        Ok::<_, DocumentError>(document.map(|document| (key, document)))
    };
    let documents: Vec<Option<_>> = stream::iter(keys)
        .map(read)
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(documents.into_iter().flatten().collect())
}

/// What is wrong with a manifest that should be of `batch`.
fn check(manifest: &Manifest, batch: &BatchId) -> Result<(), String> {
    if manifest.batch != *batch {
        return Err(format!("it is of batch {}", manifest.batch));
    }
    match manifest.jobs.iter().find(|entry| !entry.name.is_plain()) {
        None => Ok(()),
        Some(entry) => Err(format!("\"{}\" is no name for a file", entry.name)),
    }
}

#[cfg(test)]
mod tests {
    use stylefleet_proto::Labels;
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    fn manifest(batch: &str, results: &[(u8, &str)]) -> Manifest {
        let entry = |&(job, name): &(u8, &str)| ManifestEntry {
            job: format!("{job:064x}").parse().expect("an id"),
            name: name.parse().expect("a name"),
            kind: None,
            labels: Labels::default(),
        };
        Manifest {
            batch: batch.parse().expect("a name"),
            jobs: results.iter().map(entry).collect(),
            unix_seconds: results.len() as u64,
        }
    }

    fn submit(unix_millis: u64) -> SubmitId {
        SubmitId {
            unix_millis,
            random: 7,
        }
    }

    fn results(batch: &Batch) -> Vec<(String, String)> {
        let entries = batch.manifest.jobs.iter();
        let last = |job: JobId| job.to_string().trim_start_matches('0').to_owned();
        entries
            .map(|entry| (last(entry.job), entry.name.to_string()))
            .collect()
    }

    #[tokio::test]
    async fn a_batch_grows_but_never_changes() {
        let store = MemoryStore::default();
        let first = manifest("b", &[(1, "a"), (2, "b")]);
        let batch = record(&store, first.clone(), &submit(1))
            .await
            .expect("new");
        assert_eq!(batch.manifest, first);
        let more = manifest("b", &[(2, "b"), (3, "c"), (1, "d")]);
        let all = record(&store, more, &submit(2)).await.expect("grows");
        let expected = Manifest {
            unix_seconds: 2,
            ..manifest("b", &[(1, "a"), (2, "b"), (3, "c"), (1, "d")])
        };
        assert_eq!(all.manifest, expected);
        let other = record(&store, manifest("b", &[(4, "a")]), &submit(3)).await;
        assert!(matches!(other, Err(BatchError::Taken { .. })), "{other:?}");
        let same = record(&store, manifest("b", &[(1, "a")]), &submit(4)).await;
        assert_eq!(same.expect("the same").manifest, expected);
        let batch = Batch::open(&store, &expected.batch).await.expect("opens");
        assert_eq!(batch.manifest, expected);
        assert_eq!(batch.jobs().len(), 3);
        let [(id, batch)] = &super::all(&store).await.expect("lists")[..] else {
            panic!("not one batch");
        };
        assert_eq!(*id, expected.batch);
        assert_eq!(batch.as_ref().expect("is read").manifest, expected);
        let written = store.list("batches/b/").await.expect("lists");
        assert_eq!(
            written.len(),
            2,
            "what adds nothing is not written: {written:?}"
        );
    }

    #[tokio::test]
    async fn nothing_is_lost_where_submits_meet() {
        let store = MemoryStore::default();
        // Each looked before the others wrote.
        for (at, asked) in [
            (3, manifest("b", &[(3, "a"), (4, "a-2")])),
            (1, manifest("b", &[(1, "a"), (2, "b")])),
            (2, manifest("b", &[(1, "a"), (5, "b")])),
        ] {
            let key = keys::manifest(&asked.batch, &submit(at));
            documents::write(&store, &key, &asked)
                .await
                .expect("writes");
        }
        let batch = Batch::open(&store, &"b".parse().expect("a name")).await;
        let expected = [
            ("1", "a"),
            ("2", "b"),
            ("5", "b-2"),
            ("3", "a-2"),
            ("4", "a-2-2"),
        ];
        let expected = expected.map(|(job, name)| (job.to_owned(), name.to_owned()));
        assert_eq!(results(&batch.expect("opens")), expected);
    }

    #[tokio::test]
    async fn what_was_accepted_can_be_forgotten() {
        let store = MemoryStore::default();
        let asked = manifest("b", &[(1, "a"), (2, "b"), (3, "c")]);
        let jobs: Vec<_> = asked.jobs.iter().map(|entry| entry.job).collect();
        let batch = asked.batch.clone();
        record(&store, asked, &submit(1)).await.expect("records");
        for (at, taken) in [(1, &jobs[..2]), (2, &jobs[1..])] {
            let accepted = Accepted {
                jobs: taken.iter().copied().collect(),
            };
            let key = keys::accepted(&batch, &submit(at));
            documents::write(&store, &key, &accepted)
                .await
                .expect("writes");
        }
        let accepted = async || {
            let batch = Batch::open(&store, &batch).await.expect("opens");
            batch.accepted.jobs.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(accepted().await, jobs);
        forget(&store, &batch, &[jobs[1]].into())
            .await
            .expect("forgets");
        assert_eq!(accepted().await, [jobs[0], jobs[2]]);
    }

    #[tokio::test]
    async fn hostile_manifests_are_refused() {
        let store = MemoryStore::default();
        let batch: BatchId = "b".parse().expect("a name");
        record(&store, manifest("good", &[(1, "a")]), &submit(1))
            .await
            .expect("records");
        for hostile in [
            manifest("b", &[(1, "../a")]),
            manifest("b", &[(1, "/etc/a")]),
            manifest("b", &[(1, "a\\b")]),
            manifest("b", &[(1, &"a".repeat(250))]),
            manifest("c", &[(1, "a")]),
        ] {
            let key = keys::manifest(&batch, &submit(1));
            let written = documents::write(&store, &key, &hostile).await;
            written.expect("writes");
            let refused = Batch::open(&store, &batch).await;
            let Err(BatchError::Document(DocumentError::Damaged { place, .. })) = refused else {
                panic!("not refused: {hostile:?}");
            };
            assert!(place.contains(&key), "{place}");
            let all = super::all(&store).await.expect("the others are read");
            let readable: Vec<_> = all.iter().map(|(_, batch)| batch.is_ok()).collect();
            assert_eq!(readable, [false, true]);
        }
    }
}

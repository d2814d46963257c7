//! Whether a job belongs to this worker's store.

use std::sync::{Arc, OnceLock};

use stylefleet_proto::{Digest, Job, keys};
use stylefleet_transport::store::{Store, StoreError, identity};

/// Why a worker does not take a job.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It belongs to another store.
    #[error(
        "its store is another one than that of {own}: give the worker the STYLEFLEET_STORE that \
         the job was submitted with"
    )]
    OtherStore {
        /// Where this worker's store keeps its identity.
        own: String,
    },
    /// The worker cannot tell, for its own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The worker's store, and which one it is.
pub struct OwnStore {
    store: Arc<dyn Store>,
    /// Read until the store has one: the first submit writes it.
    identity: OnceLock<Digest>,
}

impl OwnStore {
    /// The worker's store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            identity: OnceLock::new(),
        }
    }

    /// Its identity, if it has one yet.
    pub async fn identity(&self) -> Result<Option<Digest>, StoreError> {
        if let Some(known) = self.identity.get() {
            return Ok(Some(*known));
        }
        let found = identity(&*self.store).await?;
        Ok(found.map(|found| *self.identity.get_or_init(|| found)))
    }

    /// Whether the job is for this worker: its inputs are in this store, and its result is awaited
    /// there. So is a job that does not name its store.
    pub async fn check(&self, job: &Job) -> Result<(), Refusal> {
        let Some(wanted) = job.store else {
            return Ok(());
        };
        if self.identity().await? == Some(wanted) {
            Ok(())
        } else {
            Err(Refusal::OtherStore {
                own: self.store.locate(keys::IDENTITY),
            })
        }
    }
}

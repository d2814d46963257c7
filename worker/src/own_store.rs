//! Whether a job belongs to the store that this worker has.

use std::sync::{Arc, OnceLock};

use stylefleet_proto::{Digest, Job, keys};
use stylefleet_transport::store::{Store, StoreError, identity};

/// The worker's store, and which one it is.
pub struct OwnStore {
    store: Arc<dyn Store>,
    /// Asked for until the store has one: the first submit gives it.
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

    /// Why the job is not for this worker; none if its inputs are in this store, and its result is
    /// awaited there. A job that does not say where it belongs is taken.
    pub async fn stranger(&self, job: &Job) -> Option<String> {
        let wanted = job.store?;
        match self.identity().await {
            Ok(Some(own)) if own == wanted => None,
            Ok(_) => Some(format!(
                "its store is another one than that of {}: give the worker the STYLEFLEET_STORE \
                 that the job was submitted with",
                self.store.locate(keys::IDENTITY)
            )),
            Err(error) => Some(error.to_string()),
        }
    }
}

//! The stores that commands work with: a command waits for one that is away, but not for ever.

use std::sync::Arc;
use std::time::Duration;

use stylefleet_transport::store::{
    self, Location, Options, Patience, PatientStore, Store, StoreError,
};

/// How long a command waits for a store that is away.
const PATIENCE: Duration = Duration::from_secs(300);

/// Opens the store at `location`.
pub async fn open(location: &Location, options: &Options) -> Result<Arc<dyn Store>, StoreError> {
    let store = store::open(location, options).await?;
    Ok(Arc::new(PatientStore::new(store, Patience::For(PATIENCE))))
}

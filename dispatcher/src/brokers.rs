//! The broker that commands work with.

use std::sync::Arc;

use stylefleet_transport::broker::{BrokerError, BrokerOptions, DispatcherEnd, RabbitDispatcher};

/// Connects to the broker. Whoever may declare exchanges and queues does so with that.
pub async fn open(options: BrokerOptions) -> Result<Arc<dyn DispatcherEnd>, BrokerError> {
    Ok(Arc::new(RabbitDispatcher::connect(options).await?))
}

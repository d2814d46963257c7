//! What waits, who works and how fast: the document of `stylefleet queue --json`.

use std::time::SystemTime;

use serde::Serialize;
use stylefleet_transport::broker::{BrokerError, Depths, DispatcherEnd};

use crate::activity::{Activity, Rates, WorkerStatus};
use crate::clock::millis;

/// The queues and their workers: `stylefleet queue --json`.
#[derive(Debug, Serialize)]
pub struct QueueStatus {
    /// Jobs that no worker holds.
    pub waiting: Depths,
    /// Those heard of within some seconds, by name.
    pub workers: Vec<WorkerStatus>,
    /// How fast jobs are finished.
    pub rates: Rates,
    /// Seconds until nothing waits, at this rate; null: no idea.
    pub seconds_to_empty: Option<f64>,
}

impl QueueStatus {
    /// Looks at the queues, and listens to the workers for some seconds.
    pub async fn read(broker: &dyn DispatcherEnd) -> Result<Self, BrokerError> {
        let activity = Activity::listen(broker).await?;
        let depths = broker.depths().await?;
        let rates = activity.rates(millis(SystemTime::now()));
        let rate = rates.finished_per_hour;
        Ok(Self {
            waiting: depths,
            workers: activity.workers.into_values().collect(),
            seconds_to_empty: (rate > 0.0).then(|| f64::from(depths.waiting()) * 3600.0 / rate),
            rates,
        })
    }
}

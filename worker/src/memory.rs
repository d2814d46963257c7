//! How the memory of the device stands.

use std::sync::Arc;
use std::time::Duration;

use stylefleet_engine::DeviceMemory;
use stylefleet_proto::Memory;
use stylefleet_transport::broker::RabbitWorker;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Time between two looks at it for the fleet.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How it stands, if that can be told. A driver may be slow to answer, and keeps nobody else.
pub async fn of(device: String) -> Option<Memory> {
    let memory = spawn_blocking(move || DeviceMemory::of(&device)).await;
    let DeviceMemory { used, size } = memory.ok().flatten()?;
    Some(Memory { used, size })
}

/// Has the broker tell the fleet of it, for as long as the worker lives.
pub async fn tell(device: String, broker: Arc<RabbitWorker>) {
    loop {
        broker.tell_memory(of(device.clone()).await);
        sleep(LOOK_EVERY).await;
    }
}

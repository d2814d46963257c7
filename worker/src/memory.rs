//! How the memory of the device stands.

use std::time::Duration;

use stylefleet_engine::DeviceMemory;
use stylefleet_proto::Memory;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Time between two looks at it for those who follow the worker.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How it stands, if that can be told. A driver may be slow to answer, and keeps nobody else.
pub async fn of(device: String) -> Option<Memory> {
    let memory = spawn_blocking(move || DeviceMemory::of(&device)).await;
    let DeviceMemory { used, size } = memory.ok().flatten()?;
    Some(Memory { used, size })
}

/// Tells of it, for as long as the worker lives.
pub async fn tell(device: String, tell: impl Fn(Option<Memory>)) {
    loop {
        tell(of(device.clone()).await);
        sleep(LOOK_EVERY).await;
    }
}

//! The lanes of a run: one per device.

use std::sync::Arc;

use stylefleet_proto::Hello;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::lane::{Context, Lane, LaneError};
use super::machine::Devices;

/// Opens lanes for so many jobs, and returns once all have ended. If one fails, the others are
/// drained. Workers are killed when it is dropped.
pub async fn run(devices: &Devices, jobs: usize, context: Context) -> Result<(), LaneError> {
    let context = Arc::new(context);
    let lane = |device: &str| Lane::new(device.to_owned(), context.clone());
    let mut lanes = JoinSet::new();
    let (ready, mut first) = oneshot::channel();
    // Where the device is left to the first worker, it says whether there are more of the kind.
    let mut may_grow = false;
    match devices {
        Devices::Auto => {
            may_grow = true;
            lanes.spawn(lane("auto").announcing(ready).run());
        }
        Devices::These(devices) => {
            for device in devices.iter().take(jobs) {
                lanes.spawn(lane(device).run());
            }
        }
    }
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            hello = &mut first, if may_grow => {
                may_grow = false;
                for device in hello.iter().flat_map(other_devices).take(jobs.saturating_sub(1)) {
                    lanes.spawn(lane(&device).run());
                }
            }
            ended = lanes.join_next() => match ended {
                None => return outcome,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => {
                    context.drain.cancel();
                    outcome = outcome.and(Err(error));
                }
                Some(Err(panic)) => {
                    context.drain.cancel();
                    outcome = outcome.and(Err(panic.into()));
                }
            },
        }
    }
}

/// The CUDA devices beside that of a worker which chose one.
fn other_devices(hello: &Hello) -> impl Iterator<Item = String> + use<> {
    let devices = if hello.device == "cuda:0" {
        hello.cuda_devices
    } else {
        0
    };
    (1..devices).map(|device| format!("cuda:{device}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_chose_a_cuda_device_has_others_beside_it() {
        let others = |device: &str, cuda_devices| {
            let hello = Hello {
                worker: "w".to_owned(),
                device: device.to_owned(),
                cuda_devices,
            };
            other_devices(&hello).collect::<Vec<_>>()
        };
        assert_eq!(others("cuda:0", 3), ["cuda:1", "cuda:2"]);
        assert_eq!(others("cuda:0", 1), [""; 0]);
        assert_eq!(others("cpu", 0), [""; 0]);
    }
}

//! Work on this machine: a fleet within one process. The broker is in memory, a folder is the
//! store, and workers are child processes, one per device ([`lane`]).

mod lane;
mod lanes;
mod worker;

use std::pin::pin;

use stylefleet_proto::Job;
use stylefleet_transport::broker::{BrokerError, DispatcherEnd};

use crate::asking::values::Devices;
use crate::follow::{FollowError, Follower};
use crate::output::News;
use crate::signals::Signals;

pub use lane::{Context, LaneError};
pub use worker::Launch;

/// Why the work on this machine cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// How the jobs get on cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The broker did not do as it was told.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// There is no worker to be had.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

/// Has all jobs done that are not done yet, while `follower` shows it. Returns once no worker is
/// left. The first signal has workers save their checkpoints and end, the second kills them.
pub async fn work(
    jobs: &[Job],
    devices: &Devices,
    context: Context,
    follower: &mut Follower<'_>,
    signals: &mut Signals,
) -> Result<(), LocalError> {
    follower.catch_up().await?;
    if jobs.is_empty() {
        return Ok(());
    }
    context.broker.submit(jobs, &mut |_| {}).await?;
    let drain = context.drain.clone();
    let mut lanes = pin!(lanes::run(devices, jobs.len(), context));
    let mut ended = None;
    let followed = loop {
        // Once all lanes have ended, nobody holds the broker, and the follower is idle as soon as
        // it has handled what was published.
        if follower.is_done() || follower.is_idle() {
            break Ok(());
        }
        tokio::select! {
            next = follower.next() => {
                if let Err(error) = follower.handle(next).await {
                    break Err(error);
                }
            }
            outcome = &mut lanes, if ended.is_none() => ended = Some(outcome),
            () = signals.recv() => {
                if drain.is_cancelled() {
                    return Ok(());
                }
                follower.board.show(&News::Stopping);
                drain.cancel();
            }
        }
    };
    drain.cancel();
    if ended.is_none() {
        tokio::select! {
            outcome = lanes => ended = Some(outcome),
            () = signals.recv() => {}
        }
    }
    followed?;
    Ok(ended.unwrap_or(Ok(()))?)
}

//! Work on this machine: a fleet within one process. The broker is in memory, a folder is the
//! store, and workers are child processes, one per device ([`lane`]).

mod lane;
mod lanes;
mod machine;
mod worker;

use std::pin::pin;

use stylefleet_proto::Job;
use stylefleet_transport::broker::{BrokerError, DispatcherEnd};

use crate::follow::{PresentError, Presenter};
use crate::output::News;
use crate::signals::Signals;

pub use lane::{Context, LaneError};
pub use machine::{Devices, Machine, WHOLE};
pub use worker::Launch;

/// Why the work on this machine cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// How the jobs get on cannot be followed.
    #[error(transparent)]
    Present(#[from] PresentError),
    /// A request to the broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// There is no worker to be had.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

/// Has all jobs done that are not done yet, while `presenter` shows it. Returns once no worker is
/// left. The first signal has workers save their checkpoints and end, the second kills them.
pub async fn work(
    jobs: &[Job],
    devices: &Devices,
    context: Context,
    presenter: &mut Presenter<'_>,
    signals: &mut Signals,
) -> Result<(), LocalError> {
    presenter.catch_up().await?;
    if jobs.is_empty() {
        return Ok(());
    }
    context.broker.submit(jobs, &mut |_| {}).await?;
    let (drain, broker) = (context.drain.clone(), context.broker.clone());
    let mut lanes = pin!(lanes::run(devices, jobs.len(), context));
    let mut ended = None;
    let followed = loop {
        tokio::select! {
            next = presenter.follower.next() => match next {
                Ok(Some(happening)) => {
                    if let Err(error) = presenter.show(happening).await {
                        break Err(error.into());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(PresentError::from(error)),
            },
            outcome = &mut lanes, if ended.is_none() => {
                ended = Some(outcome);
                // Nothing happens after what was published.
                broker.close().await;
            }
            () = signals.recv() => {
                if drain.is_cancelled() {
                    return Ok(());
                }
                presenter.reporter.report(&News::Stopping);
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

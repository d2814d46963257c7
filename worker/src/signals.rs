//! SIGTERM and SIGINT: the first asks the worker to stop, the second ends it at once.

use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `drain` on the first signal. On the second, or once `grace` is over, the process ends at
/// once: another worker resumes the job from its last checkpoint.
pub fn listen(drain: &CancellationToken, grace: Option<Duration>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let drain = drain.clone();
    tokio::spawn(async move {
        let mut either = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        either().await;
        drain.cancel();
        let Some(grace) = grace else { return };
        tracing::info!("told to stop: the worker gives its jobs back, within {grace:?}");
        tokio::select! {
            () = either() => tracing::warn!("a second signal: the worker ends at once"),
            () = tokio::time::sleep(grace) => {
                tracing::warn!("the worker did not stop within {grace:?} and ends at once");
            }
        }
        // Not by `exit`, which would destroy what libtorch's threads are still using.
        let _ = kill_process(getpid(), Signal::KILL);
    });
    Ok(())
}

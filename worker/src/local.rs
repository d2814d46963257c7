//! The child of `stylefleet run`: jobs come over standard input, events go over standard output,
//! and a folder is the store.
//!
//! Three tasks: one listens, one speaks, and between them one works, a job at a time.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use stylefleet_engine::{Description, Engine};
use stylefleet_proto::{Event, Happening, Hello, Invalid, Job, JobId, ToWorker, wire};
use stylefleet_transport::pipe::{self, PipeError};
use stylefleet_transport::store::FolderStore;
use tokio::fs::File;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::Settings;
use crate::engine_thread::EngineThread;
use crate::events::Events;
use crate::failure::Failure;
use crate::job::Attempt;

/// Why a local worker ended otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The operating system refused what a worker needs to begin.
    #[error("cannot begin: {0}")]
    System(#[from] std::io::Error),
    /// The engine did not open.
    #[error(transparent)]
    Open(#[from] Failure),
    /// What came over standard input cannot be read.
    #[error("standard input: {0}")]
    Pipe(#[from] PipeError),
    /// A message over standard input does not say which job it is about.
    #[error("standard input: a message cannot be answered: {0}")]
    Message(#[from] Invalid),
    /// A job panicked and took the engine with it.
    #[error("the engine is broken after a panic: the worker ends, start another")]
    Broken,
}

impl LocalError {
    /// Whether the worker never came to take a job.
    pub fn is_at_start(&self) -> bool {
        matches!(self, Self::System(_) | Self::Open(_))
    }
}

/// Works until told to stop.
pub fn run(store: &Path, settings: &Settings, out: OwnedFd) -> Result<(), LocalError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(FolderStore::new(store), settings, out));
    // A read of standard input may still be under way; it is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(store: FolderStore, settings: &Settings, out: OwnedFd) -> Result<(), LocalError> {
    let options = settings.engine();
    let engine = EngineThread::start(move || Engine::open(&options)).await?;
    let name = worker_name();
    let drain = CancellationToken::new();
    drain_on_signals(&drain)?;

    let (tell, told) = unbounded_channel();
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    tokio::spawn(listen(
        name.clone(),
        tell,
        input,
        drain.clone().drop_guard(),
    ));
    let (say, said) = unbounded_channel();
    let hello = hello(&name, engine.description());
    let speaking = tokio::spawn(speak(hello, said, out, drain.clone().drop_guard()));

    let worker = Worker {
        name,
        store,
        engine,
        settings,
        drain,
    };
    let ended = worker.work(told, say).await;
    // The last event is to be out before the process ends.
    let _ = speaking.await;
    ended
}

/// What came over standard input.
enum Told {
    Job(Box<Job>),
    Refused(Event),
    Drain,
    Nonsense(LocalError),
}

struct Worker<'a> {
    name: String,
    store: FolderStore,
    engine: EngineThread,
    settings: &'a Settings,
    drain: CancellationToken,
}

impl Worker<'_> {
    async fn work(
        &self,
        mut told: UnboundedReceiver<Told>,
        say: UnboundedSender<Event>,
    ) -> Result<(), LocalError> {
        loop {
            let next = tokio::select! {
                biased;
                next = told.recv() => next,
                () = self.drain.cancelled() => None,
            };
            match next {
                Some(Told::Nonsense(error)) => return Err(error),
                Some(Told::Refused(event)) => drop(say.send(event)),
                Some(Told::Job(job)) if !self.drain.is_cancelled() => {
                    self.attempt(&job, say.clone()).await?;
                }
                Some(Told::Job(_) | Told::Drain) | None => return Ok(()),
            }
        }
    }

    async fn attempt(&self, job: &Job, say: UnboundedSender<Event>) -> Result<(), LocalError> {
        let attempt = Attempt {
            job,
            store: &self.store,
            engine: &self.engine,
            events: &Events::new(job, &self.name, say),
            drain: &self.drain,
            checkpoint_every: self.settings.checkpoint_every(),
        };
        attempt.run().await;
        if self.engine.is_alive() {
            Ok(())
        } else {
            Err(LocalError::Broken)
        }
    }
}

/// Reads what the parent says. The worker drains when this ends, however it ends.
async fn listen(worker: String, tell: UnboundedSender<Told>, input: OwnedFd, _drain: DropGuard) {
    let mut frames = pipe::Receiver::new(File::from_std(input.into()));
    loop {
        let told = match frames.recv().await {
            Ok(Some(frame)) => understand(frame, &worker),
            Ok(None) => Told::Drain,
            Err(error) => Told::Nonsense(error.into()),
        };
        let last = matches!(told, Told::Drain | Told::Nonsense(_));
        if tell.send(told).is_err() || last {
            return;
        }
    }
}

/// What `frame` says. A job that is not valid is answered, if it can still be named.
fn understand(frame: wire::ToWorker, worker: &str) -> Told {
    let named = match &frame.frame {
        Some(wire::to_worker::Frame::Job(job)) if job.attempt > 0 => {
            job.id.parse::<JobId>().ok().map(|id| (id, job.attempt))
        }
        _ => None,
    };
    match (ToWorker::try_from(frame), named) {
        (Ok(ToWorker::Job(job)), _) => Told::Job(job),
        (Ok(ToWorker::Drain), _) => Told::Drain,
        (Err(invalid), Some((job, attempt))) => Told::Refused(Event {
            job,
            worker: worker.to_owned(),
            attempt,
            happening: Happening::Failed {
                retryable: false,
                reason: invalid.to_string(),
            },
        }),
        (Err(invalid), None) => Told::Nonsense(invalid.into()),
    }
}

/// Writes what the parent is to hear. A parent that is gone hears nothing: the worker drains.
async fn speak(
    hello: Hello,
    mut said: UnboundedReceiver<Event>,
    out: OwnedFd,
    _drain: DropGuard,
) -> Result<(), PipeError> {
    use wire::from_worker::Frame;
    let mut frames = pipe::Sender::new(File::from_std(out.into()));
    let mut frame = Frame::Hello(hello.into());
    loop {
        frames
            .send(&wire::FromWorker { frame: Some(frame) })
            .await?;
        match said.recv().await {
            Some(event) => frame = Frame::Event(event.into()),
            None => return Ok(()),
        }
    }
}

fn drain_on_signals(drain: &CancellationToken) -> std::io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let drain = drain.clone();
        tokio::spawn(async move {
            signals.recv().await;
            drain.cancel();
        });
    }
    Ok(())
}

fn worker_name() -> String {
    let system = rustix::system::uname();
    format!(
        "{}-{}",
        system.nodename().to_string_lossy(),
        std::process::id()
    )
}

fn hello(worker: &str, engine: &Description) -> Hello {
    Hello {
        worker: worker.to_owned(),
        device: engine.device.clone(),
        cuda_devices: engine.cuda_devices,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stylefleet_proto::wire::to_worker::Frame;

    fn told(change: impl FnOnce(&mut wire::Job)) -> Told {
        let mut job = wire::Job::from(&crate::job::tests::job());
        change(&mut job);
        let frame = Some(Frame::Job(job));
        understand(wire::ToWorker { frame }, "worker")
    }

    #[test]
    fn a_job_that_is_not_valid_is_answered_if_it_can_be_named() {
        assert!(matches!(told(|_| ()), Told::Job(_)));
        let Told::Refused(event) = told(|job| job.styles.clear()) else {
            panic!("is not refused");
        };
        assert_eq!(event.job, crate::job::tests::job().id);
        let reason = "styles: has 0 entries, must be 1 to 16".to_owned();
        let retryable = false;
        assert_eq!(event.happening, Happening::Failed { retryable, reason });
        assert!(matches!(told(|job| job.id.clear()), Told::Nonsense(_)));
        assert!(matches!(told(|job| job.attempt = 0), Told::Nonsense(_)));
        let nothing = understand(wire::ToWorker { frame: None }, "worker");
        assert!(matches!(nothing, Told::Nonsense(_)));
    }
}

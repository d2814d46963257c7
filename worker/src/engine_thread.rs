//! The engine's thread. Nothing of libtorch runs anywhere else, so the async side stays awake.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use stylefleet_engine::{Description, Engine, Error, Observer, Outcome, Request};
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;
use crate::watch::Watch;

/// What the thread runs: the engine, or a test's stand-in.
pub trait Stylize {
    /// See [`Engine::description`].
    fn description(&self) -> &Description;

    /// See [`Engine::stylize`].
    fn stylize(
        &mut self,
        request: &Request,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error>;
}

impl Stylize for Engine {
    fn description(&self) -> &Description {
        Engine::description(self)
    }

    fn stylize(
        &mut self,
        request: &Request,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        Engine::stylize(self, request, checkpoint, observer)
    }
}

/// An engine on a thread of its own. Dropping it ends the thread.
#[derive(Debug)]
pub struct EngineThread {
    description: Description,
    // Dropped in this order: the thread ends once no more work can come.
    work: mpsc::UnboundedSender<Work>,
    _thread: Joined,
}

/// A thread that is waited for when this is dropped, so that no tensor is freed while the process
/// is already ending.
#[derive(Debug)]
struct Joined(Option<JoinHandle<()>>);

#[derive(Debug)]
struct Work {
    request: Arc<Request>,
    checkpoint: Option<Vec<u8>>,
    watch: Watch,
    reply: oneshot::Sender<Result<Outcome, Failure>>,
}

impl EngineThread {
    /// Opens the engine on its thread.
    pub async fn start<E: Stylize>(
        open: impl FnOnce() -> Result<E, Error> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (work, jobs) = mpsc::unbounded_channel();
        let (opened, description) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || match guarded(open) {
                Ok(engine) => {
                    if opened.send(Ok(engine.description().clone())).is_ok() {
                        serve(engine, jobs);
                    }
                }
                Err(failure) => drop(opened.send(Err(failure))),
            })
            .map_err(Failure::Thread)?;
        let _thread = Joined(Some(thread));
        Ok(Self {
            description: description.await.unwrap_or_else(|_| Err(gone()))?,
            work,
            _thread,
        })
    }

    /// What the engine is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether the engine can take another job: not after a panic.
    pub fn is_alive(&self) -> bool {
        !self.work.is_closed()
    }

    /// Runs [`Engine::stylize`] on the engine's thread.
    pub async fn stylize(
        &self,
        request: Arc<Request>,
        checkpoint: Option<Vec<u8>>,
        watch: Watch,
    ) -> Result<Outcome, Failure> {
        let (reply, outcome) = oneshot::channel();
        // If the thread is gone the work is dropped, and the reply with it.
        let _ = self.work.send(Work {
            request,
            checkpoint,
            watch,
            reply,
        });
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // What panicked on it was told already.
            let _ = thread.join();
        }
    }
}

/// Works job after job, until the handle is dropped or a job panics.
fn serve<E: Stylize>(mut engine: E, mut jobs: mpsc::UnboundedReceiver<Work>) {
    while let Some(work) = jobs.blocking_recv() {
        let Work {
            request,
            checkpoint,
            mut watch,
            reply,
        } = work;
        let outcome = guarded(|| engine.stylize(&request, checkpoint.as_deref(), &mut watch));
        drop(watch); // Ends the keeping of checkpoints.
        if matches!(outcome, Err(Failure::Panic(_))) {
            // What the engine holds cannot be trusted any more, not even to be dropped.
            std::mem::forget(engine);
            drop(jobs);
            let _ = reply.send(outcome);
            return;
        }
        let _ = reply.send(outcome);
    }
}

/// Turns a panic into a failure. The engine is not used again after one, so nothing sees what a
/// panic left half done.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Ok(result?),
        Err(panic) => Err(Failure::Panic(first_line(panic.as_ref()))),
    }
}

/// A panic's message without the C++ backtrace that libtorch adds.
fn first_line(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    // `unwrap` on an error shows its line breaks escaped.
    let text = text.replace("\\n", "\n");
    text.lines().next().unwrap_or_default().to_owned()
}

fn gone() -> Failure {
    Failure::Panic("the engine's thread has ended".to_owned())
}

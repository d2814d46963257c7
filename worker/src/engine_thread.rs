//! The engine's thread. Nothing of libtorch runs anywhere else, so the async side stays awake.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use stylefleet_engine::{Description, Engine, Error, Options, Outcome, Task};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use crate::failure::Failure;
use crate::watch::Watch;

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
    task: Arc<dyn Task>,
    checkpoint: Option<Vec<u8>>,
    watch: Watch,
    /// The caller's span, which the work belongs to.
    span: Span,
    reply: oneshot::Sender<Result<Outcome, Failure>>,
}

impl EngineThread {
    /// Opens the engine on its thread.
    pub async fn start(options: Options) -> Result<Self, Failure> {
        let (work, jobs) = mpsc::unbounded_channel();
        let (opened, description) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || match guarded(|| Engine::open(&options)) {
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

    /// Runs `task` on the engine's thread.
    pub async fn run(
        &self,
        task: Arc<dyn Task>,
        checkpoint: Option<Vec<u8>>,
        watch: Watch,
    ) -> Result<Outcome, Failure> {
        let (reply, outcome) = oneshot::channel();
        // If the thread is gone the work is dropped, and the reply with it.
        let _ = self.work.send(Work {
            task,
            checkpoint,
            watch,
            span: Span::current(),
            reply,
        });
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A panic on it was reported already.
            let _ = thread.join();
        }
    }
}

/// Works task after task, until the handle is dropped or a task panics.
fn serve(mut engine: Engine, mut jobs: mpsc::UnboundedReceiver<Work>) {
    while let Some(work) = jobs.blocking_recv() {
        let Work {
            task,
            checkpoint,
            mut watch,
            span,
            reply,
        } = work;
        let outcome = span.in_scope(|| {
            let outcome = guarded(|| task.run(&mut engine, checkpoint.as_deref(), &mut watch));
            drop(watch); // Ends the writers of checkpoints and previews.
            outcome
        });
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

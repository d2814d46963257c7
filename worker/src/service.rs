//! A worker at work: job after job, until it is told to stop.
//!
//! Three things overlap, so that the device is never idle while there is work: while one job is
//! computed, the outputs of the last one are uploaded, and shortly before it ends, the next one is
//! claimed and fetched, and on a GPU read ahead. No job is claimed earlier: another worker may be
//! idle.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stylefleet_engine::allocator;
use stylefleet_proto::lifecycle::{self, ATTEMPTS, Settlement};
use stylefleet_proto::metrics::Stage;
use stylefleet_proto::{Ended, Job, headline};
use stylefleet_transport::broker::{BrokerError, Claim, WorkerEnd};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::field::display;
use tracing::{Instrument, Span};

use crate::events::Events;
use crate::failure::Failure;
use crate::job::{Attempt, Computed, Conclusion, Preparation, Prepared, Why, WorkerContext};
use crate::metrics;
use crate::own_store::Refusal;
use crate::spans;
use crate::watch::Signals;

/// Time between two checks whether the current job was cancelled.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long before the end of a slice the next job is fetched.
const AHEAD: Duration = Duration::from_secs(15);
/// How long a worker pauses after a job that belongs to another store.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// A worker that has waited so long for a job is idle.
const IDLE_AFTER: Duration = Duration::from_secs(2);

/// A worker and its broker.
pub struct Service {
    /// What it works with.
    pub context: Arc<WorkerContext>,
    /// Where jobs come from.
    pub broker: Arc<dyn WorkerEnd>,
    /// Cancelled when the worker is to stop.
    pub drain: CancellationToken,
    /// How long a job may stay at work while others wait.
    pub slice: Duration,
}

/// Why a worker stopped without being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The broker delivers no more jobs.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A job panicked and took the engine with it.
    #[error("the engine is broken after a panic: the worker ends, start another")]
    Engine,
    /// A task panicked.
    #[error("the worker panicked: {0}: please report this")]
    Panic(#[from] JoinError),
}

/// A job that is ready and waits for the engine.
struct Ready {
    claim: Claim,
    attempt: Attempt,
    events: Events,
    prepared: Prepared,
    since: Instant,
    /// That of the attempt.
    span: Span,
    /// That of the time until the engine has the job.
    waiting: Span,
}

/// A job that the engine is done with.
struct Done {
    claim: Claim,
    attempt: Attempt,
    events: Events,
    computed: Result<Computed, Failure>,
    why: Option<Why>,
}

impl Service {
    /// Works until told to stop, then closes the connection to the broker.
    pub async fn run(self) -> Result<(), ServiceError> {
        let service = Arc::new(self);
        let ended = service.clone().work().await;
        service.broker.close().await;
        ended
    }

    async fn work(self: Arc<Self>) -> Result<(), ServiceError> {
        let now = CancellationToken::new();
        now.cancel();
        let mut next = tokio::spawn(self.clone().next(now));
        let mut finishing: Option<JoinHandle<()>> = None;
        let mut ended = Ok(());
        while let Some(ready) = wait_for_next(&mut next).await?? {
            let signals = Signals::default();
            if self.drain.is_cancelled() {
                next = tokio::spawn(self.clone().next(signals.nearly_done));
                self.give_back(ready).await;
                continue;
            }
            next = tokio::spawn(self.clone().next(signals.nearly_done.clone()));
            let Ready {
                claim,
                attempt,
                events,
                prepared,
                since,
                span,
                waiting,
            } = ready;
            metrics::took(attempt.kind(), Stage::Wait, since.elapsed());
            drop(waiting);
            let computing = self.compute(&claim, &attempt, prepared, &signals);
            let (computed, why) = computing.instrument(span.clone()).await;
            let done = Done {
                claim,
                attempt,
                events,
                computed,
                why,
            };
            signals.nearly_done.cancel();
            if !self.context.engine.is_alive() {
                self.drain.cancel();
                ended = Err(ServiceError::Engine);
            }
            // Only one job's outputs are uploaded at a time: more would pile up.
            let finish = tokio::spawn(self.clone().finish(done).instrument(span));
            if let Some(finishing) = finishing.replace(finish) {
                finishing.await?;
            }
        }
        if let Some(finishing) = finishing {
            finishing.await?;
        }
        ended
    }

    /// Claims and fetches a job, but not before `due`. None once the worker is to stop.
    async fn next(self: Arc<Self>, due: CancellationToken) -> Result<Option<Ready>, BrokerError> {
        tokio::select! {
            () = due.cancelled() => {}
            () = self.drain.cancelled() => {}
        }
        while let Some(claim) = self.broker.claim(&self.drain).await? {
            let span = spans::attempt(&claim.job);
            if let Some(ready) = self.prepare(claim).instrument(span).await {
                return Ok(Some(ready));
            }
        }
        Ok(None)
    }

    /// Fetches a job that was claimed, unless there is nothing to compute.
    async fn prepare(&self, claim: Claim) -> Option<Ready> {
        let worker = self.context.worker.clone();
        let events = Events::new(&claim.job, worker, self.broker.clone());
        if let Err(refusal) = self.context.own_store.check(&claim.job).await {
            self.turn_away(claim, &events, refusal).await;
            return None;
        }
        metrics::claimed(&claim);
        let attempt = Attempt::new(claim.job.clone(), self.context.clone(), events.clone());
        match attempt.prepare(&claim).await {
            Preparation::Ready(prepared) => Some(Ready {
                claim,
                attempt,
                events,
                prepared,
                since: Instant::now(),
                span: Span::current(),
                waiting: spans::stage(Stage::Wait),
            }),
            Preparation::Over(conclusion) => {
                self.settle(claim, &events, conclusion).await;
                None
            }
        }
    }

    /// Leaves a job to workers that have its store. Logs an error, for there may be none.
    async fn turn_away(&self, claim: Claim, events: &Events, refusal: Refusal) {
        tracing::error!("is not taken: {refusal}");
        events.note(format!(
            "worker {} does not take it: {refusal}",
            self.context.worker
        ));
        let ended = Ended::Interrupted { steps: 0 };
        self.settle(claim, events, ended.into()).await;
        // If nobody else takes it, it comes back at once.
        tokio::select! {
            () = sleep(AFTER_REFUSAL) => {}
            () = self.drain.cancelled() => {}
        }
    }

    /// Has the engine compute a job until it is done or has to stop.
    async fn compute(
        &self,
        claim: &Claim,
        attempt: &Attempt,
        prepared: Prepared,
        signals: &Signals,
    ) -> (Result<Computed, Failure>, Option<Why>) {
        let _at_work = self.context.activity.begin(prepared.steps);
        let computing = attempt.compute(prepared, signals);
        let mut compute = pin!(metrics::timed(attempt.kind(), Stage::Compute, computing));
        tokio::select! {
            computed = &mut compute => (computed, None),
            why = self.reason_to_stop(claim, attempt, signals) => {
                signals.stop.cancel();
                (compute.await, Some(why))
            }
        }
    }

    /// Waits for a reason to interrupt the current job.
    async fn reason_to_stop(&self, claim: &Claim, attempt: &Attempt, signals: &Signals) -> Why {
        let void = async {
            claim.hold.lost.cancelled().await;
            // Whoever gets the job next must not conclude that this worker died.
            attempt.unmark().await;
            claim.hold.void.cancelled().await;
        };
        tokio::select! {
            () = self.drain.cancelled() => Why::Turn,
            () = self.end_of_slice(signals) => Why::Turn,
            () = cancelled(attempt) => Why::Cancelled,
            () = void => Why::Void,
        }
    }

    async fn end_of_slice(&self, signals: &Signals) {
        sleep(self.slice.saturating_sub(AHEAD)).await;
        signals.nearly_done.cancel();
        sleep(self.slice.min(AHEAD)).await;
    }

    /// Stores what was computed, and settles the claim.
    async fn finish(self: Arc<Self>, done: Done) {
        let Done {
            claim,
            attempt,
            events,
            computed,
            why,
        } = done;
        let finishing = attempt.finish(computed, why);
        match metrics::timed(attempt.kind(), Stage::Upload, finishing).await {
            Some(conclusion) => self.settle(claim, &events, conclusion).await,
            None => tracing::info!("is another worker's now"),
        }
    }

    /// Gives back a job that was fetched but not begun.
    async fn give_back(&self, ready: Ready) {
        let steps = ready.prepared.steps;
        let ended = Ended::Interrupted { steps };
        let settling = self.settle(ready.claim, &ready.events, ended.into());
        settling.instrument(ready.span).await;
    }

    async fn settle(&self, mut claim: Claim, events: &Events, conclusion: Conclusion) {
        let Conclusion { ended, reason } = conclusion;
        let ended = match ended {
            // A worker that is stopping does not wait until the store answers again. What fails for
            // that reason is no failed attempt; a panic is one.
            Ended::Failed {
                retryable: true,
                reason,
            } if self.drain.is_cancelled() && self.context.engine.is_alive() => {
                tracing::warn!("is given back: {reason}");
                Ended::Interrupted { steps: 0 }
            }
            ended => ended,
        };
        let kind = self.context.kinds.label(&claim.job.kind);
        let outcome = metrics::ended(kind, claim.job.attempt, &ended, reason);
        Span::current().record("outcome", display(outcome.word()));
        tracing::debug!(event = "ended", "is let go of");
        log(&claim.job, &ended);
        claim.job.trace = stylefleet_telemetry::after(claim.job.trace);
        let settling = self.broker.settle(claim, events.event(ended));
        if let Err(error) = metrics::timed(kind, Stage::Settle, settling).await {
            // The store has what was done, and the next delivery finds it there.
            tracing::warn!("{error}");
        }
    }
}

/// Logs one line for each delivery: how it ended, and what happens to the job.
fn log(job: &Job, ended: &Ended) {
    match ended {
        Ended::Finished {
            seconds,
            steps,
            figures,
        } => {
            let figures = headline(figures).map(|(name, value)| format!(", {name} {value:.3e}"));
            let figures: String = figures.collect();
            tracing::info!("done, {steps} steps in {seconds:.1} s{figures}");
        }
        Ended::Interrupted { steps } => {
            tracing::info!("given back after {steps} steps");
        }
        Ended::Cancelled => tracing::info!("cancelled"),
        Ended::Failed { reason, .. } => {
            let attempt = job.attempt;
            stylefleet_telemetry::fail(reason);
            if let Settlement::SetAside { reason } = lifecycle::settle(attempt, ended) {
                tracing::warn!("set aside: {reason}");
            } else {
                tracing::warn!("attempt {attempt} of {ATTEMPTS} failed, another follows: {reason}");
            }
        }
    }
}

/// Waits for the next job. If that takes a while, frees the memory that the last one needed.
async fn wait_for_next<T>(next: &mut JoinHandle<T>) -> Result<T, JoinError> {
    match timeout(IDLE_AFTER, &mut *next).await {
        Ok(came) => came,
        Err(_) => {
            allocator::give_back();
            next.await
        }
    }
}

/// Waits until somebody cancels the job.
async fn cancelled(attempt: &Attempt) {
    loop {
        sleep(LOOK_EVERY).await;
        match attempt.is_cancelled().await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!("{error}"),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

//! Watches the engine from its own thread.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use stylefleet_engine::{Control, Observer, State};
use stylefleet_proto::{Progress, Update};
use tokio_util::sync::CancellationToken;

use crate::checkpoints::CheckpointSender;
use crate::events::Events;
use crate::metrics::Meter;
use crate::previews::Previews;
use crate::spans::Phases;

/// A job with fewer seconds than this left is about to end.
const NEARLY_DONE: f64 = 15.0;
/// Least time between two progress events of one phase.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What the engine's thread and the rest of the worker signal each other about a job.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Cancelled when the job has to be interrupted.
    pub stop: CancellationToken,
    /// Cancelled once the job is about to end, so that the next can be fetched.
    pub nearly_done: CancellationToken,
}

/// Publishes what the engine does, offers its state to the writers of checkpoints and previews, and
/// interrupts it when it has to stop.
#[derive(Debug)]
pub struct Watch {
    events: Events,
    signals: Signals,
    checkpoints: CheckpointSender,
    previews: Previews,
    notes: Sender<String>,
    throttle: Throttle,
    meter: Meter,
    phases: Phases,
}

impl Watch {
    /// A watch, and the notes that the engine is going to make.
    pub fn new(
        events: Events,
        signals: Signals,
        checkpoints: CheckpointSender,
        previews: Previews,
        meter: Meter,
    ) -> (Self, Receiver<String>) {
        let (notes, noted) = channel();
        let watch = Self {
            events,
            signals,
            checkpoints,
            previews,
            notes,
            throttle: Throttle::default(),
            meter,
            phases: Phases::within_current(),
        };
        (watch, noted)
    }
}

impl Observer for Watch {
    fn noted(&mut self, note: &str) {
        self.events.note(note);
        // The notes are read once the engine is done; nobody reads those of a failed attempt.
        let _ = self.notes.send(note.to_owned());
    }

    fn progressed(&mut self, progress: &Progress) -> Control {
        let phase = self.phases.at(&progress.phase);
        let _phase = phase.enter();
        tracing::trace!(event = "step", steps = progress.steps, "got further");
        self.meter.stepped(progress);
        if self.throttle.lets_pass(&progress.phase, Instant::now()) {
            self.events.publish(Update::Progress(progress.clone()));
        }
        if progress.seconds_left.is_some_and(|left| left < NEARLY_DONE) {
            self.signals.nearly_done.cancel();
        }
        if self.signals.stop.is_cancelled() {
            Control::Interrupt
        } else {
            Control::Continue
        }
    }

    fn accepted(&mut self, state: &State<'_>) {
        self.checkpoints.offer(state.checkpoint);
        self.previews.offer(state);
    }
}

/// Lets the first progress of each phase pass, then a few a second.
#[derive(Debug, Default)]
struct Throttle {
    last: Option<(String, Instant)>,
}

impl Throttle {
    fn lets_pass(&mut self, phase: &str, now: Instant) -> bool {
        let soon = self.last.as_ref().is_some_and(|(last, then)| {
            last == phase && now.duration_since(*then) < PROGRESS_EVERY
        });
        if !soon {
            self.last = Some((phase.to_owned(), now));
        }
        !soon
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_second_and_the_first_of_each_phase() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        let passed: Vec<_> = (0..100u64)
            .filter(|i| {
                let phase = if *i < 55 { "scale 1/2" } else { "scale 2/2" };
                throttle.lets_pass(phase, start + Duration::from_millis(10 * i))
            })
            .collect();
        assert_eq!(passed, [0, 20, 40, 55, 75, 95]);
    }
}

//! Between the optimisation of one frame and who watches the chunk.

use stylefleet_model::Progress;

use super::course::{Stage, Visit, Way};
use super::made::Made;
use crate::{Control, Error, Observer, State};

/// Watches a frame, and reports it as a part of its chunk.
pub(super) struct Relay<'a> {
    pub observer: &'a mut dyn Observer,
    pub made: &'a Made,
    pub identity: &'a str,
    /// What the frame is a part of.
    pub stage: Stage,
    /// Width and height, for the phase's name.
    pub size: String,
    pub clock: Clock,
}

/// How long a chunk takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Seconds of work of earlier stays at a worker.
    pub earlier: f64,
    /// When this one began.
    pub start: std::time::Instant,
    /// Work done since, work of the frame under way, and work that follows, all in the same unit.
    pub work: [f64; 3],
}

/// What a visit takes, in evaluations at the frames' size: those at half the size count a quarter,
/// and so on.
pub(super) fn work(visit: &Visit, alone: [u32; 2], later: u32) -> f64 {
    match visit.way {
        Way::Alone => f64::from(alone[0]) + f64::from(alone[1]) / 3.0,
        Way::After | Way::Between { .. } => f64::from(later),
    }
}

impl Clock {
    pub fn seconds(&self) -> f64 {
        self.earlier + self.start.elapsed().as_secs_f64()
    }

    /// Seconds left, if the frame under way has so many.
    fn left(&self, of_frame: f64) -> f64 {
        let [done, now, then] = self.work;
        let pace = (self.start.elapsed().as_secs_f64() + of_frame) / (done + now).max(1.0);
        of_frame + then * pace
    }
}

impl Observer for Relay<'_> {
    fn noted(&mut self, note: &str) {
        self.observer.noted(note);
    }

    fn progressed(&mut self, progress: &Progress) -> Control {
        let Stage { name, done, total } = self.stage;
        self.observer.progressed(&Progress {
            phase: format!("{name}, {}", self.size),
            done,
            total,
            unit: "frames".to_owned(),
            steps: self.made.position.evaluations + progress.steps,
            figures: progress.figures.clone(),
            seconds_left: progress.seconds_left.map(|left| self.clock.left(left)),
        })
    }

    fn accepted(&mut self, state: &State<'_>) {
        let (made, identity, clock) = (self.made, self.identity, self.clock);
        let checkpoint = || -> Result<Vec<u8>, Error> {
            let frame = (state.checkpoint)()?;
            made.save(identity, clock.seconds(), Some((&frame, state.steps)))
        };
        self.observer.accepted(&State {
            steps: made.position.evaluations + state.steps,
            checkpoint: &checkpoint,
            preview: state.preview,
        });
    }
}

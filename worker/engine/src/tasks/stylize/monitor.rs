//! Counts evaluations, keeps time, and talks to the observer.

use std::time::Instant;

use stylefleet_model::{Figures, Progress};

use super::Request;
use super::position::Position;
use crate::arithmetic::Arithmetic;
use crate::image::Extent;
use crate::minimize::Minimizer;
use crate::tasks::curve::{CurvePoint, LossCurve};
use crate::{Control, Error, Observer, State};

/// Iterations over which the tolerance looks.
const TOLERANCE_SPAN: usize = 10;

/// Where a job stands, and the observer of it.
pub(super) struct Monitor<'a> {
    observer: &'a mut dyn Observer,
    request: &'a Request,
    scales: Vec<Extent>,
    /// Runs ahead of `committed` while an iteration is under way.
    position: Position,
    /// The position that the minimiser's state belongs to, as a checkpoint has it.
    committed: Position,
    clock: Instant,
    /// Seconds of work before this clock was started.
    earlier: f64,
    /// Pixels evaluated since, for an estimate of the speed.
    pixels: u64,
    /// Lowest loss at this scale.
    lowest: f64,
}

impl<'a> Monitor<'a> {
    /// At the beginning of a job that goes through `scales`.
    pub fn new(
        request: &'a Request,
        scales: Vec<Extent>,
        arithmetic: Arithmetic,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let position = Position {
            scale: 0,
            evaluation: 0,
            total: 0,
            recent: Vec::new(),
            terms: Figures::new(),
            curve: LossCurve::default(),
            arithmetic,
            seconds: 0.0,
        };
        Self {
            observer,
            request,
            scales,
            committed: position.clone(),
            position,
            clock: Instant::now(),
            earlier: 0.0,
            pixels: 0,
            lowest: f64::INFINITY,
        }
    }

    /// Goes on from a checkpoint's position.
    pub fn resume(&mut self, position: Position, loss: f64) {
        self.earlier = position.seconds;
        self.committed = position.clone();
        self.position = position;
        self.lowest = loss;
    }

    /// Evaluations that the minimiser's state holds, over all scales.
    pub fn committed_evaluations(&self) -> u32 {
        self.committed.total
    }

    /// Evaluations done, over all scales.
    pub fn evaluations(&self) -> u32 {
        self.position.total
    }

    /// How the loss fell.
    pub fn curve(&self) -> &[CurvePoint] {
        self.position.curve.points()
    }

    /// The sizes that the picture goes through.
    pub fn scales(&self) -> &[Extent] {
        &self.scales
    }

    pub fn scale(&self) -> usize {
        self.position.scale
    }

    pub fn extent(&self) -> Extent {
        self.scales[self.position.scale]
    }

    pub fn is_last_scale(&self) -> bool {
        self.position.scale + 1 == self.scales.len()
    }

    pub fn arithmetic(&self) -> Arithmetic {
        self.position.arithmetic
    }

    pub fn seconds(&self) -> f64 {
        self.earlier + self.clock.elapsed().as_secs_f64()
    }

    fn budget(&self, scale: usize) -> u32 {
        if scale + 1 == self.scales.len() {
            self.request.parameters.evaluations
        } else {
            self.request.parameters.coarse_evaluations
        }
    }

    /// Whether this scale may have another evaluation.
    pub fn has_budget(&self) -> bool {
        self.position.evaluation < self.budget(self.position.scale)
    }

    /// Reports what a person should know.
    pub fn note(&mut self, note: &str) {
        self.observer.noted(note);
    }

    /// Counts an evaluation and reports it to the observer, which may want to stop.
    pub fn evaluated(&mut self, loss: f64, terms: Figures) -> Control {
        let extent = self.extent();
        self.position.evaluation += 1;
        self.position.total += 1;
        self.pixels += extent.pixels();
        if loss < self.lowest {
            self.lowest = loss;
            self.position.terms = terms;
        }
        let mut figures = self.position.terms.clone();
        figures.insert("loss".to_owned(), self.lowest);
        let progress = Progress {
            phase: self.phase(),
            done: self.position.evaluation.into(),
            total: self.budget(self.position.scale).into(),
            unit: "evaluations".to_owned(),
            steps: self.position.total.into(),
            figures,
            seconds_left: Some(self.seconds_left()),
        };
        self.observer.progressed(&progress)
    }

    /// The current scale, in words.
    fn phase(&self) -> String {
        let (scale, scales) = (self.position.scale + 1, self.scales.len());
        let Extent { width, height } = self.extent();
        format!("scale {scale}/{scales}, {width}x{height}")
    }

    /// By the time that the pixels evaluated so far took, if all budgets are used up.
    fn seconds_left(&self) -> f64 {
        let scales = self.scales.iter().enumerate().skip(self.position.scale);
        let all: u64 = scales
            .map(|(scale, extent)| extent.pixels() * u64::from(self.budget(scale)))
            .sum();
        let done = self.extent().pixels() * u64::from(self.position.evaluation);
        let pace = self.clock.elapsed().as_secs_f64() / self.pixels.max(1) as f64;
        all.saturating_sub(done) as f64 * pace
    }

    /// An iteration has ended: the minimiser has this state from here on.
    pub fn accepted(
        &mut self,
        minimizer: &Minimizer,
        preview: &dyn Fn() -> Result<Vec<u8>, Error>,
    ) {
        let loss = minimizer.best().1;
        self.position.curve.push(CurvePoint {
            phase: self.position.scale as u32 + 1,
            steps: self.position.total.into(),
            loss,
            terms: self.position.terms.clone(),
        });
        self.position.recent.push(loss);
        if self.position.recent.len() > TOLERANCE_SPAN + 1 {
            self.position.recent.remove(0);
        }
        self.commit();
        let (at, request) = (self.stamped(), self.request);
        self.observer.accepted(&State {
            steps: at.total.into(),
            checkpoint: &|| at.save(&request.identity, minimizer),
            preview,
        });
    }

    /// The minimiser's state belongs to the current position.
    pub fn commit(&mut self) {
        self.committed = self.position.clone();
    }

    /// The state that an interrupted job resumes from.
    pub fn checkpoint(&self, minimizer: &Minimizer) -> Result<Vec<u8>, Error> {
        self.stamped().save(&self.request.identity, minimizer)
    }

    /// The position that the minimiser's state belongs to, with the work done so far.
    fn stamped(&self) -> Position {
        Position {
            seconds: self.seconds(),
            ..self.committed.clone()
        }
    }

    /// Whether the loss is low enough for this scale to end.
    pub fn is_satisfied(&self, loss: f64) -> bool {
        let below = |wanted: f64| self.is_last_scale() && loss < wanted;
        let recent = &self.position.recent;
        let settled = recent.len() > TOLERANCE_SPAN
            && recent[0] - loss < self.request.parameters.tolerance * recent[0];
        self.request.parameters.stop_below.is_some_and(below) || settled
    }

    /// Switches the arithmetic.
    pub fn switch(&mut self, arithmetic: Arithmetic) {
        self.position.arithmetic = arithmetic;
        self.position.recent.clear();
        self.lowest = f64::INFINITY;
    }

    pub fn next_scale(&mut self) {
        self.position.scale += 1;
        self.position.evaluation = 0;
        self.position.recent.clear();
        self.lowest = f64::INFINITY;
        self.commit();
    }
}

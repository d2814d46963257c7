//! Minimisers of a function of many variables, on device tensors.

mod adam;
mod bounds;
mod lbfgs;
mod line_search;
mod spectrum;

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::{Error, Optimizer};
use adam::Adam;
pub(crate) use bounds::Bounds;
use lbfgs::Lbfgs;
pub(crate) use spectrum::Spectrum;

/// A place, the loss there, and its gradient. Flat, 32-bit.
#[derive(Debug)]
pub(crate) struct Point {
    pub x: Tensor,
    pub loss: f64,
    pub gradient: Tensor,
}

/// What an iteration came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The minimiser stands at a new point.
    Accepted,
    /// There is no better point within the arithmetic's reach.
    Stalled,
}

/// A minimiser and its whole state. An iteration either ends or leaves the state as it was, so
/// that it can be saved between any two evaluations.
#[derive(Debug)]
pub(crate) enum Minimizer {
    Lbfgs(Lbfgs),
    Adam(Adam),
}

/// The parts of a minimiser's state that are no tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scalars {
    Lbfgs {
        loss: f64,
        pairs: usize,
    },
    Adam {
        loss: f64,
        best_loss: f64,
        iterations: u32,
    },
}

impl Minimizer {
    /// A minimiser that stands at `start`. L-BFGS keeps no more than so many `pairs`, and looks at
    /// the bands of `spectrum` apart.
    pub fn new(
        optimizer: Optimizer,
        start: Point,
        pairs: usize,
        spectrum: Option<Spectrum>,
    ) -> Result<Self, Error> {
        Ok(match optimizer {
            Optimizer::Lbfgs => Self::Lbfgs(Lbfgs::new(start, pairs, spectrum)),
            Optimizer::Adam => Self::Adam(Adam::new(start)?),
        })
    }

    /// One iteration within `bounds`. Where `evaluate` gives none, the budget is used up, and the
    /// iteration ends with the best point it has seen. An error of `evaluate` ends it and leaves the
    /// state as it was.
    pub fn step<H: From<Error>>(
        &mut self,
        bounds: &Bounds,
        evaluate: &mut dyn FnMut(&Tensor) -> Result<Option<Point>, H>,
    ) -> Result<Step, H> {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.step(bounds, evaluate),
            Self::Adam(adam) => adam.step(bounds, evaluate),
        }
    }

    /// The best place found, and the loss there.
    pub fn best(&self) -> (&Tensor, f64) {
        match self {
            Self::Lbfgs(lbfgs) => (&lbfgs.point.x, lbfgs.point.loss),
            Self::Adam(adam) => adam.best(),
        }
    }

    /// Forgets what was learnt of the function's shape, but not the point. Says whether there
    /// was anything to forget.
    pub fn forget(&mut self) -> bool {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.forget(),
            Self::Adam(_) => false,
        }
    }

    /// Has L-BFGS keep no more than so many pairs.
    pub fn keep(&mut self, pairs: usize) {
        if let Self::Lbfgs(lbfgs) = self {
            lbfgs.keep(pairs);
        }
    }

    /// Replaces loss and gradient where it stands, as when the arithmetic changes.
    pub fn reevaluated(&mut self, point: Point) {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.point = point,
            Self::Adam(adam) => adam.reevaluated(point),
        }
    }

    /// Whether it is of that kind.
    pub fn is(&self, optimizer: Optimizer) -> bool {
        matches!(
            (self, optimizer),
            (Self::Lbfgs(_), Optimizer::Lbfgs) | (Self::Adam(_), Optimizer::Adam)
        )
    }

    /// The whole state, to be given to [`Minimizer::restore`].
    pub fn save(&self) -> (Scalars, Vec<(String, Tensor)>) {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.save(),
            Self::Adam(adam) => adam.save(),
        }
    }

    /// The minimiser that [`Minimizer::save`] saw, on `device`. `take` gives a tensor by its
    /// name.
    pub fn restore(
        scalars: &Scalars,
        spectrum: Option<Spectrum>,
        device: Device,
        take: &mut dyn FnMut(&str) -> Result<Tensor, Error>,
    ) -> Result<Self, Error> {
        Ok(match *scalars {
            Scalars::Lbfgs { loss, pairs } => {
                Self::Lbfgs(Lbfgs::restore(loss, pairs, spectrum, device, take)?)
            }
            Scalars::Adam {
                loss,
                best_loss,
                iterations,
            } => Self::Adam(Adam::restore(loss, best_loss, iterations, device, take)?),
        })
    }
}

#[cfg(test)]
mod tests;

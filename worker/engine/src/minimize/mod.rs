//! Minimisers of a function of many variables, on device tensors.

mod adam;
mod average;
mod bounds;
mod lbfgs;
mod line_search;
mod spectrum;

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use stylefleet_model::stylize::Optimizer;

use crate::Error;
use adam::Adam;
pub(crate) use adam::Moments;
use average::{Average, AverageScalars};
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

impl Point {
    fn copy(&self) -> Result<Self, Error> {
        let mut copy = Self {
            x: self.x.f_empty_like()?,
            loss: self.loss,
            gradient: self.gradient.f_empty_like()?,
        };
        copy.become_like(self)?;
        Ok(copy)
    }

    /// Takes over the values of `other`, in the tensors that it has.
    fn become_like(&mut self, other: &Self) -> Result<(), Error> {
        self.x.f_copy_(&other.x)?;
        self.gradient.f_copy_(&other.gradient)?;
        self.loss = other.loss;
        Ok(())
    }
}

/// How an iteration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The minimiser stands at a new point.
    Accepted,
    /// The arithmetic is not precise enough to find a better point.
    Stalled,
}

/// A minimiser and its whole state. An iteration either ends or leaves the state as it was, so
/// that it can be saved between any two evaluations.
#[derive(Debug)]
pub(crate) struct Minimizer {
    method: Method,
    average: Option<Average>,
}

#[derive(Debug)]
enum Method {
    Lbfgs(Lbfgs),
    Adam(Adam),
}

/// The parts of a minimiser's state that are no tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scalars {
    method: MethodScalars,
    average: Option<AverageScalars>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MethodScalars {
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
    /// the bands of `spectrum` apart. A decay of 0 is no `average`.
    pub fn new(
        optimizer: Optimizer,
        start: &Point,
        pairs: usize,
        spectrum: Option<Spectrum>,
        average: f64,
    ) -> Result<Self, Error> {
        let average = (average > 0.0).then(|| Average::new(average, &start.x));
        let average = average.transpose()?;
        let method = match optimizer {
            Optimizer::Lbfgs => Method::Lbfgs(Lbfgs::new(start, pairs, spectrum)?),
            Optimizer::Adam => Method::Adam(Adam::new(start)?),
        };
        Ok(Self { method, average })
    }

    /// One iteration within `bounds`. If `evaluate` gives none, the budget is used up, and the
    /// iteration ends with the best point it has seen. An error of `evaluate` ends it and leaves
    /// the state as it was.
    pub fn step<H: From<Error>>(
        &mut self,
        bounds: &Bounds,
        evaluate: &mut dyn FnMut(&Tensor) -> Result<Option<Point>, H>,
    ) -> Result<Step, H> {
        let step = match &mut self.method {
            Method::Lbfgs(lbfgs) => lbfgs.step(bounds, evaluate)?,
            Method::Adam(adam) => adam.step(bounds, evaluate)?,
        };
        if let (Step::Accepted, Some(average)) = (step, &mut self.average) {
            average.add(match &self.method {
                Method::Lbfgs(lbfgs) => &lbfgs.point.x,
                Method::Adam(adam) => &adam.point.x,
            })?;
        }
        Ok(step)
    }

    /// The best place found, and the loss there.
    pub fn best(&self) -> (&Tensor, f64) {
        match &self.method {
            Method::Lbfgs(lbfgs) => (&lbfgs.point.x, lbfgs.point.loss),
            Method::Adam(adam) => adam.best(),
        }
    }

    /// The result: the mean of the places if one is wanted, else the best place.
    pub fn result(&self) -> Result<Tensor, Error> {
        let mean = self.average.as_ref().map(Average::mean).transpose()?;
        let best = || self.best().0.shallow_clone();
        Ok(mean.flatten().unwrap_or_else(best))
    }

    /// Forgets what was learnt about the function's shape, but not the point. Returns whether there
    /// was anything to forget.
    pub fn forget(&mut self) -> bool {
        match &mut self.method {
            Method::Lbfgs(lbfgs) => lbfgs.forget(),
            Method::Adam(_) => false,
        }
    }

    /// Has L-BFGS keep no more than so many pairs.
    pub fn keep(&mut self, pairs: usize) -> Result<(), Error> {
        match &mut self.method {
            Method::Lbfgs(lbfgs) => lbfgs.keep(pairs),
            Method::Adam(_) => Ok(()),
        }
    }

    /// Replaces loss and gradient where it stands, as when the arithmetic changes.
    pub fn reevaluated(&mut self, point: Point) -> Result<(), Error> {
        match &mut self.method {
            Method::Lbfgs(lbfgs) => lbfgs.point.become_like(&point),
            Method::Adam(adam) => {
                adam.reevaluated(point);
                Ok(())
            }
        }
    }

    /// Whether it is of that kind.
    pub fn is(&self, optimizer: Optimizer) -> bool {
        matches!(
            (&self.method, optimizer),
            (Method::Lbfgs(_), Optimizer::Lbfgs) | (Method::Adam(_), Optimizer::Adam)
        )
    }

    /// Whether all places that matter are within `bounds`.
    pub fn is_within(&self, bounds: &Bounds) -> Result<bool, Error> {
        let stands = match &self.method {
            Method::Lbfgs(lbfgs) => &lbfgs.point.x,
            Method::Adam(adam) => &adam.point.x,
        };
        Ok(bounds.hold(stands)? && bounds.hold(self.best().0)? && bounds.hold(&self.result()?)?)
    }

    /// The whole state, to be given to [`Minimizer::restore`]; the next step changes the tensors.
    pub fn save(&self) -> (Scalars, Vec<(String, Tensor)>) {
        let (method, mut tensors) = match &self.method {
            Method::Lbfgs(lbfgs) => lbfgs.save(),
            Method::Adam(adam) => adam.save(),
        };
        let average = self.average.as_ref().map(|average| {
            let (scalars, tensor) = average.save();
            tensors.push(tensor);
            scalars
        });
        (Scalars { method, average }, tensors)
    }

    /// The minimiser that [`Minimizer::save`] saw, on `device`, which then has to be told how many
    /// pairs to [`Minimizer::keep`]. `take` gives a tensor by its name.
    pub fn restore(
        scalars: &Scalars,
        spectrum: Option<Spectrum>,
        device: Device,
        take: &mut dyn FnMut(&str) -> Result<Tensor, Error>,
    ) -> Result<Self, Error> {
        let method = match scalars.method {
            MethodScalars::Lbfgs { loss, pairs } => {
                Method::Lbfgs(Lbfgs::restore(loss, pairs, spectrum, device, take)?)
            }
            MethodScalars::Adam {
                loss,
                best_loss,
                iterations,
            } => Method::Adam(Adam::restore(loss, best_loss, iterations, device, take)?),
        };
        let average = scalars.average.as_ref();
        let average = average.map(|average| Average::restore(average, device, take));
        Ok(Self {
            method,
            average: average.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests;

//! Adam: Kingma and Ba, arXiv 1412.6980, algorithm 1. It takes every step, better or worse; the
//! best place seen is the result.

use tch::{Device, Tensor};

use super::{Bounds, MethodScalars, Point, Step};
use crate::Error;

/// Step size, in grey levels.
const RATE: f64 = 5.0;
/// Decay of the means of gradient and squared gradient.
const DECAY: [f64; 2] = [0.9, 0.99];
/// Keeps the division finite.
const EPSILON: f64 = 1e-8;

/// What Adam remembers of the gradients so far.
#[derive(Debug)]
pub(crate) struct Moments {
    mean: Tensor,
    square: Tensor,
    gradients: u32,
}

impl Moments {
    /// Before the first gradient of a function of variables like `x`.
    pub fn new(x: &Tensor) -> Result<Self, Error> {
        Ok(Self {
            mean: x.f_zeros_like()?,
            square: x.f_zeros_like()?,
            gradients: 0,
        })
    }

    /// The moments after another gradient, and what the variables then decrease by at such a rate.
    pub fn after(&self, gradient: &Tensor, rate: f64) -> Result<(Self, Tensor), Error> {
        let [first, second] = DECAY;
        let mean = self
            .mean
            .f_mul_scalar(first)?
            .f_add(&gradient.f_mul_scalar(1.0 - first)?)?;
        let square = self
            .square
            .f_mul_scalar(second)?
            .f_add(&gradient.f_square()?.f_mul_scalar(1.0 - second)?)?;
        let gradients = self.gradients + 1;
        let t = f64::from(gradients);
        let scale = square
            .f_div_scalar(1.0 - second.powf(t))?
            .f_sqrt()?
            .f_add_scalar(EPSILON)?;
        let step = mean
            .f_div(&scale)?
            .f_mul_scalar(rate / (1.0 - first.powf(t)))?;
        let after = Self {
            mean,
            square,
            gradients,
        };
        Ok((after, step))
    }

    /// The tensors by name; with the number of gradients they are all that there is.
    pub fn tensors(&self) -> [(&'static str, &Tensor); 2] {
        [("mean", &self.mean), ("square", &self.square)]
    }

    /// The moments after so many `gradients`. `take` gives a tensor by its name.
    pub fn restore(
        gradients: u32,
        device: Device,
        take: &mut dyn FnMut(&str) -> Result<Tensor, Error>,
    ) -> Result<Self, Error> {
        Ok(Self {
            mean: take("mean")?.f_to_device(device)?,
            square: take("square")?.f_to_device(device)?,
            gradients,
        })
    }
}

/// Adam and where it stands.
#[derive(Debug)]
pub(crate) struct Adam {
    pub point: Point,
    best: (Tensor, f64),
    moments: Moments,
}

impl Adam {
    pub fn new(start: &Point) -> Result<Self, Error> {
        let point = start.copy()?;
        Ok(Self {
            best: (point.x.shallow_clone(), point.loss),
            moments: Moments::new(&point.x)?,
            point,
        })
    }

    pub fn step<H: From<Error>>(
        &mut self,
        bounds: &Bounds,
        evaluate: &mut dyn FnMut(&Tensor) -> Result<Option<Point>, H>,
    ) -> Result<Step, H> {
        let _no_grad = tch::no_grad_guard();
        let (moments, step) = self.moments.after(&self.point.gradient, RATE)?;
        let x = self.point.x.f_sub(&step).map_err(Error::from)?;
        let next = evaluate(&bounds.project(&x)?)?.filter(|next| next.loss.is_finite());
        let Some(next) = next else {
            return Ok(Step::Stalled);
        };
        if next.loss < self.best.1 {
            self.best = (next.x.shallow_clone(), next.loss);
        }
        self.moments = moments;
        self.point = next;
        Ok(Step::Accepted)
    }

    pub fn best(&self) -> (&Tensor, f64) {
        (&self.best.0, self.best.1)
    }

    pub fn reevaluated(&mut self, point: Point) {
        self.best = (point.x.shallow_clone(), point.loss);
        self.point = point;
    }

    pub fn save(&self) -> (MethodScalars, Vec<(String, Tensor)>) {
        let scalars = MethodScalars::Adam {
            loss: self.point.loss,
            best_loss: self.best.1,
            iterations: self.moments.gradients,
        };
        let mut tensors = vec![
            ("x", &self.point.x),
            ("gradient", &self.point.gradient),
            ("best", &self.best.0),
        ];
        tensors.extend(self.moments.tensors());
        let tensors = tensors.into_iter();
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
        (scalars, tensors.collect())
    }

    pub fn restore(
        loss: f64,
        best_loss: f64,
        iterations: u32,
        device: Device,
        take: &mut dyn FnMut(&str) -> Result<Tensor, Error>,
    ) -> Result<Self, Error> {
        let moments = Moments::restore(iterations, device, take)?;
        let mut take = |name: &str| Ok::<_, Error>(take(name)?.f_to_device(device)?);
        Ok(Self {
            point: Point {
                x: take("x")?,
                loss,
                gradient: take("gradient")?,
            },
            best: (take("best")?, best_loss),
            moments,
        })
    }
}

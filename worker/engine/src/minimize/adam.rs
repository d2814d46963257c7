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

/// Adam and where it stands.
#[derive(Debug)]
pub(crate) struct Adam {
    pub point: Point,
    best: (Tensor, f64),
    mean: Tensor,
    square: Tensor,
    iterations: u32,
}

impl Adam {
    pub fn new(start: &Point) -> Result<Self, Error> {
        let point = start.copy()?;
        Ok(Self {
            best: (point.x.shallow_clone(), point.loss),
            mean: point.x.f_zeros_like()?,
            square: point.x.f_zeros_like()?,
            iterations: 0,
            point,
        })
    }

    pub fn step<H: From<Error>>(
        &mut self,
        bounds: &Bounds,
        evaluate: &mut dyn FnMut(&Tensor) -> Result<Option<Point>, H>,
    ) -> Result<Step, H> {
        let _no_grad = tch::no_grad_guard();
        let (mean, square, x) = self.moved()?;
        let next = evaluate(&bounds.project(&x)?)?.filter(|next| next.loss.is_finite());
        let Some(next) = next else {
            return Ok(Step::Stalled);
        };
        if next.loss < self.best.1 {
            self.best = (next.x.shallow_clone(), next.loss);
        }
        self.mean = mean;
        self.square = square;
        self.iterations += 1;
        self.point = next;
        Ok(Step::Accepted)
    }

    /// The means after this gradient, and the next place.
    fn moved(&self) -> Result<(Tensor, Tensor, Tensor), Error> {
        let gradient = &self.point.gradient;
        let [first, second] = DECAY;
        let mean = self
            .mean
            .f_mul_scalar(first)?
            .f_add(&gradient.f_mul_scalar(1.0 - first)?)?;
        let square = self
            .square
            .f_mul_scalar(second)?
            .f_add(&gradient.f_square()?.f_mul_scalar(1.0 - second)?)?;
        let t = f64::from(self.iterations + 1);
        let scale = square
            .f_div_scalar(1.0 - second.powf(t))?
            .f_sqrt()?
            .f_add_scalar(EPSILON)?;
        let step = mean
            .f_div(&scale)?
            .f_mul_scalar(RATE / (1.0 - first.powf(t)))?;
        let x = self.point.x.f_sub(&step)?;
        Ok((mean, square, x))
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
            iterations: self.iterations,
        };
        let tensors = [
            ("x", &self.point.x),
            ("gradient", &self.point.gradient),
            ("best", &self.best.0),
            ("mean", &self.mean),
            ("square", &self.square),
        ];
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
        (scalars, tensors.into())
    }

    pub fn restore(
        loss: f64,
        best_loss: f64,
        iterations: u32,
        device: Device,
        take: &mut dyn FnMut(&str) -> Result<Tensor, Error>,
    ) -> Result<Self, Error> {
        let mut take = |name: &str| Ok::<_, Error>(take(name)?.f_to_device(device)?);
        Ok(Self {
            point: Point {
                x: take("x")?,
                loss,
                gradient: take("gradient")?,
            },
            best: (take("best")?, best_loss),
            mean: take("mean")?,
            square: take("square")?,
            iterations,
        })
    }
}

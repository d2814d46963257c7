//! Limited-memory BFGS: Nocedal and Wright, "Numerical Optimization", algorithms 7.4 and 7.5.
//!
//! The scalars of the two-loop recursion stay on the device: the host waits for it a few times in
//! an iteration, not a few times for each pair.

use std::collections::VecDeque;

use tch::{Device, Kind, Tensor};

use super::line_search::{self, Trial};
use super::{Bounds, MethodScalars, Point, Spectrum, Step};
use crate::Error;

/// Largest change of one variable in the very first step: one grey level. The curvature is not
/// known yet, and the objectives' scales span twelve orders of magnitude.
const FIRST_CHANGE: f64 = 1.0;
/// A pair describes convex curvature if s.y is above this part of y.y.
const CONVEX: f64 = 1e-10;

/// L-BFGS and where it stands.
#[derive(Debug)]
pub(crate) struct Lbfgs {
    pub point: Point,
    /// Pairs of steps and gradient changes that describe the curvature.
    pairs: VecDeque<Pair>,
    /// Room for later pairs, allocated at once: a tensor left among those that an evaluation frees
    /// would fragment the memory for the next one's largest.
    room: Vec<(Tensor, Tensor)>,
    /// Octaves that have a first guess of the Hessian of their own; none: it is the same for all.
    spectrum: Option<Spectrum>,
}

/// One step and what it did to the gradient.
#[derive(Debug)]
struct Pair {
    /// Change of place.
    s: Tensor,
    /// Change of gradient.
    y: Tensor,
    /// y.y, on the device.
    yy: Tensor,
    /// s.y / y.y of each octave, or of everything, on the device: the newest pair's scales the
    /// first guess of the inverse Hessian (equation 7.20).
    gamma: Tensor,
}

impl Pair {
    /// `None` where the curvature is not convex.
    fn new(s: Tensor, y: Tensor, spectrum: Option<&Spectrum>) -> Result<Option<Self>, Error> {
        let sy = s.f_dot(&y)?;
        let yy = y.f_dot(&y)?;
        let convex = sy.f_double_value(&[])? > CONVEX * yy.f_double_value(&[])?;
        if !convex {
            return Ok(None);
        }
        let mut gamma = sy.f_div(&yy)?;
        if let Some(spectrum) = spectrum {
            gamma = spectrum.gammas(&s, &y, &gamma)?;
        }
        Ok(Some(Self { s, y, yy, gamma }))
    }

    /// 1 / s.y, given what is to count of s; zero, so that the pair says nothing, where that is not
    /// convex. On the device.
    fn rho(&self, s: &Tensor) -> Result<Tensor, Error> {
        let sy = s.f_dot(&self.y)?;
        let not_convex = sy.f_le_tensor(&self.yy.f_mul_scalar(CONVEX)?)?;
        Ok(sy.f_reciprocal()?.f_masked_fill_(&not_convex, 0.0)?)
    }
}

impl Lbfgs {
    pub fn new(start: &Point, memory: usize, spectrum: Option<Spectrum>) -> Result<Self, Error> {
        let mut lbfgs = Self {
            point: start.copy()?,
            pairs: VecDeque::new(),
            room: Vec::new(),
            spectrum,
        };
        lbfgs.keep(memory)?;
        Ok(lbfgs)
    }

    /// One iteration: a direction, and a line search along it.
    pub fn step<H: From<Error>>(
        &mut self,
        bounds: &Bounds,
        evaluate: &mut dyn FnMut(&Tensor) -> Result<Option<Point>, H>,
    ) -> Result<Step, H> {
        let _no_grad = tch::no_grad_guard();
        let direction = self.direction(bounds)?;
        let slope = dot(&self.point.gradient, &direction)?;
        if slope >= 0.0 || !slope.is_finite() {
            return Ok(Step::Stalled);
        }
        let first = self.first_step(&direction)?;
        let found = line_search::search(self.point.loss, slope, first, &mut |step| {
            let moved = moved(&self.point.x, step, &direction)?;
            let Some(kept) = evaluate(&bounds.project(&moved)?)? else {
                return Ok(None);
            };
            let along = bounds.admissible(&kept.x, &direction)?;
            Ok::<_, H>(Some(Trial {
                value: kept.loss,
                slope: dot(&kept.gradient, &along)?,
                kept,
            }))
        })?;
        match found {
            Some(trial) => {
                self.accept(&trial.kept)?;
                Ok(Step::Accepted)
            }
            None => Ok(Step::Stalled),
        }
    }

    pub fn forget(&mut self) -> bool {
        let any = !self.pairs.is_empty();
        while self.drop_oldest() {}
        any
    }

    /// Keeps no more than so many pairs.
    pub fn keep(&mut self, memory: usize) -> Result<(), Error> {
        while self.pairs.len() > memory {
            self.drop_oldest();
        }
        let x = &self.point.x;
        let room = memory - self.pairs.len();
        self.room.truncate(room);
        while self.room.len() < room {
            self.room.push((x.f_empty_like()?, x.f_empty_like()?));
        }
        Ok(())
    }

    /// False if there is none.
    fn drop_oldest(&mut self) -> bool {
        let oldest = self.pairs.pop_front();
        let any = oldest.is_some();
        self.room.extend(oldest.map(|pair| (pair.s, pair.y)));
        any
    }

    fn first_step(&self, direction: &Tensor) -> Result<f64, Error> {
        if self.pairs.is_empty() {
            let largest = direction.f_abs()?.f_max()?.f_double_value(&[])?;
            Ok(FIRST_CHANGE / largest)
        } else {
            Ok(1.0)
        }
    }

    /// The two-loop recursion: minus the inverse Hessian's guess times the gradient, among the
    /// variables that no bound holds. The others are left out of the pairs too: what leads to the
    /// minimum on the bounds is the inverse of the free variables' Hessian, not their part of the
    /// whole inverse (Bertsekas, cited for [`Bounds`]).
    fn direction(&self, bounds: &Bounds) -> Result<Tensor, Error> {
        let mut direction = bounds.admissible(&self.point.x, &self.point.gradient.f_neg()?)?;
        let Some(newest) = self.pairs.back() else {
            return Ok(direction);
        };
        // Variables that a bound holds stay there, or the direction might not lead down.
        let free = direction.f_ne(0.0)?.f_to_kind(Kind::Float)?;
        let mut scalars = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let s = pair.s.f_mul(&free)?;
            let rho = pair.rho(&s)?;
            let alpha = s.f_dot(&direction)?.f_mul_(&rho)?;
            direction = direction.f_addcmul_(&pair.y, &alpha.f_neg()?)?;
            scalars.push((rho, alpha));
        }
        direction = direction.f_mul_(&free)?;
        direction = match &self.spectrum {
            Some(spectrum) => spectrum.scaled(&direction, &newest.gamma)?.f_mul_(&free)?,
            None => direction.f_mul_(&newest.gamma)?,
        };
        for (pair, (rho, mut alpha)) in self.pairs.iter().zip(scalars.into_iter().rev()) {
            let beta = pair.y.f_dot(&direction)?.f_mul_(&rho)?;
            let s = pair.s.f_mul(&free)?;
            direction = direction.f_addcmul_(&s, &alpha.f_sub_(&beta)?)?;
        }
        bounds.admissible(&self.point.x, &direction)
    }

    fn accept(&mut self, next: &Point) -> Result<(), Error> {
        let s = next.x.f_sub(&self.point.x)?;
        let y = next.gradient.f_sub(&self.point.gradient)?;
        self.learn(s, y)?;
        self.point.become_like(next)
    }

    /// Keeps a step and what it did to the gradient, if that is useful.
    fn learn(&mut self, s: Tensor, y: Tensor) -> Result<(), Error> {
        let Some(pair) = Pair::new(s, y, self.spectrum.as_ref())? else {
            return Ok(());
        };
        if self.room.is_empty() {
            self.drop_oldest();
        }
        if let Some((mut s, mut y)) = self.room.pop() {
            s.f_copy_(&pair.s)?;
            y.f_copy_(&pair.y)?;
            self.pairs.push_back(Pair { s, y, ..pair });
        }
        Ok(())
    }

    /// Place, gradient, and the pairs, numbered from the oldest.
    pub fn save(&self) -> (MethodScalars, Vec<(String, Tensor)>) {
        let scalars = MethodScalars::Lbfgs {
            loss: self.point.loss,
            pairs: self.pairs.len(),
        };
        let mut tensors = vec![
            ("x".to_owned(), self.point.x.shallow_clone()),
            ("gradient".to_owned(), self.point.gradient.shallow_clone()),
        ];
        for (number, pair) in self.pairs.iter().enumerate() {
            tensors.push((format!("s.{number}"), pair.s.shallow_clone()));
            tensors.push((format!("y.{number}"), pair.y.shallow_clone()));
        }
        (scalars, tensors)
    }

    /// With no more room than the pairs that are there take; [`Lbfgs::keep`] makes more.
    pub fn restore(
        loss: f64,
        pairs: usize,
        spectrum: Option<Spectrum>,
        device: Device,
        take: &mut dyn FnMut(&str) -> Result<Tensor, Error>,
    ) -> Result<Self, Error> {
        let mut take = |name: &str| Ok::<_, Error>(take(name)?.f_to_device(device)?);
        let start = Point {
            x: take("x")?,
            loss,
            gradient: take("gradient")?,
        };
        let mut lbfgs = Self::new(&start, 0, spectrum)?;
        for number in 0..pairs {
            let (s, y) = (take(&format!("s.{number}"))?, take(&format!("y.{number}"))?);
            let pair = Pair::new(s, y, lbfgs.spectrum.as_ref())?;
            lbfgs.pairs.extend(pair);
        }
        Ok(lbfgs)
    }
}

fn dot(a: &Tensor, b: &Tensor) -> Result<f64, Error> {
    Ok(a.f_dot(b)?.f_double_value(&[])?)
}

/// x + step * direction.
fn moved(x: &Tensor, step: f64, direction: &Tensor) -> Result<Tensor, Error> {
    Ok(x.f_add(&direction.f_mul_scalar(step)?)?)
}

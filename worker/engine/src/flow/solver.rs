//! The flow at one level of the pyramid.
//!
//! With pictures a and b, the flow w and its change d, each step takes the residuals as linear,
//! b(x + w) - a(x) + grad b d, and the robust functions as squares with the weights that they have
//! at the change so far (iteratively reweighted least squares). What is left is a linear system,
//! solved by conjugate gradients: Liu, "Beyond Pixels" (MIT, 2009), appendix A.

use tch::{Kind, Tensor};

use super::filters::{blurred, differences, gathered, median, slopes};
use super::warped;
use crate::Error;

/// Times that the second picture is moved along the flow so far.
const STEPS: usize = 5;
/// Iterations of conjugate gradients in each.
const ITERATIONS: usize = 30;
/// How much the residuals count beside smoothness, for a brightness from 0 to 1.
const WEIGHT: f64 = 50.0;
/// How much slopes of brightness count beside brightness itself.
const SLOPES: f64 = 4.0;
/// Residuals far beyond this count as their length, smaller ones as their square.
const ROBUST: f64 = 0.02;
/// The same for differences of neighbours in the flow, in pixels. The flow of a zoom differs from
/// pixel to pixel.
const SMOOTH: f64 = 0.2;
/// Blur of the pictures, in pixels, against noise and for slopes that hold beyond a pixel.
const BLUR: f64 = 0.6;
/// How soon smoothness ceases to count at edges, and what is left of it there.
const EDGES: f64 = 25.0;
const LEAST: f64 = 0.05;
/// Farther than this the linearisation means nothing, in pixels.
const FARTHEST: f64 = 2.0;
/// Keeps divisions finite where there is nothing at all to go by.
const TINY: f64 = 1e-6;

/// The flow between two levels, `[1, 1, H, W]` each, from a start.
pub(super) fn improved(start: &Tensor, from: &Tensor, to: &Tensor) -> Result<Tensor, Error> {
    let (from_features, to_features) = (features(from)?, features(to)?);
    let from_slopes = slopes(&from_features)?;
    let [right, down] = slopes(&to_features)?;
    let seen = Tensor::f_cat(&[to_features, right, down], 1)?;
    let evenness = evenness(from)?;
    let mut flow = start.shallow_clone();
    for _ in 0..STEPS {
        let (moved, inside) = warped(&seen, &flow)?;
        let [moved, right, down] = <[Tensor; 3]>::try_from(moved.f_chunk(3, 1)?)
            .map_err(|_| Error::Torch("features that do not come in threes".into()))?;
        // The mean of the slopes of both pictures is more precise than either.
        let slope = |of_to: &Tensor, of_from: &Tensor| {
            of_to.f_add(of_from)?.f_div_scalar(2.0)?.f_mul(&inside)
        };
        let system = System::new(
            &moved.f_sub(&from_features)?.f_mul(&inside)?,
            [
                slope(&right, &from_slopes[0])?,
                slope(&down, &from_slopes[1])?,
            ],
            &flow,
            &evenness,
        )?;
        let change = system.solved()?.f_clamp(-FARTHEST, FARTHEST)?;
        flow = median(&flow.f_add(&change)?)?;
    }
    Ok(flow)
}

/// What stays as it is along the flow: brightness and its slopes, `[1, 3, H, W]`.
fn features(level: &Tensor) -> Result<Tensor, Error> {
    let smooth = blurred(level, BLUR)?;
    let [right, down] = slopes(&smooth)?;
    let weighted = |slope: Tensor| slope.f_mul_scalar(SLOPES);
    Ok(Tensor::f_cat(
        &[&smooth, &weighted(right)?, &weighted(down)?],
        1,
    )?)
}

/// How much smoothness counts at each pixel, from [`LEAST`] to 1.
fn evenness(level: &Tensor) -> Result<Tensor, Error> {
    let [right, down] = slopes(&blurred(level, 1.0)?)?;
    let steepness = right.f_square()?.f_add(&down.f_square()?)?.f_sqrt()?;
    Ok(steepness
        .f_mul_scalar(-EDGES)?
        .f_exp()?
        .f_clamp_min(LEAST)?)
}

/// The linear system of one step: (A + D' K D) d = r, where A is a 2 x 2 matrix at each pixel, D
/// are the differences of neighbours, and K weights them.
struct System {
    /// A: its diagonal, `[1, 2, H, W]`, and what it has beside that, `[1, 1, H, W]`.
    diagonal: Tensor,
    mixed: Tensor,
    /// K.
    smoothness: Tensor,
    /// The diagonal of A + D' K D.
    preconditioner: Tensor,
    /// r.
    right: Tensor,
}

impl System {
    /// Of residuals and their slopes, `[1, C, H, W]`, at a flow.
    fn new(
        residuals: &Tensor,
        [right, down]: [Tensor; 2],
        flow: &Tensor,
        evenness: &Tensor,
    ) -> Result<Self, Error> {
        let weights = inverse_length(&residuals.f_square()?, ROBUST)?.f_mul_scalar(WEIGHT)?;
        let sum = |a: &Tensor, b: &Tensor| {
            a.f_mul(b)?
                .f_mul(&weights)?
                .f_sum_dim_intlist(1, true, Kind::Float)
        };
        let diagonal = Tensor::f_cat(&[sum(&right, &right)?, sum(&down, &down)?], 1)?;
        let pull = Tensor::f_cat(&[sum(&right, residuals)?, sum(&down, residuals)?], 1)?;
        let [across, along] = differences(flow)?;
        let squares = across.f_square()?.f_add(&along.f_square()?)?;
        let squares = squares.f_sum_dim_intlist(1, true, Kind::Float)?;
        let smoothness = inverse_length(&squares, SMOOTH)?.f_mul(evenness)?;
        let tension = spread(&smoothness, flow)?;
        let (_, _, height, width) = smoothness.size4()?;
        let before = smoothness.f_pad([1, 0, 1, 0], "constant", None)?;
        let neighbours = smoothness
            .f_mul_scalar(2.0)?
            .f_add(&before.f_narrow(2, 1, height)?.f_narrow(3, 0, width)?)?
            .f_add(&before.f_narrow(2, 0, height)?.f_narrow(3, 1, width)?)?;
        Ok(Self {
            preconditioner: diagonal.f_add(&neighbours)?.f_add_scalar(TINY)?,
            mixed: sum(&right, &down)?,
            right: pull.f_add(&tension)?.f_neg()?,
            diagonal,
            smoothness,
        })
    }

    /// (A + D' K D) x.
    fn times(&self, x: &Tensor) -> Result<Tensor, Error> {
        let swapped = x.f_flip([1])?;
        Ok(self
            .diagonal
            .f_mul(x)?
            .f_add(&self.mixed.f_mul(&swapped)?)?
            .f_add(&spread(&self.smoothness, x)?)?)
    }

    /// d, after a fixed number of iterations of preconditioned conjugate gradients. The host never
    /// waits for the device.
    fn solved(&self) -> Result<Tensor, Error> {
        let dot = |a: &Tensor, b: &Tensor| a.f_mul(b)?.f_sum(Kind::Float);
        let mut residual = self.right.shallow_clone();
        let mut solution = residual.f_zeros_like()?;
        let mut towards = residual.f_div(&self.preconditioner)?;
        let mut direction = towards.shallow_clone();
        let mut product = dot(&residual, &towards)?;
        for _ in 0..ITERATIONS {
            let image = self.times(&direction)?;
            let length = product.f_div(&dot(&direction, &image)?.f_add_scalar(1e-12)?)?;
            solution = solution.f_add(&direction.f_mul(&length)?)?;
            residual = residual.f_sub(&image.f_mul(&length)?)?;
            towards = residual.f_div(&self.preconditioner)?;
            let next = dot(&residual, &towards)?;
            let factor = next.f_div(&product.f_add_scalar(1e-12)?)?;
            direction = towards.f_add(&direction.f_mul(&factor)?)?;
            product = next;
        }
        Ok(solution)
    }
}

/// 1 / sqrt(squares + bound^2).
fn inverse_length(squares: &Tensor, bound: f64) -> Result<Tensor, Error> {
    Ok(squares.f_add_scalar(bound * bound)?.f_rsqrt()?)
}

/// D' K D x.
fn spread(weights: &Tensor, x: &Tensor) -> Result<Tensor, Error> {
    let [across, along] = differences(x)?;
    gathered(&[across.f_mul(weights)?, along.f_mul(weights)?])
}

//! The valid range of a picture's values, as bounds of the minimisation.
//!
//! A picture is cut to the valid range when it is saved. Where the minimiser ignores that, the
//! cut undoes much of its work: on the notebook's objective the loss of the saved picture is then
//! ten to two hundred times that of the minimum (BENCHMARKS.md). The bounds are kept by projection
//! (Bertsekas, "Projected Newton Methods for Optimization Problems with Simple Constraints", SIAM
//! J. Control 20, 1982): the objective itself never sees a clamp, which would hide gradients.

use tch::Tensor;

use crate::Error;

/// What rounding may make of a valid value, in grey levels.
const ROUNDING: f64 = 1e-2;

/// Lowest and highest value of each channel.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// `[channels, 1]`
    low: Tensor,
    /// `[channels, 1]`
    high: Tensor,
}

impl Bounds {
    /// Bounds `[channels, 1]`, on the device of what they bound.
    pub fn new(low: Tensor, high: Tensor) -> Self {
        Self { low, high }
    }

    /// `x` with every value moved to the nearest valid one. Flat, as all that follows.
    pub fn project(&self, x: &Tensor) -> Result<Tensor, Error> {
        let clamped = self
            .by_channel(x)?
            .f_clamp_tensor(Some(&self.low), Some(&self.high))?;
        Ok(clamped.f_reshape([-1])?)
    }

    /// Whether `x` has valid values alone, but for rounding.
    pub fn hold(&self, x: &Tensor) -> Result<bool, Error> {
        let off = x.f_sub(&self.project(x)?)?.f_abs()?.f_max()?;
        Ok(off.f_double_value(&[])? < ROUNDING)
    }

    /// `direction` with zeros where a step from `x` along it would leave the bounds at once.
    pub fn admissible(&self, x: &Tensor, direction: &Tensor) -> Result<Tensor, Error> {
        let (x, toward) = (self.by_channel(x)?, self.by_channel(direction)?);
        let below = x
            .f_le_tensor(&self.low)?
            .f_logical_and(&toward.f_lt(0.0)?)?;
        let above = x
            .f_ge_tensor(&self.high)?
            .f_logical_and(&toward.f_gt(0.0)?)?;
        let free = toward.f_masked_fill(&below.f_logical_or(&above)?, 0.0)?;
        Ok(free.f_reshape([-1])?)
    }

    fn by_channel(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(x.f_reshape([self.low.size()[0], -1])?)
    }
}

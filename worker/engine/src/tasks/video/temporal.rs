//! What holds frames together: Ruder et al., "Artistic Style Transfer for Videos" (arXiv
//! 1604.08610), sections 4 and 5.

use tch::{Kind, Tensor};

use crate::Error;
use crate::flow;

/// Frames after which what was uncovered is held to as all else is.
const FRAMES: f64 = 4.0;
/// What a weight is at least, to be divided by.
const LEAST: f64 = 1e-6;

/// What one frame shows of another. Tensors are 32-bit, on the device.
pub(super) struct Link {
    /// From where in the other frame each pixel comes, `[1, 2, H, W]`.
    flow: Tensor,
    /// 1 where that can be relied on, or else 0, `[1, 1, H, W]`.
    reliable: Tensor,
}

/// A frame that was made, on the device.
pub(super) struct Painted {
    /// `[1, 3, H, W]`, R, G, B, 0 to 255.
    pub picture: Tensor,
    /// How certain each pixel is, `[1, 1, H, W]`, 0 to 1: what was just uncovered is to become like
    /// the rest before it is held to.
    pub certainty: Tensor,
}

/// A picture, and where it says something.
pub(super) struct Known {
    /// `[1, 3, H, W]`, R, G, B, 0 to 255.
    pub picture: Tensor,
    /// 1 where it does, or else 0, `[1, 1, H, W]`.
    pub mask: Tensor,
    /// How certain that is; 0 where it says nothing.
    pub certainty: Tensor,
}

impl Link {
    /// What `content` shows of what `other` shows; both are `[1, 3, H, W]`, R, G, B, 0 to 255.
    pub fn new(content: &Tensor, other: &Tensor) -> Result<Self, Error> {
        let flow = flow::between(content, other)?;
        Self::of(flow, &flow::between(other, content)?)
    }

    /// The same by flows that are known: to the other frame, and `back` from it.
    pub fn of(flow: Tensor, back: &Tensor) -> Result<Self, Error> {
        Ok(Self {
            reliable: flow::reliable(&flow, back)?,
            flow,
        })
    }

    /// The other frame, moved to where this frame shows the same.
    pub fn moved(&self, other: &Painted) -> Result<Known, Error> {
        let (picture, _) = flow::warped(&other.picture, &self.flow)?;
        let (certainty, _) = flow::warped(&other.certainty, &self.flow)?;
        Ok(Known {
            picture: picture.f_clamp(0.0, 255.0)?,
            mask: self.reliable.shallow_clone(),
            certainty: certainty.f_clamp(0.0, 1.0)?.f_mul(&self.reliable)?,
        })
    }
}

impl Known {
    /// The same, and where it says nothing what `next` says: the long-term consistency of section
    /// 4.3, in which the nearest frame that shows a thing counts.
    pub fn or(self, next: &Self) -> Result<Self, Error> {
        Ok(Self {
            picture: mixed(&next.picture, &self.picture, &self.mask)?,
            certainty: mixed(&next.certainty, &self.certainty, &self.mask)?,
            mask: self.mask.f_maximum(&next.mask)?,
        })
    }

    /// Its picture, and where that says nothing `content`, changed as the content around it was.
    pub fn over(&self, content: &Tensor) -> Result<Tensor, Error> {
        let change = self.picture.f_sub(content)?.f_mul(&self.mask)?;
        let change = spread(&change, &self.mask)?;
        Ok(content.f_add(&change)?.f_clamp(0.0, 255.0)?)
    }

    /// The same, in which its picture counts only that `share` beside `own`.
    pub fn blended(self, own: &Tensor, share: f64) -> Result<Self, Error> {
        let share = self.mask.f_ones_like()?.f_mul_scalar(share)?;
        Ok(Self {
            picture: mixed(own, &self.picture, &share)?,
            ..self
        })
    }

    /// The certainty of a frame that was made from it: each frame adds a part.
    pub fn more_certain(&self) -> Result<Tensor, Error> {
        Ok(self
            .certainty
            .f_add_scalar(1.0 / FRAMES)?
            .f_clamp(0.0, 1.0)?)
    }

    /// Root of the mean squared distance from `picture`, in grey levels, where it says something;
    /// none if it says nothing.
    pub fn distance(&self, picture: &Tensor) -> Result<Option<f64>, Error> {
        let squares = picture
            .f_sub(&self.picture)?
            .f_square()?
            .f_mul(&self.mask)?;
        let sum = squares.f_sum(Kind::Double)?.f_double_value(&[])?;
        let counted = 3.0 * self.mask.f_sum(Kind::Double)?.f_double_value(&[])?;
        Ok((counted > 0.0).then(|| (sum / counted).sqrt()))
    }
}

/// `values`, each times its weight in `mask`, 0 to 1; where that leaves something open, it is what
/// the values around come to, by ever coarser means (Gortler et al., "The Lumigraph", SIGGRAPH
/// 1996, section 3.4).
fn spread(values: &Tensor, mask: &Tensor) -> Result<Tensor, Error> {
    let (_, _, height, width) = mask.size4()?;
    if height.min(width) < 2 {
        // Nothing is coarser. Where nobody says anything, that is nothing.
        return Ok(values.f_div(&mask.f_clamp_min(LEAST)?)?);
    }
    let sums = |of: &Tensor| {
        let means = of.f_avg_pool2d([2, 2], [2, 2], [0, 0], true, false, None::<i64>)?;
        means.f_mul_scalar(4.0)
    };
    let weight = sums(mask)?;
    let coarser_mask = weight.f_clamp_max(1.0)?;
    let share = coarser_mask.f_div(&weight.f_clamp_min(LEAST)?)?;
    let coarser = spread(&sums(values)?.f_mul(&share)?, &coarser_mask)?;
    let around = coarser.f_upsample_bilinear2d([height, width], false, None, None)?;
    let open = mask.f_neg()?.f_add_scalar(1.0)?;
    Ok(values.f_add(&around.f_mul(&open)?)?)
}

/// `from` where `share` is 0, `to` where it is 1.
pub(super) fn mixed(from: &Tensor, to: &Tensor, share: &Tensor) -> Result<Tensor, Error> {
    Ok(to.f_sub(from)?.f_mul(share)?.f_add(from)?)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn a_change_spreads_to_what_is_open() {
        // Left of the middle -8, right of it 8; a gap between them, and a corner, are open.
        let (height, width) = (21, 40);
        let options = (Kind::Float, Device::Cpu);
        let column = Tensor::arange(width, options).expand([1, 1, height, width], true);
        let change = column.ge(20.0).to_kind(Kind::Float) * 16.0 - 8.0;
        let mask = Tensor::ones([1, 1, height, width], options);
        let _gap = mask.narrow(3, 15, 10).zero_();
        let _corner = mask.narrow(2, 0, 6).narrow(3, 0, 6).zero_();
        let spread = spread(&(&change * &mask), &mask).expect("spreads");
        let at = |row: i64, column: i64| spread.double_value(&[0, 0, row, column]);
        assert_eq!((at(10, 3), at(10, 30)), (-8.0, 8.0));
        assert!((at(0, 0) + 8.0).abs() < 0.5, "{}", at(0, 0));
        let gap: Vec<_> = (14..26).map(|column| at(10, column)).collect();
        assert!(gap.is_sorted(), "{gap:?}");
        assert!(spread.abs().max().double_value(&[]) <= 8.001);
    }

    #[test]
    fn where_nothing_is_known_nothing_changes() {
        let options = (Kind::Float, Device::Cpu);
        let content = Tensor::rand([1, 3, 9, 13], options) * 255.0;
        let known = Known {
            picture: content.zeros_like(),
            mask: Tensor::zeros([1, 1, 9, 13], options),
            certainty: Tensor::zeros([1, 1, 9, 13], options),
        };
        assert_eq!(known.over(&content).expect("runs"), content);
        assert_eq!(known.distance(&content).expect("runs"), None);
        let certain = known.more_certain().expect("runs");
        assert_eq!(certain.double_value(&[0, 0, 4, 4]), 0.25);
    }
}

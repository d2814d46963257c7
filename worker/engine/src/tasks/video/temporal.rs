//! What holds frames together: Ruder et al., "Artistic Style Transfer for Videos" (arXiv
//! 1604.08610), sections 4 and 5.

use tch::{Kind, Tensor};

use crate::Error;
use crate::flow;

/// What one frame shows of another. Tensors are 32-bit, on the device.
pub(super) struct Link {
    /// From where in the other frame each pixel comes, `[1, 2, H, W]`.
    flow: Tensor,
    /// 1 where that can be relied on, or else 0, `[1, 1, H, W]`.
    reliable: Tensor,
}

/// A picture, and where it says something.
pub(super) struct Known {
    /// `[1, 3, H, W]`, R, G, B, 0 to 255.
    pub picture: Tensor,
    /// 1 where it does, or else 0, `[1, 1, H, W]`.
    pub mask: Tensor,
}

impl Link {
    /// What `content` shows of what `other` shows; both are `[1, 3, H, W]`, R, G, B, 0 to 255.
    pub fn new(content: &Tensor, other: &Tensor) -> Result<Self, Error> {
        let flow = flow::between(content, other)?;
        let back = flow::between(other, content)?;
        Ok(Self {
            reliable: flow::reliable(&flow, &back)?,
            flow,
        })
    }

    /// The other frame's picture, moved to where this frame shows the same.
    pub fn moved(&self, other: &Tensor) -> Result<Known, Error> {
        let (picture, _) = flow::warped(other, &self.flow)?;
        Ok(Known {
            picture: picture.f_clamp(0.0, 255.0)?,
            mask: self.reliable.shallow_clone(),
        })
    }
}

impl Known {
    /// The same, and where it says nothing what `next` says: the long-term consistency of section
    /// 4.3, in which the nearest frame that shows a thing counts.
    pub fn or(self, next: &Self) -> Result<Self, Error> {
        Ok(Self {
            picture: self.over(&next.picture)?,
            mask: self.mask.f_maximum(&next.mask)?,
        })
    }

    /// Its picture where it says something, and `picture` elsewhere.
    pub fn over(&self, picture: &Tensor) -> Result<Tensor, Error> {
        mixed(picture, &self.picture, &self.mask)
    }

    /// The same, in which its picture counts only that `share` beside `picture`.
    pub fn blended(&self, picture: &Tensor, share: f64) -> Result<Self, Error> {
        let share = self.mask.f_ones_like()?.f_mul_scalar(share)?;
        Ok(Self {
            picture: mixed(picture, &self.picture, &share)?,
            mask: self.mask.shallow_clone(),
        })
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

/// `from` where `share` is 0, `to` where it is 1.
fn mixed(from: &Tensor, to: &Tensor, share: &Tensor) -> Result<Tensor, Error> {
    Ok(to.f_sub(from)?.f_mul(share)?.f_add(from)?)
}

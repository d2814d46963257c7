//! Sizes of images, and resizing.

use tch::Tensor;

use crate::Error;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    pub width: u32,
    pub height: u32,
}

impl Extent {
    /// That of `image`, `[1, C, H, W]`.
    pub fn of(image: &Tensor) -> Result<Self, Error> {
        let (_, _, height, width) = image.size4()?;
        Ok(Self {
            width: width as u32,
            height: height as u32,
        })
    }

    pub fn longer(self) -> u32 {
        self.width.max(self.height)
    }

    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// `image`, `[1, C, h, w]`, at another size: bicubic, with the frequencies that would alias
/// removed first. The same size is the same image.
pub(crate) fn resized(image: &Tensor, to: Extent) -> Result<Tensor, Error> {
    let (_, _, height, width) = image.size4()?;
    let (to_height, to_width) = (i64::from(to.height), i64::from(to.width));
    if (height, width) == (to_height, to_width) {
        return Ok(image.shallow_clone());
    }
    Ok(image.f_internal_upsample_bicubic2d_aa([to_height, to_width], false, None, None)?)
}

/// Resized, and clamped to the valid range, 0 to 255, which bicubic interpolation may leave.
pub(crate) fn fitted(image: &Tensor, to: Extent) -> Result<Tensor, Error> {
    Ok(resized(image, to)?.f_clamp(0.0, 255.0)?)
}

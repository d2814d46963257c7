//! Image files, and what is in them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::image::{DynamicImage, ImageBuffer, Pixel, Rgb};
use tch::kind::Element;
use tch::{Kind, Tensor};

use crate::Error;
use crate::image::decode;

/// An image file.
#[derive(Clone)]
pub struct Source {
    /// What people call it, for messages.
    pub name: String,
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// The image, from when it is read ahead until the engine takes it.
    ahead: Arc<Mutex<Option<Image>>>,
}

impl Source {
    /// A file that people call `name`.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            bytes,
            ahead: Arc::default(),
        }
    }

    /// An image that was decoded already, `[1, 3, H, W]`, R, G, B, 0 to 255, 32-bit, on the CPU. It
    /// can be read once. `bytes` tell it from others.
    pub(crate) fn decoded(name: impl Into<String>, bytes: Vec<u8>, pixels: Tensor) -> Self {
        let source = Self::new(name, bytes);
        let notes = Vec::new();
        *source.ahead() = Some(Image { pixels, notes });
        source
    }

    /// Reads the image now, on whatever thread this is, so that a GPU does not wait for it later.
    /// It takes 12 bytes a pixel until the engine uses it. An error is left for the engine to find.
    pub fn read_ahead(&self, max_pixels: u64) {
        let image = self.read(max_pixels).ok();
        *self.ahead() = image;
    }

    /// What is in it.
    pub(crate) fn read(&self, max_pixels: u64) -> Result<Image, Error> {
        if let Some(image) = self.ahead().take() {
            return Ok(image);
        }
        let decoded = decode(self, max_pixels)?;
        Ok(Image {
            pixels: tensor(decoded.pixels)?,
            notes: decoded.notes,
        })
    }

    fn ahead(&self) -> MutexGuard<'_, Option<Image>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.bytes.len())
    }
}

/// An image as it is in its file.
#[derive(Debug)]
pub(crate) struct Image {
    /// At its own size.
    pub pixels: Tensor,
    /// What a person should know of how it was read.
    pub notes: Vec<String>,
}

/// Works in place where possible: an image may be the largest object that a job ever has in memory.
fn tensor(pixels: DynamicImage) -> Result<Tensor, Error> {
    if let DynamicImage::ImageRgb8(_) | DynamicImage::ImageLuma8(_) = pixels {
        return Ok(planes(pixels.into_rgb8())?.f_to_kind(Kind::Float)?);
    }
    let mut image = planes(pixels.into_rgb32f())?;
    // Floats may hold anything. Rounding to 16 bits gives 8-bit values back exactly.
    Ok(image
        .f_nan_to_num_(0.0, 1.0, 0.0)?
        .f_clamp_(0.0, 1.0)?
        .f_mul_scalar_(65535.0)?
        .f_round_()?
        .f_div_scalar_(257.0)?)
}

/// Pixel by pixel to channel by channel.
fn planes<T: Element>(pixels: ImageBuffer<Rgb<T>, Vec<T>>) -> Result<Tensor, Error>
where
    Rgb<T>: Pixel<Subpixel = T>,
{
    let (width, height) = (i64::from(pixels.width()), i64::from(pixels.height()));
    let rows = Tensor::f_from_slice(pixels.as_raw())?;
    drop(pixels);
    let rows = rows.f_reshape([1, height, width, 3])?;
    Ok(rows.f_permute([0, 3, 1, 2])?.f_contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::source;

    const LIMIT: u64 = 1 << 20;

    #[test]
    fn what_is_read_ahead_is_read_no_second_time() {
        let mut ahead = source("astronaut_64x64.png");
        let image = ahead.read(LIMIT).expect("reads");
        ahead.read_ahead(LIMIT);
        ahead.bytes.clear();
        let taken = ahead.read(LIMIT).expect("was read");
        assert_eq!(taken.pixels, image.pixels);
        // It takes no more memory.
        assert!(matches!(ahead.read(LIMIT), Err(Error::Image { .. })));
    }

    #[test]
    fn what_cannot_be_read_ahead_is_refused_when_it_is_asked_for() {
        let large = source("astronaut_64x64.png");
        large.read_ahead(64);
        assert!(large.read(64).is_err());
    }
}

//! From pixels to an image file.

use std::io::Cursor;

use ::image::codecs::jpeg::JpegEncoder;
use ::image::{DynamicImage, ImageBuffer, ImageFormat};

use stylefleet_model::stylize::Format;
use tch::{Device, Tensor};

use crate::{Cause, Error};

const JPEG_QUALITY: u8 = 95;

/// R, G, B of each pixel of `image`, `[1, 3, H, W]`, 0 to 255: row by row, held to 0 to 1.
pub(crate) fn pixels_of(image: &Tensor) -> Result<Vec<f32>, Error> {
    let pixels = image
        .f_to_device(Device::Cpu)?
        .f_div_scalar(255.0)?
        .f_clamp(0.0, 1.0)?
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_reshape([-1])?;
    Ok(Vec::<f32>::try_from(&pixels)?)
}

/// Encodes R, G, B of each pixel, row by row, in 0 to 1; values are rounded to the nearest that the
/// format holds.
pub(crate) fn encode(
    [width, height]: [u32; 2],
    pixels: &[f32],
    format: Format,
) -> Result<Vec<u8>, Error> {
    let rgb8 = || {
        let quantised = pixels
            .iter()
            .map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8);
        ImageBuffer::from_raw(width, height, quantised.collect()).map(DynamicImage::ImageRgb8)
    };
    let rgb16 = || {
        let quantised = pixels
            .iter()
            .map(|v| (v.clamp(0.0, 1.0) * 65535.0).round() as u16);
        ImageBuffer::from_raw(width, height, quantised.collect()).map(DynamicImage::ImageRgb16)
    };
    let image = match format {
        Format::Png | Format::Jpeg => rgb8(),
        Format::Tiff => rgb16(),
    };
    let image =
        image.ok_or_else(|| Error::image("picture", format!("has not {width}x{height} pixels")))?;
    let mut file = Cursor::new(Vec::new());
    let written = match format {
        Format::Png => image.write_to(&mut file, ImageFormat::Png),
        Format::Jpeg => {
            image.write_with_encoder(JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY))
        }
        Format::Tiff => image.write_to(&mut file, ImageFormat::Tiff),
    };
    written.map_err(|e| {
        let reason = Cause::new(format!("cannot be encoded: {e}"), e);
        Error::image("picture", reason)
    })?;
    Ok(file.into_inner())
}

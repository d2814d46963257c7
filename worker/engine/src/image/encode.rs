//! From pixels to an image file.

use std::io::Cursor;

use ::image::codecs::jpeg::JpegEncoder;
use ::image::{DynamicImage, ImageBuffer, ImageFormat, Rgb};

use crate::{Error, Format, Picture};

const JPEG_QUALITY: u8 = 95;

/// Encodes a picture; values are rounded to the nearest that the format holds.
pub(crate) fn encode(picture: &Picture, format: Format) -> Result<Vec<u8>, Error> {
    let mut file = Cursor::new(Vec::new());
    let written = match format {
        Format::Png => rgb8(picture)?.write_to(&mut file, ImageFormat::Png),
        Format::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY);
            rgb8(picture)?.write_with_encoder(encoder)
        }
        Format::Tiff => rgb16(picture)?.write_to(&mut file, ImageFormat::Tiff),
    };
    written.map_err(|e| Error::image("picture", format!("cannot be encoded: {e}")))?;
    Ok(file.into_inner())
}

fn rgb8(picture: &Picture) -> Result<DynamicImage, Error> {
    let quantised = |v: &f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixels = picture.pixels.iter().map(quantised).collect();
    buffer::<u8>(picture, pixels).map(DynamicImage::ImageRgb8)
}

fn rgb16(picture: &Picture) -> Result<DynamicImage, Error> {
    let quantised = |v: &f32| (v.clamp(0.0, 1.0) * 65535.0).round() as u16;
    let pixels = picture.pixels.iter().map(quantised).collect();
    buffer::<u16>(picture, pixels).map(DynamicImage::ImageRgb16)
}

fn buffer<T: ::image::Primitive>(
    picture: &Picture,
    pixels: Vec<T>,
) -> Result<ImageBuffer<Rgb<T>, Vec<T>>, Error>
where
    Rgb<T>: ::image::Pixel<Subpixel = T>,
{
    ImageBuffer::from_raw(picture.width, picture.height, pixels).ok_or_else(|| {
        let (width, height) = (picture.width, picture.height);
        Error::image("picture", format!("has not {width}x{height} pixels"))
    })
}

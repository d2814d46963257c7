//! Frames as bytes, and as what the engine works with.

use std::io::Cursor;

use ::image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use ::image::{DynamicImage, ExtendedColorType, ImageEncoder};
use stylefleet_video::Depth;
use tch::{Device, Kind, Tensor};

use crate::image::Extent;
use crate::{Cause, Error};

/// What is 255 as the engine has it.
fn scale(depth: Depth) -> f64 {
    match depth {
        Depth::Eight => 1.0,
        Depth::Sixteen => 257.0,
    }
}

/// R, G, B of each pixel, row by row, 16-bit values with the low byte first: as `[1, 3, H, W]`, 0 to
/// 255, 32-bit, on the CPU.
pub(super) fn tensor(raw: &[u8], extent: Extent, depth: Depth) -> Result<Tensor, Error> {
    let shape = [1, i64::from(extent.height), i64::from(extent.width), 3];
    let rows = match depth {
        Depth::Eight => {
            Tensor::f_from_data_size(raw, &shape, Kind::Uint8)?.f_to_kind(Kind::Float)?
        }
        Depth::Sixteen => {
            let (samples, _) = raw.as_chunks();
            let samples = samples
                .iter()
                .map(|&sample| f32::from(u16::from_le_bytes(sample)));
            let samples: Vec<f32> = samples.collect();
            let rows = Tensor::f_from_slice(&samples)?.f_reshape(shape)?;
            rows.f_div_scalar(scale(depth))?
        }
    };
    Ok(rows.f_permute([0, 3, 1, 2])?.f_contiguous()?)
}

/// The bytes that [`tensor`] reads, of `[1, 3, H, W]`, 0 to 255, rounded.
pub(super) fn raw(picture: &Tensor, depth: Depth) -> Result<Vec<u8>, Error> {
    let rows = picture
        .f_to_device(Device::Cpu)?
        .f_clamp(0.0, 255.0)?
        .f_mul_scalar(scale(depth))?
        .f_round()?
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_reshape([-1])?;
    Ok(match depth {
        Depth::Eight => Vec::<u8>::try_from(&rows.f_to_kind(Kind::Uint8)?)?,
        Depth::Sixteen => {
            let samples = Vec::<f32>::try_from(&rows)?;
            samples
                .into_iter()
                .flat_map(|sample| (sample as u16).to_le_bytes())
                .collect()
        }
    })
}

/// A frame's bytes as a PNG, quickly.
pub(super) fn packed(raw: &[u8], extent: Extent, depth: Depth) -> Result<Vec<u8>, Error> {
    let mut file = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Adaptive);
    let (kind, samples) = match depth {
        Depth::Eight => (ExtendedColorType::Rgb8, raw.to_vec()),
        // The encoder takes them as the machine has them.
        Depth::Sixteen => (ExtendedColorType::Rgb16, native(raw)),
    };
    let written = encoder.write_image(&samples, extent.width, extent.height, kind);
    written.map_err(|error| damaged(Cause::of(error)))?;
    Ok(file)
}

/// What [`packed`] was made of.
pub(super) fn unpacked(file: &[u8], extent: Extent, depth: Depth) -> Result<Vec<u8>, Error> {
    let decoder = PngDecoder::new(Cursor::new(file)).map_err(|error| damaged(Cause::of(error)))?;
    let image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(Cause::of(error)))?;
    let raw = match (image, depth) {
        (DynamicImage::ImageRgb8(image), Depth::Eight) => image.into_raw(),
        (DynamicImage::ImageRgb16(image), Depth::Sixteen) => image
            .into_raw()
            .into_iter()
            .flat_map(u16::to_le_bytes)
            .collect(),
        _ => return Err(damaged("it has other samples".into())),
    };
    if raw.len() == depth.bytes([extent.width, extent.height]) {
        Ok(raw)
    } else {
        Err(damaged("it has another size".into()))
    }
}

fn native(raw: &[u8]) -> Vec<u8> {
    let (samples, _) = raw.as_chunks();
    samples
        .iter()
        .flat_map(|&sample| u16::from_le_bytes(sample).to_ne_bytes())
        .collect()
}

fn damaged(reason: Cause) -> Error {
    Error::image("a finished frame", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_what_they_were() {
        let extent = Extent {
            width: 7,
            height: 5,
        };
        tch::manual_seed(3);
        for depth in [Depth::Eight, Depth::Sixteen] {
            let picture = Tensor::rand([1, 3, 5, 7], (Kind::Float, Device::Cpu)) * 255.0;
            let bytes = raw(&picture, depth).expect("converts");
            assert_eq!(bytes.len(), depth.bytes([extent.width, extent.height]));
            let again = tensor(&bytes, extent, depth).expect("converts");
            let off = (&again - &picture).abs().max().double_value(&[]);
            assert!(off <= 0.501 / scale(depth), "{off}");
            assert_eq!(raw(&again, depth).expect("converts"), bytes);
            let file = packed(&bytes, extent, depth).expect("packs");
            assert_eq!(unpacked(&file, extent, depth).expect("unpacks"), bytes);
            let other = Extent {
                width: 5,
                height: 7,
            };
            assert!(unpacked(&file, extent, Depth::Sixteen).is_err() || depth == Depth::Sixteen);
            let larger = Extent { width: 8, ..other };
            assert!(unpacked(&file, larger, depth).is_err());
            assert!(unpacked(b"no PNG", extent, depth).is_err());
        }
    }
}

//! Frames as bytes, and as what the engine works with.

use std::io::Cursor;

use ::image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use ::image::{DynamicImage, ExtendedColorType, ImageEncoder, Rgba};
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

/// R, G, B of each pixel, row by row, 16-bit values with the low byte first: as `[1, 3, H, W]`, 0
/// to 255, 32-bit, on the CPU.
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

/// A frame that was made: its bytes, and how certain each of its pixels is, 0 to 255.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub raw: Vec<u8>,
    pub certainty: Vec<u8>,
}

impl Frame {
    /// As a PNG, in which certainty is opacity. It is made quickly rather than small.
    pub fn packed(&self, extent: Extent, depth: Depth) -> Result<Vec<u8>, Error> {
        let mut file = Vec::new();
        let (speed, filter) = (CompressionType::Fast, FilterType::Adaptive);
        let encoder = PngEncoder::new_with_quality(&mut file, speed, filter);
        let mut samples = Vec::with_capacity(self.raw.len() / 3 * 4);
        let kind = match depth {
            Depth::Eight => {
                for (pixel, certainty) in self.raw.as_chunks::<3>().0.iter().zip(&self.certainty) {
                    samples.extend_from_slice(pixel);
                    samples.push(*certainty);
                }
                ExtendedColorType::Rgba8
            }
            Depth::Sixteen => {
                // The encoder takes them as the machine has them.
                for (pixel, certainty) in self.raw.as_chunks::<6>().0.iter().zip(&self.certainty) {
                    let pixel = pixel
                        .as_chunks()
                        .0
                        .iter()
                        .map(|&sample| u16::from_le_bytes(sample));
                    let pixel = pixel.chain([257 * u16::from(*certainty)]);
                    samples.extend(pixel.flat_map(u16::to_ne_bytes));
                }
                ExtendedColorType::Rgba16
            }
        };
        let written = encoder.write_image(&samples, extent.width, extent.height, kind);
        written.map_err(|error| damaged(Cause::of(error)))?;
        Ok(file)
    }

    /// What [`Frame::packed`] was made of.
    pub fn unpacked(file: &[u8], extent: Extent, depth: Depth) -> Result<Self, Error> {
        let decoder = PngDecoder::new(Cursor::new(file));
        let decoder = decoder.map_err(|error| damaged(Cause::of(error)))?;
        let image = DynamicImage::from_decoder(decoder);
        let image = image.map_err(|error| damaged(Cause::of(error)))?;
        if [image.width(), image.height()] != [extent.width, extent.height] {
            return Err(damaged("it has another size".into()));
        }
        let mut raw = Vec::with_capacity(depth.bytes([extent.width, extent.height]));
        let certainty = match (image, depth) {
            (DynamicImage::ImageRgba8(image), Depth::Eight) => image
                .pixels()
                .map(|&Rgba([red, green, blue, certainty])| {
                    raw.extend([red, green, blue]);
                    certainty
                })
                .collect(),
            (DynamicImage::ImageRgba16(image), Depth::Sixteen) => image
                .pixels()
                .map(|&Rgba([red, green, blue, certainty])| {
                    raw.extend([red, green, blue].into_iter().flat_map(u16::to_le_bytes));
                    (certainty / 257) as u8
                })
                .collect(),
            _ => return Err(damaged("it has other samples".into())),
        };
        Ok(Self { raw, certainty })
    }
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
            assert!(off <= 0.51 / scale(depth), "{off}");
            assert_eq!(raw(&again, depth).expect("converts"), bytes);
            let certainty: Vec<u8> = (0..35).map(|pixel| 7 * pixel).collect();
            let frame = Frame {
                raw: bytes,
                certainty,
            };
            let file = frame.packed(extent, depth).expect("packs");
            assert_eq!(
                Frame::unpacked(&file, extent, depth).expect("unpacks"),
                frame
            );
            let turned = Extent {
                width: 5,
                height: 7,
            };
            assert!(Frame::unpacked(&file, turned, depth).is_err());
            let other = match depth {
                Depth::Eight => Depth::Sixteen,
                Depth::Sixteen => Depth::Eight,
            };
            assert!(Frame::unpacked(&file, extent, other).is_err());
            assert!(Frame::unpacked(b"no PNG", extent, depth).is_err());
        }
    }
}

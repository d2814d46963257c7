//! TIFF files: read right, or refused with the reason.
//!
//! The `tiff` crate reads the directory, and other crates decompress. What the samples mean is
//! worked out here: the crate itself does not read palettes, subsampled colours, the order of bits
//! and some kinds of alpha, and does not notice JPEG data that end too early.

mod colors;
mod compression;
mod header;
mod samples;
mod tags;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageBuffer, Luma, Pixel, Rgb, Rgba};
use ::tiff::{TiffError, TiffFormatError, TiffUnsupportedError};

use self::header::Header;
use super::decode::{TOO_MUCH_MEMORY, damaged, undecodable};
use crate::Cause;

#[cfg(test)]
mod tests;

/// A TIFF file's first picture.
#[derive(Debug)]
pub(super) struct Tiff {
    /// Opaque: what is transparent was laid on white.
    pub pixels: Pixels,
    /// The ICC profile that the pixels, as they are, belong to.
    pub profile: Option<Vec<u8>>,
    /// How they have to be turned.
    pub orientation: Orientation,
}

#[derive(Debug)]
pub(super) enum Pixels {
    /// Grey or R, G, B.
    Light(DynamicImage),
    /// Cyan, magenta, yellow, black: 0 is no ink.
    Inks(ImageBuffer<Rgba<u16>, Vec<u16>>),
}

/// Decodes a file whose `[width, height]` passes `check_size`.
pub(super) fn read(
    file: &[u8],
    check_size: impl FnOnce(u32, u32) -> Result<(), Cause>,
) -> Result<Tiff, Cause> {
    let header = Header::read(file)?;
    check_size(header.width, header.height)?;
    // Sixteen bits are enough for a sample: source.rs rounds to as many.
    let pixels = match (header.colors.channels(), header.fits_8_bits()) {
        (1, true) => Pixels::Light(fill::<Luma<u8>>(&header, file)?.into()),
        (1, false) => Pixels::Light(fill::<Luma<u16>>(&header, file)?.into()),
        (3, true) => Pixels::Light(fill::<Rgb<u8>>(&header, file)?.into()),
        (3, false) => Pixels::Light(fill::<Rgb<u16>>(&header, file)?.into()),
        _ => Pixels::Inks(fill(&header, file)?),
    };
    Ok(Tiff {
        pixels,
        profile: header.profile,
        orientation: header.orientation,
    })
}

/// Decodes strip by strip or tile by tile.
fn fill<P>(header: &Header, file: &[u8]) -> Result<ImageBuffer<P, Vec<P::Subpixel>>, Cause>
where
    P: Pixel<Subpixel: Level>,
{
    let channels = usize::from(P::CHANNEL_COUNT);
    let mut image = ImageBuffer::<P, _>::new(header.width, header.height);
    let mut samples = vec![0.0; header.chunk_width() * header.samples];
    for region in header.regions() {
        let planes = header.planes(file, &region)?;
        for row in 0..region.height {
            for (index, plane) in planes.iter().enumerate() {
                let to = samples.iter_mut().skip(index).step_by(planes.len());
                plane.unpack(row, to);
            }
            let start = channels * ((region.y + row) * header.width as usize + region.x);
            let levels: &mut [P::Subpixel] = &mut image;
            let line = &mut levels[start..start + channels * region.width];
            let pixels = samples.chunks_exact(header.samples);
            for (to, pixel) in line.chunks_exact_mut(channels).zip(pixels) {
                for (level, value) in to.iter_mut().zip(header.colors.values(pixel)) {
                    *level = P::Subpixel::of(value);
                }
            }
        }
    }
    Ok(image)
}

/// An integer that stands for a value of 0 to 1.
trait Level: Copy {
    /// The nearest. `as` makes values above white white, and NaN black.
    fn of(value: f32) -> Self;
}

impl Level for u8 {
    fn of(value: f32) -> Self {
        (value * 255.0).round() as Self
    }
}

impl Level for u16 {
    fn of(value: f32) -> Self {
        (value * 65535.0).round() as Self
    }
}

/// The reason to refuse a whole file of a kind that is not read.
fn unread(what: impl Into<Cause>) -> Cause {
    let what = what.into();
    let words = format!("is a kind of TIFF ({what}) that is not read: save it as PNG or RGB TIFF");
    what.in_words(words)
}

/// Why the decoder refuses a file.
fn refused(error: TiffError) -> Cause {
    use TiffUnsupportedError::{
        InconsistentBitsPerSample, UnknownInterpretation, UnsupportedSampleFormat,
    };
    let kind = match &error {
        TiffError::UnsupportedError(kind) => match kind {
            UnknownInterpretation => "colours of an unknown sort".into(),
            InconsistentBitsPerSample(_) => "samples of different sizes".into(),
            UnsupportedSampleFormat(_) => "samples of different formats".into(),
            other => other.to_string(),
        },
        TiffError::FormatError(TiffFormatError::UnknownPredictor(number)) => {
            format!("predictor {number}")
        }
        TiffError::LimitsExceeded => return Cause::new(TOO_MUCH_MEMORY, error),
        TiffError::IoError(_) => {
            return damaged(Cause::new("its directory is incomplete", error));
        }
        _ => return undecodable(error),
    };
    unread(Cause::new(kind, error))
}

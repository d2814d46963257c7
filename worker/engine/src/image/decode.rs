//! From an image file to pixels in sRGB.

use std::io::Cursor;

use ::image::metadata::Orientation;
use ::image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb32FImage,
};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::tiff;
use crate::{Error, Source};

/// An image file, decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// sRGB, opaque.
    pub pixels: DynamicImage,
    /// What a person should know of how it was read.
    pub notes: Vec<String>,
}

/// Decodes a PNG, JPEG, WebP or TIFF file of at most `max_pixels`: turns it as its EXIF
/// orientation says, lays transparent parts on white, converts its ICC profile to sRGB.
pub(crate) fn decode(source: &Source, max_pixels: u64) -> Result<Decoded, Error> {
    let refuse = |reason: String| Error::image(&source.name, reason);
    let unreadable = |error: ImageError| refuse(reason_of(&error));
    if tiff::is_tiff(&source.bytes) {
        let check_size = |width, height| check_size(width, height, max_pixels);
        let tiff = tiff::read(&source.bytes, check_size).map_err(|e| refuse(e.to_string()))?;
        let image = match tiff.pixels {
            tiff::Pixels::Light(image) => image,
            tiff::Pixels::Inks(inks) => tiff::light_of(&inks),
        };
        return Ok(finished(source, image, tiff.orientation, tiff.profile));
    }
    let mut reader = ImageReader::new(Cursor::new(&source.bytes));
    reader = reader
        .with_guessed_format()
        .map_err(|e| refuse(e.to_string()))?;
    let format = match reader.format() {
        Some(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => format,
        _ => {
            return Err(refuse(
                "is no image that is read here: PNG, JPEG, WebP or TIFF".into(),
            ));
        }
    };
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, max_pixels).map_err(refuse)?;
    let pixels = u64::from(width) * u64::from(height);
    let mut limits = Limits::no_limits();
    // Sixteen bytes a pixel, four 32-bit channels, is the most that a decoder needs; the rest is
    // for its tables.
    limits.max_alloc = Some(pixels * 16 + (64 << 20));
    decoder.set_limits(limits).map_err(unreadable)?;
    if format == ImageFormat::Jpeg && is_cut_short(&source.bytes) {
        return Err(refuse("is damaged or cut short: its end is missing".into()));
    }
    let profile = decoder.icc_profile().map_err(unreadable)?;
    let orientation = decoder.orientation().map_err(unreadable)?;
    let image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    Ok(finished(source, image, orientation, profile))
}

fn check_size(width: u32, height: u32, max_pixels: u64) -> Result<(), String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!(
            "is {width}x{height} pixels: there is nothing in it"
        ));
    }
    if pixels > max_pixels {
        return Err(format!(
            "is {width}x{height} pixels, the limit is {max_pixels}: scale it down, or raise \
             --max-pixels"
        ));
    }
    Ok(())
}

/// What a file's pixels become.
fn finished(
    source: &Source,
    mut image: DynamicImage,
    orientation: Orientation,
    profile: Option<Vec<u8>>,
) -> Decoded {
    image.apply_orientation(orientation);
    let grey = !image.color().has_color();
    let mut pixels = flattened(image);
    let mut notes = Vec::new();
    if let Some(profile) = profile {
        let mut converted = pixels.into_rgb32f();
        if let Err(reason) = to_srgb(&mut converted, &profile, grey) {
            notes.push(format!(
                "{}: {reason}; its colours are read as sRGB",
                source.name
            ));
        }
        pixels = converted.into();
    }
    Decoded { pixels, notes }
}

/// Whether a JPEG file ends before its picture does. Its decoder would fill what is missing with
/// grey. Goes from marker to marker, since thumbnails before the picture and whatever follows it
/// may hold the bytes of any marker.
pub(super) fn is_cut_short(jpeg: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xd9;
    // Neither a stuffed byte, nor a marker that stands alone, nor filling.
    let is_marker = |b: &[u8]| b[0] == 0xff && !matches!(b[1], 0x00 | 0x01 | 0xd0..=0xd7 | 0xff);
    let mut at = 2;
    loop {
        let rest = jpeg.get(at..).unwrap_or_default();
        let Some(found) = rest.windows(2).position(is_marker) else {
            return true;
        };
        match rest[found..] {
            [_, END_OF_IMAGE, ..] => return false,
            [_, _, high, low, ..] => {
                at += found + 2 + usize::from(u16::from_be_bytes([high, low]));
            }
            _ => return true,
        }
    }
}

fn reason_of(error: &ImageError) -> String {
    match error {
        ImageError::Unsupported(e) => format!("is of a kind that cannot be read: {e}"),
        ImageError::Limits(_) => "needs more memory than its size explains: not decoded".into(),
        other => format!("is damaged or cut short: {other}"),
    }
}

/// Colours with what is transparent laid on white.
fn flattened(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let rgba = image.into_rgba32f();
    let mut flat = Rgb32FImage::new(rgba.width(), rgba.height());
    for (to, from) in flat.pixels_mut().zip(rgba.pixels()) {
        let [color @ .., alpha] = from.0;
        to.0 = color.map(|c| c * alpha + 1.0 - alpha);
    }
    flat.into()
}

/// Converts colours from an ICC profile in place; an error says why that is not possible.
fn to_srgb(pixels: &mut Rgb32FImage, profile: &[u8], grey: bool) -> Result<(), String> {
    let profile = ColorProfile::new_from_slice(profile)
        .map_err(|e| format!("its colour profile cannot be read ({e})"))?;
    let layout = match profile.color_space {
        DataColorSpace::Rgb => Layout::Rgb,
        DataColorSpace::Gray if grey => Layout::Gray,
        other => {
            return Err(format!(
                "its colour profile is for {other:?}, which is not converted"
            ));
        }
    };
    let transform = profile
        .create_transform_f32(
            layout,
            &ColorProfile::new_srgb(),
            Layout::Rgb,
            TransformOptions::default(),
        )
        .map_err(|e| format!("its colour profile cannot be converted ({e})"))?;
    let length = 3 * pixels.width() as usize;
    let mut to = vec![0.0; length];
    for row in pixels.chunks_exact_mut(length) {
        let from: Vec<f32> = match layout {
            Layout::Gray => row.iter().step_by(3).copied().collect(),
            _ => row.to_vec(),
        };
        transform
            .transform(&from, &mut to)
            .map_err(|e| format!("its colour profile cannot be applied ({e})"))?;
        for (value, converted) in row.iter_mut().zip(&to) {
            *value = converted.clamp(0.0, 1.0);
        }
    }
    Ok(())
}

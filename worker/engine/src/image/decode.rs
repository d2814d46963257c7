//! From an image file to pixels in sRGB.

use std::io::Cursor;

use ::image::metadata::Orientation;
use ::image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb32FImage,
};
use stylefleet_formats::{Kind, Unread, readable};

use super::profile::{Profile, from_cmyk, to_srgb};
use super::{heif, jpeg, jpeg_xl, tiff};
use crate::{Cause, Error, Source};

/// The reason to refuse a file whose decoding takes too much memory for its size.
pub(super) const TOO_MUCH_MEMORY: &str = "needs more memory than its size explains: not decoded";

/// An image file, decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// sRGB, opaque.
    pub pixels: DynamicImage,
    /// What a person should know about how it was read.
    pub notes: Vec<String>,
}

/// A picture as its file holds it.
pub(super) struct Stored {
    pub pixels: DynamicImage,
    /// What its colours mean, if not sRGB.
    pub profile: Option<Profile>,
    /// How it has to be turned.
    pub orientation: Orientation,
    /// What a person should know about it.
    pub notes: Vec<String>,
}

/// Decodes an image file of at most `max_pixels`: turns it as it says, lays transparent parts on
/// white, converts its colours to sRGB.
pub(crate) fn decode(source: &Source, max_pixels: u64) -> Result<Decoded, Error> {
    let stored = stored(&source.bytes, max_pixels);
    let stored = stored.map_err(|reason| Error::image(&source.name, reason))?;
    let (mut image, mut notes) = (stored.pixels, stored.notes);
    image.apply_orientation(stored.orientation);
    let grey = !image.color().has_color();
    let mut pixels = flattened(image);
    if let Some(profile) = stored.profile {
        let mut converted = pixels.into_rgb32f();
        if let Err(reason) = to_srgb(&mut converted, &profile, grey) {
            notes.push(format!("{reason}; its colours are read as sRGB"));
        }
        pixels = converted.into();
    }
    let name = &source.name;
    let notes = notes.into_iter().map(|note| format!("{name}: {note}"));
    Ok(Decoded {
        pixels,
        notes: notes.collect(),
    })
}

fn stored(bytes: &[u8], max_pixels: u64) -> Result<Stored, Cause> {
    let kind = readable(bytes).map_err(Cause::of)?;
    let format = match kind {
        Kind::Jpeg => return jpeg::read(bytes, max_pixels),
        Kind::Heic | Kind::Avif => return heif::read(kind, bytes, max_pixels),
        Kind::JpegXl => return jpeg_xl::read(bytes, max_pixels),
        Kind::Tiff => return of_tiff(bytes, max_pixels),
        Kind::Png => ImageFormat::Png,
        Kind::WebP => ImageFormat::WebP,
        Kind::Gif => ImageFormat::Gif,
        Kind::Bmp => ImageFormat::Bmp,
        other => return Err(Cause::of(Unread::Kind(other))),
    };
    let refuse = |error: ImageError| reason_of(kind, error);
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(refuse)?;
    let (width, height) = decoder.dimensions();
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(memory_for(measured([width, height], max_pixels)?));
    decoder.set_limits(limits).map_err(refuse)?;
    let profile = decoder.icc_profile().map_err(refuse)?.map(Profile::Icc);
    let exif = decoder.exif_metadata().ok().flatten();
    Ok(Stored {
        pixels: DynamicImage::from_decoder(decoder).map_err(refuse)?,
        profile,
        orientation: exif.map_or(Orientation::NoTransforms, |exif| orientation(&exif)),
        notes: Vec::new(),
    })
}

fn of_tiff(bytes: &[u8], max_pixels: u64) -> Result<Stored, Cause> {
    let check_size = |width, height| measured([width, height], max_pixels).map(drop);
    let tiff = tiff::read(bytes, check_size)?;
    let profile = tiff.profile.as_deref();
    let (pixels, profile, note) = match tiff.pixels {
        tiff::Pixels::Light(pixels) => (pixels, tiff.profile.map(Profile::Icc), None),
        tiff::Pixels::Inks(inks) => {
            let size = [inks.width(), inks.height()];
            let (pixels, note) = from_cmyk(&inks, u16::MAX.into(), size, profile);
            (pixels.into(), None, note)
        }
    };
    Ok(Stored {
        pixels,
        profile,
        orientation: tiff.orientation,
        notes: note.into_iter().collect(),
    })
}

/// The number of pixels, once there are some and not too many.
pub(super) fn measured([width, height]: [u32; 2], max_pixels: u64) -> Result<u64, Cause> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("is {width}x{height} pixels: there is nothing in it").into());
    }
    if pixels > max_pixels {
        return Err(format!(
            "is {width}x{height} pixels, the limit is {max_pixels}: scale it down, or raise \
             --max-pixels"
        )
        .into());
    }
    Ok(pixels)
}

/// Bytes that decoding may take. Sixteen a pixel, four 32-bit channels, is the most that a decoder
/// needs; the rest is for its tables.
fn memory_for(pixels: u64) -> u64 {
    pixels * 16 + (64 << 20)
}

/// What EXIF says of how to turn the picture. Some cameras begin it as in a JPEG file, whatever the
/// file. Damaged EXIF is ignored.
pub(super) fn orientation(exif: &[u8]) -> Orientation {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

fn reason_of(kind: Kind, error: ImageError) -> Cause {
    match error {
        ImageError::Unsupported(e) => {
            let words =
                format!("is {kind} of a sort that is not read ({e}): save it as a plain PNG");
            Cause::new(words, e)
        }
        ImageError::Limits(e) => Cause::new(TOO_MUCH_MEMORY, e),
        other => undecodable(other),
    }
}

/// The reason to refuse a damaged file.
pub(super) fn damaged(what: impl Into<Cause>) -> Cause {
    let what = what.into();
    let words = format!("is damaged or cut short: {what}");
    what.in_words(words)
}

/// [`damaged`], as a decoder says.
pub(super) fn undecodable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Cause {
    damaged(Cause::of(error))
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

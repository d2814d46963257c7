//! JPEG files.

use ::image::metadata::Orientation;
use ::image::{DynamicImage, GrayImage, RgbImage};
use stylefleet_formats::jpeg::{Outline, outline};
use stylefleet_formats::{Kind, Unread};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::decode::{Stored, damaged, measured, orientation, undecodable};
use super::profile::{Profile, from_cmyk};
use crate::Cause;

const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// Bits that continue an unfinished picture, unlike the zeros that a decoder makes up.
const ANYTHING: [u8; 64] = [0x55; 64];

pub(super) fn read(bytes: &[u8], max_pixels: u64) -> Result<Stored, Cause> {
    let outline = outline(bytes).ok_or_else(|| damaged("it ends before its picture begins"))?;
    if let Some(coding) = outline.unread {
        return Err(Cause::of(Unread::Coding(Kind::Jpeg, coding)));
    }
    let size = [outline.width, outline.height];
    measured(size, max_pixels)?;
    if !outline.has_all_scans {
        return Err(damaged("a part of its picture is missing"));
    }
    let picture = &bytes[..outline.end];
    let whole = decode([picture, &END_OF_IMAGE].concat(), &outline)?;
    // A picture is complete if what follows it makes no difference.
    let longer = decode([picture, &ANYTHING, &END_OF_IMAGE].concat(), &outline)?;
    if longer.values != whole.values {
        return Err(damaged("the end of its picture is missing"));
    }
    drop(longer);
    let mut notes = Vec::new();
    if !outline.has_end_marker {
        notes.push("its end marker is missing; its picture is whole".to_owned());
    }
    let [width, height] = size;
    let pixels = match whole.colors {
        ColorSpace::Luma => GrayImage::from_raw(width, height, whole.values).map(Into::into),
        ColorSpace::RGB => RgbImage::from_raw(width, height, whole.values).map(Into::into),
        colors => {
            let mut inks = whole.values;
            as_inks(&mut inks, colors, outline.is_adobe);
            let (pixels, note) = from_cmyk(&inks, 255.0, size, whole.icc.as_deref());
            notes.extend(note);
            Some(DynamicImage::from(pixels))
        }
    };
    Ok(Stored {
        pixels: pixels.ok_or_else(|| damaged("its picture is of another size than it says"))?,
        profile: whole
            .icc
            .filter(|_| outline.channels() != 4)
            .map(Profile::Icc),
        orientation: whole
            .exif
            .map_or(Orientation::NoTransforms, |exif| orientation(&exif)),
        notes,
    })
}

/// A file as the decoder gives it.
struct Decoded {
    values: Vec<u8>,
    colors: ColorSpace,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
}

fn decode(bytes: Vec<u8>, outline: &Outline) -> Result<Decoded, Cause> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(undecodable)?;
    let colors = match (outline.channels(), decoder.input_colorspace()) {
        (1, _) => ColorSpace::Luma,
        // Inks are not converted yet: their profile says what they look like.
        (4, Some(inks)) => inks,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colors));
    Ok(Decoded {
        values: decoder.decode().map_err(undecodable)?,
        colors,
        icc: decoder.icc_profile(),
        exif: decoder.exif().cloned(),
    })
}

/// The amounts of C, M, Y, K, from the stored values.
fn as_inks(values: &mut [u8], colors: ColorSpace, is_adobe: bool) {
    for pixel in values.chunks_exact_mut(4) {
        if let (ColorSpace::YCCK, [y, cb, cr, _]) = (colors, &mut *pixel) {
            // As in JFIF, with the light that the inks leave in place of R, G and B.
            let [luma, blue, red] = [*y, *cb, *cr].map(f32::from);
            let (blue, red) = (blue - 128.0, red - 128.0);
            *y = 255 - (luma + 1.402 * red).round() as u8;
            *cb = 255 - (luma - 0.344_136 * blue - 0.714_136 * red).round() as u8;
            *cr = 255 - (luma + 1.772 * blue).round() as u8;
        }
        if is_adobe {
            pixel.iter_mut().for_each(|value| *value = 255 - *value);
        }
    }
}

//! The tags of a TIFF file, one by one.

use std::io::Cursor;

use ::image::metadata::Orientation;
use ::tiff::decoder::Decoder;
use ::tiff::decoder::ifd::Value;
use ::tiff::tags::{Tag, Type, ValueBuffer};

use super::super::decode::damaged;
use super::colors::{Alpha, Model, YCbCr};
use super::compression::Compression;
use super::samples::{Format, Predictor};
use super::{refused, unread};
use crate::Cause;

pub(super) type Tags<'a> = Decoder<Cursor<&'a [u8]>>;

/// Tags that the crate has no name for.
const INK_SET: Tag = Tag::Unknown(332);
const YCBCR_COEFFICIENTS: Tag = Tag::Unknown(529);
const REFERENCE_BLACK_WHITE: Tag = Tag::Unknown(532);

/// Goes on to the first picture that is neither a small copy nor a mask of another.
pub(super) fn skip_previews(tags: &mut Tags<'_>) -> Result<(), Cause> {
    const SMALL_COPY_OR_MASK: u32 = 0b101;
    while number(tags, Tag::NewSubfileType, 0)? & SMALL_COPY_OR_MASK != 0 {
        if !tags.more_images() {
            let name = "a preview alone, as in a camera's raw file";
            return Err(unread(name));
        }
        tags.next_image().map_err(refused)?;
    }
    Ok(())
}

/// A number, or the `default` that TIFF 6.0 gives it.
pub(super) fn number<T: TryFrom<u64>>(
    tags: &mut Tags<'_>,
    tag: Tag,
    default: T,
) -> Result<T, Cause> {
    Ok(tags
        .find_tag_unsigned(tag)
        .map_err(refused)?
        .unwrap_or(default))
}

/// The numbers of a tag that holds exactly as many.
fn fractions<const N: usize>(
    tags: &mut Tags<'_>,
    tag: Tag,
    default: [f32; N],
) -> Result<[f32; N], Cause> {
    let values = match tags.find_tag(tag).map_err(refused)? {
        None => return Ok(default),
        Some(Value::List(values)) => values,
        Some(value) => vec![value],
    };
    let fraction = |value| match value {
        Value::Rational(over, under) => Some(over as f32 / under as f32),
        Value::Float(number) => Some(number),
        other => other.into_u32().ok().map(|number| number as f32),
    };
    let fractions: Option<Vec<_>> = values.into_iter().map(fraction).collect();
    fractions
        .and_then(|fractions| fractions.try_into().ok())
        .ok_or_else(|| damaged(format!("its tag {} holds something else", tag.to_u16())))
}

/// How samples are written.
pub(super) fn format(tags: &mut Tags<'_>) -> Result<Format, Cause> {
    // The crate has checked that all samples of a pixel are alike.
    let mut first = |tag, default| -> Result<u16, Cause> {
        let values: Option<Vec<u16>> = tags.find_tag_unsigned_vec(tag).map_err(refused)?;
        Ok(values
            .unwrap_or_default()
            .first()
            .copied()
            .unwrap_or(default))
    };
    let bits = first(Tag::BitsPerSample, 1)?;
    match (first(Tag::SampleFormat, 1)?, bits) {
        (1, 1 | 2 | 4 | 8 | 12 | 16 | 32) => Ok(Format::Unsigned(bits as u8)),
        (3, 16 | 32 | 64) => Ok(Format::Float(bits as u8)),
        (1, _) => Err(unread(format!("samples of {bits} bits"))),
        // Nothing says whether 0 is black or a medium grey.
        (2, _) => Err(unread("signed samples")),
        (3, _) => Err(unread(format!("floats of {bits} bits"))),
        (5 | 6, _) => Err(unread("complex samples")),
        _ => Err(unread("samples of no format")),
    }
}

/// What colours the samples are.
pub(super) fn model(tags: &mut Tags<'_>, format: Format) -> Result<Model, Cause> {
    let name = match (
        tags.get_tag_unsigned(Tag::PhotometricInterpretation)
            .map_err(refused)?,
        format,
    ) {
        (0, _) => return Ok(Model::Ink),
        (1, _) => return Ok(Model::Grey),
        (2, _) => return Ok(Model::Rgb),
        (3, Format::Unsigned(bits @ ..=16)) => return palette(tags, bits),
        (5, _) if number(tags, INK_SET, 1)? == 1 => return Ok(Model::Cmyk),
        (6, Format::Unsigned(8)) => {
            let luma = fractions(tags, YCBCR_COEFFICIENTS, [0.299, 0.587, 0.114])?;
            let full = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
            let reference = fractions(tags, REFERENCE_BLACK_WHITE, full)?;
            return Ok(Model::YCbCr(YCbCr::new(luma, reference)?));
        }
        (3, _) => "a palette of other than integers",
        (4, _) => "a mask",
        (5, _) => "other inks than cyan, magenta, yellow and black",
        (6, _) => "YCbCr of other than 8 bits",
        (8..=10, _) => "Lab",
        (other, _) => return Err(unread(format!("colours {other}"))),
    };
    Err(unread(name))
}

fn palette(tags: &mut Tags<'_>, bits: u8) -> Result<Model, Cause> {
    let length = 1 << bits;
    let values = tags.find_tag_unsigned_vec(Tag::ColorMap).map_err(refused)?;
    let map: Vec<u16> = values.unwrap_or_default();
    if map.len() != 3 * length {
        return Err(damaged("its palette is incomplete"));
    }
    // Palettes come from 8 bits. Some writers multiply by 257, some by 256, old ones not at all:
    // libtiff decides the same way.
    let shift = if map.iter().all(|value| *value < 256) {
        0
    } else {
        8
    };
    let color = |index| [0, 1, 2].map(|i| f32::from(map[i * length + index] >> shift) / 255.0);
    Ok(Model::Palette((0..length).map(color).collect()))
}

/// The first sample beyond the colours that says it is alpha. Others have no meaning here.
pub(super) fn alpha(
    tags: &mut Tags<'_>,
    model: &Model,
    samples: usize,
) -> Result<Option<Alpha>, Cause> {
    let Some(extra) = samples.checked_sub(model.samples()) else {
        return Err(damaged(format!("{samples} samples make no colour")));
    };
    let said = tags
        .find_tag_unsigned_vec(Tag::ExtraSamples)
        .map_err(refused)?;
    let kinds: Vec<u16> = match (said, model) {
        (Some(kinds), _) => kinds,
        // Other readers assume so too if the tag is missing.
        (None, Model::Rgb) if extra == 1 => vec![2],
        (None, _) => Vec::new(),
    };
    let alpha = kinds
        .iter()
        .take(extra)
        .position(|kind| matches!(kind, 1 | 2));
    Ok(alpha.map(|index| Alpha {
        sample: model.samples() + index,
        associated: kinds[index] == 1,
    }))
}

/// How strips or tiles are compressed.
pub(super) fn compression(tags: &mut Tags<'_>) -> Result<Compression, Cause> {
    let tables = bytes(tags, Tag::JPEGTables)?.unwrap_or_default();
    Compression::new(number(tags, Tag::Compression, 1)?, tables)
}

/// What was done to samples before they were compressed. Like libtiff, this reads the tag for
/// these compressions alone.
pub(super) fn predictor(
    tags: &mut Tags<'_>,
    compression: &Compression,
) -> Result<Predictor, Cause> {
    if !matches!(compression, Compression::Lzw | Compression::Deflate) {
        return Ok(Predictor::None);
    }
    Ok(match number(tags, Tag::Predictor, 1)? {
        3 => Predictor::Float,
        2 => Predictor::Horizontal,
        // The crate has refused all others.
        _ => Predictor::None,
    })
}

/// Pixels across and down that share a colour.
pub(super) fn subsampling(
    tags: &mut Tags<'_>,
    model: &Model,
    compression: &Compression,
) -> Result<[usize; 2], Cause> {
    // JPEG data come out at full size.
    if !matches!(model, Model::YCbCr(_)) || matches!(compression, Compression::Jpeg(_)) {
        return Ok([1, 1]);
    }
    let said = tags
        .find_tag_unsigned_vec(Tag::ChromaSubsampling)
        .map_err(refused)?;
    match said.unwrap_or_else(|| vec![2, 2])[..] {
        [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] => Ok([across, down]),
        _ => Err(damaged(
            "its colours are subsampled by other than 1, 2 or 4",
        )),
    }
}

/// How the picture has to be turned; unknown numbers are ignored.
pub(super) fn orientation(tags: &mut Tags<'_>) -> Result<Orientation, Cause> {
    let value: u32 = number(tags, Tag::Orientation, 1)?;
    let known = u8::try_from(value).ok().and_then(Orientation::from_exif);
    Ok(known.unwrap_or(Orientation::NoTransforms))
}

/// The bytes of a tag. No memory is allocated for more bytes than there are in the file.
pub(super) fn bytes(tags: &mut Tags<'_>, tag: Tag) -> Result<Option<Vec<u8>>, Cause> {
    let length = tags.inner().get_ref().len() as u64;
    let mut directory = tags.image_ifd();
    let entry = directory.find_entry(tag);
    if entry.is_some_and(|entry| entry.count() > length) {
        let reason = format!("its tag {} is longer than the file", tag.to_u16());
        return Err(damaged(reason));
    }
    let mut buffer = ValueBuffer::empty(Type::BYTE);
    let found = directory.find_tag_buf(tag, &mut buffer).map_err(refused)?;
    Ok(found.map(|_| buffer.as_bytes().to_vec()))
}

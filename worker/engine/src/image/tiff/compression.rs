//! From the compressed bytes of a strip or tile to its rows.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::Read;

use fax::Color;
use fax::decoder::{DecodeError, DecodeStatus, Group4Decoder, pels};
use flate2::read::ZlibDecoder;
use stylefleet_formats::jpeg::outline;
use weezl::{BitOrder, LzwStatus, decode};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::super::decode::damaged;
use super::unread;
use crate::Cause;

/// What is wrong if the data of a strip or tile end before its rows do.
const INCOMPLETE: &str = "a part of its picture is incomplete";

#[derive(Debug, PartialEq)]
pub(super) enum Compression {
    None,
    PackBits,
    Lzw,
    Deflate,
    Fax4,
    /// With the tables that all strips or tiles share.
    Jpeg(Vec<u8>),
}

/// The shape of the decompressed rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// In pixels.
    pub width: usize,
    pub rows: usize,
    /// Rows that may be there: a last strip may go on below the picture.
    pub most_rows: usize,
    /// Of a pixel.
    pub samples: usize,
    pub bytes: usize,
}

impl Compression {
    /// From the number in the tag.
    pub fn new(number: u16, jpeg_tables: Vec<u8>) -> Result<Self, Cause> {
        let name = match number {
            1 => return Ok(Self::None),
            4 => return Ok(Self::Fax4),
            5 => return Ok(Self::Lzw),
            7 => return Ok(Self::Jpeg(jpeg_tables)),
            8 | 32946 => return Ok(Self::Deflate),
            32773 => return Ok(Self::PackBits),
            2 | 3 => "fax of group 3",
            6 => "JPEG of the old sort",
            33003 | 33005 | 34712 => "JPEG 2000",
            34887 => "LERC",
            34925 => "LZMA",
            50000 => "Zstandard",
            50001 => "WebP",
            50002 | 52546 => "JPEG XL",
            other => return Err(unread(format!("compression {other}"))),
        };
        Err(unread(format!("compressed by {name}")))
    }

    /// The rows; there may be more bytes behind them.
    pub fn decompress<'a>(
        &self,
        data: Cow<'a, [u8]>,
        shape: Shape,
    ) -> Result<Cow<'a, [u8]>, Cause> {
        let rows = match self {
            Self::None => (data.len() >= shape.bytes).then_some(data),
            Self::PackBits => unpack_bits(&data, shape.bytes).map(Cow::Owned),
            Self::Lzw => lzw(&data, shape.bytes)?.map(Cow::Owned),
            Self::Deflate => {
                let mut rows = vec![0; shape.bytes];
                let read = ZlibDecoder::new(&*data).read_exact(&mut rows);
                read.map_err(|e| damaged(Cause::new(INCOMPLETE, e)))?;
                Some(rows.into())
            }
            Self::Fax4 => fax4(&data, shape)?.map(Cow::Owned),
            Self::Jpeg(tables) => Some(jpeg(&data, tables, shape)?.into()),
        };
        rows.ok_or_else(|| damaged(INCOMPLETE))
    }
}

/// Runs of equal bytes and of others (TIFF 6.0, section 9).
fn unpack_bits(mut data: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let (head, rest) = data.split_first()?;
        let used = match *head as i8 {
            -128 => 0,
            count @ 0.. => {
                let others = rest.get(..1 + count as usize)?;
                bytes.extend(others);
                others.len()
            }
            count => {
                let times = 1 + usize::from(count.unsigned_abs());
                bytes.resize(bytes.len() + times, *rest.first()?);
                1
            }
        };
        data = &rest[used..];
    }
    bytes.truncate(length);
    Some(bytes)
}

fn lzw(mut data: &[u8], length: usize) -> Result<Option<Vec<u8>>, Cause> {
    // Before TIFF 5.0 the bits of a code went the other way. It shows in the first code, which
    // always is the same.
    if let [0, second, ..] = data
        && second & 1 == 1
    {
        return Err(unread("compressed by LZW of before TIFF 5.0"));
    }
    let mut decoder = decode::Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
        .with_yield_on_full_buffer(true)
        .build();
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let step = decoder.decode_bytes(data, &mut bytes[filled..]);
        data = &data[step.consumed_in..];
        filled += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) => {}
            Ok(LzwStatus::NoProgress | LzwStatus::Done) => break,
            // What follows the last row does not matter.
            Err(_) if filled == length => break,
            Err(e) => return Err(damaged(Cause::new(INCOMPLETE, e))),
        }
    }
    Ok((filled == length).then_some(bytes))
}

fn fax4(data: &[u8], shape: Shape) -> Result<Option<Vec<u8>>, Cause> {
    let Ok(width) = u16::try_from(shape.width) else {
        return Err(unread("a fax of more than 65535 columns"));
    };
    let bytes = data.iter().map(|byte| Ok::<_, Infallible>(*byte));
    let Ok(mut decoder) = Group4Decoder::new(bytes, width);
    let mut rows = vec![0; shape.bytes];
    for row in rows.chunks_exact_mut(shape.bytes / shape.rows) {
        match decoder.advance() {
            Ok(DecodeStatus::Incomplete) => {}
            Ok(DecodeStatus::End) => return Ok(None),
            Err(e @ DecodeError::Unsupported) => {
                return Err(unread(Cause::new("a fax with uncompressed parts", e)));
            }
            Err(e) => return Err(damaged(Cause::new(INCOMPLETE, e))),
        }
        for (x, color) in pels(decoder.transition(), width).enumerate() {
            if color == Color::Black {
                row[x / 8] |= 0x80 >> (x % 8);
            }
        }
    }
    Ok(Some(rows))
}

/// Samples as they were compressed: TIFF's tags say what colours they are.
fn jpeg(data: &[u8], tables: &[u8], shape: Shape) -> Result<Vec<u8>, Cause> {
    let damaged = |what: Cause| {
        let words = format!("its JPEG data: {what}");
        damaged(what.in_words(words))
    };
    let undecoded = |e: DecodeErrors| damaged(Cause::new(format!("{e:?}"), e));
    // Both have the form of JPEG files: the tables' end marker is left out, and the data's start
    // marker.
    let file = match tables.len().checked_sub(2) {
        Some(end) => [&tables[..end], data.get(2..).unwrap_or_default()].concat(),
        None => data.to_vec(),
    };
    if outline(&file).is_none_or(|outline| !outline.has_end_marker) {
        return Err(damaged("their end is missing".into()));
    }
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(u16::MAX.into())
        .set_max_height(u16::MAX.into());
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(undecoded)?;
    let (Some(info), Some(colors)) = (decoder.info(), decoder.input_colorspace()) else {
        return Err(damaged("they have no header".into()));
    };
    // Checked before memory is allocated.
    let fits = usize::from(info.width) == shape.width
        && (shape.rows..=shape.most_rows).contains(&info.height.into())
        && usize::from(info.components) == shape.samples;
    if !fits {
        return Err(damaged("they are a picture of another size".into()));
    }
    decoder.set_options(options.jpeg_set_out_colorspace(colors));
    let mut rows = decoder.decode().map_err(undecoded)?;
    if rows.len() < shape.bytes {
        return Err(damaged("they are a picture of another size".into()));
    }
    rows.truncate(shape.bytes);
    Ok(rows)
}

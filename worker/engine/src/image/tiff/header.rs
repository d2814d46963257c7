//! What a TIFF file says of itself, checked.

use std::borrow::Cow;
use std::io::Cursor;
use std::ops::Range;

use ::image::metadata::Orientation;
use ::tiff::decoder::ifd::Value;
use ::tiff::decoder::{ChunkType, Decoder};
use ::tiff::tags::{ByteOrder, Tag, Type, ValueBuffer};

use super::Refusal;
use super::colors::{Alpha, Colors, Model, YCbCr};
use super::compression::{Compression, Shape};
use super::samples::{Format, Predictor, resample};

type Tags<'a> = Decoder<Cursor<&'a [u8]>>;

/// Tags that the crate has no name for.
const INK_SET: Tag = Tag::Unknown(332);
const YCBCR_COEFFICIENTS: Tag = Tag::Unknown(529);
const REFERENCE_BLACK_WHITE: Tag = Tag::Unknown(532);

/// The first picture in a file.
#[derive(Debug)]
pub(super) struct Header {
    pub width: u32,
    pub height: u32,
    /// Of a pixel.
    pub samples: usize,
    pub colors: Colors,
    pub orientation: Orientation,
    pub profile: Option<Vec<u8>>,
    format: Format,
    order: ByteOrder,
    /// Whether the first bit of a byte is its lowest.
    reversed: bool,
    /// Whether each sample has a plane, strips or tiles, of its own.
    planar: bool,
    compression: Compression,
    predictor: Predictor,
    /// Pixels across and down that share a colour.
    subsampling: [usize; 2],
    chunks: Chunks,
}

/// The strips or tiles of the file.
#[derive(Debug)]
struct Chunks {
    width: usize,
    height: usize,
    /// How many lie side by side.
    across: usize,
    down: usize,
    /// Where each is, plane after plane, row after row.
    ranges: Vec<Range<usize>>,
}

/// The part of the picture that a strip or tile covers.
pub(super) struct Region {
    index: usize,
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// Some rows of samples.
pub(super) struct Plane<'a> {
    bytes: Cow<'a, [u8]>,
    row: usize,
    format: Format,
    order: ByteOrder,
}

impl Plane<'_> {
    /// Writes the samples of a row, as the numbers that they are, into `to`.
    pub fn unpack<'a>(&self, row: usize, to: impl Iterator<Item = &'a mut f32>) {
        let row = &self.bytes[row * self.row..(row + 1) * self.row];
        self.format.unpack(row, self.order, to);
    }
}

impl Header {
    /// Reads it; nothing is decompressed.
    pub fn read(file: &[u8]) -> Result<Self, Refusal> {
        let mut tags = Decoder::new(Cursor::new(file))?;
        skip_previews(&mut tags)?;
        let (width, height) = tags.dimensions()?;
        let samples = number(&mut tags, Tag::SamplesPerPixel, 1)?;
        let format = format(&mut tags)?;
        let model = model(&mut tags, format)?;
        let compression = compression(&mut tags)?;
        let planar = number(&mut tags, Tag::PlanarConfiguration, 1)? == 2;
        let header = Self {
            width,
            height,
            samples,
            orientation: orientation(&mut tags)?,
            format,
            order: tags.byte_order(),
            reversed: number(&mut tags, Tag::FillOrder, 1)? == 2,
            planar,
            predictor: predictor(&mut tags, &compression)?,
            subsampling: subsampling(&mut tags, &model, &compression)?,
            chunks: Chunks::read(&mut tags, if planar { samples } else { 1 }, file.len())?,
            compression,
            colors: Colors {
                alpha: alpha(&mut tags, &model, samples)?,
                white: format.white(),
                model,
            },
            profile: bytes(&mut tags, Tag::IccProfile)?,
        };
        header.check_kind()?;
        header.check_memory()?;
        Ok(header)
    }

    /// Refuses what goes together in the file, but is not read together.
    fn check_kind(&self) -> Result<(), Refusal> {
        let packed = !self.format.bits().is_multiple_of(8);
        let is_float = matches!(self.format, Format::Float(_));
        let name = match (&self.compression, self.predictor, &self.colors.model) {
            (Compression::Jpeg(_), ..) if self.format != Format::Unsigned(8) => {
                "JPEG of other than 8 bits"
            }
            (Compression::Fax4, ..) if self.format.bits() * self.chunk_samples() != 1 => {
                "a fax in colour"
            }
            (_, Predictor::Horizontal, _) if packed => "a predictor on packed samples",
            (_, Predictor::Float, _) if !is_float => "a predictor for floats on integers",
            (.., Model::YCbCr(_)) if self.samples != 3 => "YCbCr with further samples",
            (_, predictor, _) if self.is_subsampled() && predictor != Predictor::None => {
                "a predictor on subsampled YCbCr"
            }
            _ if self.is_subsampled() && self.planar => "planes of subsampled YCbCr",
            // Programs differ on whether the inks are thinned, or the light that they make.
            (.., Model::Cmyk) if self.colors.alpha.is_some() => "CMYK with transparency",
            _ => return Ok(()),
        };
        Err(Refusal::Kind(name.into()))
    }

    /// Refuses strips or tiles that take much memory for few pixels.
    fn check_memory(&self) -> Result<(), Refusal> {
        let planes = self.samples / self.chunk_samples();
        let rows = match self.compression {
            // They stay where they are in the file.
            Compression::None => 0,
            _ => (planes * self.row_length()).saturating_mul(self.chunks.height),
        };
        let row_of_floats = 4 * self.chunk_width() * self.samples;
        let explained = 16 * u64::from(self.width) * u64::from(self.height) + (64 << 20);
        if rows.saturating_add(row_of_floats) as u64 > explained {
            return Err(Refusal::Memory);
        }
        Ok(())
    }

    /// Whether nothing is lost where the picture gets 8 bits.
    pub fn fits_8_bits(&self) -> bool {
        self.colors.alpha.is_none() && matches!(self.format, Format::Unsigned(1 | 2 | 4 | 8))
    }

    /// The width of each strip or tile.
    pub fn chunk_width(&self) -> usize {
        self.chunks.width
    }

    /// The parts of the picture, in the order of their strips or tiles.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        let Chunks { across, down, .. } = self.chunks;
        (0..across * down).map(move |index| {
            let x = index % across * self.chunks.width;
            let y = index / across * self.chunks.height;
            Region {
                index,
                x,
                y,
                width: self.chunks.width.min(self.width as usize - x),
                height: self.chunks.height.min(self.height as usize - y),
            }
        })
    }

    /// The rows of a region: of all samples, or plane by plane.
    pub fn planes<'a>(&self, file: &'a [u8], region: &Region) -> Result<Vec<Plane<'a>>, Refusal> {
        let ranges = self.chunks.ranges.iter().skip(region.index);
        ranges
            .step_by(self.chunks.across * self.chunks.down)
            .map(|range| self.plane(&file[range.clone()], region.height))
            .collect()
    }

    fn plane<'a>(&self, data: &'a [u8], rows: usize) -> Result<Plane<'a>, Refusal> {
        let [across, down] = self.subsampling;
        let (width, samples) = (self.chunks.width, self.chunk_samples());
        let mut row = self.row_length();
        let blocks = width.div_ceil(across) * rows.div_ceil(down);
        let shape = Shape {
            width,
            rows,
            most_rows: self.chunks.height,
            samples,
            bytes: if self.is_subsampled() {
                blocks * (across * down + 2)
            } else {
                rows * row
            },
        };
        let is_jpeg = matches!(self.compression, Compression::Jpeg(_));
        let data = if self.reversed && !is_jpeg {
            data.iter().map(|byte| byte.reverse_bits()).collect()
        } else {
            Cow::Borrowed(data)
        };
        let mut bytes = self.compression.decompress(data, shape)?;
        if self.predictor != Predictor::None {
            for row in bytes.to_mut().chunks_exact_mut(row) {
                let size = self.format.bits() / 8;
                self.predictor.undo(row, samples, size, self.order);
            }
        }
        if self.is_subsampled() {
            bytes = resample(&bytes, width, self.subsampling).into();
            row = width * samples;
        }
        Ok(Plane {
            bytes,
            row,
            format: self.format,
            order: self.order,
        })
    }

    fn is_subsampled(&self) -> bool {
        self.subsampling != [1, 1]
    }

    /// Samples of a pixel that a strip or tile holds.
    fn chunk_samples(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Bytes of a row of a strip or tile.
    fn row_length(&self) -> usize {
        (self.chunks.width * self.chunk_samples() * self.format.bits()).div_ceil(8)
    }
}

impl Chunks {
    /// Those of so many `planes` in a file of this `length`.
    fn read(tags: &mut Tags<'_>, planes: usize, length: usize) -> Result<Self, Refusal> {
        let (picture_width, picture_height) = tags.dimensions()?;
        let (width, height, offsets, counts) = match tags.get_chunk_type() {
            ChunkType::Strip => (
                picture_width,
                number(tags, Tag::RowsPerStrip, picture_height)?.min(picture_height),
                Tag::StripOffsets,
                Tag::StripByteCounts,
            ),
            ChunkType::Tile => (
                tags.get_tag_unsigned(Tag::TileWidth)?,
                tags.get_tag_unsigned(Tag::TileLength)?,
                Tag::TileOffsets,
                Tag::TileByteCounts,
            ),
        };
        let across = picture_width.div_ceil(width) as usize;
        let down = picture_height.div_ceil(height) as usize;
        let offsets: Option<Vec<usize>> = tags.find_tag_unsigned_vec(offsets)?;
        let counts: Option<Vec<usize>> = tags.find_tag_unsigned_vec(counts)?;
        let (offsets, counts) = (offsets.unwrap_or_default(), counts.unwrap_or_default());
        let count = offsets.len().min(counts.len());
        let damaged = |reason: &str| Err(Refusal::Damaged(reason.into()));
        if !count.is_multiple_of(across * down) || count / (across * down) != planes {
            return damaged("it has more or fewer strips or tiles than its size makes");
        }
        let range = |(start, count): (usize, usize)| {
            let end = start.checked_add(count).filter(|end| *end <= length);
            end.map(|end| start..end)
        };
        let ranges = offsets.into_iter().zip(counts).map(range);
        let Some(ranges) = ranges.collect::<Option<Vec<_>>>() else {
            return damaged("a part of its picture is missing");
        };
        // Else a small file could have the same bytes decompressed for ever.
        let sum = |sum: usize, range: &Range<usize>| sum.saturating_add(range.len());
        if ranges.iter().fold(0, sum) > length {
            return damaged("its strips or tiles lie over each other");
        }
        Ok(Self {
            width: width as usize,
            height: height as usize,
            across,
            down,
            ranges,
        })
    }
}

/// Goes on to the first picture that is neither a small copy nor a mask of another.
fn skip_previews(tags: &mut Tags<'_>) -> Result<(), Refusal> {
    const SMALL_COPY_OR_MASK: u32 = 0b101;
    while number(tags, Tag::NewSubfileType, 0)? & SMALL_COPY_OR_MASK != 0 {
        if !tags.more_images() {
            let name = "a preview alone, as in a camera's raw file";
            return Err(Refusal::Kind(name.into()));
        }
        tags.next_image()?;
    }
    Ok(())
}

fn number<T: TryFrom<u64>>(tags: &mut Tags<'_>, tag: Tag, default: T) -> Result<T, Refusal> {
    Ok(tags.find_tag_unsigned(tag)?.unwrap_or(default))
}

/// The numbers of a tag that holds exactly as many.
fn fractions<const N: usize>(
    tags: &mut Tags<'_>,
    tag: Tag,
    default: [f32; N],
) -> Result<[f32; N], Refusal> {
    let values = match tags.find_tag(tag)? {
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
        .ok_or_else(|| Refusal::Damaged(format!("its tag {} holds something else", tag.to_u16())))
}

fn format(tags: &mut Tags<'_>) -> Result<Format, Refusal> {
    // The crate has seen to it that all samples of a pixel are alike.
    let mut first = |tag, default| -> Result<u16, Refusal> {
        let values: Option<Vec<u16>> = tags.find_tag_unsigned_vec(tag)?;
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
        (1, _) => Err(Refusal::Kind(format!("samples of {bits} bits"))),
        // Whether 0 is black or a medium grey, nothing says.
        (2, _) => Err(Refusal::Kind("signed samples".into())),
        (3, _) => Err(Refusal::Kind(format!("floats of {bits} bits"))),
        (5 | 6, _) => Err(Refusal::Kind("complex samples".into())),
        _ => Err(Refusal::Kind("samples of no format".into())),
    }
}

fn model(tags: &mut Tags<'_>, format: Format) -> Result<Model, Refusal> {
    let name = match (
        tags.get_tag_unsigned(Tag::PhotometricInterpretation)?,
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
        (other, _) => return Err(Refusal::Kind(format!("colours {other}"))),
    };
    Err(Refusal::Kind(name.into()))
}

fn palette(tags: &mut Tags<'_>, bits: u8) -> Result<Model, Refusal> {
    let length = 1 << bits;
    let values = tags.find_tag_unsigned_vec(Tag::ColorMap)?;
    let map: Vec<u16> = values.unwrap_or_default();
    if map.len() != 3 * length {
        return Err(Refusal::Damaged("its palette is incomplete".into()));
    }
    // Palettes come from 8 bits. Some writers multiply by 257, some by 256, old ones not at all:
    // libtiff tells as much by this.
    let shift = if map.iter().all(|value| *value < 256) {
        0
    } else {
        8
    };
    let color = |index| [0, 1, 2].map(|i| f32::from(map[i * length + index] >> shift) / 255.0);
    Ok(Model::Palette((0..length).map(color).collect()))
}

/// The first sample beyond the colours that says it is alpha. Others have no meaning here.
fn alpha(tags: &mut Tags<'_>, model: &Model, samples: usize) -> Result<Option<Alpha>, Refusal> {
    let Some(extra) = samples.checked_sub(model.samples()) else {
        return Err(Refusal::Damaged(format!(
            "{samples} samples make no colour"
        )));
    };
    let said = tags.find_tag_unsigned_vec(Tag::ExtraSamples)?;
    let kinds: Vec<u16> = match (said, model) {
        (Some(kinds), _) => kinds,
        // Where nothing is said, other readers take it so, too.
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

fn compression(tags: &mut Tags<'_>) -> Result<Compression, Refusal> {
    let tables = bytes(tags, Tag::JPEGTables)?.unwrap_or_default();
    Compression::new(number(tags, Tag::Compression, 1)?, tables)
}

/// libtiff, too, heeds the tag with these compressions alone.
fn predictor(tags: &mut Tags<'_>, compression: &Compression) -> Result<Predictor, Refusal> {
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

fn subsampling(
    tags: &mut Tags<'_>,
    model: &Model,
    compression: &Compression,
) -> Result<[usize; 2], Refusal> {
    // JPEG data come out at full size.
    if !matches!(model, Model::YCbCr(_)) || matches!(compression, Compression::Jpeg(_)) {
        return Ok([1, 1]);
    }
    let said = tags.find_tag_unsigned_vec(Tag::ChromaSubsampling)?;
    match said.unwrap_or_else(|| vec![2, 2])[..] {
        [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] => Ok([across, down]),
        _ => Err(Refusal::Damaged(
            "its colours are subsampled by odd numbers".into(),
        )),
    }
}

fn orientation(tags: &mut Tags<'_>) -> Result<Orientation, Refusal> {
    let value: u32 = number(tags, Tag::Orientation, 1)?;
    let known = u8::try_from(value).ok().and_then(Orientation::from_exif);
    Ok(known.unwrap_or(Orientation::NoTransforms))
}

/// The bytes of a tag. No memory is taken for more than there are in the file.
fn bytes(tags: &mut Tags<'_>, tag: Tag) -> Result<Option<Vec<u8>>, Refusal> {
    let length = tags.inner().get_ref().len() as u64;
    let mut directory = tags.image_ifd();
    let entry = directory.find_entry(tag);
    if entry.is_some_and(|entry| entry.count() > length) {
        let reason = format!("its tag {} is longer than the file", tag.to_u16());
        return Err(Refusal::Damaged(reason));
    }
    let mut buffer = ValueBuffer::empty(Type::BYTE);
    let found = directory.find_tag_buf(tag, &mut buffer)?;
    Ok(found.map(|_| buffer.as_bytes().to_vec()))
}

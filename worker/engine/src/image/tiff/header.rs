//! What a TIFF file says of itself, checked.

use std::borrow::Cow;
use std::io::Cursor;
use std::ops::Range;

use ::image::metadata::Orientation;
use ::tiff::decoder::{ChunkType, Decoder};
use ::tiff::tags::{ByteOrder, Tag};

use super::super::decode::{TOO_MUCH_MEMORY, damaged};
use super::colors::{Colors, Model};
use super::compression::{Compression, Shape};
use super::samples::{Format, Predictor, resample};
use super::tags::{self, Tags, number};
use super::{refused, unread};
use crate::Cause;

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
    pub fn read(file: &[u8]) -> Result<Self, Cause> {
        let mut tags = Decoder::new(Cursor::new(file)).map_err(refused)?;
        tags::skip_previews(&mut tags)?;
        let (width, height) = tags.dimensions().map_err(refused)?;
        let samples = number(&mut tags, Tag::SamplesPerPixel, 1)?;
        let format = tags::format(&mut tags)?;
        let model = tags::model(&mut tags, format)?;
        let compression = tags::compression(&mut tags)?;
        let planar = number(&mut tags, Tag::PlanarConfiguration, 1)? == 2;
        let header = Self {
            width,
            height,
            samples,
            orientation: tags::orientation(&mut tags)?,
            format,
            order: tags.byte_order(),
            reversed: number(&mut tags, Tag::FillOrder, 1)? == 2,
            planar,
            predictor: tags::predictor(&mut tags, &compression)?,
            subsampling: tags::subsampling(&mut tags, &model, &compression)?,
            chunks: Chunks::read(&mut tags, if planar { samples } else { 1 }, file.len())?,
            compression,
            colors: Colors {
                alpha: tags::alpha(&mut tags, &model, samples)?,
                white: format.white(),
                model,
            },
            profile: tags::bytes(&mut tags, Tag::IccProfile)?,
        };
        header.check_kind()?;
        header.check_memory()?;
        Ok(header)
    }

    /// Refuses combinations of features that are not read.
    fn check_kind(&self) -> Result<(), Cause> {
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
            // Programs differ on whether alpha applies to the inks or to the light that they leave.
            (.., Model::Cmyk) if self.colors.alpha.is_some() => "CMYK with transparency",
            _ => return Ok(()),
        };
        Err(unread(name))
    }

    /// Refuses strips or tiles that take much memory for few pixels.
    fn check_memory(&self) -> Result<(), Cause> {
        let planes = self.samples / self.chunk_samples();
        let rows = match self.compression {
            // They stay where they are in the file.
            Compression::None => 0,
            _ => (planes * self.row_length()).saturating_mul(self.chunks.height),
        };
        let row_of_floats = 4 * self.chunk_width() * self.samples;
        let explained = 16 * u64::from(self.width) * u64::from(self.height) + (64 << 20);
        if rows.saturating_add(row_of_floats) as u64 > explained {
            return Err(TOO_MUCH_MEMORY.into());
        }
        Ok(())
    }

    /// Whether 8 bits hold the picture without loss.
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
    pub fn planes<'a>(&self, file: &'a [u8], region: &Region) -> Result<Vec<Plane<'a>>, Cause> {
        let ranges = self.chunks.ranges.iter().skip(region.index);
        ranges
            .step_by(self.chunks.across * self.chunks.down)
            .map(|range| self.plane(&file[range.clone()], region.height))
            .collect()
    }

    fn plane<'a>(&self, data: &'a [u8], rows: usize) -> Result<Plane<'a>, Cause> {
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
    fn read(tags: &mut Tags<'_>, planes: usize, length: usize) -> Result<Self, Cause> {
        let (picture_width, picture_height) = tags.dimensions().map_err(refused)?;
        let (width, height, offsets, counts) = match tags.get_chunk_type() {
            ChunkType::Strip => (
                picture_width,
                number(tags, Tag::RowsPerStrip, picture_height)?.min(picture_height),
                Tag::StripOffsets,
                Tag::StripByteCounts,
            ),
            ChunkType::Tile => (
                tags.get_tag_unsigned(Tag::TileWidth).map_err(refused)?,
                tags.get_tag_unsigned(Tag::TileLength).map_err(refused)?,
                Tag::TileOffsets,
                Tag::TileByteCounts,
            ),
        };
        let across = picture_width.div_ceil(width) as usize;
        let down = picture_height.div_ceil(height) as usize;
        let offsets: Option<Vec<usize>> = tags.find_tag_unsigned_vec(offsets).map_err(refused)?;
        let counts: Option<Vec<usize>> = tags.find_tag_unsigned_vec(counts).map_err(refused)?;
        let (offsets, counts) = (offsets.unwrap_or_default(), counts.unwrap_or_default());
        let count = offsets.len().min(counts.len());
        let damaged = |reason: &str| Err(damaged(reason));
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
        // Else a small file could have the same bytes decompressed many times.
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

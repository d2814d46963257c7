//! The codecs that films are written with.

use std::fmt;
use std::process::Command;
use std::str::FromStr;

use crate::Error;
use crate::colors::Colors;

/// What a film is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264, which everything plays.
    H264,
    /// HEVC, also called H.265.
    Hevc,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
    /// Apple ProRes 422 HQ.
    ProRes,
    /// FFV1: lossless, in red, green and blue.
    Ffv1,
    /// A PNG file for each frame.
    Png,
    /// A JPEG file for each frame.
    Jpeg,
    /// A TIFF file for each frame.
    Tiff,
}

/// What a codec can do.
struct Row {
    codec: Codec,
    name: &'static str,
    /// Bits of each sample, and ffmpeg's pixel format for them. The first is the default.
    formats: &'static [(u8, &'static str)],
    /// Lowest and highest quality factor, and the default, where there is one. Lower is better.
    crf: Option<(u8, u8, u8)>,
    /// Width and height must be multiples of this, and at least that.
    multiple: u32,
    least: u32,
    /// Options of ffmpeg. The number of threads is part of what some make of the frames.
    options: &'static str,
}

const ROWS: [Row; 9] = [
    Row {
        codec: Codec::H264,
        name: "h264",
        formats: &YUV420,
        crf: Some((0, 51, 18)),
        multiple: 2,
        least: 16,
        options: "-c:v libx264 -threads 4 -x264-params vfr-input=0",
    },
    Row {
        codec: Codec::Hevc,
        name: "hevc",
        formats: &YUV420,
        crf: Some((0, 51, 20)),
        multiple: 2,
        least: 32,
        options: "-c:v libx265 -x265-params log-level=error:frame-threads=2",
    },
    Row {
        codec: Codec::Vp9,
        name: "vp9",
        formats: &YUV420,
        crf: Some((0, 63, 24)),
        multiple: 1,
        least: 2,
        options: "-c:v libvpx-vp9 -b:v 0 -deadline good -cpu-used 4 -row-mt 0 -threads 1",
    },
    Row {
        codec: Codec::Av1,
        name: "av1",
        formats: &YUV420,
        crf: Some((1, 63, 24)),
        multiple: 2,
        least: 64,
        options: "-c:v libsvtav1 -preset 8",
    },
    Row {
        codec: Codec::ProRes,
        name: "prores",
        formats: &[(10, "yuv422p10le")],
        crf: None,
        multiple: 2,
        least: 16,
        options: "-c:v prores_ks -profile:v hq -vendor apl0",
    },
    Row {
        codec: Codec::Ffv1,
        name: "ffv1",
        formats: &[(8, "bgr0"), (10, "gbrp10le"), (16, "gbrp16le")],
        crf: None,
        multiple: 1,
        least: 1,
        options: "-c:v ffv1 -level 3 -g 1 -slices 4 -slicecrc 1 -threads 4",
    },
    Row {
        codec: Codec::Png,
        name: "png",
        formats: &[(8, "rgb24"), (16, "rgb48be")],
        crf: None,
        multiple: 1,
        least: 1,
        options: "-c:v png",
    },
    Row {
        codec: Codec::Jpeg,
        name: "jpeg",
        formats: &[(8, "yuvj444p")],
        crf: Some((2, 31, 2)),
        multiple: 1,
        least: 1,
        options: "-c:v mjpeg",
    },
    Row {
        codec: Codec::Tiff,
        name: "tiff",
        formats: &[(8, "rgb24"), (16, "rgb48le")],
        crf: None,
        multiple: 1,
        least: 1,
        options: "-c:v tiff -compression_algo deflate",
    },
];

const YUV420: [(u8, &str); 2] = [(8, "yuv420p"), (10, "yuv420p10le")];

impl Codec {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.codec)
    }

    /// What it is called in options.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The lowest quality factor, the highest, and the default, where it has one. Lower is better.
    pub fn crf(self) -> Option<(u8, u8, u8)> {
        self.row().crf
    }

    /// The bits of each sample that it takes. The first is the default.
    pub fn bits(self) -> impl Iterator<Item = u8> {
        self.row().formats.iter().map(|(bits, _)| *bits)
    }

    /// The size next to this one that it takes: players expect even sizes of most codecs, because
    /// two by two pixels share their colour.
    pub fn nearest_size(self, size: [u32; 2]) -> [u32; 2] {
        let Row {
            multiple, least, ..
        } = self.row();
        size.map(|side| side.next_multiple_of(*multiple).max(*least))
    }

    fn row(self) -> &'static Row {
        // The table has them in order, which a test checks.
        &ROWS[self as usize]
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::all()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Self::all().map(Self::name).collect();
                Error::Invalid(format!(
                    "{name} is no codec: take one of {}",
                    names.join(", ")
                ))
            })
    }
}

/// How a film is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    codec: Codec,
    crf: Option<u8>,
    bits: u8,
}

impl Encoding {
    /// With a quality factor and the bits of each sample, or the codec's defaults.
    ///
    /// # Errors
    ///
    /// If the codec does not take them.
    pub fn new(codec: Codec, crf: Option<u8>, bits: Option<u8>) -> Result<Self, Error> {
        let crf = match (crf, codec.crf()) {
            (None, range) => range.map(|(.., default)| default),
            (Some(crf), Some((least, most, _))) if (least..=most).contains(&crf) => Some(crf),
            (Some(crf), Some((least, most, _))) => {
                return Err(Error::Invalid(format!(
                    "{codec} takes quality factors from {least} to {most}, not {crf}"
                )));
            }
            (Some(_), None) => {
                return Err(Error::Invalid(format!(
                    "{codec} has no quality factor: leave it out"
                )));
            }
        };
        let bits = bits.or(codec.bits().next()).unwrap_or(8);
        if !codec.bits().any(|taken| taken == bits) {
            let taken: Vec<_> = codec.bits().map(|bits| bits.to_string()).collect();
            return Err(Error::Invalid(format!(
                "{codec} takes {} bits a sample, not {bits}",
                taken.join(" or ")
            )));
        }
        Ok(Self { codec, crf, bits })
    }

    /// The codec.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The quality factor, where the codec has one.
    pub fn crf(&self) -> Option<u8> {
        self.crf
    }

    /// Bits of each sample.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// How chunks are encoded. Images are made of them only in the end.
    pub(crate) fn of_chunks(&self) -> Self {
        match self.codec {
            Codec::Png | Codec::Jpeg | Codec::Tiff => Self {
                codec: Codec::Ffv1,
                crf: None,
                bits: self.bits,
            },
            _ => *self,
        }
    }

    /// The colours of what it makes of a clip with these.
    pub(crate) fn colors(&self, clip: &Colors, size: [u32; 2]) -> Colors {
        match self.codec {
            Codec::Ffv1 | Codec::Png | Codec::Tiff => clip.rgb(),
            Codec::Jpeg => clip.jpeg(),
            // It knows no full range.
            Codec::ProRes => Colors {
                full_range: false,
                ..clip.without_rgb(size)
            },
            _ => clip.without_rgb(size),
        }
    }

    /// ffmpeg's name of the samples' layout.
    pub(crate) fn pixel_format(&self) -> &'static str {
        let formats = self.codec.row().formats;
        let format = formats.iter().find(|(bits, _)| *bits == self.bits);
        format.map_or("rgb24", |(_, name)| name)
    }

    /// The options of the encoder.
    pub(crate) fn encoder(&self, command: &mut Command) {
        command.args(self.codec.row().options.split(' '));
        if let Some(crf) = self.crf {
            let option = if self.codec == Codec::Jpeg {
                "-q:v"
            } else {
                "-crf"
            };
            command.args([option, &crf.to_string()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for (codec, row) in Codec::all().zip(&ROWS) {
            assert_eq!(codec.row().name, row.name);
        }
    }

    #[test]
    fn names_are_read_back() {
        for codec in Codec::all() {
            assert_eq!(codec.name().parse::<Codec>().unwrap(), codec);
        }
    }

    #[test]
    fn quality_and_bits_are_checked() {
        assert_eq!(
            Encoding::new(Codec::H264, None, None).unwrap().crf(),
            Some(18)
        );
        assert!(Encoding::new(Codec::H264, Some(52), None).is_err());
        assert!(Encoding::new(Codec::ProRes, Some(18), None).is_err());
        assert!(Encoding::new(Codec::Vp9, None, Some(12)).is_err());
        assert!(Encoding::new(Codec::Vp9, None, Some(10)).is_ok());
    }

    #[test]
    fn most_codecs_take_even_sizes() {
        assert_eq!(Codec::H264.nearest_size([641, 359]), [642, 360]);
        assert_eq!(Codec::Png.nearest_size([641, 359]), [641, 359]);
    }
}

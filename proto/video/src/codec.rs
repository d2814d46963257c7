//! The codecs that films are written with.

use std::process::Command;

use stylefleet_model::video::{Codec, Encoding};

use crate::colors::Colors;

/// What a codec can do.
struct Row {
    codec: Codec,
    /// Bits of each sample, and ffmpeg's pixel format for them.
    formats: &'static [(u8, &'static str)],
    /// Width and height must be multiples of this, and at least that.
    multiple: u32,
    least: u32,
    /// Options of ffmpeg. The number of threads is part of what some make of the frames.
    options: &'static str,
}

const ROWS: [Row; 9] = [
    Row {
        codec: Codec::H264,
        formats: &YUV420,
        multiple: 2,
        least: 16,
        options: "-c:v libx264 -threads 4 -x264-params vfr-input=0",
    },
    Row {
        codec: Codec::Hevc,
        formats: &YUV420,
        multiple: 2,
        least: 32,
        options: "-c:v libx265 -x265-params log-level=error:frame-threads=2",
    },
    Row {
        codec: Codec::Vp9,
        formats: &YUV420,
        multiple: 1,
        least: 2,
        options: "-c:v libvpx-vp9 -b:v 0 -deadline good -cpu-used 4 -row-mt 0 -threads 1",
    },
    Row {
        codec: Codec::Av1,
        formats: &YUV420,
        multiple: 2,
        least: 64,
        options: "-c:v libsvtav1 -preset 8",
    },
    Row {
        codec: Codec::ProRes,
        formats: &[(10, "yuv422p10le")],
        multiple: 2,
        least: 16,
        options: "-c:v prores_ks -profile:v hq -vendor apl0",
    },
    Row {
        codec: Codec::Ffv1,
        formats: &[(8, "bgr0"), (10, "gbrp10le"), (16, "gbrp16le")],
        multiple: 1,
        least: 1,
        options: "-c:v ffv1 -level 3 -g 1 -slices 4 -slicecrc 1 -threads 4",
    },
    Row {
        codec: Codec::Png,
        formats: &[(8, "rgb24"), (16, "rgb48be")],
        multiple: 1,
        least: 1,
        options: "-c:v png",
    },
    Row {
        codec: Codec::Jpeg,
        formats: &[(8, "yuvj444p")],
        multiple: 1,
        least: 1,
        options: "-c:v mjpeg",
    },
    Row {
        codec: Codec::Tiff,
        formats: &[(8, "rgb24"), (16, "rgb48le")],
        multiple: 1,
        least: 1,
        options: "-c:v tiff -compression_algo deflate",
    },
];

const YUV420: [(u8, &str); 2] = [(8, "yuv420p"), (10, "yuv420p10le")];

/// The size next to this one that a codec takes: players expect even sizes of most, because two by
/// two pixels share their colour.
pub fn nearest_size(codec: Codec, size: [u32; 2]) -> [u32; 2] {
    let Row {
        multiple, least, ..
    } = row(codec);
    size.map(|side| side.next_multiple_of(*multiple).max(*least))
}

fn row(codec: Codec) -> &'static Row {
    // A test finds them all.
    ROWS.iter()
        .find(|row| row.codec == codec)
        .unwrap_or(&ROWS[0])
}

/// What encoders are told.
pub(crate) trait Encode {
    /// How chunks are encoded. Images are made of them only in the end.
    fn of_chunks(&self) -> Self;

    /// The colours of what it makes of a clip with these.
    fn colors(&self, clip: &Colors, size: [u32; 2]) -> Colors;

    /// ffmpeg's name of the samples' layout.
    fn pixel_format(&self) -> &'static str;

    /// The options of the encoder.
    fn encoder(&self, command: &mut Command);
}

impl Encode for Encoding {
    fn of_chunks(&self) -> Self {
        match self.codec {
            Codec::Png | Codec::Jpeg | Codec::Tiff => Self {
                codec: Codec::Ffv1,
                crf: None,
                depth: self.depth,
            },
            _ => *self,
        }
    }

    fn colors(&self, clip: &Colors, size: [u32; 2]) -> Colors {
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

    fn pixel_format(&self) -> &'static str {
        let formats = row(self.codec).formats;
        let format = formats.iter().find(|(bits, _)| *bits == self.depth);
        format.map_or("rgb24", |(_, name)| name)
    }

    fn encoder(&self, command: &mut Command) {
        command.args(row(self.codec).options.split(' '));
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
    use stylefleet_model::Choice;

    use super::*;

    #[test]
    fn the_table_has_every_codec() {
        for &codec in Codec::ALL {
            assert_eq!(row(codec).codec, codec);
            let bits: Vec<_> = row(codec).formats.iter().map(|(bits, _)| *bits).collect();
            assert_eq!(bits, codec.depths());
        }
    }

    #[test]
    fn most_codecs_take_even_sizes() {
        assert_eq!(nearest_size(Codec::H264, [641, 359]), [642, 360]);
        assert_eq!(nearest_size(Codec::Png, [641, 359]), [641, 359]);
    }
}

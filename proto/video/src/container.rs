//! The kinds of files that films are written to, and what they hold.

use std::path::Path;

use crate::clip::{Kind, Stream};
use crate::images::is_pattern;
use crate::{Codec, Error};

/// A kind of file that films are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `.mp4`, `.m4v`
    Mp4,
    /// `.mov`
    Mov,
    /// `.mkv`
    Matroska,
    /// `.webm`
    WebM,
    /// A numbered file of the codec for each frame, as in `frames/%05d.png`.
    Images(Codec),
}

/// What becomes of a stream of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried {
    /// It is copied.
    Copied,
    /// It is encoded anew, by ffmpeg's encoder of this name.
    As(&'static str),
    /// It is left out.
    Left,
}

impl Container {
    /// What the name asks for, by its ending.
    ///
    /// # Errors
    ///
    /// If nothing is written under such a name.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let ending = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        match ending.as_str() {
            "mp4" | "m4v" => Ok(Self::Mp4),
            "mov" => Ok(Self::Mov),
            "mkv" => Ok(Self::Matroska),
            "webm" => Ok(Self::WebM),
            "png" if is_pattern(path) => Ok(Self::Images(Codec::Png)),
            "jpg" | "jpeg" if is_pattern(path) => Ok(Self::Images(Codec::Jpeg)),
            "tif" | "tiff" if is_pattern(path) => Ok(Self::Images(Codec::Tiff)),
            _ => Err(Error::Invalid(format!(
                "{} is no name for a film: end it in .mp4, .mov, .mkv or .webm, or number its \
                 frames, as in frames/%05d.png",
                path.display()
            ))),
        }
    }

    /// What is written to it if nobody asks for a codec.
    pub fn codec(self) -> Codec {
        match self {
            Self::Mp4 | Self::Mov | Self::Matroska => Codec::H264,
            Self::WebM => Codec::Vp9,
            Self::Images(codec) => codec,
        }
    }

    /// Whether it holds films of the codec.
    pub fn holds(self, codec: Codec) -> bool {
        match self {
            Self::Mp4 => matches!(codec, Codec::H264 | Codec::Hevc | Codec::Vp9 | Codec::Av1),
            Self::Mov => matches!(codec, Codec::H264 | Codec::Hevc | Codec::ProRes),
            Self::Matroska => !matches!(codec, Codec::Png | Codec::Jpeg | Codec::Tiff),
            Self::WebM => matches!(codec, Codec::Vp9 | Codec::Av1),
            Self::Images(of) => codec == of,
        }
    }

    /// ffmpeg's name of it.
    pub(crate) fn muxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Matroska => "matroska",
            Self::WebM => "webm",
            Self::Images(_) => "image2",
        }
    }

    /// What becomes of a stream of the source in it.
    pub(crate) fn carries(self, stream: &Stream) -> Carried {
        let codec = stream.codec.as_str();
        match stream.kind {
            Kind::Sound => self.sound(codec),
            Kind::Subtitles => self.subtitles(codec),
            Kind::Attachment if self == Self::Matroska => Carried::Copied,
            Kind::Attachment | Kind::Other => Carried::Left,
        }
    }

    fn sound(self, codec: &str) -> Carried {
        let copied = match self {
            Self::Mp4 => matches!(
                codec,
                "aac" | "mp3" | "ac3" | "eac3" | "alac" | "opus" | "flac"
            ),
            Self::Mov => {
                matches!(codec, "aac" | "mp3" | "ac3" | "eac3" | "alac")
                    || codec.starts_with("pcm_s")
            }
            Self::Matroska => codec != "unknown",
            Self::WebM => matches!(codec, "opus" | "vorbis"),
            Self::Images(_) => return Carried::Left,
        };
        match self {
            _ if copied => Carried::Copied,
            _ if codec == "unknown" => Carried::Left,
            Self::WebM => Carried::As("libopus"),
            _ => Carried::As("aac"),
        }
    }

    fn subtitles(self, codec: &str) -> Carried {
        let text = matches!(
            codec,
            "subrip" | "ass" | "ssa" | "mov_text" | "webvtt" | "text"
        );
        match self {
            Self::Mp4 | Self::Mov if codec == "mov_text" => Carried::Copied,
            Self::Mp4 | Self::Mov if text => Carried::As("mov_text"),
            Self::WebM if codec == "webvtt" => Carried::Copied,
            Self::WebM if text => Carried::As("webvtt"),
            Self::Matroska if matches!(codec, "mov_text" | "text") => Carried::As("srt"),
            Self::Matroska
                if text
                    || matches!(codec, "dvd_subtitle" | "hdmv_pgs_subtitle" | "dvb_subtitle") =>
            {
                Carried::Copied
            }
            _ => Carried::Left,
        }
    }
}

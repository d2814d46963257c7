//! Films in and out, frame by frame, by the programs `ffmpeg` and `ffprobe`.
//!
//! [`Clip::probe`] says what a film is and [`Clip::frames`] where its frames lie. A [`Decoder`]
//! hands out a run of them, an [`Encoder`] makes a chunk of a run, and [`join`] makes a film of the
//! chunks, with the sound and the subtitles of the source. Frames stream through pipes: neither
//! memory nor disk ever holds more than a few of them decoded. [`check_flow`], [`pack_flows`] and
//! [`Flows`] are about the optical flow of others.
//!
//! Everything blocks. Dropping a [`Decoder`] or an [`Encoder`] ends its program.

mod clip;
mod codec;
mod colors;
mod container;
mod decoder;
mod encoder;
mod error;
mod ffmpeg;
mod flow;
mod frames;
mod images;
mod join;
mod tools;

pub use clip::{Clip, Ratio, Span};
pub use codec::nearest_size;
pub use colors::{Colors, Matrix};
pub use container::Container;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::Error;
pub use flow::{Flows, check_flow, expect_size, pack_flows};
pub use frames::Frame;
pub use images::{is_pattern, to_clip};
pub use join::join;
pub use stylefleet_model::video::{Codec, Encoding};
pub use tools::Tools;

/// How the samples of a frame are kept on their way in and out: red, green and blue of each pixel,
/// row by row, from zero to full range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A byte a sample.
    Eight,
    /// Two bytes a sample, the low one first.
    Sixteen,
}

impl Depth {
    /// The bytes that a frame takes.
    pub fn bytes(self, [width, height]: [u32; 2]) -> usize {
        let samples = 3 * width as usize * height as usize;
        match self {
            Self::Eight => samples,
            Self::Sixteen => 2 * samples,
        }
    }

    /// ffmpeg's name of it.
    fn pixel_format(self) -> &'static str {
        match self {
            Self::Eight => "rgb24",
            Self::Sixteen => "rgb48le",
        }
    }
}

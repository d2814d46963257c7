//! What a film is: size, clock, colours, streams.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use serde::Deserialize;

use crate::colors::{Colors, Tags};
use crate::ffmpeg::{self, one_line};
use crate::{Error, Tools};

/// A film, as far as its moving pictures go.
#[derive(Debug, Clone)]
pub struct Clip {
    /// The file.
    pub path: PathBuf,
    /// Width and height as shown, in pixels: turned upright, and with square pixels.
    pub size: [u32; 2],
    /// Bits of each sample.
    pub bits: u8,
    /// The unit of time stamps, in seconds.
    pub time_base: Ratio,
    /// Frames a second, on average.
    pub rate: Ratio,
    /// How long it is, in seconds, if that is known.
    pub duration: Option<f64>,
    /// How its colours are coded.
    pub colors: Colors,
    /// When it starts, on its own clock, in seconds.
    pub(crate) start: f64,
    /// Whether each packet carries its time and a reader finds the place of a time, so that
    /// decoding may begin in the middle.
    pub(crate) seekable: bool,
    /// As many pixels as a frame may have.
    pub(crate) max_pixels: u64,
    /// The stream with the moving pictures.
    pub(crate) video: usize,
    /// All others.
    pub(crate) others: Vec<Stream>,
}

/// A stream beside the moving pictures.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub index: usize,
    pub kind: Kind,
    pub codec: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sound,
    Subtitles,
    Attachment,
    Other,
}

/// A fraction above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// The numerator.
    pub num: u32,
    /// The denominator.
    pub den: u32,
}

impl Ratio {
    /// As a number.
    pub fn value(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

/// `30000/1001`
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// `30000/1001`, `16:9` or `25`.
impl FromStr for Ratio {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (num, den) = text.split_once(['/', ':']).unwrap_or((text, "1"));
        match (num.parse(), den.parse()) {
            (Ok(num @ 1..), Ok(den @ 1..)) => Ok(Self { num, den }),
            _ => Err(Error::Invalid(format!(
                "{text} is no fraction above zero: write it like 25 or 30000/1001"
            ))),
        }
    }
}

/// A part of a clip, in seconds from its start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Span {
    /// Frames from here on; otherwise from the start.
    pub from: Option<f64>,
    /// Frames before this; otherwise to the end.
    pub to: Option<f64>,
}

impl Span {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let from = self.from.unwrap_or(0.0);
        let to = self.to.unwrap_or(f64::MAX);
        if from >= 0.0 && from < to && to.is_finite() {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "there is nothing {self}: give seconds, the start before the end"
        )))
    }
}

/// "from 1 s to 2 s"
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (None, None) => write!(f, "from start to end"),
            (Some(from), None) => write!(f, "from {from} s to the end"),
            (None, Some(to)) => write!(f, "from the start to {to} s"),
            (Some(from), Some(to)) => write!(f, "from {from} s to {to} s"),
        }
    }
}

impl Clip {
    /// Reads what the film is. Of several streams of moving pictures the first counts; the picture
    /// of a cover is none. Frames of more than `max_pixels` are refused, now and when decoded.
    ///
    /// # Errors
    ///
    /// If it is no film that is read: see [`Error`].
    pub fn probe(tools: &Tools, path: &Path, max_pixels: u64) -> Result<Self, Error> {
        let found = probed(tools, path)?;
        let unreadable = |said: &str| Error::Unreadable {
            path: path.into(),
            said: said.into(),
        };
        let Some(video) = found.streams.iter().find(|stream| stream.moves()) else {
            let has_sound = found
                .streams
                .iter()
                .any(|stream| stream.kind() == Kind::Sound);
            let found = if has_sound {
                "it has sound only"
            } else {
                "it has no moving pictures"
            };
            return Err(Error::NoVideo {
                path: path.into(),
                found,
            });
        };
        if video.is_encrypted() {
            return Err(Error::Encrypted { path: path.into() });
        }
        let (Some(width @ 1..), Some(height @ 1..)) = (video.width, video.height) else {
            return Err(unreadable("its frames have no size"));
        };
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(Error::TooLarge {
                path: path.into(),
                width,
                height,
                max_pixels,
            });
        }
        let (Some(pixel_format), Ok(time_base)) = (&video.pix_fmt, video.time_base.parse()) else {
            return Err(unreadable("its frames cannot be decoded"));
        };
        let colors = Colors::of(&Tags {
            pixel_format,
            size: [width, height],
            matrix: video.color_space.as_deref(),
            range: video.color_range.as_deref(),
            primaries: video.color_primaries.as_deref(),
            transfer: video.color_transfer.as_deref(),
        })
        .map_err(|matrix| Error::Colors {
            path: path.into(),
            matrix,
        })?;
        Ok(Self {
            path: path.into(),
            size: video.shown([width, height]),
            bits: bits(pixel_format),
            time_base,
            rate: video.rate(),
            duration: seconds(found.format.duration.as_deref()),
            colors,
            start: seconds(found.format.start_time.as_deref()).unwrap_or(0.0),
            seekable: SEEKABLE.iter().any(|name| found.format.is(name)),
            max_pixels,
            video: video.index,
            others: found
                .streams
                .iter()
                .filter(|stream| stream.index != video.index)
                .map(Probed::described)
                .collect(),
        })
    }

    /// Whether it has sound.
    pub fn has_sound(&self) -> bool {
        self.others.iter().any(|stream| stream.kind == Kind::Sound)
    }

    /// Whether it has subtitles.
    pub fn has_subtitles(&self) -> bool {
        self.others
            .iter()
            .any(|stream| stream.kind == Kind::Subtitles)
    }

    /// A time stamp, in seconds on the clip's own clock.
    pub(crate) fn seconds(&self, pts: i64) -> f64 {
        pts as f64 * self.time_base.value()
    }

    /// A time stamp, in seconds from the clip's start.
    pub fn seconds_from_start(&self, pts: i64) -> f64 {
        self.seconds(pts) - self.start
    }

    /// The first time stamp at or after so many seconds from the start.
    pub(crate) fn pts_at(&self, seconds: f64) -> i64 {
        // What was written as 0.1 may be a hair above the frame at 0.1.
        ((self.start + seconds) / self.time_base.value() - 1e-6).ceil() as i64
    }

    /// The options that decode the moving pictures, from shortly before a time stamp if there is
    /// one, with the time stamps of the file.
    pub(crate) fn decode(&self, command: &mut Command, from: Option<i64>) {
        // Frames that need others from before the place where decoding began are left out rather
        // than shown damaged.
        command.args(["-flags", "-output_corrupt", "-copyts"]);
        command.args(["-max_pixels", &self.max_pixels.to_string()]);
        let before = from.map_or(0.0, |pts| self.seconds(pts) - MARGIN);
        if self.seekable && before > self.start {
            command.args([
                "-noaccurate_seek",
                "-seek_timestamp",
                "1",
                "-ss",
                &format!("{before:.6}"),
            ]);
        }
        ffmpeg::input(command, &self.path);
        command.args(["-map", &format!("0:{}", self.video)]);
    }
}

/// How long before a frame decoding begins, in seconds: some formats look for the time at which a
/// frame is decoded, which is earlier than when it is shown.
const MARGIN: f64 = 1.0;

/// The demuxers that find the packets of a time, and know the time of each packet.
const SEEKABLE: [&str; 6] = ["mov", "matroska", "mpegts", "nut", "flv", "asf"];

/// What `ffprobe` prints.
#[derive(Deserialize)]
struct Probe {
    #[serde(default)]
    streams: Vec<Probed>,
    format: Format,
}

#[derive(Deserialize)]
struct Format {
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
}

impl Format {
    fn is(&self, name: &str) -> bool {
        self.format_name.split(',').any(|part| part == name)
    }
}

#[derive(Deserialize)]
struct Probed {
    index: usize,
    codec_type: Option<String>,
    codec_name: Option<String>,
    codec_tag_string: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    pix_fmt: Option<String>,
    sample_aspect_ratio: Option<String>,
    #[serde(default)]
    time_base: String,
    #[serde(default)]
    avg_frame_rate: String,
    #[serde(default)]
    r_frame_rate: String,
    color_space: Option<String>,
    color_range: Option<String>,
    color_primaries: Option<String>,
    color_transfer: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Disposition {
    attached_pic: u8,
    timed_thumbnails: u8,
}

#[derive(Deserialize)]
struct SideData {
    side_data_type: Option<String>,
    rotation: Option<f64>,
}

impl Probed {
    fn kind(&self) -> Kind {
        match self.codec_type.as_deref() {
            Some("audio") => Kind::Sound,
            Some("subtitle") => Kind::Subtitles,
            Some("attachment") => Kind::Attachment,
            _ => Kind::Other,
        }
    }

    fn moves(&self) -> bool {
        self.codec_type.as_deref() == Some("video")
            && self.disposition.attached_pic == 0
            && self.disposition.timed_thumbnails == 0
    }

    fn described(&self) -> Stream {
        Stream {
            index: self.index,
            kind: self.kind(),
            codec: self.codec_name.clone().unwrap_or_else(|| "unknown".into()),
        }
    }

    fn is_encrypted(&self) -> bool {
        // In MP4 by the common scheme or Apple's; Matroska's is known by its data.
        matches!(self.codec_tag_string.as_deref(), Some("encv" | "drmi"))
            || self.side_data_list.iter().any(|data| {
                data.side_data_type
                    .as_deref()
                    .is_some_and(|name| name.starts_with("Encryption"))
            })
    }

    /// Turned upright, with square pixels. The height of a frame is kept, as players do.
    fn shown(&self, [width, height]: [u32; 2]) -> [u32; 2] {
        let aspect = self
            .sample_aspect_ratio
            .as_deref()
            .and_then(|text| text.parse().ok());
        let aspect = aspect.map_or(1.0, Ratio::value);
        let width = (f64::from(width) * aspect).round().max(1.0) as u32;
        let rotation = self.side_data_list.iter().find_map(|data| data.rotation);
        match rotation.map(|degrees| degrees.abs().round()) {
            Some(90.0 | 270.0) => [height, width],
            _ => [width, height],
        }
    }

    fn rate(&self) -> Ratio {
        let rate = self
            .avg_frame_rate
            .parse()
            .or_else(|_| self.r_frame_rate.parse());
        rate.unwrap_or(Ratio { num: 25, den: 1 })
    }
}

fn probed(tools: &Tools, path: &Path) -> Result<Probe, Error> {
    let mut command = Command::new(&tools.ffprobe);
    command.args([
        "-loglevel",
        "error",
        "-show_streams",
        "-show_format",
        "-of",
        "json",
    ]);
    ffmpeg::input(&mut command, path);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::NoTool {
            program: tools.ffprobe.clone(),
            source,
        })?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = one_line(&output.stderr);
        Error::Unreadable {
            path: path.into(),
            said: if said.contains("not on whitelist") {
                "it is in no format of films".into()
            } else {
                said
            },
        }
    })
}

fn seconds(text: Option<&str>) -> Option<f64> {
    text?
        .parse()
        .ok()
        .filter(|seconds: &f64| seconds.is_finite())
}

/// Bits of each sample, by ffmpeg's name of the pixel format: `yuv420p10le`, `p010le`, `rgb48be`.
fn bits(pixel_format: &str) -> u8 {
    let name = pixel_format.trim_end_matches("le").trim_end_matches("be");
    if ["rgb48", "bgr48", "rgba64", "bgra64", "ya16"].contains(&name) {
        return 16;
    }
    ["9", "10", "12", "14", "16"]
        .iter()
        .find(|bits| {
            name.strip_suffix(**bits)
                .is_some_and(|rest| rest.ends_with(['p', 'y', '0', 'b']))
        })
        .and_then(|bits| bits.parse().ok())
        .unwrap_or(8)
}

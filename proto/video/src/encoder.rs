//! Chunks of a film, from red, green and blue.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};

use crate::codec::{Encode, nearest_size};
use crate::ffmpeg::{self, Run};
use crate::{Clip, Depth, Encoding, Error, Ratio, Tools};

/// Encodes a chunk of a film. The same frames make the same bytes.
///
/// A chunk is a file in the format NUT: that keeps any time stamp exactly, and chunks one after
/// the other are a film.
#[derive(Debug)]
pub struct Encoder {
    path: PathBuf,
    run: Option<Run>,
    frames: Option<ChildStdin>,
    bytes: usize,
    missing: usize,
}

impl Encoder {
    /// Encodes frames of a size and depth into the file, one for each of the time stamps. These
    /// are in the time base of the clip that the film is made of, and count from the film's first
    /// frame. The clip also says the rate and the colours.
    ///
    /// # Errors
    ///
    /// If the time stamps are none or do not grow, the codec does not take the size, or `ffmpeg`
    /// cannot be started.
    pub fn create(
        tools: &Tools,
        path: &Path,
        clip: &Clip,
        size: [u32; 2],
        depth: Depth,
        pts: &[i64],
        encoding: &Encoding,
    ) -> Result<Self, Error> {
        check(pts, size, encoding)?;
        let encoding = encoding.of_chunks();
        let clock = Clock::of(clip.time_base);
        let colors = encoding.colors(&clip.colors, size);
        let [width, height] = size;
        let rate = nominal(clip.rate);

        let mut command = ffmpeg::command(tools);
        command
            .args(["-f", "rawvideo", "-pixel_format", depth.pixel_format()])
            .args(["-video_size", &format!("{width}x{height}")])
            .args(["-framerate", &rate.to_string(), "-i", "pipe:0"]);
        let filter = format!(
            "{},format={},{},setsar=1",
            colors.encode_filter(),
            encoding.pixel_format(),
            colors.tag_filter()
        );
        command.args(["-vf", &filter]);
        encoding.encoder(&mut command);
        colors.tag(&mut command);
        command
            .args(["-fflags", "+bitexact", "-flags:v", "+bitexact"])
            .args([
                "-enc_time_base",
                &format!("{}:{}", clock.tick.num, clock.tick.den),
            ])
            .args(["-bsf:v", &clock.stamps(pts, rate), "-f", "nut"])
            .arg(ffmpeg::url(path))
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut run = Run::start(tools, command)?;
        Ok(Self {
            path: path.into(),
            frames: run.stdin(),
            run: Some(run),
            bytes: depth.bytes(size),
            missing: pts.len(),
        })
    }

    /// Encodes the next frame.
    ///
    /// # Errors
    ///
    /// If the frame has another size, is one too many, or cannot be encoded or written.
    pub fn write(&mut self, frame: &[u8]) -> Result<(), Error> {
        if frame.len() != self.bytes || self.missing == 0 {
            return Err(Error::Invalid(format!(
                "a frame of {} bytes is given to an encoder that wants {} of {}",
                frame.len(),
                self.missing,
                self.bytes
            )));
        }
        let written = match &mut self.frames {
            Some(frames) => frames.write_all(frame).is_ok(),
            None => false,
        };
        if written {
            self.missing -= 1;
            Ok(())
        } else {
            self.end()
        }
    }

    /// Waits until the chunk is written.
    ///
    /// # Errors
    ///
    /// If frames are missing, or it cannot be written.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.missing > 0 {
            return Err(Error::Invalid(format!(
                "{} lacks its last {} frames",
                self.path.display(),
                self.missing
            )));
        }
        self.end()
    }

    /// An error unless all went well.
    fn end(&mut self) -> Result<(), Error> {
        self.frames = None;
        match self.run.take().map(Run::finish) {
            Some((true, _)) if self.missing == 0 => Ok(()),
            ended => Err(Error::Unwritten {
                path: self.path.clone(),
                said: ended.map(|(_, said)| said).unwrap_or_default(),
            }),
        }
    }
}

fn check(pts: &[i64], size: [u32; 2], encoding: &Encoding) -> Result<(), Error> {
    if pts.first().is_none_or(|first| *first < 0) || !pts.is_sorted_by(|a, b| a < b) {
        return Err(Error::Invalid(
            "the time stamps of a chunk must begin at zero or later, and grow".into(),
        ));
    }
    let codec = encoding.codec;
    let [width, height] = nearest_size(codec, size);
    if size != [width, height] {
        return Err(Error::Invalid(format!(
            "{codec} takes no frames of {}x{}: make them {width}x{height}",
            size[0], size[1]
        )));
    }
    Ok(())
}

/// The rate that encoders are told. Some reject very high ones.
fn nominal(rate: Ratio) -> Ratio {
    if (1.0..=240.0).contains(&rate.value()) {
        rate
    } else {
        Ratio { num: 25, den: 1 }
    }
}

/// The clock of a chunk: each tick of the clip's is a whole number of its ticks.
struct Clock {
    tick: Ratio,
    /// Its ticks in one of the clip's.
    finer: u32,
}

impl Clock {
    /// As fine as encoders take. NUT would choose a finer one itself than 1/48000 s, and ticks are
    /// needed between frames, for the times at which they are decoded.
    fn of(time_base: Ratio) -> Self {
        let finer = (MOST_TICKS / time_base.den).clamp(1, 1 << 20);
        Self {
            tick: Ratio {
                num: time_base.num,
                den: time_base.den.saturating_mul(finer),
            },
            finer,
        }
    }

    /// The bitstream filter that gives packets their time stamps. Encoders work at a steady rate,
    /// so the time of a packet tells which frame it holds. The order of packets is kept by when
    /// they are decoded: NUT does not store that, but wants it to grow.
    fn stamps(&self, pts: &[i64], rate: Ratio) -> String {
        let frame = f64::from(rate.den) * f64::from(self.tick.den)
            / (f64::from(rate.num) * f64::from(self.tick.num));
        format!("setts=pts='{}':dts=N", self.choose(pts, 0, frame))
    }

    /// The expression for the time stamps, by bisection. A frame takes so many ticks.
    fn choose(&self, pts: &[i64], first: usize, frame: f64) -> String {
        match pts {
            [] => String::new(),
            [pts] => (pts * i64::from(self.finer)).to_string(),
            _ => {
                let (before, after) = pts.split_at(pts.len() / 2);
                let middle = first + before.len();
                format!(
                    "if(lt(PTS,{:.0}),{},{})",
                    (middle as f64 - 0.5) * frame,
                    self.choose(before, first, frame),
                    self.choose(after, middle, frame)
                )
            }
        }
    }
}

/// As many ticks a second as every encoder takes.
const MOST_TICKS: u32 = 1_000_000_000;

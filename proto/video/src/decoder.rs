//! Frames of a clip, as red, green and blue.

use std::io::Read;
use std::process::{ChildStdout, Stdio};

use crate::ffmpeg::{self, Run, TELL};
use crate::frames::{LATER, trim};
use crate::{Clip, Depth, Error, Tools};

/// Decodes a run of frames. Each frame is the same to the bit, wherever decoding begins.
#[derive(Debug)]
pub struct Decoder {
    tools: Tools,
    clip: Clip,
    wanted: Vec<i64>,
    size: [u32; 2],
    depth: Depth,
    /// As many as were handed out.
    done: usize,
    /// Whether decoding began at the start of the file.
    from_start: bool,
    /// None once all are handed out.
    work: Option<Work>,
}

#[derive(Debug)]
struct Work {
    run: Run,
    frames: ChildStdout,
}

impl Decoder {
    /// Decodes the frames with these time stamps, neighbours in what [`Clip::frames`] returned,
    /// scaled to the size.
    ///
    /// # Errors
    ///
    /// If `ffmpeg` cannot be started.
    pub fn open(
        tools: &Tools,
        clip: &Clip,
        pts: &[i64],
        size: [u32; 2],
        depth: Depth,
    ) -> Result<Self, Error> {
        let mut decoder = Self {
            tools: tools.clone(),
            clip: clip.clone(),
            wanted: pts.into(),
            size,
            depth,
            done: 0,
            from_start: !clip.seekable,
            work: None,
        };
        decoder.start()?;
        Ok(decoder)
    }

    /// Puts the next frame into the buffer. False if all were handed out.
    ///
    /// # Errors
    ///
    /// If the frame is not found, not even by decoding from the start.
    pub fn next(&mut self, frame: &mut Vec<u8>) -> Result<bool, Error> {
        let Some(&pts) = self.wanted.get(self.done) else {
            self.work = None;
            return Ok(false);
        };
        frame.resize(self.depth.bytes(self.size), 0);
        while let Some(work) = &mut self.work {
            if work.run.next_pts() == Some(pts) && work.frames.read_exact(frame).is_ok() {
                self.done += 1;
                return Ok(true);
            }
            let said = self
                .work
                .take()
                .map(|work| work.run.kill())
                .unwrap_or_default();
            if self.from_start {
                return Err(Error::NoFrame {
                    path: self.clip.path.clone(),
                    seconds: self.clip.seconds(pts),
                    said,
                });
            }
            // The reader did not find the place.
            self.from_start = true;
            self.start()?;
        }
        Ok(false)
    }

    /// Starts to decode what is still wanted.
    fn start(&mut self) -> Result<(), Error> {
        let wanted = &self.wanted[self.done..];
        let (Some(&first), Some(&last)) = (wanted.first(), wanted.last()) else {
            return Ok(());
        };
        let mut command = ffmpeg::command(&self.tools);
        // Damaged frames are concealed alike each time only if one thread decodes.
        command.args(["-threads", "1"]);
        self.clip
            .decode(&mut command, (!self.from_start).then_some(first));
        let filter = format!(
            "{}{LATER},{TELL},{},format={}",
            trim(Some(first), Some(last + 1)),
            self.clip.colors.decode_filter(self.size),
            self.depth.pixel_format(),
        );
        command
            .args([
                "-vf",
                &filter,
                "-fps_mode",
                "passthrough",
                "-f",
                "rawvideo",
                "pipe:1",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut run = Run::start(&self.tools, command)?;
        self.work = run.stdout().map(|frames| Work { run, frames });
        Ok(())
    }
}

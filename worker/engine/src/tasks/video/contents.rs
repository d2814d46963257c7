//! The frames of a clip, in whatever order they are wanted.

use std::collections::BTreeMap;

use stylefleet_video::{Clip, Decoder, Depth, Tools};

use super::optimized::Contents;
use super::request::ClipFile;
use crate::Error;

/// Bytes of frames that are kept at most, but for two frames: those that are compared.
const KEPT: usize = 64 << 20;
/// Most frames that are decoded at once.
const MOST: usize = 16;

/// Frames that are decoded a few at a time, because decoding begins at a keyframe, which may be far
/// before them.
pub(super) struct Block<'a> {
    pub tools: &'a Tools,
    pub file: &'a ClipFile,
    pub clip: &'a Clip,
    pub times: &'a [i64],
    pub size: [u32; 2],
    pub depth: Depth,
    pub kept: BTreeMap<usize, Vec<u8>>,
}

impl Block<'_> {
    /// Decodes the frames from that one on, or up to it if those after it are there.
    fn decode(&mut self, frame: usize) -> Result<(), Error> {
        let count = (KEPT / self.depth.bytes(self.size)).clamp(1, MOST);
        let is_backwards = self.kept.contains_key(&(frame + 1));
        let first = if is_backwards {
            (frame + 1).saturating_sub(count)
        } else {
            frame
        };
        let times = &self.times[first..(first + count).min(self.times.len())];
        let failed = |error| self.file.failed(error);
        let decoder = Decoder::open(self.tools, self.clip, times, self.size, self.depth);
        let mut decoder = decoder.map_err(failed)?;
        // A frame is compared with one before or after it.
        let near = frame.saturating_sub(1)..=frame + 1;
        self.kept.retain(|kept, _| near.contains(kept));
        for at in first..first + times.len() {
            let mut raw = Vec::new();
            decoder.next(&mut raw).map_err(failed)?;
            self.kept.insert(at, raw);
        }
        Ok(())
    }
}

impl Contents for Block<'_> {
    fn raw(&mut self, frame: usize) -> Result<Vec<u8>, Error> {
        if !self.kept.contains_key(&frame) {
            self.decode(frame)?;
        }
        let missing = || Error::Request(format!("the clip has no frame {frame}"));
        self.kept.get(&frame).cloned().ok_or_else(missing)
    }
}

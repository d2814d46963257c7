//! Films that ffmpeg makes, in a folder of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stylefleet_video::{
    Clip, Decoder, Depth, Encoder, Encoding, Error, Frame, Span, Tools, join, nearest_size,
};
use tempfile::TempDir;

pub const MAX_PIXELS: u64 = 10_000_000;

pub fn tools() -> Tools {
    Tools::find(None).expect("ffmpeg")
}

/// A folder of a test's own, with films that ffmpeg makes.
pub struct Films {
    pub folder: TempDir,
    pub tools: Tools,
}

impl Films {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            tools: tools(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs ffmpeg within the folder.
    pub fn make(&self, arguments: &str) {
        let status = Command::new("ffmpeg")
            .args(["-nostdin", "-loglevel", "error", "-y"])
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .status()
            .unwrap();
        assert!(status.success(), "ffmpeg {arguments}");
    }

    /// Copies an MP4 file, and has its frames shown turned right by a quarter.
    pub fn turn(&self, from: &str, to: &str) {
        let upright = [1, 0, 0, 0, 1, 0, 0, 0, 16384];
        let turned = [0, 1, 0, -1, 0, 0, 0, 0, 16384];
        let [upright, turned] = [upright, turned]
            .map(|matrix: [i32; 9]| matrix.map(|value| (value << 16).to_be_bytes()).concat());
        // The first matrix is that of the whole film, the second that of its first track.
        let bytes = fs::read(self.path(from)).unwrap();
        let track = bytes.windows(4).position(|word| word == b"tkhd").unwrap();
        let (film, track) = bytes.split_at(track);
        let bytes = [film, &replaced(track, &upright, &turned)].concat();
        fs::write(self.path(to), bytes).unwrap();
    }

    pub fn probe(&self, name: &str) -> Result<Clip, Error> {
        Clip::probe(&self.tools, &self.path(name), MAX_PIXELS)
    }

    pub fn frames(&self, clip: &Clip, span: Span) -> Vec<Frame> {
        clip.frames(&self.tools, &span, &mut |_| ()).unwrap()
    }

    pub fn pts(&self, clip: &Clip, span: Span) -> Vec<i64> {
        self.frames(clip, span)
            .iter()
            .map(|frame| frame.pts)
            .collect()
    }

    pub fn decode(&self, clip: &Clip, pts: &[i64], depth: Depth) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::open(&self.tools, clip, pts, clip.size, depth).unwrap();
        let mut frames = Vec::new();
        let mut frame = Vec::new();
        while decoder.next(&mut frame).unwrap() {
            frames.push(frame.clone());
        }
        frames
    }

    /// Decodes and encodes the span in chunks of so many frames, and joins them.
    pub fn through(
        &self,
        clip: &Clip,
        span: Span,
        chunk: usize,
        encoding: Encoding,
        out: &str,
    ) -> Vec<String> {
        let pts: Vec<_> = self
            .frames(clip, span)
            .iter()
            .map(|frame| frame.pts)
            .collect();
        let depth = if encoding.depth > 8 {
            Depth::Sixteen
        } else {
            Depth::Eight
        };
        let size = nearest_size(encoding.codec, clip.size);
        let mut chunks = Vec::new();
        for (index, pts_of_chunk) in pts.chunks(chunk).enumerate() {
            let path = self.path(&format!("{out}.{index}.nut").replace('/', "-"));
            let relative: Vec<_> = pts_of_chunk.iter().map(|at| at - pts[0]).collect();
            let mut decoder = Decoder::open(&self.tools, clip, pts_of_chunk, size, depth).unwrap();
            let mut encoder =
                Encoder::create(&self.tools, &path, clip, size, depth, &relative, &encoding)
                    .unwrap();
            let mut frame = Vec::new();
            while decoder.next(&mut frame).unwrap() {
                encoder.write(&frame).unwrap();
            }
            encoder.finish().unwrap();
            chunks.push(path);
        }
        join(
            &self.tools,
            &chunks,
            clip,
            pts[0],
            &span,
            &encoding,
            &self.path(out),
        )
        .unwrap()
    }
}

/// The bytes with each occurrence of one word replaced by another as long.
pub fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..][..to.len()].copy_from_slice(to);
        }
    }
    bytes
}

/// What ffprobe says: one value a line.
pub fn probed(path: &Path, arguments: &str) -> String {
    let output = Command::new("ffprobe")
        .args(["-loglevel", "error", "-of", "csv=p=0"])
        .args(arguments.split_whitespace())
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// When the frames of a film are shown, in seconds.
pub fn times(path: &Path) -> Vec<f64> {
    let said = probed(path, "-select_streams v:0 -show_entries frame=pts_time");
    said.lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect()
}

//! Films through ffmpeg and back.

use std::path::{Path, PathBuf};
use std::process::Command;

use stylefleet_video::{
    Clip, Codec, Container, Decoder, Depth, Encoder, Encoding, Error, Frame, Ratio, Span, Tools,
    join, to_clip,
};
use tempfile::TempDir;

const MAX_PIXELS: u64 = 10_000_000;

fn tools() -> Tools {
    Tools::find(None).expect("ffmpeg")
}

/// A folder of a test's own, with films that ffmpeg makes.
struct Films {
    folder: TempDir,
    tools: Tools,
}

impl Films {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            tools: tools(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs ffmpeg within the folder.
    fn make(&self, arguments: &str) {
        let status = Command::new("ffmpeg")
            .args(["-nostdin", "-loglevel", "error", "-y"])
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .status()
            .unwrap();
        assert!(status.success(), "ffmpeg {arguments}");
    }

    fn probe(&self, name: &str) -> Result<Clip, Error> {
        Clip::probe(&self.tools, &self.path(name), MAX_PIXELS)
    }

    fn frames(&self, clip: &Clip, span: Span) -> Vec<Frame> {
        clip.frames(&self.tools, &span, &mut |_| ()).unwrap()
    }

    fn decode(&self, clip: &Clip, pts: &[i64], depth: Depth) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::open(&self.tools, clip, pts, clip.size, depth).unwrap();
        let mut frames = Vec::new();
        let mut frame = Vec::new();
        while decoder.next(&mut frame).unwrap() {
            frames.push(frame.clone());
        }
        frames
    }

    /// Decodes and encodes the span in chunks of so many frames, and joins them.
    fn through(
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
        let depth = if encoding.bits() > 8 {
            Depth::Sixteen
        } else {
            Depth::Eight
        };
        let size = encoding.codec().nearest_size(clip.size);
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

/// What ffprobe says: one value a line.
fn probed(path: &Path, arguments: &str) -> String {
    let output = Command::new("ffprobe")
        .args(["-loglevel", "error", "-of", "csv=p=0"])
        .args(arguments.split_whitespace())
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// When the frames of a film are shown, in seconds.
fn times(path: &Path) -> Vec<f64> {
    let said = probed(path, "-select_streams v:0 -show_entries frame=pts_time");
    said.lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect()
}

fn encoding(codec: Codec) -> Encoding {
    Encoding::new(codec, None, None).unwrap()
}

/// A film whose frames are shown at uneven times, with sound.
const UNEVEN: &str = "-f lavfi -i testsrc2=size=160x120:rate=24 -f lavfi -i sine -t 4 \
    -vf select='mod(n,5)',setpts=PTS+floor(N/7)*0.011/TB -fps_mode vfr -enc_time_base 1:90000 \
    -video_track_timescale 90000 -c:a aac";

#[test]
fn uneven_times_and_sound_are_kept() {
    let films = Films::new();
    films.make(&format!("{UNEVEN} uneven.mp4"));
    let clip = films.probe("uneven.mp4").unwrap();
    assert!(clip.has_sound() && !clip.has_subtitles());
    assert_eq!((clip.size, clip.bits), ([160, 120], 8));
    let notes = films.through(&clip, Span::default(), 17, encoding(Codec::H264), "out.mp4");
    assert_eq!(notes, Vec::<String>::new());
    let out = films.path("out.mp4");
    assert_eq!(times(&out), times(&clip.path));
    assert_eq!(
        probed(&out, "-select_streams a -show_entries packet=pts_time"),
        probed(
            &clip.path,
            "-select_streams a -show_entries packet=pts_time"
        )
    );
}

//! Where the frames of a clip lie, and where scenes change.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::ffmpeg::{self, Run};
use crate::{Clip, Error, Span, Tools};

/// A frame of a clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// When it is shown, in the clip's time base, on its own clock.
    pub pts: i64,
    /// How much it differs from the frame before, beyond what that differed from its own: from 0
    /// to 100. From 10 or so on, another scene begins.
    pub scene: f64,
}

/// Frames that are shown no later than the one before are left out: there is no time to see them.
pub const LATER: &str = "select='isnan(prev_selected_pts)+gt(pts,prev_selected_pts)'";

impl Clip {
    /// Decodes the span once and returns its frames, in order. `heard` is told how many there are
    /// so far. What is damaged in the middle is left out or concealed, as ffmpeg does it.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn frames(
        &self,
        tools: &Tools,
        span: &Span,
        heard: &mut dyn FnMut(u64),
    ) -> Result<Vec<Frame>, Error> {
        span.check()?;
        let from = span.from.map(|seconds| self.pts_at(seconds));
        let to = span.to.map(|seconds| self.pts_at(seconds));
        let mut command = ffmpeg::command(tools);
        self.decode(&mut command, from);
        let filter = format!(
            "{}{LATER},scale=320:-2:flags=area,format=gray,scdet=threshold=100,\
             metadata=mode=print:file='pipe\\:1':direct=1",
            trim(from, to),
        );
        command
            .args(["-vf", &filter, "-f", "null", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut run = Run::start(tools, command)?;
        let mut frames: Vec<Frame> = Vec::new();
        for line in run
            .stdout()
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
        {
            let line = line.map_err(|source| Error::Io {
                action: "read",
                path: self.path.clone(),
                source,
            })?;
            if let Some(pts) = ffmpeg::pts_of(&line) {
                frames.push(Frame { pts, scene: 0.0 });
                heard(frames.len() as u64);
            } else if let (Some(score), Some(frame)) =
                (line.strip_prefix("lavfi.scd.score="), frames.last_mut())
            {
                frame.scene = score.parse().unwrap_or(0.0);
            }
        }
        let (_, said) = run.finish();
        if frames.is_empty() {
            return Err(Error::NoFrames {
                path: self.path.clone(),
                span: span.to_string(),
                said,
            });
        }
        Ok(frames)
    }
}

/// The filter that ends where frames are no longer wanted, with a comma, if there are limits.
pub fn trim(from: Option<i64>, to: Option<i64>) -> String {
    let mut limits = Vec::new();
    limits.extend(from.map(|pts| format!("start_pts={pts}")));
    limits.extend(to.map(|pts| format!("end_pts={pts}")));
    if limits.is_empty() {
        String::new()
    } else {
        format!("trim={},", limits.join(":"))
    }
}

//! A run of `ffmpeg`: what it may open, what it says, and its end.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use crate::{Error, Tools};

/// The demuxers that may read a film. Playlists and scripts are not among them: they open other
/// files. Formats of sound are, so that it can be said that there is nothing else.
const FORMATS: &str = "aac,aiff,amr,apng,asf,av1,avi,avs,bink,cavsvideo,dirac,dnxhd,dv,ea,\
    film_cpk,flac,flic,flv,gif,gxf,h261,h263,h264,hevc,ivf,jpegxl_anim,lxf,m4v,matroska,mjpeg,\
    mjpeg_2000,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mtv,mv,mxf,mxg,nsv,nut,nuv,obu,ogg,pmp,pva,r3d,\
    rm,roq,smk,swf,thp,ty,vc1,vc1test,vivo,wav,webm,wtv,wv,xmv,yuv4mpegpipe";

/// A film as an argument: `-i` and the options that keep a hostile one from opening other files.
pub fn input(command: &mut Command, path: &Path) {
    command
        .args([
            "-protocol_whitelist",
            "file",
            "-format_whitelist",
            FORMATS,
            "-i",
        ])
        .arg(url(path));
}

/// A path as ffmpeg takes it, whatever it begins with.
pub fn url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// A command of `ffmpeg` that asks nothing and says only what goes wrong.
pub fn command(tools: &Tools) -> Command {
    let mut command = Command::new(&tools.ffmpeg);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
    // The encoder of AV1 has a log of its own, and tells of each setting.
    command.env("SVT_LOG", "1");
    command
}

/// The filter that tells [`Run::next_pts`] of each frame that passes. ffmpeg prints no frame
/// without metadata, so it gets some.
pub const TELL: &str =
    r"metadata=mode=add:key=s:value=1,metadata=mode=print:key=s:file='pipe\:2':direct=1";

/// `ffmpeg` at work. It is killed when this is dropped.
#[derive(Debug)]
pub struct Run {
    child: Child,
    pts: Receiver<i64>,
    listener: Option<JoinHandle<String>>,
}

impl Run {
    /// Starts it. What its standard input and output are is up to the command.
    pub fn start(tools: &Tools, mut command: Command) -> Result<Self, Error> {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| Error::NoTool {
                program: tools.ffmpeg.clone(),
                source,
            })?;
        let (tell, pts) = channel();
        let listener = child
            .stderr
            .take()
            .map(|stderr| thread::spawn(move || listen(stderr, &tell)));
        Ok(Self {
            child,
            pts,
            listener,
        })
    }

    /// Its standard input, once, if that is a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, if that is a pipe.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The time stamp of the next frame, by [`TELL`]; none if it came to its end.
    pub fn next_pts(&self) -> Option<i64> {
        self.pts.recv().ok()
    }

    /// Waits for its end. What it said, and whether all went well.
    pub fn finish(mut self) -> (bool, String) {
        let success = self.child.wait().is_ok_and(|status| status.success());
        let said = self.said();
        // Version 5 calls it a success if only the end of a file cannot be written.
        (success && !said.contains("Error writing trailer"), said)
    }

    /// Ends it. What it said before.
    pub fn kill(mut self) -> String {
        self.end();
        self.said()
    }

    fn said(&mut self) -> String {
        self.listener
            .take()
            .and_then(|listener| listener.join().ok())
            .unwrap_or_default()
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

/// Passes on the time stamps that [`TELL`] prints, and returns the last lines of the rest.
fn listen(stderr: ChildStderr, tell: &Sender<i64>) -> String {
    let mut lines = VecDeque::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&line);
        if let Some(pts) = pts_of(&text) {
            // Nobody listens if frames are not counted.
            let _ = tell.send(pts);
        } else if !["", "s=1"].contains(&text.trim_end()) {
            lines.push_back(line.clone());
            if lines.len() > SAID_LINES {
                lines.pop_front();
            }
        }
        line.clear();
    }
    one_line(&Vec::from(lines).concat())
}

/// The time stamp in a line of the filter `metadata`: `frame:12   pts:504     pts_time:0.041`.
pub fn pts_of(line: &str) -> Option<i64> {
    let mut words = line.split_whitespace();
    words.next()?.strip_prefix("frame:")?;
    words.next()?.strip_prefix("pts:")?.parse().ok()
}

/// As many lines of what ffmpeg says as make it into a message: the last ones say what it died of.
const SAID_LINES: usize = 2;

/// What ffmpeg said as one line that is fit to be shown, without the addresses of its parts.
pub fn one_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<_> = text
        .lines()
        .map(clean)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(SAID_LINES)..].join("; ")
}

/// Without control characters, and without the `[h264 @ 0x5581]` that it may begin with.
fn clean(line: &str) -> String {
    let visible: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(LINE)
        .collect();
    let text = match visible.split_once("] ") {
        Some((part, text)) if part.starts_with('[') && part.contains(" @ 0x") => text,
        _ => &visible,
    };
    text.trim().to_owned()
}

/// As much of a line as makes it into a message, in characters.
const LINE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_run_is_over() {
        let tools = Tools::find(None).unwrap();
        let mut endless = command(&tools);
        endless
            .args(["-f", "lavfi", "-i", "testsrc2", "-f", "null", "-"])
            .stdin(Stdio::null());
        let run = Run::start(&tools, endless).unwrap();
        let process = Path::new("/proc").join(run.child.id().to_string());
        assert!(process.exists());
        drop(run);
        assert!(!process.exists());
    }

    #[test]
    fn time_stamps_are_read() {
        assert_eq!(
            pts_of("frame:12   pts:-504   pts_time:-0.041\n"),
            Some(-504)
        );
        assert_eq!(pts_of("[h264 @ 0x5600] no frame!"), None);
    }

    #[test]
    fn what_is_said_is_fit_to_be_shown() {
        let said = b"first\n[h264 @ 0x5600d46c] bad \x1b[31mslice\n\nlast: [a] b\r\n";
        assert_eq!(one_line(said), "bad [31mslice; last: [a] b");
    }
}

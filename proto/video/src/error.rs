//! What goes wrong with films.

use std::io;
use std::path::PathBuf;

/// What goes wrong with films. What ffmpeg said is the end of it, on one line, fit to be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not there, or cannot be started.
    #[error(
        "cannot start {} ({source}): install Debian's package `ffmpeg`",
        program.display()
    )]
    NoTool {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program is there, but does not say which version it is.
    #[error("{} does not work ({said}): install Debian's package `ffmpeg`", program.display())]
    BadTool {
        /// The program.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// It is no film that is read, or too damaged to be one.
    #[error("cannot read {} as a film: {said}", path.display())]
    Unreadable {
        /// The film.
        path: PathBuf,
        /// What ffmpeg said.
        said: String,
    },
    /// There are no moving pictures in it.
    #[error("{} is no film: {found}", path.display())]
    NoVideo {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// Its frames are encrypted.
    #[error(
        "{} is encrypted (DRM), so its frames cannot be read: take a copy that is not",
        path.display()
    )]
    Encrypted {
        /// The film.
        path: PathBuf,
    },
    /// Its frames are larger than the caller wants.
    #[error(
        "{} has frames of {width}x{height}, more than {max_pixels} pixels: scale it down first",
        path.display()
    )]
    TooLarge {
        /// The film.
        path: PathBuf,
        /// Width of its frames, in pixels.
        width: u32,
        /// Height of its frames, in pixels.
        height: u32,
        /// As many as are allowed.
        max_pixels: u64,
    },
    /// Its colours are coded in a way that is not read.
    #[error(
        "{} has colours coded as {matrix}, which is not read: convert it first",
        path.display()
    )]
    Colors {
        /// The film.
        path: PathBuf,
        /// ffmpeg's name of the coding.
        matrix: String,
    },
    /// There is no frame in the span.
    #[error("{} has no frame {span}{}", path.display(), because(said))]
    NoFrames {
        /// The film.
        path: PathBuf,
        /// The span, in words.
        span: String,
        /// What ffmpeg said, if anything.
        said: String,
    },
    /// A frame that was there when the frames were counted is not found.
    #[error("cannot decode the frame at {seconds:.3} s of {}{}", path.display(), because(said))]
    NoFrame {
        /// The film.
        path: PathBuf,
        /// Where the frame is, on the film's own clock.
        seconds: f64,
        /// What ffmpeg said, if anything.
        said: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {said}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// What ffmpeg said.
        said: String,
    },
    /// What is asked for cannot be: the codec, the container, the span.
    #[error("{0}")]
    Invalid(String),
    /// Chunks do not belong together.
    #[error("the chunk {} {found}: encode it again", path.display())]
    Chunk {
        /// The chunk.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
    /// Optical flow cannot be used.
    #[error(
        "{} {found}: `stylefleet video --help` says which files --flow takes",
        path.display()
    )]
    Flow {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A file or a pipe fails.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: read, write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// Whether it may go well on another machine, or later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NoTool { .. } | Self::BadTool { .. } | Self::Unwritten { .. } | Self::Io { .. }
        )
    }
}

/// With a colon before it, if anything was said.
fn because(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

//! The programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::ffmpeg::one_line;

/// The two programs, and which version they are.
#[derive(Debug, Clone)]
pub struct Tools {
    pub(crate) ffmpeg: PathBuf,
    pub(crate) ffprobe: PathBuf,
    version: String,
}

impl Tools {
    /// Finds `ffmpeg` and `ffprobe` in the folder, or else on the `PATH`, and tries them.
    ///
    /// # Errors
    ///
    /// If one of them is missing or does not run.
    pub fn find(folder: Option<&Path>) -> Result<Self, Error> {
        let within = |name: &str| folder.map_or_else(|| name.into(), |folder| folder.join(name));
        let (ffmpeg, ffprobe) = (within("ffmpeg"), within("ffprobe"));
        version(&ffprobe)?;
        Ok(Self {
            version: version(&ffmpeg)?,
            ffmpeg,
            ffprobe,
        })
    }

    /// The version of `ffmpeg`, as it names it: `5.1.9-0+deb12u1`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn version(program: &Path) -> Result<String, Error> {
    let output = Command::new(program)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::NoTool {
            program: program.into(),
            source,
        })?;
    let said = String::from_utf8_lossy(&output.stdout);
    // "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) ..."
    match said.split_whitespace().nth(2) {
        Some(version) if output.status.success() => Ok(version.into()),
        _ => Err(Error::BadTool {
            program: program.into(),
            said: one_line(&output.stderr),
        }),
    }
}

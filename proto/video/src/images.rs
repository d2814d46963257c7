//! Numbered images as a clip.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::ffmpeg::{self, Run};
use crate::{Error, Ratio, Tools};

/// Makes a clip of numbered images, such as `frames/%05d.png`: a file in the format NUT, which
/// holds them as they are, or without loss. The first is the one with the lowest number.
///
/// # Errors
///
/// If there are none, one is missing in between, or they are no images.
pub fn to_clip(tools: &Tools, pattern: &Path, rate: Ratio, path: &Path) -> Result<(), Error> {
    let first = first_number(pattern)?;
    let mut command = ffmpeg::command(tools);
    command
        .args([
            "-protocol_whitelist",
            "file",
            "-f",
            "image2",
            "-pattern_type",
            "sequence",
        ])
        .args([
            "-framerate",
            &rate.to_string(),
            "-start_number",
            &first.to_string(),
            "-i",
        ])
        .arg(ffmpeg::url(pattern))
        .args([
            "-map",
            "0:v:0",
            "-c",
            codec(pattern),
            "-fflags",
            "+bitexact",
            "-f",
            "nut",
        ])
        .arg(ffmpeg::url(path))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    match Run::start(tools, command)?.finish() {
        (true, _) => Ok(()),
        (false, said) => Err(Error::Unreadable {
            path: pattern.into(),
            said,
        }),
    }
}

/// How a clip holds images: as they are if NUT knows their format.
fn codec(pattern: &Path) -> &'static str {
    let ending = pattern.extension().unwrap_or_default().to_ascii_lowercase();
    match ending.to_str() {
        Some("png" | "jpg" | "jpeg") => "copy",
        _ => "ffv1",
    }
}

/// Whether a path stands for numbered files: `frames/%05d.png`, `%d.png`.
pub fn is_pattern(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parts(&name).is_some()
}

/// What is before the number, how many digits it has at least, and what is after it.
fn parts(name: &str) -> Option<(&str, usize, &str)> {
    let (before, rest) = name.split_once('%')?;
    let (digits, after) = rest.split_once('d')?;
    let digits = if digits.is_empty() {
        1
    } else {
        digits.strip_prefix('0')?.parse().ok()?
    };
    (!after.contains('%')).then_some((before, digits, after))
}

/// The lowest number, if there are images and none is missing.
fn first_number(pattern: &Path) -> Result<u64, Error> {
    let invalid =
        |problem: String| Err(Error::Invalid(format!("{}: {problem}", pattern.display())));
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let Some((before, digits, after)) = parts(&name) else {
        return invalid("number the images, as in frames/%05d.png".into());
    };
    let folder = match pattern.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let failed = |source| Error::Io {
        action: "read",
        path: folder.into(),
        source,
    };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(before)?.strip_suffix(after))
            .filter(|number| number.len() >= digits)
            .and_then(|number| number.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    let Some(first) = numbers.first() else {
        return invalid("there is no such image".into());
    };
    match numbers.windows(2).find(|pair| pair[1] != pair[0] + 1) {
        Some(pair) => invalid(format!("the image with number {} is missing", pair[0] + 1)),
        None => Ok(*first),
    }
}

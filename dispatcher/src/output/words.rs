//! News in words, for people.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::bars::beside_bars;
use super::{News, Position};

/// A line of text.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A picture: the result, for standard output.
    Result(String),
    /// What else is to be said, for standard error.
    Remark(String),
}

impl Line {
    /// Prints it, on one line whatever is in it. A reader that is gone does not stop the run.
    pub fn print(&self) {
        let plain = |text: &str| text.replace(char::is_control, " ");
        let _ = beside_bars(|| match self {
            Self::Result(text) => writeln!(std::io::stdout(), "{}", plain(text)),
            Self::Remark(text) => writeln!(std::io::stderr(), "{}", plain(text)),
        });
    }
}

/// The news as a line.
pub fn line(news: &News<'_>) -> Line {
    match news {
        News::Started {
            name,
            device,
            attempt,
            resumed_evaluations,
            ..
        } => {
            let attempt = match attempt {
                1 => String::new(),
                _ => format!(", attempt {attempt}"),
            };
            let resumed = match resumed_evaluations {
                0 => String::new(),
                done => format!(", resumed after {done} evaluations"),
            };
            Line::Remark(format!("started   {name} on {device}{attempt}{resumed}"))
        }
        News::Progress {
            name, position: at, ..
        } => Line::Remark(format!("progress  {name}: {}", position(at))),
        News::Note { name, text, .. } => Line::Remark(format!("note      {name}: {text}")),
        News::PassedOver {
            content, endings, ..
        } => Line::Remark(format!("note      {}: {endings}", content.display())),
        News::Previewed { name, picture, .. } => {
            Line::Remark(format!("preview   {}", called(name, picture)))
        }
        News::Finished {
            name,
            picture,
            seconds,
            evaluations,
            loss,
            ..
        } => Line::Result(format!(
            "finished  {}: {}, {evaluations} evaluations, loss {loss:.3e}",
            called(name, picture),
            duration(*seconds)
        )),
        News::Kept { name, picture, .. } => {
            Line::Result(format!("kept      {}", called(name, picture)))
        }
        News::Failed { name, reason, .. } => Line::Remark(format!("failed    {name}: {reason}")),
        News::Cancelled { name, .. } => Line::Remark(format!("cancelled {name}")),
        News::Submitted { batch, .. } => Line::Result(batch.to_string()),
        News::Stopping => Line::Remark(
            "stopping  once the checkpoints are saved; Ctrl-C again stops at once".to_owned(),
        ),
        News::Interrupted {
            name, evaluations, ..
        } => Line::Remark(format!("stopped   {name} after {evaluations} evaluations")),
        News::Summary {
            done,
            kept,
            failed,
            cancelled,
            unfinished,
            seconds,
        } => {
            let cancelled = match cancelled {
                0 => String::new(),
                n => format!(", {n} cancelled"),
            };
            let left = match unfinished {
                0 => String::new(),
                n => format!(", {n} unfinished: run the same command again to go on from there"),
            };
            let seconds = duration(*seconds);
            Line::Remark(format!(
                "{done} done, {kept} kept, {failed} failed{cancelled} in {seconds}{left}"
            ))
        }
    }
}

/// A picture by its file, with its name where that does not say it.
fn called(name: &str, picture: &Path) -> String {
    if picture.with_extension("").ends_with(name) {
        picture.display().to_string()
    } else {
        format!("{name} at {}", picture.display())
    }
}

/// What is said of a picture in the folder that is not what it was when it was made.
pub fn left_as_it_is(file: &Path) -> String {
    format!(
        "{} was changed since it was made: it is left as it is",
        file.display()
    )
}

/// Where a job stands, for people.
pub fn position(at: &Position) -> String {
    let left = match at.seconds_left {
        Some(seconds) => format!(", {} left", duration(seconds)),
        None => String::new(),
    };
    format!(
        "scale {}/{} {}x{}, evaluation {}/{}, loss {:.3e}{left}",
        at.scale, at.scales, at.width, at.height, at.evaluation, at.evaluations, at.loss
    )
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    // A float too large, or none at all, becomes the nearest integer.
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// The first digits of an id: enough to name it by.
pub fn short(id: impl ToString) -> String {
    id.to_string().chars().take(12).collect()
}

/// How long ago a moment was, for people.
pub fn ago(unix_seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    match now.saturating_sub(unix_seconds) {
        _ if unix_seconds == 0 => "at an unknown time".to_owned(),
        0..60 => "just now".to_owned(),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_by_their_names() {
        let called = |picture| called("boat.wave", Path::new(picture));
        assert_eq!(called("out/boat.wave.png"), "out/boat.wave.png");
        assert_eq!(
            called("out/boat.wave-2.png"),
            "boat.wave at out/boat.wave-2.png"
        );
        assert_eq!(called("s3://b/image.png"), "boat.wave at s3://b/image.png");
    }

    #[test]
    fn durations() {
        for (seconds, text) in [
            (0.04, "0.0 s"),
            (9.94, "9.9 s"),
            (12.4, "12 s"),
            (59.6, "1 min 00 s"),
            (125.0, "2 min 05 s"),
            (7260.0, "2 h 01 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}

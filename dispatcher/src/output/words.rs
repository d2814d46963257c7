//! News in words, for people.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use stylefleet_fleet::frames::VideoStatus;
use stylefleet_proto::{Figures, Progress, headline};

use super::News;
use super::bars::beside_bars;

/// A line of text.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// The result, for standard output.
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
            steps,
            ..
        } => {
            let attempt = match attempt {
                1 => String::new(),
                _ => format!(", attempt {attempt}"),
            };
            let resumed = match steps {
                0 => String::new(),
                done => format!(", resumed after {done} steps"),
            };
            Line::Remark(format!("started   {name} on {device}{attempt}{resumed}"))
        }
        News::Progress { name, progress, .. } => {
            Line::Remark(format!("progress  {name}: {}", standing(progress)))
        }
        News::Video(status) => Line::Remark(format!("video     {}", of_video(status))),
        News::Note { name, text, .. } => Line::Remark(format!("note      {name}: {text}")),
        News::PassedOver {
            content, endings, ..
        } => Line::Remark(format!("note      {}: {endings}", content.display())),
        News::LeftOut { reason, .. } => Line::Remark(format!("note      {reason}: left out")),
        News::Previewed { name, file, .. } => {
            Line::Remark(format!("preview   {}", called(name, file)))
        }
        News::Finished {
            name,
            files,
            seconds,
            steps,
            figures,
            ..
        } => Line::Result(format!(
            "finished  {}: {}, {steps} steps{}",
            called(name, files.main()),
            duration(*seconds),
            listed(figures)
        )),
        News::Kept { name, files, .. } => {
            Line::Result(format!("kept      {}", called(name, files.main())))
        }
        News::Failed { name, reason, .. } => Line::Remark(format!("failed    {name}: {reason}")),
        News::Cancelled { name, .. } => Line::Remark(format!("cancelled {name}")),
        News::Submitted { batch, .. } => Line::Result(batch.to_string()),
        News::Stopping => Line::Remark(
            "stopping  once the checkpoints are saved; Ctrl-C again stops at once".to_owned(),
        ),
        News::Interrupted { name, steps, .. } => {
            Line::Remark(format!("stopped   {name} after {steps} steps"))
        }
        News::Assembled {
            file,
            notes,
            missing,
        } => {
            let missing = match missing {
                0 => String::new(),
                n => format!(", {n} parts of it are missing so far"),
            };
            let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
            Line::Result(format!("made      {}{missing}{notes}", file.display()))
        }
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

/// A result by its file, with its name where that does not say it.
fn called(name: &str, file: &Path) -> String {
    if file.with_extension("").ends_with(name) {
        file.display().to_string()
    } else {
        format!("{name} at {}", file.display())
    }
}

/// What is said of a file in the folder that is not what it was when it was made.
pub fn left_as_it_is(file: &Path) -> String {
    format!(
        "{} was changed since it was made: it is left as it is",
        file.display()
    )
}

/// Where a job stands, for people.
pub fn standing(at: &Progress) -> String {
    counted(at, &format!(" {}", at.unit))
}

/// The same, for a line that may have 80 columns.
pub fn briefly(at: &Progress) -> String {
    counted(at, "")
}

/// How far a video is, for people.
pub fn of_video(status: &VideoStatus) -> String {
    let workers = match status.workers {
        0 => String::new(),
        1 => ", 1 worker".to_owned(),
        n => format!(", {n} workers"),
    };
    let left = match status.seconds_left {
        Some(seconds) => format!(", about {} left", duration(seconds)),
        None => String::new(),
    };
    let VideoStatus { done, total, .. } = status;
    format!("{done} of {total} frames{workers}{left}")
}

/// Where a job stands, counted in `unit`.
fn counted(at: &Progress, unit: &str) -> String {
    let phase = match at.phase.as_str() {
        "" => String::new(),
        phase => format!("{phase}: "),
    };
    let total = match at.total {
        0 => String::new(),
        total => format!("/{total}"),
    };
    let left = match at.seconds_left {
        Some(seconds) => format!(", {} left", duration(seconds)),
        None => String::new(),
    };
    let figures = listed(&at.figures);
    format!("{phase}{}{total}{unit}{figures}{left}", at.done)
}

/// The figures that are no part of another, each after a comma.
pub fn listed(figures: &Figures) -> String {
    let one = |(name, value)| format!(", {name} {}", figure(value));
    headline(figures).map(one).collect()
}

/// A figure as people read it: a whole number as it is, any other with four digits, and a power of
/// ten where it is large or small.
pub fn figure(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 {
        return value.to_string();
    }
    // A number that was written is read again.
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    if (1e-3..1e3).contains(&rounded.abs()) {
        rounded.to_string()
    } else {
        format!("{rounded:e}")
    }
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
    fn results_go_by_their_names() {
        let called = |file| called("boat.wave", Path::new(file));
        assert_eq!(called("out/boat.wave.png"), "out/boat.wave.png");
        assert_eq!(
            called("out/boat.wave-2.png"),
            "boat.wave at out/boat.wave-2.png"
        );
        assert_eq!(called("s3://b/image.png"), "boat.wave at s3://b/image.png");
    }

    #[test]
    fn figures() {
        for (value, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (-3.0, "-3"),
            (1500.0, "1500"),
            (12.5, "12.5"),
            (0.98765, "0.9877"),
            (0.001, "0.001"),
            (0.00012, "1.2e-4"),
            (1234.5, "1.234e3"),
            (1.234e9, "1.234e9"),
            (2e9, "2e9"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn progress_of_any_kind() {
        let mut at = Progress {
            phase: "scale 2/3, 512x384".to_owned(),
            done: 12,
            total: 100,
            unit: "evaluations".to_owned(),
            steps: 312,
            figures: [("loss", 1234.4), ("loss.tv", 1.0)]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            seconds_left: Some(180.0),
        };
        let text = "scale 2/3, 512x384: 12/100 evaluations, loss 1.234e3, 3 min 00 s left";
        assert_eq!(standing(&at), text);
        assert_eq!(briefly(&at), text.replace(" evaluations", ""));
        at.phase.clear();
        at.figures.clear();
        (at.total, at.seconds_left) = (0, None);
        assert_eq!(standing(&at), "12 evaluations");
        assert_eq!(briefly(&at), "12");
    }

    #[test]
    fn videos() {
        let mut status = VideoStatus {
            done: 812,
            total: 4310,
            workers: 3,
            seconds_left: Some(845.0),
        };
        let text = "812 of 4310 frames, 3 workers, about 14 min 05 s left";
        assert_eq!(of_video(&status), text);
        (status.workers, status.seconds_left) = (1, None);
        assert_eq!(of_video(&status), "812 of 4310 frames, 1 worker");
        status.workers = 0;
        assert_eq!(of_video(&status), "812 of 4310 frames");
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
            (f64::MAX, "5124095576030431 h 00 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}

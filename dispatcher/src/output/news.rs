//! The news of a run. Serialised, they are the lines of `--json`; the names of fields are a
//! promise to programs that read them.

use std::path::{Path, PathBuf};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use stylefleet_fleet::frames::VideoStatus;
use stylefleet_proto::{BatchId, Figures, JobId, Progress};

use crate::images::expand::PassedOver;

/// Something that happened. `name` is what the result is called, or the input that there is no
/// result of; a job that makes several results goes by the first one's name until it is over.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum News<'a> {
    /// A worker has the job.
    Started {
        job: JobId,
        name: &'a str,
        /// Where it computes: cpu, cuda:0, ...
        device: &'a str,
        /// Which try this is, from 1.
        attempt: u32,
        /// Steps that were done before; 0: begun afresh.
        steps: u64,
    },
    /// Where a job stands; at most a few times a second.
    Progress {
        job: JobId,
        name: &'a str,
        #[serde(flatten)]
        progress: &'a Progress,
    },
    /// How far a video is, whose chunks the jobs make: where that has changed.
    Video(&'a VideoStatus),
    /// Something a person should know of a job that is no failure.
    Note {
        job: JobId,
        name: &'a str,
        text: &'a str,
    },
    /// A picture of how the job looks by now is there.
    Previewed {
        job: JobId,
        name: &'a str,
        /// Its file.
        #[serde(serialize_with = "lossy")]
        file: &'a Path,
        /// Steps done by then.
        steps: u64,
    },
    /// The result is there.
    Finished {
        job: JobId,
        name: &'a str,
        #[serde(flatten)]
        files: &'a Files,
        /// Seconds of work, over all attempts that were resumed.
        seconds: f64,
        /// Steps of the job.
        steps: u64,
        /// What it came to.
        figures: &'a Figures,
    },
    /// The result was made by an earlier run.
    Kept {
        job: JobId,
        name: &'a str,
        #[serde(flatten)]
        files: &'a Files,
    },
    /// The result will not be made.
    Failed {
        /// Absent where it did not come to a job.
        #[serde(skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
        name: &'a str,
        /// Why, and what to do.
        reason: &'a str,
        /// Attempts made; 0 where it did not come to a job.
        attempts: u32,
    },
    /// The result is not wanted any more.
    Cancelled { job: JobId, name: &'a str },
    /// Files of a CONTENT were passed over, for they are no images by their names.
    PassedOver {
        #[serde(serialize_with = "lossy")]
        content: &'a Path,
        /// How many.
        files: usize,
        /// How many with each ending, dot included; the empty one is of those without.
        endings: &'a PassedOver,
    },
    /// An input of a job is no use, and the job does without it.
    LeftOut {
        #[serde(serialize_with = "lossy")]
        input: &'a Path,
        /// Why.
        reason: &'a str,
    },
    /// A batch was handed in.
    Submitted {
        batch: &'a BatchId,
        /// Jobs that the broker took just now.
        accepted: usize,
        /// Jobs that it had taken before and that are not over.
        pending: usize,
        /// Jobs that were done before.
        done: usize,
        /// Results that could not be asked for.
        refused: usize,
    },
    /// The run was asked to stop, and waits for its workers.
    Stopping,
    /// A job was stopped; its checkpoint is in the store.
    Interrupted {
        job: JobId,
        name: &'a str,
        /// Steps kept.
        steps: u64,
    },
    /// One file was made of all results.
    Assembled {
        #[serde(serialize_with = "lossy")]
        file: &'a Path,
        /// What a person should know of it.
        notes: &'a [String],
        /// Results that it lacks.
        missing: usize,
    },
    /// The run is over. Last, but for what `submit --wait` assembles.
    Summary {
        /// Results made.
        done: usize,
        /// Results made by earlier runs.
        kept: usize,
        /// Results that could not be made.
        failed: usize,
        /// Results that are not wanted any more.
        cancelled: usize,
        /// Results left to another run of the same command.
        unfinished: usize,
        /// Seconds that the run took.
        seconds: f64,
    },
}

/// The files of a result, the main one first. Serialised, that is the field `file`, and `files` has
/// all of them where there are more.
#[derive(Debug, Default)]
pub struct Files(pub Vec<PathBuf>);

impl Files {
    /// The file that the job was for.
    pub fn main(&self) -> &Path {
        self.0.first().map_or(Path::new(""), PathBuf::as_path)
    }
}

impl Serialize for Files {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let files: Vec<_> = self.0.iter().map(|file| file.to_string_lossy()).collect();
        let mut map = to.serialize_map(None)?;
        if let Some(main) = files.first() {
            map.serialize_entry("file", main)?;
        }
        if files.len() > 1 {
            map.serialize_entry("files", &files)?;
        }
        map.end()
    }
}

/// A path as text; what is no UTF-8 in it is replaced, for JSON has nothing else.
fn lossy<S: Serializer>(path: &&Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What programs read, an event a line.
    const EXAMPLES: &str = include_str!("events.example.jsonl");

    /// Fails to compile where there is an event more.
    fn word(news: &News<'_>) -> &'static str {
        match news {
            News::Started { .. } => "started",
            News::Progress { .. } => "progress",
            News::Video(_) => "video",
            News::Note { .. } => "note",
            News::Previewed { .. } => "previewed",
            News::Finished { .. } => "finished",
            News::Kept { .. } => "kept",
            News::Failed { .. } => "failed",
            News::Cancelled { .. } => "cancelled",
            News::PassedOver { .. } => "passed-over",
            News::LeftOut { .. } => "left-out",
            News::Submitted { .. } => "submitted",
            News::Stopping => "stopping",
            News::Interrupted { .. } => "interrupted",
            News::Assembled { .. } => "assembled",
            News::Summary { .. } => "summary",
        }
    }

    #[test]
    fn events_are_what_programs_read() {
        let job: JobId = "0123456789abcdef".repeat(4).parse().expect("an id");
        let name = "boat.wave";
        let files = Files(vec!["out/boat.wave.png".into()]);
        let several = Files(vec!["out/a.safetensors".into(), "out/a.sample.jpg".into()]);
        let figures: Figures = [("loss".to_owned(), 1234.5), ("loss.tv".to_owned(), 2.5)].into();
        let progress = Progress {
            phase: "scale 2/2, 512x384".to_owned(),
            done: 12,
            total: 100,
            unit: "evaluations".to_owned(),
            steps: 62,
            figures: figures.clone(),
            seconds_left: Some(30.5),
        };
        let batch: BatchId = "nightly".parse().expect("a name");
        let endings = PassedOver::default();
        let events = [
            News::Submitted {
                batch: &batch,
                accepted: 1,
                pending: 0,
                done: 0,
                refused: 0,
            },
            News::PassedOver {
                content: Path::new("photos"),
                files: 0,
                endings: &endings,
            },
            News::LeftOut {
                input: Path::new("photos/torn.jpg"),
                reason: "photos/torn.jpg: is damaged or cut off",
            },
            News::Started {
                job,
                name,
                device: "cuda:0",
                attempt: 1,
                steps: 0,
            },
            News::Note {
                job,
                name,
                text: "boat.jpg: its colours are read as sRGB",
            },
            News::Progress {
                job,
                name,
                progress: &progress,
            },
            News::Video(&VideoStatus {
                done: 812,
                total: 4310,
                workers: 3,
                seconds_left: Some(840.5),
            }),
            News::Previewed {
                job,
                name,
                file: Path::new("out/boat.wave.previews/000050.jpg"),
                steps: 50,
            },
            News::Stopping,
            News::Interrupted {
                job,
                name,
                steps: 62,
            },
            News::Finished {
                job,
                name,
                files: &files,
                seconds: 12.5,
                steps: 150,
                figures: &figures,
            },
            News::Kept {
                job,
                name,
                files: &several,
            },
            News::Failed {
                job: Some(job),
                name,
                reason: "it ran out of memory: give the worker more, or lower --size",
                attempts: 5,
            },
            News::Cancelled { job, name },
            News::Assembled {
                file: Path::new("out/styled.mp4"),
                notes: &["stream 2 of clip.mkv (data, bin_data) is left out".to_owned()],
                missing: 0,
            },
            News::Summary {
                done: 1,
                kept: 1,
                failed: 1,
                cancelled: 1,
                unfinished: 0,
                seconds: 60.5,
            },
        ];
        let lines: Vec<_> = events
            .iter()
            .map(|event| serde_json::to_string(event).expect("is written"))
            .collect();
        assert_eq!(
            lines.join("\n"),
            EXAMPLES.trim_end(),
            "{}",
            lines.join("\n")
        );
        for (event, line) in events.iter().zip(&lines) {
            assert!(line.starts_with(&format!("{{\"event\":\"{}\"", word(event))));
        }
    }
}

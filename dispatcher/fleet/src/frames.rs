//! How far videos are, whose chunks are jobs labelled with how many frames they have.

use std::collections::HashMap;

use serde::Serialize;
use stylefleet_proto::{Event, JobId, Labels, ManifestEntry, Update};

use crate::live::work::Workers;
use crate::state::State;

/// The label that says how many frames a chunk has.
pub const LABEL: &str = "frames";

/// How far a video is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct VideoStatus {
    /// Frames that are made, as far as is known: the store knows of whole chunks, and workers tell
    /// of the others.
    pub done: u64,
    /// All of them.
    pub total: u64,
    /// Workers that are at it, or died over it a moment ago.
    pub workers: usize,
    /// Seconds that these workers take for the rest, estimated; null: no idea.
    pub seconds_left: Option<f64>,
}

/// A chunk of a video.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    /// Its frames.
    pub frames: u64,
    /// What has become of its job.
    pub state: State,
    /// The worker that is at it, if one is.
    pub stay: Option<Stay>,
}

/// What is known of a worker that is at a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stay {
    /// For how many seconds it has been.
    pub seconds: f64,
    /// Frames that are made.
    pub done: u64,
    /// Seconds until the chunk is done, as the worker says.
    pub seconds_left: Option<f64>,
}

/// How many frames a chunk with these labels has; 0: it is none.
pub(crate) fn of(labels: &Labels) -> u64 {
    labels[LABEL].parse().unwrap_or(0)
}

impl VideoStatus {
    /// How far the video of these chunks is; none if they have no frames. `pace`: how many seconds
    /// one worker takes for a frame, if that is known; or else what the workers say counts.
    pub(crate) fn of(
        chunks: impl Iterator<Item = Chunk> + Clone,
        pace: Option<f64>,
    ) -> Option<Self> {
        let stays = || {
            let stays = chunks.clone();
            stays.filter_map(|chunk| Some((chunk.frames as f64, chunk.stay?)))
        };
        let pace = pace.or_else(|| {
            let told =
                stays().filter_map(|(frames, at)| Some((frames, at.seconds + at.seconds_left?)));
            let (frames, seconds) = told.fold((0.0, 0.0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
            (frames > 0.0).then(|| seconds / frames)
        });
        let of_chunk = |chunk: Chunk| match (chunk.state, chunk.stay) {
            (State::Done | State::Failed | State::Cancelled, _) => Some(0.0),
            (_, None) => Some(chunk.frames as f64 * pace?),
            (_, Some(stay)) => stay
                .seconds_left
                .or_else(|| Some((chunk.frames as f64 * pace? - stay.seconds).max(0.0))),
        };
        let mut status = Self {
            workers: stays().count(),
            ..Self::default()
        };
        // In seconds: all that is left, and the longest that one worker has left.
        let mut left = Some((0.0, 0.0_f64));
        for chunk in chunks.clone() {
            status.total += chunk.frames;
            status.done += match (chunk.state, chunk.stay) {
                (State::Done, _) => chunk.frames,
                (_, Some(stay)) => stay.done.min(chunk.frames),
                _ => 0,
            };
            let of_worker = chunk.stay.and_then(|stay| stay.seconds_left);
            left = left.zip(of_chunk(chunk)).map(|((all, longest), seconds)| {
                (all + seconds, longest.max(of_worker.unwrap_or(0.0)))
            });
        }
        if status.workers > 0 {
            let shared = left.map(|(all, longest)| longest.max(all / status.workers as f64));
            status.seconds_left = shared;
        }
        (status.total > 0).then_some(status)
    }
}

/// A video that is followed.
#[derive(Debug)]
pub struct Followed {
    chunks: HashMap<JobId, (u64, State)>,
    workers: Workers,
}

impl Followed {
    /// The video that these results make; none if they make none.
    pub fn new(entries: &[ManifestEntry]) -> Option<Self> {
        let chunk = |entry: &ManifestEntry| (entry.job, (of(&entry.labels), State::Waiting));
        let chunks: HashMap<_, _> = entries.iter().map(chunk).collect();
        let has_frames = chunks.values().any(|(frames, _)| *frames > 0);
        has_frames.then(|| Self {
            chunks,
            workers: Workers::default(),
        })
    }

    /// An attempt at a chunk goes on. `now`: milliseconds since 1970-01-01 UTC.
    pub fn update(&mut self, event: &Event<Update>, now: u64) {
        match &event.kind {
            Update::Started { .. } => self.workers.begin(event),
            Update::Progress(progress) => {
                let progress = event.clone().map(|_| progress.clone());
                self.workers.progressed(&event.worker, &progress, now);
            }
            Update::Note(_) | Update::Previewed { .. } => {}
        }
    }

    /// An attempt at a chunk is over, and another follows.
    pub fn attempt_ended(&mut self, job: &JobId) {
        self.workers.end(job);
    }

    /// A chunk is over.
    pub fn over(&mut self, job: &JobId, state: State) {
        self.workers.end(job);
        if let Some((_, known)) = self.chunks.get_mut(job) {
            *known = state;
        }
    }

    /// How far it is. `now`: milliseconds since 1970-01-01 UTC.
    pub fn status(&mut self, now: u64) -> VideoStatus {
        self.workers.forget_silent(now);
        let chunks = self.chunks.iter().map(|(job, (frames, state))| Chunk {
            frames: *frames,
            state: *state,
            stay: self.workers.of(job).map(|work| work.stay(now)),
        });
        VideoStatus::of(chunks, None).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use stylefleet_proto::Progress;

    use super::*;

    fn chunk(frames: u64, state: State, stay: Option<(f64, u64, Option<f64>)>) -> Chunk {
        let stay = stay.map(|(seconds, done, seconds_left)| Stay {
            seconds,
            done,
            seconds_left,
        });
        Chunk {
            frames,
            state,
            stay,
        }
    }

    fn status(chunks: &[Chunk], pace: Option<f64>) -> VideoStatus {
        VideoStatus::of(chunks.iter().copied(), pace).expect("has frames")
    }

    #[test]
    fn workers_share_what_is_left() {
        let done = chunk(10, State::Done, None);
        let running = |seconds, left| chunk(10, State::Running, Some((seconds, 4, Some(left))));
        let waiting = chunk(10, State::Waiting, None);
        // 2 seconds a frame: 12 and 10 of what is begun, 20 of what waits, for two workers.
        let both = [done, running(8.0, 12.0), running(10.0, 10.0), waiting];
        let expected = VideoStatus {
            done: 18,
            total: 40,
            workers: 2,
            seconds_left: Some(21.0),
        };
        assert_eq!(status(&both, None), expected);
        // The last chunk is not shared.
        let last = [done, running(8.0, 12.0), running(19.0, 1.0)];
        assert_eq!(status(&last, None).seconds_left, Some(12.0));
        let given_up = [running(8.0, 12.0), chunk(10, State::Failed, None)];
        assert_eq!(status(&given_up, None).seconds_left, Some(12.0));
    }

    #[test]
    fn what_nobody_knows_is_not_said() {
        let running = chunk(10, State::Running, Some((5.0, 0, None)));
        let waiting = chunk(10, State::Waiting, None);
        assert_eq!(status(&[running, waiting], None).seconds_left, None);
        assert_eq!(status(&[waiting], Some(1.0)).seconds_left, None);
        let known = status(&[running, waiting], Some(1.0));
        assert_eq!((known.workers, known.seconds_left), (1, Some(15.0)));
        let picture = chunk(0, State::Done, None);
        assert_eq!(VideoStatus::of([picture].into_iter(), None), None);
    }

    #[test]
    fn a_video_is_followed_by_what_workers_say() {
        let job = |number: u8| -> JobId { format!("{number:064x}").parse().expect("an id") };
        let entry = |number: u8| ManifestEntry {
            job: job(number),
            name: format!("clip/{number}").parse().expect("a name"),
            kind: None,
            labels: Labels::default().with(LABEL, "10"),
        };
        let mut followed = Followed::new(&[entry(1), entry(2)]).expect("is a video");
        let now = crate::clock::millis(std::time::SystemTime::now());
        let event = |number: u8, kind: Update| Event {
            job: job(number),
            worker: format!("worker-{number}"),
            attempt: 1,
            unix_millis: now,
            kind,
        };
        let progress = |unit: &str, done| Progress {
            unit: unit.to_owned(),
            done,
            seconds_left: Some(30.0),
            ..Progress::default()
        };
        // A later pass over the same frames takes none back.
        for done in [6, 2] {
            followed.update(&event(1, Update::Progress(progress("frames", done))), now);
        }
        let device = "cpu".to_owned();
        followed.update(&event(2, Update::Started { steps: 0, device }), now);
        let status = followed.status(now);
        assert_eq!((status.done, status.total, status.workers), (6, 20, 2));

        followed.attempt_ended(&job(2));
        let status = followed.status(now);
        assert_eq!((status.workers, status.seconds_left), (1, Some(60.0)));
        followed.over(&job(1), State::Done);
        let status = followed.status(now);
        assert_eq!((status.done, status.workers), (10, 0));
        // Who is silent is gone.
        followed.update(&event(2, Update::Progress(progress("frames", 3))), now);
        assert_eq!(followed.status(now).workers, 1);
        assert_eq!(followed.status(now + 60_000).workers, 0);

        let picture = ManifestEntry {
            labels: Labels::default(),
            ..entry(1)
        };
        assert!(Followed::new(&[picture]).is_none());
    }
}

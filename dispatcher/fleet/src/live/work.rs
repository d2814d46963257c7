//! Who is at which job, by workers' pulses.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use stylefleet_proto::{Event, JobId, Memory, Progress, Pulse};

use super::documents::LiveCurve;
use crate::clock::millis;
use crate::frames::{self, Stay};

/// A worker that was silent for so long is gone: it publishes every second.
const SILENCE: u64 = 15_000;
/// A job whose count of steps has stood for so long is stuck.
const STUCK: u64 = 600_000;
/// Points of a curve: when there are so many, every second is dropped.
const POINTS: usize = 512;

/// A worker that lives.
#[derive(Debug)]
pub(crate) struct Worker {
    pub name: String,
    pub device: String,
    pub progress: Option<Event<Progress>>,
    pub steps_per_second: Option<f64>,
    pub last_pulse: u64,
    pub memory: Option<Memory>,
}

/// What a worker is doing about a job.
#[derive(Debug)]
pub struct Work {
    /// The worker.
    pub worker: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When it was first seen at it: milliseconds since 1970-01-01 UTC.
    pub since: u64,
    /// Where it stands.
    pub progress: Option<Progress>,
    /// Steps of the latest progress picture.
    pub previewed: Option<u64>,
    /// Frames of a video that are made: later passes over them count from 0 again.
    frames: u64,
    /// When its steps last grew.
    moved: u64,
    last_pulse: u64,
    points: Vec<Point>,
    /// Only every so many pulses are points.
    stride: usize,
    pulses: usize,
}

#[derive(Debug)]
struct Point {
    phase: u32,
    steps: u64,
    figures: stylefleet_proto::Figures,
}

/// The workers, and the jobs that they are at.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    workers: BTreeMap<String, Worker>,
    work: HashMap<JobId, Work>,
}

impl Workers {
    /// A worker has begun a job.
    pub fn begin<K>(&mut self, event: &Event<K>) {
        let work = Work::new(&event.worker, event.attempt, event.unix_millis);
        self.work.insert(event.job, work);
    }

    /// A progress picture is in the store.
    pub fn previewed(&mut self, job: &JobId, steps: u64) {
        if let Some(work) = self.work.get_mut(job) {
            work.previewed = Some(steps);
        }
    }

    /// An attempt is over.
    pub fn end(&mut self, job: &JobId) {
        self.work.remove(job);
        for worker in self.workers.values_mut() {
            if worker
                .progress
                .as_ref()
                .is_some_and(|progress| progress.job == *job)
            {
                worker.progress = None;
                worker.steps_per_second = None;
            }
        }
    }

    /// A worker lives.
    pub fn pulse(&mut self, pulse: Pulse) {
        let now = millis(SystemTime::now());
        let before = self.workers.remove(&pulse.worker);
        if let Some(progress) = &pulse.progress {
            self.progressed(&pulse.worker, progress, now);
        }
        let worker = Worker {
            steps_per_second: speed(before.as_ref(), pulse.progress.as_ref()),
            name: pulse.worker.clone(),
            device: pulse.device,
            progress: pulse.progress,
            last_pulse: now,
            memory: pulse.memory,
        };
        self.workers.insert(pulse.worker, worker);
    }

    /// A job is further.
    pub fn progressed(&mut self, worker: &str, progress: &Event<Progress>, now: u64) {
        let begun = || Work::new(worker, progress.attempt, progress.unix_millis);
        let work = self.work.entry(progress.job).or_insert_with(begun);
        work.pulse(worker, progress, now);
    }

    /// Forgets workers that were silent for long. Returns whether there were any.
    pub fn forget_silent(&mut self, now: u64) -> bool {
        let is_alive = |last: u64| last + SILENCE > now;
        let before = self.workers.len();
        self.workers.retain(|_, worker| is_alive(worker.last_pulse));
        self.work.retain(|_, work| is_alive(work.last_pulse));
        self.workers.len() < before
    }

    /// What is done about a job.
    pub fn of(&self, job: &JobId) -> Option<&Work> {
        self.work.get(job)
    }

    /// What is done about each job that somebody is at.
    pub fn at_work(&self) -> impl Iterator<Item = (&JobId, &Work)> {
        self.work.iter()
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Worker> + Clone {
        self.workers.values()
    }

    /// How many there are, and how many of them have a job.
    pub fn count(&self) -> (usize, usize) {
        let busy = self
            .workers
            .values()
            .filter(|worker| worker.progress.is_some());
        (self.workers.len(), busy.count())
    }
}

/// Steps a second, smoothed over a few pulses.
fn speed(before: Option<&Worker>, now: Option<&Event<Progress>>) -> Option<f64> {
    let (now, before) = (now?, before?);
    let then = before
        .progress
        .as_ref()
        .filter(|then| then.job == now.job)?;
    let millis = now
        .unix_millis
        .checked_sub(then.unix_millis)
        .filter(|millis| *millis > 0);
    let Some(millis) = millis else {
        return before.steps_per_second;
    };
    let steps = now.kind.steps.saturating_sub(then.kind.steps) as f64;
    let speed = steps * 1000.0 / millis as f64;
    Some(
        before
            .steps_per_second
            .map_or(speed, |old| 0.8 * old + 0.2 * speed),
    )
}

impl Work {
    fn new(worker: &str, attempt: u32, since: u64) -> Self {
        let now = millis(SystemTime::now());
        Self {
            worker: worker.to_owned(),
            attempt,
            since,
            progress: None,
            previewed: None,
            frames: 0,
            moved: now,
            last_pulse: now,
            points: Vec::new(),
            stride: 1,
            pulses: 0,
        }
    }

    fn pulse(&mut self, worker: &str, progress: &Event<Progress>, now: u64) {
        let at = &progress.kind;
        if self.worker != worker {
            self.worker = worker.to_owned();
        }
        self.attempt = progress.attempt;
        self.last_pulse = now;
        let before = self.progress.as_ref();
        let is_other_phase = before.is_some_and(|before| before.phase != at.phase);
        if before.is_none_or(|before| before.steps < at.steps) {
            self.moved = now;
            self.add_point(at, is_other_phase);
        }
        if at.unit == frames::LABEL {
            self.frames = self.frames.max(at.done);
        }
        self.progress = Some(at.clone());
    }

    /// How far it is with a chunk of a video.
    pub(crate) fn stay(&self, now: u64) -> Stay {
        Stay {
            seconds: now.saturating_sub(self.since) as f64 / 1000.0,
            done: self.frames,
            seconds_left: self.progress.as_ref().and_then(|at| at.seconds_left),
        }
    }

    fn add_point(&mut self, at: &Progress, is_other_phase: bool) {
        let phase = self.points.last().map_or(1, |last| last.phase) + u32::from(is_other_phase);
        self.pulses += 1;
        if !self.pulses.is_multiple_of(self.stride) && !is_other_phase {
            return;
        }
        if at.figures.is_empty() {
            return;
        }
        self.points.push(Point {
            phase,
            steps: at.steps,
            figures: at.figures.clone(),
        });
        if self.points.len() == POINTS {
            let mut is_even = false;
            self.points.retain(|_| {
                is_even = !is_even;
                is_even
            });
            self.stride *= 2;
        }
    }

    /// Whether nothing has moved for long.
    pub fn is_stuck(&self, now: u64) -> bool {
        self.moved + STUCK < now
    }

    /// How the figures of its progress went.
    pub(super) fn curve(&self) -> LiveCurve {
        let mut curve = LiveCurve::default();
        for (index, point) in self.points.iter().enumerate() {
            curve.phase.push(point.phase);
            curve.steps.push(point.steps);
            for (name, value) in &point.figures {
                let values = curve.figures.entry(name.clone()).or_default();
                values.resize(index, None);
                values.push(Some(*value));
            }
        }
        for values in curve.figures.values_mut() {
            values.resize(self.points.len(), None);
        }
        curve
    }
}

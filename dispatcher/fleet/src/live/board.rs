//! What is known of a fleet: batches, the states of their jobs, who works, what happened.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use stylefleet_proto::lifecycle::settle;
use stylefleet_proto::{
    BatchId, Ended, Event, EventKind, JobId, Labels, Name, Pulse, Role, Update,
};
use stylefleet_transport::broker::{Depths, Notification};

use super::diary::{Diaries, Entry};
use super::documents::{
    BatchSummary, Depth, FleetSummary, LiveCurve, ResultSummary, Window, WorkerSummary,
};
use super::work::{Work, Workers};
use crate::activity::Rates;
use crate::batch::Batch;
use crate::frames::{self, Chunk, VideoStatus};
use crate::state::State;
use crate::status::{Counts, DamagedBatch};

/// The past that rates are taken from, in milliseconds.
const RATE_MILLIS: u64 = 600_000;
/// Depths that are kept: those of an hour.
const DEPTHS: usize = 360;
/// Changes that are kept. Whoever has missed more reads everything anew.
const CHANGES: usize = 10_000;
/// Jobs whose newest trouble is kept.
const TROUBLES: usize = 20_000;

/// What is known of a fleet.
#[derive(Debug)]
pub struct Board {
    /// When it began, in milliseconds since 1970-01-01 UTC: what was published before only tells of
    /// the past.
    begun: u64,
    version: u64,
    batches: BTreeMap<BatchId, KnownBatch>,
    damaged: BTreeMap<BatchId, String>,
    jobs: HashMap<JobId, KnownJob>,
    /// Those jobs by state.
    counts: Counts,
    /// Kinds and labels, each once: most results of a batch share them.
    traits: HashSet<Arc<Traits>>,
    workers: Workers,
    diaries: Diaries,
    troubles: HashMap<JobId, Trouble>,
    /// When jobs finished and attempts failed of late, in milliseconds.
    finished: VecDeque<u64>,
    failed: VecDeque<u64>,
    /// When the first event was, of those that were read.
    first_event: Option<u64>,
    depths: VecDeque<Depth>,
    /// Jobs by the version that changed them, the latest last.
    changes: VecDeque<(u64, JobId)>,
    store_trouble: Option<String>,
    broker_trouble: Option<String>,
    has_looked: bool,
    /// Workers told of jobs that no known batch wants: somebody has submitted some.
    has_strangers: bool,
}

#[derive(Debug)]
struct KnownBatch {
    unix_seconds: u64,
    results: Vec<KnownResult>,
    /// The kinds of its jobs.
    kinds: Vec<Role>,
    /// The keys of its documents.
    keys: Vec<String>,
    /// Whether the broker has all its jobs.
    is_accepted: bool,
    counts: Counts,
    finished: VecDeque<u64>,
    /// Its job that finished last.
    latest: Option<JobId>,
    version: u64,
}

#[derive(Debug)]
struct KnownResult {
    job: JobId,
    name: Name,
    traits: Arc<Traits>,
}

/// What many results have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Traits {
    kind: Option<Role>,
    labels: Labels,
}

#[derive(Debug)]
struct KnownJob {
    state: State,
    accepted: bool,
    /// The results that it makes.
    places: Vec<Place>,
}

/// Where a result is.
#[derive(Debug)]
struct Place {
    batch: BatchId,
    index: usize,
}

/// Why an attempt failed.
#[derive(Debug, Clone)]
struct Trouble {
    reason: String,
    attempt: u32,
}

/// Which results of a batch are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this state.
    pub state: Option<State>,
    /// Only those with this in their names, whatever its case, or whose ids begin so.
    pub text: String,
}

impl Filter {
    fn takes(&self, name: &Name, job: &JobId, state: State) -> bool {
        self.state.is_none_or(|wanted| wanted == state) && self.takes_text(name.as_ref(), job)
    }

    fn takes_text(&self, name: &str, job: &JobId) -> bool {
        self.text.is_empty()
            || contains(name, &self.text)
            || job.to_string().starts_with(&self.text)
    }
}

/// Whether `part`, in small letters, is in `text`.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(part)
}

impl Board {
    /// Nothing is known yet.
    pub(super) fn new(begun: u64) -> Self {
        Self {
            begun,
            version: 0,
            batches: BTreeMap::new(),
            damaged: BTreeMap::new(),
            jobs: HashMap::new(),
            counts: Counts::default(),
            traits: HashSet::new(),
            workers: Workers::default(),
            diaries: Diaries::default(),
            troubles: HashMap::new(),
            finished: VecDeque::new(),
            failed: VecDeque::new(),
            first_event: None,
            depths: VecDeque::new(),
            changes: VecDeque::new(),
            store_trouble: None,
            broker_trouble: Some("not connected yet".to_owned()),
            has_looked: false,
            has_strangers: false,
        }
    }

    /// Grows with each change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the store was read once.
    pub fn has_looked(&self) -> bool {
        self.has_looked
    }

    /// Jobs that changed since a version, each once; none: there were too many to tell.
    pub fn changed_jobs(&self, since: u64) -> Option<HashSet<JobId>> {
        let is_complete = self.changes.len() < CHANGES
            || self
                .changes
                .front()
                .is_none_or(|(first, _)| *first <= since);
        let late = self.changes.iter().rev();
        let late = late.take_while(|(version, _)| *version > since);
        is_complete.then(|| late.map(|(_, job)| *job).collect())
    }

    /// Batches that changed since a version.
    pub fn changed_batches(&self, since: u64) -> Vec<BatchId> {
        let changed = self
            .batches
            .iter()
            .filter(|(_, batch)| batch.version > since);
        changed.map(|(name, _)| name.clone()).collect()
    }

    // What the store says.

    /// Whether it was read, whatever has changed since.
    pub(super) fn has(&self, batch: &BatchId) -> bool {
        self.batches.contains_key(batch)
    }

    /// Whether the documents under these keys were read, and will not change.
    pub(super) fn knows(&self, batch: &BatchId, keys: &[String]) -> bool {
        let known = self.batches.get(batch);
        known.is_some_and(|known| known.is_accepted && known.keys == keys)
    }

    /// Forgets the batches that are gone.
    pub(super) fn keep_batches(&mut self, is_there: impl Fn(&BatchId) -> bool) {
        self.damaged.retain(|batch, _| is_there(batch));
        let gone: Vec<_> = self
            .batches
            .keys()
            .filter(|batch| !is_there(batch))
            .cloned()
            .collect();
        for batch in gone {
            self.remove(&batch);
        }
    }

    fn remove(&mut self, name: &BatchId) {
        let Some(batch) = self.batches.remove(name) else {
            return;
        };
        self.version += 1;
        self.release(name, batch.results);
    }

    /// Forgets the jobs of these results of a batch that no result wants any more.
    fn release(&mut self, name: &BatchId, results: Vec<KnownResult>) {
        for result in results {
            let Some(job) = self.jobs.get_mut(&result.job) else {
                continue;
            };
            // If the batch was read anew, its new places come after the old.
            if let Some(old) = job.places.iter().position(|place| place.batch == *name) {
                job.places.remove(old);
            }
            if job.places.is_empty() {
                *self.counts.of_state(job.state) -= 1;
                self.jobs.remove(&result.job);
            }
        }
    }

    /// Takes what a batch's documents say in place of what they said before.
    pub(super) fn add(&mut self, batch: &Batch, keys: Vec<String>) {
        let name = &batch.manifest.batch;
        self.damaged.remove(name);
        let unchanged = self.batches.get(name).is_some_and(|known| {
            known.results.len() == batch.manifest.jobs.len()
                && known
                    .results
                    .iter()
                    .zip(&batch.manifest.jobs)
                    .all(|(a, b)| a.job == b.job)
        });
        if unchanged {
            return self.accept(batch, keys);
        }
        let before = self.batches.remove(name);
        let finished = before.as_ref().map(|known| known.finished.clone());
        let latest = before.as_ref().and_then(|known| known.latest);
        let mut known = KnownBatch {
            unix_seconds: batch.manifest.unix_seconds,
            results: Vec::with_capacity(batch.manifest.jobs.len()),
            kinds: Vec::new(),
            keys: Vec::new(),
            is_accepted: false,
            counts: Counts::default(),
            finished: finished.unwrap_or_default(),
            latest,
            version: 0,
        };
        for (index, entry) in batch.manifest.jobs.iter().enumerate() {
            let counts = &mut self.counts;
            let job = self.jobs.entry(entry.job).or_insert_with(|| {
                *counts.of_state(State::NotAccepted) += 1;
                KnownJob {
                    state: State::NotAccepted,
                    accepted: false,
                    places: Vec::new(),
                }
            });
            job.places.push(Place {
                batch: name.clone(),
                index,
            });
            *known.counts.of_state(job.state) += 1;
            if let Some(kind) = entry
                .kind
                .as_ref()
                .filter(|kind| !known.kinds.contains(kind))
            {
                known.kinds.push(kind.clone());
            }
            let traits = self.traits_of(entry.kind.clone(), entry.labels.clone());
            known.results.push(KnownResult {
                job: entry.job,
                name: entry.name.clone(),
                traits,
            });
        }
        self.batches.insert(name.clone(), known);
        // Only now: what is known of jobs that it wants still is kept.
        if let Some(before) = before {
            self.release(name, before.results);
        }
        self.accept(batch, keys);
    }

    /// Notes which jobs the broker has.
    fn accept(&mut self, batch: &Batch, keys: Vec<String>) {
        for job in &batch.accepted.jobs {
            if let Some(known) = self.jobs.get_mut(job) {
                known.accepted = true;
                if known.state == State::NotAccepted {
                    self.set(job, State::Waiting);
                }
            }
        }
        self.version += 1;
        let version = self.version;
        if let Some(known) = self.batches.get_mut(&batch.manifest.batch) {
            known.is_accepted = batch
                .manifest
                .jobs
                .iter()
                .all(|e| batch.has_accepted(&e.job));
            known.keys = keys;
            known.version = version;
        }
    }

    fn traits_of(&mut self, kind: Option<Role>, labels: Labels) -> Arc<Traits> {
        let traits = Arc::new(Traits { kind, labels });
        if let Some(known) = self.traits.get(&traits) {
            return known.clone();
        }
        self.traits.insert(traits.clone());
        traits
    }

    /// Notes that a batch's documents cannot be used.
    pub(super) fn add_damaged(&mut self, batch: BatchId, reason: String) {
        if self.damaged.get(&batch) != Some(&reason) {
            self.remove(&batch);
            self.damaged.insert(batch, reason);
            self.version += 1;
        }
    }

    /// Jobs that are not done, and whether the broker has them, sorted: what the store finds fast.
    pub(super) fn open(&self) -> Vec<(JobId, Option<bool>)> {
        let open = self
            .jobs
            .iter()
            .filter(|(_, known)| known.state != State::Done);
        let mut open: Vec<_> = open
            .map(|(job, known)| (*job, Some(known.accepted)))
            .collect();
        open.sort_unstable();
        open
    }

    /// Whether the store answered.
    pub(super) fn store_answered(&mut self, answered: Result<(), String>) {
        self.has_strangers = false;
        let was_new = !self.has_looked;
        self.has_looked |= answered.is_ok();
        let trouble = answered.err();
        if self.store_trouble != trouble || (was_new && self.has_looked) {
            self.store_trouble = trouble;
            self.version += 1;
        }
    }

    /// Notes what has become of a job.
    pub(super) fn set(&mut self, job: &JobId, state: State) {
        let Some(known) = self.jobs.get_mut(job) else {
            return;
        };
        if known.state == state {
            return;
        }
        let before = std::mem::replace(&mut known.state, state);
        *self.counts.of_state(before) -= 1;
        *self.counts.of_state(state) += 1;
        self.version += 1;
        for place in &known.places {
            if let Some(batch) = self.batches.get_mut(&place.batch) {
                let counted = batch.counts.of_state(before);
                *counted = counted.saturating_sub(1);
                *batch.counts.of_state(state) += 1;
                batch.version = self.version;
                if state == State::Done {
                    batch.latest = Some(*job);
                }
            }
        }
        if matches!(state, State::Done | State::Cancelled) {
            self.troubles.remove(job);
        }
        self.note_change(*job);
    }

    fn note_change(&mut self, job: JobId) {
        if self.changes.len() == CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((self.version, job));
    }

    // What workers say.

    /// Takes what a worker published.
    pub(super) fn take(&mut self, notification: Notification) {
        match notification {
            Notification::Event(event) => self.event(event),
            Notification::Pulse(pulse) => self.pulse(pulse),
        }
        self.broker_trouble = None;
    }

    fn event(&mut self, event: Event) {
        let first = self.first_event.get_or_insert(event.unix_millis);
        *first = event.unix_millis.min(*first);
        self.version += 1;
        self.diaries.add(&event);
        self.note_change(event.job);
        self.has_strangers |= !self.jobs.contains_key(&event.job);
        let job = event.job;
        let is_news = event.unix_millis > self.begun;
        let state = match &event.kind {
            EventKind::Update(Update::Started { .. }) => {
                if is_news {
                    self.workers.begin(&event);
                }
                Some(State::Running)
            }
            EventKind::Update(Update::Previewed { steps }) => {
                self.workers.previewed(&job, *steps);
                None
            }
            EventKind::Update(_) => None,
            EventKind::Ended(ended) => {
                self.workers.end(&job);
                Some(self.ended(&event, ended))
            }
        };
        if let Some(state) = state.filter(|_| is_news) {
            self.set(&job, state);
        }
    }

    /// Counts the end of an attempt. Returns the state that it leaves the job in.
    fn ended(&mut self, event: &Event, ended: &Ended) -> State {
        let at = event.unix_millis;
        match ended {
            Ended::Finished { .. } => {
                self.finished.push_back(at);
                let places = self.jobs.get(&event.job).map(|job| &job.places);
                for place in places.into_iter().flatten() {
                    if let Some(batch) = self.batches.get_mut(&place.batch) {
                        batch.finished.push_back(at);
                        batch.latest = Some(event.job);
                    }
                }
                State::Done
            }
            Ended::Failed { reason, .. } => {
                self.failed.push_back(at);
                if self.troubles.len() < TROUBLES {
                    let (reason, attempt) = (reason.clone(), event.attempt);
                    self.troubles.insert(event.job, Trouble { reason, attempt });
                }
                if settle(event.attempt, ended).is_terminal() {
                    State::Failed
                } else {
                    State::Waiting
                }
            }
            Ended::Interrupted { .. } => State::Stopped,
            Ended::Cancelled => State::Cancelled,
        }
    }

    fn pulse(&mut self, pulse: Pulse) {
        let job = pulse.progress.as_ref().map(|progress| progress.job);
        self.version += 1;
        self.workers.pulse(pulse);
        if let Some(job) = job {
            let state = self.jobs.get(&job).map(|known| known.state);
            if matches!(
                state,
                Some(State::Waiting | State::Stopped | State::NotAccepted)
            ) {
                self.set(&job, State::Running);
            }
            self.note_change(job);
        }
    }

    /// Notes how deep the queues are.
    pub(super) fn depths(&mut self, depths: Depths, now: u64) {
        self.version += 1;
        self.broker_trouble = None;
        if self.depths.len() == DEPTHS {
            self.depths.pop_front();
        }
        let summary = self.workers.count();
        self.depths.push_back(Depth {
            unix_seconds: now / 1000,
            depths,
            workers: summary.0,
            busy: summary.1,
        });
    }

    /// Whether workers told of jobs that no known batch wants.
    pub(super) fn has_news_of_strangers(&self) -> bool {
        self.has_strangers
    }

    /// Whether more jobs wait than the last time: somebody has submitted some.
    pub(super) fn has_more_waiting(&self) -> bool {
        let mut latest = self.depths.iter().rev().map(|depth| depth.depths.waiting());
        let (now, before) = (latest.next(), latest.next());
        now > before
    }

    /// Notes that the broker cannot be reached.
    pub(super) fn broker_is_away(&mut self, trouble: String) {
        self.version += 1;
        self.broker_trouble = Some(trouble);
    }

    /// Forgets what is too old.
    pub(super) fn tick(&mut self, now: u64) {
        let oldest = now.saturating_sub(RATE_MILLIS);
        forget_before(&mut self.finished, oldest);
        forget_before(&mut self.failed, oldest);
        for batch in self.batches.values_mut() {
            forget_before(&mut batch.finished, oldest);
        }
        if self.workers.forget_silent(now) {
            self.version += 1;
        }
    }

    // What is read.

    /// All of the fleet, in numbers.
    pub fn summary(&self, now: u64) -> FleetSummary {
        let (workers, busy) = self.workers.count();
        let latest = self.depths.back().filter(|_| self.broker_trouble.is_none());
        let rates = self.rates(now);
        let waiting = latest.map(|depth| depth.depths);
        let left = waiting.filter(|_| rates.finished_per_hour > 0.0);
        FleetSummary {
            waiting,
            seconds_to_empty: left
                .map(|left| f64::from(left.waiting()) * 3600.0 / rates.finished_per_hour),
            rates,
            workers,
            busy,
            batches: self.batches.len(),
            jobs: self.counts,
            stuck: self.stuck(now),
            store_trouble: self.store_trouble.clone(),
            broker_trouble: self.broker_trouble.clone(),
        }
    }

    /// How many jobs a worker should be at, though nothing has moved for long.
    fn stuck(&self, now: u64) -> usize {
        let at_work = self.workers.at_work();
        let moving = at_work
            .filter(|(job, work)| self.state(job) == Some(State::Running) && !work.is_stuck(now));
        self.counts.running.saturating_sub(moving.count())
    }

    fn rates(&self, now: u64) -> Rates {
        let Some(first) = self.first_event else {
            return Rates::default();
        };
        let since = first.max(now.saturating_sub(RATE_MILLIS));
        let seconds = (now.saturating_sub(since) as f64 / 1000.0).max(1.0);
        let per_hour = |count: usize| count as f64 * 3600.0 / seconds;
        Rates {
            seconds,
            finished_per_hour: per_hour(self.finished.len()),
            failed_per_hour: per_hour(self.failed.len()),
        }
    }

    /// How deep the queues were, the oldest first.
    pub fn history(&self) -> Vec<Depth> {
        self.depths.iter().cloned().collect()
    }

    /// Batches whose names have `text` in them, the latest first.
    pub fn batches(
        &self,
        text: &str,
        offset: usize,
        limit: usize,
        now: u64,
    ) -> Window<BatchSummary> {
        let mut found: Vec<_> = self
            .batches
            .iter()
            .filter(|(name, _)| contains(name.as_ref(), text))
            .collect();
        found.sort_by_key(|(_, batch)| Reverse(batch.unix_seconds));
        Window {
            total: found.len(),
            items: found
                .into_iter()
                .skip(offset)
                .take(limit)
                .map(|(name, batch)| self.summary_of(name, batch, now))
                .collect(),
        }
    }

    /// A batch; none: there is none of that name.
    pub fn batch(&self, name: &BatchId, now: u64) -> Option<BatchSummary> {
        let batch = self.batches.get(name)?;
        Some(self.summary_of(name, batch, now))
    }

    /// The results of each batch by state.
    pub fn results_by_batch(&self) -> impl Iterator<Item = Counts> {
        self.batches.values().map(|batch| batch.counts)
    }

    /// How many batches there are.
    pub fn batch_count(&self) -> usize {
        self.batches.len()
    }

    /// Batches whose documents cannot be used.
    pub fn damaged(&self) -> Vec<DamagedBatch> {
        let damaged = self.damaged.iter();
        let damaged = damaged.map(|(batch, reason)| DamagedBatch {
            batch: batch.clone(),
            reason: reason.clone(),
        });
        damaged.collect()
    }

    fn summary_of(&self, name: &BatchId, batch: &KnownBatch, now: u64) -> BatchSummary {
        let counts = batch.counts;
        let open = counts.waiting + counts.stopped + counts.running;
        let recent = batch.finished.iter().filter(|at| **at + RATE_MILLIS > now);
        let rate = recent.clone().min().map(|first| {
            let seconds = (now.saturating_sub(*first) as f64 / 1000.0).max(1.0);
            recent.count() as f64 * 3600.0 / seconds
        });
        let of_running = || {
            let running = batch.results.iter().filter_map(|r| self.workers.of(&r.job));
            let left = running.filter_map(|work| work.progress.as_ref()?.seconds_left);
            (counts.waiting + counts.stopped == 0)
                .then(|| left.reduce(f64::max))
                .flatten()
        };
        let video = self.video_of(batch, now);
        let of_video = video.and_then(|video| video.seconds_left);
        BatchSummary {
            batch: name.clone(),
            video,
            unix_seconds: batch.unix_seconds,
            results: batch.results.len(),
            states: counts,
            kinds: batch.kinds.clone(),
            finished_per_hour: rate,
            seconds_left: match (open, rate) {
                (0, _) => None,
                _ if of_video.is_some() => of_video,
                (_, Some(rate)) => Some(open as f64 * 3600.0 / rate),
                (_, None) => of_running(),
            },
            latest: batch.latest,
        }
    }

    /// How far the video is whose chunks a batch has, if it has any.
    fn video_of(&self, batch: &KnownBatch, now: u64) -> Option<VideoStatus> {
        let first = batch.results.first()?;
        if frames::of(&first.traits.labels) == 0 {
            return None;
        }
        let chunk = |result: &KnownResult| Chunk {
            frames: frames::of(&result.traits.labels),
            state: self.state(&result.job).unwrap_or(State::Unknown),
            stay: self.workers.of(&result.job).map(|work| work.stay(now)),
        };
        VideoStatus::of(batch.results.iter().map(chunk), None)
    }

    /// Results of a batch that `filter` takes, in its order; none: there is no such batch.
    pub fn results(
        &self,
        name: &BatchId,
        filter: &Filter,
        offset: usize,
        limit: usize,
        now: u64,
    ) -> Option<Window<ResultSummary>> {
        let batch = self.batches.get(name)?;
        let found = batch.results.iter().filter(|result| {
            let state = self.jobs.get(&result.job).map(|job| job.state);
            filter.takes(&result.name, &result.job, state.unwrap_or(State::Unknown))
        });
        Some(Window {
            total: found.clone().count(),
            items: found
                .skip(offset)
                .take(limit)
                .map(|result| self.result(name, result, now))
                .collect(),
        })
    }

    /// Results of all batches with `text` in their names, or ids that begin so, the latest batch
    /// first.
    pub fn search(&self, text: &str, limit: usize, now: u64) -> Window<ResultSummary> {
        let filter = Filter {
            state: None,
            text: text.to_owned(),
        };
        let mut batches: Vec<_> = self.batches.iter().collect();
        batches.sort_by_key(|(_, batch)| Reverse(batch.unix_seconds));
        let results = batches
            .into_iter()
            .flat_map(|(name, batch)| batch.results.iter().map(move |result| (name, result)))
            .filter(|(_, result)| filter.takes_text(result.name.as_ref(), &result.job));
        Window {
            total: results.clone().count(),
            items: results
                .take(limit)
                .map(|(name, result)| self.result(name, result, now))
                .collect(),
        }
    }

    /// The results that a job makes.
    pub fn results_of(&self, job: &JobId, now: u64) -> Vec<ResultSummary> {
        let places = self.jobs.get(job).map(|job| &job.places);
        let results = places.into_iter().flatten().filter_map(|place| {
            let batch = self.batches.get(&place.batch)?;
            let result = batch.results.get(place.index)?;
            Some(self.result(&place.batch, result, now))
        });
        results.collect()
    }

    fn result(&self, batch: &BatchId, result: &KnownResult, now: u64) -> ResultSummary {
        let state = self
            .jobs
            .get(&result.job)
            .map_or(State::Unknown, |job| job.state);
        let work = self.work(&result.job);
        let trouble = self.troubles.get(&result.job);
        ResultSummary {
            job: result.job,
            batch: batch.clone(),
            name: result.name.clone(),
            state,
            kind: result.traits.kind.clone(),
            labels: result.traits.labels.clone(),
            progress: work.and_then(|work| work.progress.clone()),
            worker: work.map(|work| work.worker.clone()),
            since: work.map(|work| work.since / 1000),
            previewed: work.and_then(|work| work.previewed),
            is_stuck: state == State::Running && work.is_none_or(|work| work.is_stuck(now)),
            reason: trouble.map(|trouble| trouble.reason.clone()),
            attempt: trouble
                .map(|trouble| trouble.attempt)
                .or_else(|| work.map(|work| work.attempt)),
        }
    }

    /// What a worker is doing about a job, by its pulses.
    pub fn work(&self, job: &JobId) -> Option<&Work> {
        self.workers.of(job)
    }

    /// What has become of a job; none: no batch wants it.
    pub fn state(&self, job: &JobId) -> Option<State> {
        self.jobs.get(job).map(|job| job.state)
    }

    /// What happened to a job of late, the oldest first.
    pub fn diary(&self, job: &JobId) -> Vec<Entry> {
        self.diaries.of(job)
    }

    /// How the loss of a job at work has fallen so far.
    pub fn curve(&self, job: &JobId) -> Option<LiveCurve> {
        self.workers.of(job).map(Work::curve)
    }

    /// Workers with `text` in their names, by name.
    pub fn workers(&self, text: &str, offset: usize, limit: usize) -> Window<WorkerSummary> {
        let found = self
            .workers
            .all()
            .filter(|worker| contains(&worker.name, text));
        let summary = |worker: &super::work::Worker| {
            let job = worker.progress.as_ref().map(|progress| progress.job);
            let place = job.and_then(|job| self.results_of(&job, 0).into_iter().next());
            let (batch, name) = place.map(|place| (place.batch, place.name)).unzip();
            WorkerSummary {
                name: worker.name.clone(),
                device: worker.device.clone(),
                job,
                batch,
                result: name,
                progress: worker
                    .progress
                    .as_ref()
                    .map(|progress| progress.kind.clone()),
                steps_per_second: worker.steps_per_second,
                last_pulse_unix_millis: worker.last_pulse,
                memory_bytes: worker.memory.map(|memory| memory.used),
                memory_size_bytes: worker.memory.map(|memory| memory.size),
            }
        };
        Window {
            total: found.clone().count(),
            items: found.skip(offset).take(limit).map(summary).collect(),
        }
    }

    /// The jobs of a batch, each once; none: there is no such batch. `only_waiting`: those that no
    /// worker is at.
    pub fn jobs_of(&self, batch: &BatchId, only_waiting: bool) -> Option<Vec<JobId>> {
        let results = &self.batches.get(batch)?.results;
        let mut seen = HashSet::new();
        let jobs = results.iter().map(|result| result.job);
        Some(
            jobs.filter(|job| seen.insert(*job) && (!only_waiting || self.waits(job)))
                .collect(),
        )
    }

    /// Whether no worker is at a job.
    pub fn waits(&self, job: &JobId) -> bool {
        self.state(job) != Some(State::Running)
    }
}

fn forget_before(times: &mut VecDeque<u64>, oldest: u64) {
    // They come about in order.
    while times.front().is_some_and(|at| *at < oldest) {
        times.pop_front();
    }
}

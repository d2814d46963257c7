//! The books: what was asked, what there is, what it cost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::Ordering;

use serde_json::Value;
use stylefleet_proto::{Digest, Format, JobId, keys};

use crate::asked::Entry;
use crate::bucket::{self, Objects};
use crate::crew::{CHECKPOINT_SECONDS, Crew};
use crate::log::{self, Work};
use crate::storm::{Storm, Tally};

/// The account of a storm.
#[derive(Debug, Default)]
pub struct Ledger {
    submitted: usize,
    killed_submits: usize,
    failed_submits: usize,
    done: usize,
    /// Jobs that were set aside, by the reason.
    set_aside: BTreeMap<String, usize>,
    letters: usize,
    identical: usize,
    needed: u32,
    finished_again: usize,
    events: usize,
    work: Work,
    faults: Tally,
    hired: usize,
    endings: BTreeMap<&'static str, usize>,
    /// Objects of no more use, which do no harm.
    litter: usize,
    /// Why the books do not balance.
    pub complaints: Vec<String>,
}

/// Accounts for every job, after the storm.
pub fn balance(storm: &Storm<'_>, faults: Tally, crew: &Crew) -> Ledger {
    let mut ledger = Ledger {
        killed_submits: storm.asked.kills.load(Ordering::Relaxed),
        failed_submits: storm.asked.again.load(Ordering::Relaxed),
        finished_again: storm.heard.finished_again(),
        events: storm.heard.events(),
        faults,
        hired: crew.hired,
        endings: crew.endings.clone(),
        complaints: crew.broken.clone(),
        ..Ledger::default()
    };
    for (queue, count) in storm.queued() {
        ledger.complain(format!("{queue}: {count} messages are left"));
    }
    let entries = storm.asked.entries(storm.workshop);
    let jobs: BTreeSet<JobId> = entries.iter().map(|entry| entry.job).collect();
    ledger.submitted = jobs.len();
    if jobs.len() != storm.asked.jobs() {
        ledger.complain(format!("{} jobs were asked for", storm.asked.jobs()));
    }
    ledger.count_work(&log::read(crew.logs.path()));
    let mut objects = ledger.take_stock(storm);
    let mut fetched = Fetched::new(storm);
    for entry in &entries {
        match storm.asked.undisturbed(entry) {
            Some(picture) => ledger.check_done(entry, picture, &mut objects, &mut fetched),
            None => ledger.check_set_aside(storm, entry, &mut objects),
        }
    }
    for key in objects.keys() {
        match is_litter(key) {
            true => ledger.litter += 1,
            false => ledger.complain(format!("{key} is left behind")),
        }
    }
    ledger.check_letters(storm, &entries);
    ledger
}

/// Whether an object only takes room. A server that hangs may carry out a write long after its
/// sender has given up on it, tried again and tidied up.
fn is_litter(key: &str) -> bool {
    key.ends_with("/started.json") || key.ends_with("/checkpoint.safetensors")
}

impl Ledger {
    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    fn count_work(&mut self, logs: &std::collections::HashMap<String, Work>) {
        for work in logs.values() {
            self.work.attempts += work.attempts;
            self.work.resumed += work.resumed;
            self.work.spared += work.spared;
            self.work.evaluations += work.evaluations;
            self.work.finished += work.finished;
            self.work.interrupted += work.interrupted;
        }
    }

    /// What the jobs have in the bucket.
    fn take_stock(&mut self, storm: &Storm<'_>) -> Objects {
        let objects = bucket::list(&storm.workshop.fleet, storm.services, "jobs/");
        let objects = objects.expect("the store answers");
        storm.watched.look(&objects);
        for key in storm.watched.rewritten() {
            self.complain(format!("{key} was written more than once"));
        }
        objects
    }

    fn check_done(
        &mut self,
        entry: &Entry,
        undisturbed: &Digest,
        objects: &mut Objects,
        fetched: &mut Fetched<'_, '_>,
    ) {
        let Entry { job, name, .. } = entry;
        let storm = fetched.storm;
        if objects.remove(&keys::failed(job)).is_some() {
            let why = storm.workshop.document(&keys::failed(job));
            self.complain(format!("{name}, {job}, was set aside: {why:?}"));
        }
        objects.remove(&keys::picture(job, undisturbed, Format::Png));
        if objects.remove(&keys::result(job)).is_none() {
            self.complain(format!("{name}, {job}, is lost: it has no result"));
            return;
        }
        self.done += 1;
        let Some((picture, evaluations)) = fetched.picture(entry) else {
            self.complain(format!("{name}, {job}, has a result and no picture"));
            return;
        };
        self.needed += evaluations;
        if picture == *undisturbed {
            self.identical += 1;
        } else {
            self.complain(format!("{name}, {job}: the picture differs"));
        }
    }

    fn check_set_aside(&mut self, storm: &Storm<'_>, entry: &Entry, objects: &mut Objects) {
        let Entry { job, name, .. } = entry;
        if objects.contains_key(&keys::result(job)) {
            self.complain(format!("{name}, {job}, has a result without an input"));
        }
        objects.remove(&keys::failed(job));
        match storm.workshop.document(&keys::failed(job)) {
            Some(failure) => {
                let reason = failure["reason"].as_str().unwrap_or_default();
                let known = ["is not in the store", "is not the image it should be"];
                let reason = known.iter().find(|known| reason.contains(**known));
                match reason {
                    Some(reason) => *self.set_aside.entry((*reason).to_owned()).or_default() += 1,
                    None => self.complain(format!("{name}, {job}, was set aside: {failure}")),
                }
            }
            None => self.complain(format!("{name}, {job}, is lost: it was not set aside")),
        }
    }

    /// Every job that was set aside is a dead letter, and nothing else is.
    fn check_letters(&mut self, storm: &Storm<'_>, entries: &[Entry]) {
        let dead = storm.workshop.ask(&["dead list"]);
        let dead = dead["dead"].as_array().expect("a list");
        let ids: BTreeSet<_> = dead
            .iter()
            .map(|d| d["id"].as_str().unwrap_or_default())
            .collect();
        let bad = entries
            .iter()
            .filter(|entry| storm.asked.undisturbed(entry).is_none());
        let bad: BTreeSet<_> = bad.map(|entry| entry.job.to_string()).collect();
        if ids != bad.iter().map(String::as_str).collect() {
            self.complain(format!("the dead letters are {dead:?}"));
        }
        let letters = dead.iter().filter_map(|d| d["letters"].as_u64());
        self.letters = letters.sum::<u64>() as usize;
    }
}

/// Pictures as people fetch them, batch by batch.
struct Fetched<'storm, 'env> {
    storm: &'storm Storm<'env>,
    batches: BTreeSet<String>,
}

impl<'storm, 'env> Fetched<'storm, 'env> {
    fn new(storm: &'storm Storm<'env>) -> Self {
        Self {
            storm,
            batches: BTreeSet::new(),
        }
    }

    /// The picture and the evaluations that it took.
    fn picture(&mut self, entry: &Entry) -> Option<(Digest, u32)> {
        let Entry { batch, name, .. } = entry;
        if self.batches.insert(batch.clone()) {
            let args = format!("fetch {batch} --out fetched/{batch}");
            self.storm.workshop.start(&[&args]).end();
        }
        let scene = &self.storm.workshop.scene;
        let file = |ending| format!("fetched/{batch}/{name}.{ending}");
        let picture = std::fs::read(scene.path(file("png"))).ok()?;
        let story: Value = scene.json(file("json"));
        Some((Digest::of(&picture), story["evaluations"].as_u64()? as u32))
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set_aside: usize = self.set_aside.values().sum();
        writeln!(
            f,
            "jobs        {} submitted = {} done + {set_aside} set aside",
            self.submitted, self.done
        )?;
        writeln!(
            f,
            "submits     {} killed, {} in vain while a server was away",
            self.killed_submits, self.failed_submits
        )?;
        writeln!(
            f,
            "set aside   {}, in {} dead letters",
            counts(&self.set_aside),
            self.letters
        )?;
        writeln!(
            f,
            "pictures    {} bit-identical to their undisturbed runs",
            self.identical
        )?;
        writeln!(f, "left over   {} objects that only take room", self.litter)?;
        writeln!(
            f,
            "told        {} events; {} times a job was found to be finished already",
            self.events, self.finished_again
        )?;
        let Work {
            attempts,
            resumed,
            spared,
            evaluations,
            finished,
            interrupted,
        } = self.work;
        writeln!(
            f,
            "attempts    {attempts} begun: {interrupted} interrupted in good order, {resumed} went on from a checkpoint; jobs ended {finished} times"
        )?;
        let wasted = evaluations.saturating_sub(self.needed);
        let cut_short = attempts.saturating_sub(self.done as u32).max(1);
        writeln!(
            f,
            "evaluations {evaluations} made, {} needed: {wasted} wasted, {:.1} for each of {cut_short} attempts too many; checkpoints, {CHECKPOINT_SECONDS} s apart, spared {spared}",
            self.needed,
            f64::from(wasted) / f64::from(cut_short)
        )?;
        let faults: usize = self.faults.values().sum();
        let kinds = self
            .faults
            .iter()
            .map(|(kind, count)| (format!("{kind:?}"), *count));
        writeln!(f, "faults      {faults}: {}", counts(&kinds.collect()))?;
        let endings = self
            .endings
            .iter()
            .map(|(ending, count)| ((*ending).to_owned(), *count));
        writeln!(
            f,
            "workers     {} began: {}",
            self.hired,
            counts(&endings.collect())
        )
    }
}

fn counts(counts: &BTreeMap<String, usize>) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    words.join(", ")
}

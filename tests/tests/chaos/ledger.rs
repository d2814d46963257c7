//! The books: what was asked, what there is, what it cost.
//!
//! They balance if every job is done or was rightly set aside, every result was written once, every
//! picture, network and video is the undisturbed one to the last bit, and no message is left in a
//! queue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::fs;
use std::sync::atomic::Ordering;

use stylefleet_proto::{Digest, JobId, keys};

use crate::asked::{Entry, Film, Made};
use crate::bucket::{self, Objects};
use crate::log::{self, Work};
use crate::storm::{Storm, Tally};
use crate::workers::{CHECKPOINT_SECONDS, Workers};

/// Reasons for which jobs are to be set aside.
const REASONS: [&str; 2] = ["is not in the store", "is not the file it should be"];

/// The account of a storm.
#[derive(Debug)]
pub struct Ledger<'a> {
    storm: &'a Storm<'a>,
    workers: &'a Workers,
    faults: Tally,
    work: Work,
    submitted: usize,
    done: usize,
    identical: usize,
    /// Evaluations and seconds that the results took.
    needed: (u64, f64),
    /// Jobs that were set aside, by the reason.
    set_aside: BTreeMap<&'static str, usize>,
    letters: u64,
    /// Objects of no more use, which do no harm.
    litter: Vec<String>,
    /// Why the books do not balance.
    pub complaints: Vec<String>,
}

/// Accounts for every job, after the storm.
pub fn balance<'a>(storm: &'a Storm<'a>, faults: Tally, workers: &'a Workers) -> Ledger<'a> {
    let entries = storm.asked.entries(storm.workshop, storm.services);
    let jobs: BTreeSet<JobId> = entries.iter().map(|entry| entry.job).collect();
    let mut ledger = Ledger {
        storm,
        workers,
        faults,
        work: log::read(workers.logs.path()),
        submitted: jobs.len(),
        done: 0,
        identical: 0,
        needed: (0, 0.0),
        set_aside: BTreeMap::new(),
        letters: 0,
        litter: Vec::new(),
        complaints: workers.broken.clone(),
    };
    if jobs.len() != storm.asked.jobs() {
        let asked = storm.asked.jobs();
        ledger.complain(format!("{asked} jobs were asked for, not {}", jobs.len()));
    }
    for batch in storm.asked.batches() {
        // A picture that is missing is found out below.
        let fetch = format!("fetch {batch} --out {batch}");
        storm.workshop.start(&[&fetch]).end();
    }
    for film in storm.asked.films() {
        ledger.check_film(&film);
    }
    let mut objects = ledger.take_stock();
    for entry in &entries {
        match storm.asked.undisturbed(entry) {
            Some(made) => ledger.check_done(entry, made, &mut objects),
            None => ledger.check_set_aside(entry, &mut objects),
        }
    }
    ledger.check_rest(objects);
    for (queue, count) in storm.queued() {
        ledger.complain(format!("{queue}: {count} messages are left"));
    }
    ledger.check_letters(&entries);
    ledger
}

impl Ledger<'_> {
    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    /// What the jobs have in the bucket.
    fn take_stock(&mut self) -> Objects {
        let Storm {
            workshop, watched, ..
        } = self.storm;
        let objects = bucket::of_jobs(&workshop.fleet, self.storm.services);
        let objects = objects.expect("the store answers");
        watched.look(&objects);
        for key in watched.rewritten() {
            self.complain(format!("{key} was written more than once, or removed"));
        }
        objects
    }

    /// Strikes what the job should have off the objects.
    fn check_done(&mut self, entry: &Entry, undisturbed: &Made, objects: &mut Objects) {
        let Entry { job, batch, name } = entry;
        if objects.remove(&keys::failed(job)).is_some() {
            let why = self.storm.workshop.document(&keys::failed(job));
            self.complain(format!("{name}, {job}, was set aside: {why:?}"));
        }
        let role = |role: &str| role.parse().expect("a role");
        let Made {
            role: main,
            ending,
            digest,
            others,
        } = undisturbed;
        objects.remove(&keys::output(job, &role(main), digest, ending));
        for other in *others {
            let is_it = |key: &String, _: &mut String| keys::is_output(job, &role(other), key);
            if objects.extract_if(.., is_it).count() != 1 {
                self.complain(format!("{name}, {job}, has not one {other}"));
            }
        }
        if objects.remove(&keys::result(job)).is_none() {
            self.complain(format!("{name}, {job}, is lost: it has no result"));
            return;
        }
        self.done += 1;
        let scene = &self.storm.workshop.scene;
        match fs::read(scene.path(format!("{batch}/{name}.{ending}"))) {
            Err(_) => self.complain(format!("{name}, {job}, has a result and no {main}")),
            Ok(made) if Digest::of(&made) != *digest => {
                self.complain(format!("{name}, {job}: the {main} differs"));
            }
            Ok(_) => {
                self.identical += 1;
                let story = scene.json(format!("{batch}/{name}.json"));
                self.needed.0 += story["steps"].as_u64().expect("a number");
                self.needed.1 += story["seconds"].as_f64().expect("a number");
            }
        }
    }

    /// Joins the chunks of a video, which has to be the undisturbed one with its sound.
    fn check_film(&mut self, film: &Film) {
        let Storm { workshop, .. } = self.storm;
        let Film { batch, undisturbed } = film;
        let file = format!("{batch}.mkv");
        let fetch = format!("fetch-video {batch} --out {file}");
        let fetched = workshop.start_plain(&[&fetch]).end();
        let made = fs::read(workshop.scene.path(&file));
        if made.ok() != Some(workshop.scene.read(undisturbed)) {
            self.complain(format!("{batch}: the video differs: {}", fetched.so_far()));
        }
    }

    fn check_set_aside(&mut self, entry: &Entry, objects: &mut Objects) {
        let Entry { job, name, .. } = entry;
        if objects.remove(&keys::failed(job)).is_none() {
            self.complain(format!("{name}, {job}, is lost: it was not set aside"));
            return;
        }
        let failure = self.storm.workshop.document(&keys::failed(job));
        let failure = failure.expect("was there just now");
        let reason = failure["reason"].as_str().unwrap_or_default();
        match REASONS.iter().find(|known| reason.contains(**known)) {
            Some(known) => *self.set_aside.entry(known).or_default() += 1,
            None => self.complain(format!("{name}, {job}, was set aside: {failure}")),
        }
    }

    /// What no job should have. A worker that stood still, or a server that did, may carry out a
    /// write long after others have finished the job and tidied up, and then be struck before it
    /// can tidy up itself: litter, which only takes room. There cannot be more than faults.
    fn check_rest(&mut self, objects: Objects) {
        let is_litter = |key: &String| {
            let folders = ["started/", "checkpoints/"];
            folders.iter().any(|folder| key.starts_with(folder))
        };
        let (litter, rest): (Vec<_>, Vec<_>) = objects.into_keys().partition(is_litter);
        for key in rest {
            self.complain(format!("{key} is left behind"));
        }
        let faults: usize = self.faults.values().sum();
        if litter.len() > faults {
            self.complain(format!("{litter:?} are left behind, by {faults} faults"));
        }
        self.litter = litter;
    }

    /// Every job that was set aside is a dead letter, and nothing else is.
    fn check_letters(&mut self, entries: &[Entry]) {
        let Storm {
            workshop, asked, ..
        } = self.storm;
        let answer = workshop.ask(&["dead list"]);
        let dead = answer["dead"].as_array().expect("a list");
        let ids: BTreeSet<_> = dead.iter().filter_map(|d| d["id"].as_str()).collect();
        let bad = entries
            .iter()
            .filter(|entry| asked.undisturbed(entry).is_none());
        let bad: BTreeSet<_> = bad.map(|entry| entry.job.to_string()).collect();
        if ids != bad.iter().map(String::as_str).collect() {
            self.complain(format!("the dead letters are {ids:?}"));
        }
        self.letters = dead.iter().filter_map(|d| d["letters"].as_u64()).sum();
    }
}

impl Display for Ledger<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Storm { asked, events, .. } = self.storm;
        let Work {
            attempts,
            resumed,
            spared,
            steps,
            given_back,
            found_done,
        } = self.work;
        let mut row = |name: &str, text: String| writeln!(f, "{name:12}{text}");

        let (submitted, done) = (self.submitted, self.done);
        let set_aside: usize = self.set_aside.values().sum();
        let sum = format!("{submitted} submitted = {done} done + {set_aside} set aside");
        row("jobs", sum)?;
        let [killed, again] = [&asked.kills, &asked.again].map(|n| n.load(Ordering::Relaxed));
        let submits = format!("{killed} killed, {again} in vain: a server was away");
        row("submits", submits)?;
        let identical = self.identical;
        row(
            "results",
            format!("{identical} are the undisturbed ones, bit by bit"),
        )?;
        let letters = self.letters;
        let reasons = counts(&self.set_aside);
        row("set aside", format!("{reasons}: {letters} dead letters"))?;

        let kinds = self
            .faults
            .iter()
            .map(|(kind, count)| (format!("{kind:?}"), *count));
        let kinds: BTreeMap<_, _> = kinds.collect();
        let faults: usize = kinds.values().sum();
        row("faults", format!("{faults}: {}", counts(&kinds)))?;
        let workers = self.workers;
        row(
            "workers",
            format!("{}: {}", workers.started, counts(&workers.endings)),
        )?;

        let deliveries = format!(
            "{attempts}: {given_back} given back in good order, {resumed} from a checkpoint; \
             {found_done} deliveries found the job done"
        );
        row("attempts", deliveries)?;
        let (published, again) = (events.events(), events.finished_again());
        row(
            "published",
            format!("{published} events; {again} of a job known to be finished"),
        )?;
        let litter = &self.litter;
        row(
            "litter",
            format!("{} objects that only take room {litter:?}", litter.len()),
        )?;

        let (needed, seconds) = self.needed;
        let wasted = steps as f64 - needed as f64;
        let more = attempts.saturating_sub(done);
        let each = wasted / more.max(1) as f64;
        let cost = format!(
            "{steps} made, {needed} needed, {wasted} wasted: {each:.1} for each of the \
             {more} attempts more than jobs; checkpoints spared {spared}"
        );
        row("steps", cost)?;
        let distance = CHECKPOINT_SECONDS * needed as f64 / seconds;
        let text = format!("every {CHECKPOINT_SECONDS} s at most: {distance:.1} steps");
        row("checkpoints", text)
    }
}

fn counts<T: Display>(counts: &BTreeMap<T, usize>) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    words.join(", ")
}

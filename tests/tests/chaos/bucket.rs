//! What lies in the bucket, asked without Stylefleet.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread::Scope;
use std::time::Duration;

use stylefleet_tests::services::{Fleet, Services};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Where results lie.
const RESULTS: &str = "results/";
/// Where the reasons of jobs that were set aside lie.
const FAILURES: &str = "failures/";
/// Where the inputs and what was asked lie, which no worker writes.
const ASKED: [&str; 3] = ["identity", "inputs/", "batches/"];

/// Objects and the hash of their content.
pub type Objects = BTreeMap<String, String>;

/// Keeps an eye on the jobs' objects.
#[derive(Debug, Default)]
pub struct Watched {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// As they were seen first.
    results: Objects,
    rewritten: Vec<String>,
    over: usize,
}

impl Watched {
    /// Looks again and again until what this returns is dropped.
    pub fn keep_looking<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        fleet: &'env Fleet<'env>,
        services: &'env Services,
    ) -> Sender<()> {
        let (stop, stopped) = channel();
        scope.spawn(move || {
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                // The store may be away.
                if let Some(objects) = of_jobs(fleet, services) {
                    self.look(&objects);
                }
            }
        });
        stop
    }

    /// Compares what is there with what was.
    pub fn look(&self, objects: &Objects) {
        let mut seen = self.lock();
        let is_end = |key: &&String| key.starts_with(RESULTS) || key.starts_with(FAILURES);
        seen.over = objects.keys().filter(is_end).count();
        for (key, hash) in objects.iter().filter(|(key, _)| key.starts_with(RESULTS)) {
            let first = seen.results.entry(key.clone()).or_insert(hash.clone());
            if first != hash {
                seen.rewritten.push(key.clone());
            }
        }
        let lost = seen
            .results
            .keys()
            .filter(|key| !objects.contains_key(*key));
        let lost: Vec<_> = lost.cloned().collect();
        seen.rewritten.extend(lost);
    }

    /// Jobs that are done or set aside.
    pub fn over(&self) -> usize {
        self.lock().over
    }

    /// Results that changed or went after they were there.
    pub fn rewritten(&self) -> Vec<String> {
        let mut rewritten = self.lock().rewritten.clone();
        rewritten.sort();
        rewritten.dedup();
        rewritten
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no thread panicked")
    }
}

/// The objects of jobs; none if the store does not answer.
pub fn of_jobs(fleet: &Fleet<'_>, services: &Services) -> Option<Objects> {
    let mut objects = list(fleet, services)?;
    objects.retain(|key, _| !ASKED.iter().any(|folder| key.starts_with(folder)));
    Some(objects)
}

/// All objects; none if the store does not answer.
pub fn list(fleet: &Fleet<'_>, services: &Services) -> Option<Objects> {
    let bucket = fleet
        .store
        .replacen("s3:/", services.setting("STYLEFLEET_S3_ENDPOINT"), 1);
    let user = format!(
        "{}:{}",
        services.setting("AWS_ACCESS_KEY_ID"),
        services.setting("AWS_SECRET_ACCESS_KEY")
    );
    let coded = |key: &str| key.replace('/', "%2F");
    let mut objects = Objects::new();
    loop {
        let after = objects.last_key_value().map_or("", |(key, _)| key);
        let url = format!("{bucket}?list-type=2&start-after={}", coded(after));
        let answer = Command::new("curl")
            .args(["-sS", "--fail", "--max-time", "20", "--user", &user])
            .args(["--aws-sigv4", "aws:amz:us-east-1:s3", &url])
            .output()
            .expect("curl runs");
        if !answer.status.success() {
            return None;
        }
        let page = String::from_utf8(answer.stdout).ok()?;
        let part = |object: &str, name: &str| {
            let (_, rest) = object.split_once(&format!("<{name}>"))?;
            Some(rest.split_once('<')?.0.to_owned())
        };
        let found = page.split("<Contents>").skip(1);
        objects.extend(found.filter_map(|o| Some((part(o, "Key")?, part(o, "ETag")?))));
        if !page.contains("<IsTruncated>true") {
            return Some(objects);
        }
    }
}

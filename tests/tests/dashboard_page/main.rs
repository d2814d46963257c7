//! The dashboard's page in a real browser, over a real fleet.

mod demo;
mod outages;
mod trust;
mod views;
mod work;

use std::process::Command;

use serde_json::{Value, json};
use stylefleet_tests::Run;
use stylefleet_tests::browser::Browser;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::services::Services;

/// Over in a moment.
const SHORT: &str = "--style wave.png --size 16 --scales 1 --evaluations 2";
/// Never over, unless somebody cancels it.
const ENDLESS: &str = "--style wave.png --size 32 --scales 1 --evaluations 100000 --optimizer adam";

/// The id of a job of [`Shown::record`].
fn job(number: u32) -> String {
    format!("{number:064x}")
}

/// A fleet, its dashboard, and a browser that shows it.
struct Shown<'a> {
    browser: Browser, // first: it is closed before what it shows
    dashboard: Run,
    url: String,
    workshop: Workshop<'a>,
}

impl<'a> Shown<'a> {
    /// None where no browser can be had.
    fn new(what: &str) -> Option<Self> {
        Self::of(what, |_| {})
    }

    /// The same of a dashboard with other settings.
    fn of(what: &str, change: impl FnOnce(&mut Command)) -> Option<Self> {
        let browser = Browser::open(what)?;
        let workshop = Workshop::new(Services::shared());
        let mut command = workshop.command(&["dashboard --listen 127.0.0.1:0"]);
        change(&mut command);
        let mut dashboard = Run::start(command);
        let url = dashboard.wait_for_output();
        Some(Self {
            workshop,
            dashboard,
            url,
            browser,
        })
    }

    /// Goes to a view.
    fn go(&self, view: &str) {
        self.browser.go(&format!("{}{view}", self.url));
    }

    /// Adds half a picture, which looks like one until a worker reads it.
    fn add_half(&self, picture: &str, name: &str) {
        let whole = self.workshop.scene.read(picture);
        self.workshop.scene.write(name, &whole[..whole.len() / 2]);
    }

    /// Submits a batch that a worker then ends.
    fn finish(&self, batch: &str, contents: &str) {
        let submit = [contents, SHORT, "--batch", batch];
        self.workshop.submit(&submit);
        let worker = self.workshop.start_worker(&[]);
        self.workshop.watch(batch).end();
        worker.signal("TERM");
        worker.end().expect_code(0);
    }

    /// Has the store know a batch of so many jobs that are in no queue.
    fn record(&self, batch: &str, jobs: u32) {
        let entry = |number| json!({"job": job(number), "name": format!("picture-{number}")});
        let jobs: Vec<_> = (1..=jobs).map(entry).collect();
        let manifest = json!({"batch": batch, "jobs": jobs, "unix_seconds": 1_790_000_000});
        let key = format!("batches/{batch}/01790000000000-0000000000000001.manifest.json");
        self.put(&key, &manifest);
    }

    fn put(&self, key: &str, document: &Value) {
        let scene = &self.workshop.scene;
        scene.write("document.json", document.to_string());
        self.workshop.put(key, &scene.path("document.json"));
    }

    fn state_of(&self, batch: &str, state: &str) -> Value {
        self.workshop.ask(&["status", batch])["states"][state].clone()
    }

    /// Fails if the browser's console has a warning or an error.
    fn expect_no_complaints(&self) {
        let complaints = self.browser.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

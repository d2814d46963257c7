//! A fleet at work: workers as services and the dispatcher's commands, each with the rights that
//! it needs and no more.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::processes::wait_until;
use crate::services::{Fleet, Services, curl};
use crate::{Programs, Run, Scene};

/// A vhost with its queues, a bucket, and a folder with pictures: `boat.png`, `car.png` and the
/// style `wave.png`.
#[derive(Debug)]
pub struct Workshop<'a> {
    /// The vhost and the bucket.
    pub fleet: Fleet<'a>,
    /// The folder that commands run in.
    pub scene: Scene,
    /// What runs.
    programs: Programs,
}

impl<'a> Workshop<'a> {
    /// A new one, whose queues the administrator has declared.
    pub fn new(services: &'a Services) -> Self {
        Self::of(services, Programs::standard())
    }

    /// The same of these programs.
    pub fn of(services: &'a Services, programs: Programs) -> Self {
        let scene = Scene::with_pictures();
        scene.add_content("car.png", 2);
        let workshop = Self {
            fleet: services.fleet(),
            scene,
            programs,
        };
        let mut declare = workshop.command(&["doctor --declare"]);
        declare.env("STYLEFLEET_BROKER", &workshop.fleet.broker);
        Run::start(declare).end().expect_code(0);
        workshop
    }

    /// A command of `stylefleet`, with the dispatcher's rights. Several arguments may be in one
    /// text, parted by blanks.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.scene.command(&self.programs.dispatcher);
        command
            .args(args.iter().flat_map(|arg| arg.split(' ')))
            .envs(self.fleet.environment(&self.fleet.dispatcher));
        command
    }

    /// Starts [`Self::command`] with `--json`.
    pub fn start(&self, args: &[&str]) -> Run {
        let mut command = self.command(args);
        command.arg("--json");
        Run::start(command)
    }

    /// Starts [`Self::command`], for people.
    pub fn start_plain(&self, args: &[&str]) -> Run {
        Run::start(self.command(args))
    }

    /// The JSON document that a command prints. It has to succeed.
    pub fn ask(&self, args: &[&str]) -> Value {
        let ended = self.start(args).end().expect_code(0);
        let answer = serde_json::from_str(&ended.stdout.concat());
        answer.unwrap_or_else(|e| panic!("{e}\n{}", ended.so_far()))
    }

    /// Submits what `args` say, and gives the batch's name.
    pub fn submit(&self, args: &[&str]) -> String {
        let submitted = self.ask(&[&["submit"], args].concat());
        submitted["batch"].as_str().expect("a name").to_owned()
    }

    /// Follows a batch from its beginning, whenever this is called.
    pub fn watch(&self, batch: &str) -> Run {
        self.start(&["watch", batch])
    }

    /// `stylefleet-worker serve`, small and quick, with a cache that this workshop's workers share.
    pub fn worker(&self) -> Command {
        self.worker_of(&self.programs.worker)
    }

    /// The same of another worker's executable.
    pub fn worker_of(&self, program: &Path) -> Command {
        let mut command = self.scene.command(program);
        command
            .arg("serve")
            .envs(self.fleet.environment(&self.fleet.worker))
            .env("STYLEFLEET_CACHE", self.scene.path("cache"))
            .env("STYLEFLEET_WEIGHTS", weights())
            .env("STYLEFLEET_DEVICE", "cpu")
            .env("STYLEFLEET_THREADS", "1")
            .env("STYLEFLEET_CHECKPOINT_SECONDS", "0")
            .env("OMP_NUM_THREADS", "1");
        command
    }

    /// Starts [`Self::worker`] with further settings, and waits until it takes jobs.
    pub fn start_worker(&self, settings: &[(&str, &str)]) -> Run {
        let mut command = self.worker();
        command.envs(settings.iter().copied());
        started(command)
    }

    /// An object of the bucket, if it is there.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        let file = self
            .scene
            .path(format!("object-{:016x}", fastrand::u64(..)));
        let path = file.to_str().expect("a plain path");
        let status = ["-w", "%{http_code}", "--no-fail", "-o", path];
        let url = self.fleet.object_url(key);
        match curl(&[&status[..], &[&url]].concat()).as_str() {
            "200" => Some(std::fs::read(file).unwrap_or_default()), // curl makes no empty file
            "404" => None,
            other => panic!("{key}: the store answers {other}"),
        }
    }

    /// A JSON object of the bucket, if it is there.
    pub fn document(&self, key: &str) -> Option<Value> {
        let bytes = self.object(key)?;
        Some(serde_json::from_slice(&bytes).expect("JSON"))
    }

    /// Puts a file into the bucket, with nobody's leave.
    pub fn put(&self, key: &str, file: &Path) {
        let path = file.to_str().expect("a plain path");
        curl(&["-T", path, &self.fleet.object_url(key)]);
    }

    /// Removes an object, or a folder that ends in `/`.
    pub fn remove(&self, key: &str) {
        let url = format!("{}?recursive=true", self.fleet.object_url(key));
        curl(&["-X", "DELETE", &url]);
    }

    /// Fails unless every queue is empty.
    pub fn expect_nothing_waits(&self) {
        let waiting = &self.ask(&["queue"])["waiting"];
        let counts = waiting.as_object().expect("counts");
        assert!(counts.len() >= 3, "not every queue is counted: {waiting}");
        assert!(counts.values().all(|count| count == 0), "{waiting}");
    }

    /// Waits until an object is there.
    pub fn wait_for_object(&self, key: &str) {
        wait_until(&format!("there is {key}"), || self.object(key).is_some());
    }
}

/// Starts a worker, and waits until it takes jobs.
pub fn started(worker: Command) -> Run {
    let mut worker = Run::start(worker);
    worker.wait_for_line("takes jobs on");
    worker
}

/// The weights that tests work with.
fn weights() -> PathBuf {
    let path = std::env::var_os("STYLEFLEET_WEIGHTS");
    path.expect("STYLEFLEET_WEIGHTS: `make test` sets it")
        .into()
}

//! The guides for beginners: their commands do what the text around them says, as they stand there.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use stylefleet_tests::services::{Script, root};
use stylefleet_tests::{Ended, Run, Scene, stylefleet};

/// The one command that is not run: `make test` has done it, and the copy has nothing to build.
const BUILD: &str = "make build";

/// Somebody with a checkout of their own, and the programs in their PATH.
struct Reader {
    checkout: Scene,
    /// What `make services` starts there.
    services: Script,
}

/// A shell's process and all that it started.
struct Group(u32);

impl Reader {
    fn new() -> Self {
        let checkout = Scene::new();
        let mut copy = Command::new("cp");
        copy.arg("-r")
            .args(["deploy", "Makefile"].map(|name| root().join(name)));
        let copied = copy.arg(checkout.path("")).status();
        assert!(copied.is_ok_and(|status| status.success()), "{copy:?}");
        let services = Script {
            folder: checkout.path(".services"),
            namespace: None,
        };
        Self { checkout, services }
    }

    /// Does what a page says, in one shell and to the end.
    fn follow(&self, page: &str) -> Ended {
        let blocks = blocks(page);
        assert!(blocks.len() > 3, "{page} has no commands any more");
        let done = |number: usize| format!("{page}: block {number} is done");
        let script: String = (0..)
            .zip(&blocks)
            .map(|(number, block)| format!("{block}echo '{}' >&2\n", done(number)))
            .collect();
        let programs = stylefleet();
        let programs = programs.parent().expect("a folder").display().to_string();
        let path = std::env::var("PATH").expect("a PATH");
        let mut shell = self.checkout.command("bash");
        shell
            .args(["-euo", "pipefail", "-c", &script])
            .env("PATH", format!("{programs}:{path}"))
            .env("OMP_NUM_THREADS", "1") // other tests compute too
            .process_group(0);
        let mut run = Run::start(shell);
        let _all = Group(run.id());
        for number in 0..blocks.len() {
            // As long as something is said, it is at work.
            while !run.wait_for_line("").contains(&done(number)) {}
        }
        run.end().expect_code(0)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.services.succeeds(&["kill"]);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let kill = format!("kill -s KILL -- -{}", self.0);
        // In the end there should be nobody left.
        let _ = Command::new("sh")
            .args(["-c", &kill])
            .stderr(Stdio::null())
            .status();
    }
}

/// The commands of a page: its indented blocks, in order.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("docs").join(page)).expect("is there");
    let mut blocks = vec![String::new()];
    for line in text.lines().filter(|line| line.trim() != BUILD) {
        let block = blocks.last_mut().expect("has one");
        match line.strip_prefix("    ") {
            Some(command) => *block += &format!("{command}\n"),
            None if block.is_empty() => {}
            None if line.is_empty() => block.push('\n'),
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// The address that a dashboard printed.
fn expect_page(ended: &Ended) {
    let has_address = |line: &String| line.contains("http://127.0.0.1:");
    let mut lines = ended.stdout.iter().chain(&ended.stderr);
    assert!(lines.any(has_address), "{}", ended.so_far());
}

#[test]
fn the_start_on_one_machine_works_as_it_stands() {
    let reader = Reader::new();
    let ended = reader.follow("START.md");
    expect_page(&ended);
    let checkout = &reader.checkout;
    let pictures = |folder| {
        let mut files = checkout.files(folder);
        files.retain(|file| file.ends_with(".png"));
        files
    };
    let styles = ["glass", "night", "wave"].map(|style| format!("lighthouse.{style}.png"));
    assert_eq!(pictures("out/network"), styles);
    assert_eq!(
        pictures("out"),
        [
            "lighthouse.night-2.png",
            "lighthouse.night.png",
            "lighthouse.wave.png",
            "still life in a blend.png",
            "still-life.wave.png",
        ]
    );
    assert!(!checkout.read("out/report.html").is_empty());
}

#[test]
fn the_start_on_a_fleet_works_as_it_stands() {
    let reader = Reader::new();
    let ended = reader.follow("FLEET.md");
    expect_page(&ended);
    let count = |folder| {
        let files = reader.checkout.files(folder);
        files.iter().filter(|file| file.ends_with(".png")).count()
    };
    assert_eq!((count("out/first"), count("out/networks")), (2, 6));
    assert!(!reader.services.succeeds(&["status"]), "servers were left");
}

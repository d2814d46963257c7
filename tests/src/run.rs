//! A program that is watched while it works.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::PATIENCE;
use crate::processes::{children, signal};

/// A program under way. It is killed when dropped.
#[derive(Debug)]
pub struct Run {
    child: Child,
    output: Receiver<Piece>,
    stdout: Vec<String>,
    stderr: Vec<String>,
    /// Lines of standard output that [`Self::wait_for`] has looked at.
    seen: usize,
    /// Lines of standard error that [`Self::wait_for_line`] has looked at.
    heard: usize,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Lines of its standard output.
    pub stdout: Vec<String>,
    /// Lines of its standard error.
    pub stderr: Vec<String>,
}

#[derive(Debug)]
enum Piece {
    Out(String),
    Err(String),
}

impl Run {
    /// Starts a program.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let (sender, output) = channel();
        let stdout = child.stdout.take().expect("is piped");
        let stderr = child.stderr.take().expect("is piped");
        pass_on(stdout, sender.clone(), Piece::Out);
        pass_on(stderr, sender, Piece::Err);
        Self {
            child,
            output,
            stdout: Vec::new(),
            stderr: Vec::new(),
            seen: 0,
            heard: 0,
        }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The one worker that a run with one device has.
    pub fn worker(&self) -> u32 {
        match children(self.id())[..] {
            [worker] => worker,
            ref others => panic!("not one worker but {others:?}\n{}", self.so_far()),
        }
    }

    /// Sends it a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for the next event, a line of `--json`, that is as wanted. Earlier ones are passed
    /// over; `what` says what is waited for.
    pub fn wait_for(&mut self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while self.seen < self.stdout.len() {
                let event = event(&self.stdout[self.seen]);
                self.seen += 1;
                if is_wanted(&event) {
                    return event;
                }
            }
            if let Err(reason) = self.read(deadline) {
                panic!("waited for {what}: {reason}\n{}", self.so_far());
            }
        }
    }

    /// Waits for the next line of standard output, which need not be JSON.
    pub fn wait_for_output(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        while self.seen == self.stdout.len() {
            if let Err(reason) = self.read(deadline) {
                panic!("waited for a line: {reason}\n{}", self.so_far());
            }
        }
        self.seen += 1;
        self.stdout[self.seen - 1].clone()
    }

    /// Waits for the next line of standard error that has these words in it. Earlier ones are
    /// passed over.
    pub fn wait_for_line(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(line) = self.stderr.get(self.heard) {
                self.heard += 1;
                if line.contains(words) {
                    return line.clone();
                }
            }
            if let Err(reason) = self.read(deadline) {
                panic!("waited for {words:?}: {reason}\n{}", self.so_far());
            }
        }
    }

    /// Waits until it has ended and closed its output.
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.read(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(reason) => panic!("waited for its end: {reason}\n{}", self.so_far()),
            }
        }
        Ended {
            status: self.child.wait().expect("is our child"),
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    fn read(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.output.recv_timeout(left)? {
            Piece::Out(line) => self.stdout.push(line),
            Piece::Err(line) => self.stderr.push(line),
        }
        Ok(())
    }

    fn so_far(&self) -> String {
        transcript(&self.stdout, &self.stderr)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The exit code; a program that a signal ended has none, and the test fails.
    pub fn code(&self) -> i32 {
        let code = self.status.code();
        code.unwrap_or_else(|| panic!("{}\n{}", self.status, self.so_far()))
    }

    /// Fails with the whole output unless the exit code is this.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "exit code\n{}", self.so_far());
        self
    }

    /// All events. Fails if standard output has anything else.
    pub fn events(&self) -> Vec<Value> {
        self.stdout.iter().map(|line| event(line)).collect()
    }

    /// The events of a kind.
    pub fn events_of(&self, kind: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["event"] == kind);
        events
    }

    /// Whatever came, for a message.
    pub fn so_far(&self) -> String {
        transcript(&self.stdout, &self.stderr)
    }

    /// Fails unless the program's only complaint is one line that holds all of `parts`.
    pub fn expect_complaint(&self, parts: &[&str]) {
        let [line] = &self.stderr[..] else {
            panic!("not one line of complaint\n{}", self.so_far());
        };
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in: {line}");
        }
    }
}

fn event(line: &str) -> Value {
    match serde_json::from_str(line) {
        Ok(event @ Value::Object(_)) => event,
        _ => panic!("standard output has a line that is no JSON object: {line}"),
    }
}

fn pass_on(from: impl Read + Send + 'static, to: Sender<Piece>, piece: fn(String) -> Piece) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let line = line.unwrap_or_else(|e| format!("(not text: {e})"));
            if to.send(piece(line)).is_err() {
                return;
            }
        }
    });
}

fn transcript(stdout: &[String], stderr: &[String]) -> String {
    let mut text = String::new();
    for (name, lines) in [("standard output", stdout), ("standard error", stderr)] {
        let _ = writeln!(text, "--- {name}, {} lines", lines.len());
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

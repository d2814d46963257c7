//! One local worker: a child process that takes a job at a time over its standard input and
//! publishes what it does over its standard output.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytesize::ByteSize;
use stylefleet_proto::wire::{self, from_worker::Frame};
use stylefleet_proto::{Event, Hello, Invalid, Memory, ToWorker, Trace};
use stylefleet_transport::pipe::{PipeError, Receiver, Sender};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::output::Line;

/// How long a worker that has nothing to do, or that closed its pipes, may take to end: unloading
/// libtorch alone takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last lines of its standard error may take to arrive.
const GRACE: Duration = Duration::from_secs(1);
/// Lines of its standard error that are remembered.
const REMEMBERED: usize = 20;
/// Where the worker reads what to log.
const LOG: &str = "STYLEFLEET_LOG";
/// The signal that the kernel sends when memory runs out.
const SIGKILL: i32 = 9;

/// How workers are started.
#[derive(Debug)]
pub struct Launch {
    /// The worker's command.
    pub program: PathBuf,
    /// The folder that is the store.
    pub store: PathBuf,
    /// CPU threads; none leaves it to the worker.
    pub threads: Option<NonZero<u32>>,
    /// Largest image accepted, in pixels.
    pub max_pixels: u64,
    /// Memory that a job may take; none leaves it to the worker.
    pub memory: Option<ByteSize>,
    /// Whether what workers log is shown. Its last lines are remembered in any case.
    pub shows_log: bool,
}

/// A running worker. It is killed when dropped.
pub struct Worker {
    child: Child,
    to: Sender<ChildStdin, wire::ToWorker>,
    from: Receiver<ChildStdout, wire::FromWorker>,
    stderr: JoinHandle<VecDeque<String>>,
}

/// What a worker tells of a job.
#[derive(Debug)]
pub struct Told {
    /// What has happened.
    pub event: Event,
    /// The trace for the next attempt, if this one is over.
    pub trace: Option<Trace>,
    /// How the memory of its device stands, if it knows that.
    pub memory: Option<Memory>,
}

/// Why a worker can no longer be worked with.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It closed its standard output.
    #[error("it closed its standard output")]
    Closed,
    /// The pipe is broken, or something else is on it.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// A message is not what the contract says.
    #[error("a bad message: {0}")]
    Invalid(#[from] Invalid),
    /// A message came at the wrong time, or of another job.
    #[error("a message that nobody asked for")]
    Unexpected,
}

impl Fault {
    /// Whether the worker has ended, or is about to, rather than sent something bad.
    fn is_terminal(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Pipe(PipeError::Io(error)) => error.kind() != io::ErrorKind::InvalidData,
            Self::Pipe(PipeError::Decode(_)) | Self::Invalid(_) | Self::Unexpected => false,
        }
    }
}

impl Worker {
    /// Starts the process; it is ready once it says [`Self::hello`].
    pub fn spawn(launch: &Launch, device: &str) -> io::Result<Self> {
        let mut command = Command::new(&launch.program);
        command.arg("local").arg("--store").arg(&launch.store);
        command.args(["--device", device]);
        command.args(["--max-pixels", &launch.max_pixels.to_string()]);
        if let Some(threads) = launch.threads {
            command.args(["--threads", &threads.to_string()]);
        }
        if let Some(memory) = launch.memory {
            command.args(["--memory", &memory.as_u64().to_string()]);
        }
        if !launch.shows_log {
            command.env(LOG, "off");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal goes to the whole group; it is for us alone.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a standard stream is missing");
        let stderr = child.stderr.take().ok_or_else(missing)?;
        Ok(Self {
            to: Sender::new(child.stdin.take().ok_or_else(missing)?),
            from: Receiver::new(child.stdout.take().ok_or_else(missing)?),
            stderr: tokio::spawn(remember(
                stderr,
                launch.shows_log.then(|| device.to_owned()),
            )),
            child,
        })
    }

    /// Waits until it is ready.
    pub async fn hello(&mut self) -> Result<Hello, Fault> {
        match self.message().await?.frame {
            Some(Frame::Hello(hello)) => Ok(hello.try_into()?),
            _ => Err(Fault::Unexpected),
        }
    }

    /// Waits for what it tells of a job next. Safe to cancel.
    pub async fn told(&mut self) -> Result<Told, Fault> {
        let message = self.message().await?;
        match message.frame {
            Some(Frame::Event(event)) => Ok(Told {
                event: event.try_into()?,
                trace: message.trace.map(Into::into),
                memory: message.memory.map(Into::into),
            }),
            _ => Err(Fault::Unexpected),
        }
    }

    async fn message(&mut self) -> Result<wire::FromWorker, Fault> {
        self.from.recv().await?.ok_or(Fault::Closed)
    }

    /// Sends it a message.
    pub async fn send(&mut self, message: &ToWorker) -> Result<(), Fault> {
        Ok(self.to.send(&message.into()).await?)
    }

    /// Itself, unless the process has ended.
    pub fn if_alive(mut self) -> Option<Self> {
        let status = self.child.try_wait();
        matches!(status, Ok(None)).then_some(self)
    }

    /// Lets it end, which it does once its standard input is closed.
    pub async fn end(mut self) {
        drop(self.to);
        if timeout(PATIENCE, self.child.wait()).await.is_err() {
            tracing::debug!("a worker did not end when told to, and is killed");
        }
    }

    /// Why it ended, which it does now at the latest.
    pub async fn exit_reason(mut self, fault: Fault) -> ExitReason {
        drop(self.to);
        let ended = if fault.is_terminal() {
            timeout(PATIENCE, self.child.wait()).await.ok()
        } else {
            None
        };
        let status = ended.and_then(Result::ok);
        if status.is_none() {
            // If it cannot be killed, it is gone.
            let _ = self.child.kill().await;
        }
        // A process that it started may hold its standard error open.
        let lines = timeout(GRACE, self.stderr).await.ok();
        let lines = lines.and_then(Result::ok).unwrap_or_default();
        ExitReason {
            fault,
            status,
            last_line: lines.into_iter().rev().find(|line| says_something(line)),
        }
    }
}

/// Reads standard error to its end and returns its last lines. They are shown as a device's, if one
/// is given.
async fn remember(stderr: ChildStderr, device: Option<String>) -> VecDeque<String> {
    let mut lines = VecDeque::with_capacity(REMEMBERED);
    let mut pieces = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(piece)) = pieces.next_segment().await {
        let line = String::from_utf8_lossy(&piece).trim().to_owned();
        if let Some(device) = &device {
            // A JSON object is to stay one.
            let is_json = line.starts_with('{');
            let shown = if is_json {
                line.clone()
            } else {
                format!("{device}: {line}")
            };
            Line::Remark(shown).print();
        }
        if lines.len() == REMEMBERED {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    lines
}

/// Whether a line of standard error is more than Rust's hint about backtraces.
fn says_something(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("note: ")
}

/// Why a worker ended that should not have.
#[derive(Debug)]
pub struct ExitReason {
    fault: Fault,
    /// None: it had to be killed.
    status: Option<ExitStatus>,
    last_line: Option<String>,
}

impl ExitReason {
    /// Whether a signal ended it, rather than the worker itself.
    pub fn is_by_signal(&self) -> bool {
        self.status.is_some_and(|status| status.signal().is_some())
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(status) = self.status else {
            return write!(f, "the worker was ended for what it sent: {}", self.fault);
        };
        if status.signal() == Some(SIGKILL) {
            return f.write_str(
                "the worker was killed (SIGKILL), perhaps because memory ran out: ask for \
                 less, such as a smaller --size",
            );
        }
        write!(f, "the worker ended ({status})")?;
        match &self.last_line {
            Some(line) => write!(f, ": {}", line.trim_start_matches("stylefleet-worker: ")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_how_a_worker_ended_and_what_it_said_last() {
        // A shell takes `local` for a script that is not there.
        let launch = Launch {
            program: "/bin/sh".into(),
            store: "/nowhere".into(),
            threads: None,
            max_pixels: 1,
            memory: None,
            shows_log: false,
        };
        let mut worker = Worker::spawn(&launch, "cpu").expect("starts");
        let fault = worker.hello().await.expect_err("no worker");
        let reason = worker.exit_reason(fault).await.to_string();
        assert!(
            reason.starts_with("the worker ended (exit status: "),
            "{reason}"
        );
        assert!(reason.contains("local"), "{reason}");
    }

    #[test]
    fn a_killed_worker_hints_at_memory() {
        let reason = ExitReason {
            fault: Fault::Closed,
            status: Some(ExitStatus::from_raw(SIGKILL)),
            last_line: None,
        };
        assert!(reason.to_string().contains("memory ran out"));
    }
}

//! What the integration tests share: folders with small pictures in them ([`Scene`]), the real
//! `stylefleet`, watched while it works ([`Run`]), and real servers ([`services::Services`]).
//!
//! Nothing here waits for a length of time. Tests wait for something to happen, and fail with all
//! output so far if it does not happen within [`PATIENCE`].

pub mod amqp;
pub mod browser;
pub mod cluster;
pub mod events;
pub mod fleet;
pub mod health;
mod pictures;
pub mod processes;
pub mod relay;
mod run;
mod scene;
pub mod services;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

pub use pictures::{content, png_header, style};
pub use run::{Ended, Run};
pub use scene::Scene;

/// How long anything may take before a test gives up. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The dispatcher's executable.
pub fn stylefleet() -> PathBuf {
    built("stylefleet")
}

/// The worker's executable.
pub fn worker() -> PathBuf {
    built("stylefleet-worker")
}

/// The programs of a fleet.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The dispatcher's executable.
    pub dispatcher: PathBuf,
    /// The worker's.
    pub worker: PathBuf,
}

impl Programs {
    /// Those that users have.
    pub fn standard() -> Self {
        Self {
            dispatcher: stylefleet(),
            worker: worker(),
        }
    }

    /// Those that know one kind more: see `tests/counting`.
    pub fn counting() -> Self {
        Self {
            dispatcher: built("counting-stylefleet"),
            worker: built("counting-worker"),
        }
    }
}

/// The folder above the one that this test runs from, target/release/deps.
fn build_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2);
    folder.expect("tests lie two folders deep").to_owned()
}

/// An executable that was built.
fn built(name: &str) -> PathBuf {
    let program = build_folder().join(name);
    assert!(
        program.is_file(),
        "{} is not built: run `make test`, which builds it",
        program.display()
    );
    program
}

/// Says that a test, or a part of it, cannot be done here. Not captured: it is to be seen.
pub fn skip(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
}

//! Tells the program which commit it is built from, where git or STYLEFLEET_COMMIT says so. The
//! worker's program uses this script too.

use std::path::Path;
use std::process::Command;

/// Names the commit, for images, which are built without the repository.
const COMMIT: &str = "STYLEFLEET_COMMIT";

fn main() {
    tell_commit();
}

/// Sets the variable for `option_env!`, and has cargo run this again once there is another commit.
pub fn tell_commit() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={COMMIT}");
    // Every commit and every checkout adds a line to the log; without one, HEAD says it of some.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file])
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let named = std::env::var(COMMIT).ok().filter(|named| !named.is_empty());
    if let Some(commit) = named.or_else(own_commit) {
        println!("cargo::rustc-env={COMMIT}={commit}");
    }
}

/// The commit of the repository that this file belongs to: sources unpacked somewhere within
/// another repository are none of its.
fn own_commit() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// What git says; nothing where there is no git, or no repository.
fn git(args: &[&str]) -> Option<String> {
    let said = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    said.status.success().then(|| text.trim().to_owned())
}

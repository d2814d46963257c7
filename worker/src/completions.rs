//! `stylefleet-worker completions` and `stylefleet-worker man`: what shells and man read of the
//! command line.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

/// The pages cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write manual pages into {}: {source}: name another folder", folder.display())]
pub struct ManError {
    folder: PathBuf,
    source: std::io::Error,
}

/// Prints what the shell needs.
pub fn completions(shell: Shell, mut program: Command, out: OwnedFd) -> std::io::Result<()> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, &name, &mut script);
    // For bash it writes the dash of our name now in one way, now in the other, and completes no
    // option (clap-rs/clap#6421).
    let [wrong, right] = ["__subcmd__", "__"].map(|dash| name.replace('-', dash));
    let script = String::from_utf8_lossy(&script).replace(&wrong, &right);
    File::from(out).write_all(script.as_bytes())
}

/// Writes a page for the program and one for each command.
pub fn man(folder: &Path, program: Command) -> Result<(), ManError> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(program, folder))
        .map_err(|source| ManError {
            folder: folder.to_owned(),
            source,
        })
}

//! `stylefleet init`: a file with every setting explained.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::commands::{CommandError, Ending};
use crate::config;
use crate::output::Line;

/// The file is for its owner alone: a broker's URL has a password.
const MODE: u32 = 0o600;

/// Arguments of `stylefleet init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The file [default: ~/.config/stylefleet/config.toml, which every command reads]
    pub file: Option<PathBuf>,
}

/// Why there is no new file with settings.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// It is not known where it should be.
    #[error("HOME is not set: name a file, as in `stylefleet init settings.toml`")]
    NoHome,
    /// There is a file.
    #[error("{} is there already and stays as it is: name another file", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs the command.
pub fn run(args: InitArgs) -> Result<Ending, CommandError> {
    let path = args.file.or_else(config::usual_file);
    let path = path.ok_or(InitError::NoHome)?;
    write(&path)?;
    Line::Result(path.display().to_string()).print();
    Ok(Ending::AllDone)
}

fn write(path: &Path) -> Result<(), InitError> {
    let refuse = |source: std::io::Error| match source.kind() {
        ErrorKind::AlreadyExists => InitError::Exists(path.to_owned()),
        _ => InitError::Write {
            path: path.to_owned(),
            source,
        },
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(refuse)?;
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(MODE).open(path);
    let written = file.and_then(|mut file| file.write_all(config::template().as_bytes()));
    written.map_err(refuse)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_its_owners_and_never_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stylefleet/config.toml");
        write(&path).expect("writes");
        let mode = fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        fs::write(&path, "mine").expect("writes");
        let refused = write(&path).expect_err("is there").to_string();
        assert!(
            refused.ends_with("stays as it is: name another file"),
            "{refused}"
        );
        assert_eq!(fs::read_to_string(&path).expect("reads"), "mine");
    }
}

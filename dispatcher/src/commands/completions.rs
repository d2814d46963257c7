//! `stylefleet completions` and `stylefleet man`: what shells and man read of the command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

use crate::commands::{CommandError, Ending};
use crate::output::Line;

/// Arguments of `stylefleet completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Arguments of `stylefleet man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Folder for the pages, made if need be
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// The pages cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write manual pages into {}: {source}", folder.display())]
pub struct ManError {
    folder: PathBuf,
    source: std::io::Error,
}

/// Prints what the shell needs.
pub fn completions(args: &CompletionsArgs, mut program: Command) -> Result<Ending, CommandError> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    // A reader that is gone reads no complaint either.
    let _ = std::io::stdout().write_all(&script);
    Ok(Ending::AllDone)
}

/// Writes a page for the program and one for each command.
pub fn man(args: &ManArgs, program: Command) -> Result<Ending, CommandError> {
    write_pages(&args.folder, program).map_err(|source| ManError {
        folder: args.folder.clone(),
        source,
    })?;
    Line::Result(args.folder.display().to_string()).print();
    Ok(Ending::AllDone)
}

fn write_pages(folder: &Path, program: Command) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(program, folder)
}

#[cfg(test)]
mod tests {
    use stylefleet_proto::Build;

    use crate::cli::Args;
    use crate::program;

    use super::*;

    fn program() -> Command {
        let commit = None;
        let version = "1.2.3";
        program::command::<Args>(Build { version, commit })
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        write_pages(folder.path(), program()).expect("writes");
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
        assert!(page("stylefleet.1").contains("Exit codes:"));
        for command in program().get_subcommands() {
            let page = page(&format!("stylefleet-{}.1", command.get_name()));
            let about = command.get_about().expect("has one").to_string();
            let word = about.split(' ').next().expect("has a word");
            assert!(page.contains(word), "{}", command.get_name());
        }
        assert!(page("stylefleet-dead-retry.1").contains("NAME"));
    }

    #[test]
    fn shells_complete_options_and_their_values() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut program(), "stylefleet", &mut script);
            let script = String::from_utf8(script).expect("is text");
            for word in ["submit-train", "keep-colors", "notebook", "luminance"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}

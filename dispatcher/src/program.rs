//! What every program of this library has, whatever its jobs are: `--version`, `--color`, and a
//! help text that says what all commands share.

use clap::{Command, CommandFactory};
use stylefleet_proto::Build;

use crate::{color, config, exit};

/// The command line of a program.
pub fn command<A: CommandFactory>(build: Build) -> Command {
    A::command()
        .version(build.to_string())
        .arg(color::option())
        .after_help(format!("{}\n\n{}", config::manual(), exit::manual()))
}

#[cfg(test)]
mod tests {
    use crate::cli::Args;

    use super::*;

    const BUILD: Build = Build {
        version: "1.2.3",
        commit: Some("0123456789ab"),
    };

    #[test]
    fn the_version_says_commit_and_contract() {
        let version = command::<Args>(BUILD).render_version();
        assert_eq!(
            version,
            "stylefleet 1.2.3 (commit 0123456789ab, contract 2)\n"
        );
        let version = command::<Args>(Build {
            commit: None,
            ..BUILD
        });
        assert_eq!(version.render_version(), "stylefleet 1.2.3 (contract 2)\n");
    }

    #[test]
    fn colour_may_be_asked_of_every_command() {
        for args in [
            ["stylefleet", "--color", "never", "doctor"],
            ["stylefleet", "doctor", "--color", "always"],
        ] {
            assert!(command::<Args>(BUILD).try_get_matches_from(args).is_ok());
        }
    }

    #[test]
    fn help_says_settings_and_exit_codes() {
        let help = command::<Args>(BUILD).render_help().to_string();
        for words in ["STYLEFLEET_BROKER", "config.toml", "Exit codes:", "  130 "] {
            assert!(help.contains(words), "{words}\n{help}");
        }
    }
}

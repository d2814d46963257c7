//! The command line of `stylefleet`: the kind of job that it can order, and the commands of any
//! fleet.

use clap::{Parser, Subcommand};

use crate::commands::{CommandError, Ending, FleetCommand, RunArgs, SubmitArgs};
use crate::session::Session;
use crate::stylize::{RunOptions, SubmitOptions, manual};

/// Redraws pictures in the style of others, on as many devices as there are.
#[derive(Debug, Parser)]
#[command(name = "stylefleet", version, after_help = ENVIRONMENT)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What all commands of a fleet read.
const ENVIRONMENT: &str = "\
Environment of the fleet's commands, all but `run`:
  STYLEFLEET_BROKER       amqp[s]://user:password@host[:port][,host...]/vhost
  STYLEFLEET_STORE        s3://bucket[/prefix], or a folder's path
  STYLEFLEET_S3_ENDPOINT  address of an S3 server that is not AWS's: http[s]://host:port
  STYLEFLEET_CA           PEM file of further certificate authorities, for both
  STYLEFLEET_LOG          what to log to standard error, as in debug [default: stylefleet=warn]
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_PROFILE and the rest of AWS's own";

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Redraw pictures on this machine
    ///
    /// Each CONTENT is redrawn in each STYLE; the pictures land in DIR as CONTENT.STYLE.png, each
    /// with a .json that holds its parameters, seconds, evaluations, final loss by term and
    /// versions. Run again, the same command keeps what is done and goes on from where it was
    /// stopped. Ctrl-C stops it cleanly; a second one at once, which costs some seconds of work.
    #[command(after_long_help = manual::run(), allow_negative_numbers = true)]
    Run(Box<RunArgs<RunOptions>>),

    /// Hand pictures to the fleet
    ///
    /// Takes the contents, styles, options and batch files of `run`, and contents and styles in
    /// buckets: s3://bucket/key, and s3://bucket/folder/ for the images in it, by their endings.
    /// Images are uploaded once, jobs published, and the batch's name printed. Done again, the same
    /// command hands in only what is missing: jobs that are done are kept, jobs that failed or were
    /// cancelled are tried anew, all others are with the broker already.
    #[command(after_long_help = manual::SUBMIT, allow_negative_numbers = true)]
    Submit(Box<SubmitArgs<SubmitOptions>>),

    #[command(flatten)]
    Fleet(FleetCommand),
}

impl Args {
    /// Runs the command.
    pub async fn perform(self, session: Session) -> Result<Ending, CommandError> {
        match self.command {
            Command::Run(args) => session.run(*args).await,
            Command::Submit(args) => session.submit(*args).await,
            Command::Fleet(command) => session.fleet(command).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<RunArgs<RunOptions>, clap::Error> {
        let args = Args::try_parse_from(["stylefleet", "run"].iter().chain(args))?;
        match args.command {
            Command::Run(args) => Ok(*args),
            other => panic!("not run but {other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn reads_contents_styles_and_options() {
        let args = parse(&[
            "a.png",
            "b",
            "--style",
            "s.png=2",
            "--style",
            "t.png",
            "--blend",
            "--seed",
            "7",
            "--pooling",
            "average",
            "--json",
        ])
        .expect("parses");
        assert_eq!(args.order.options.content.map(|list| list.len()), Some(2));
        assert_eq!(args.order.options.style.map(|list| list.len()), Some(2));
        assert_eq!(args.order.options.blend, Some(true));
        assert_eq!(args.order.options.parameters.seed, Some(7));
        assert!(args.json);
    }

    #[test]
    fn refuses_what_is_invalid() {
        for args in [
            &["a.png"][..],
            &["--style", "s.png"],
            &["a.png", "--file", "b.toml"],
            &["a.png", "--style", "s.png", "--pooling", "min"],
            &["a.png", "--style", "s.png", "--preset", "monet"],
            &["a.png", "--style", "s.png", "--style-layers", "conv9_1"],
            &["a.png", "--style", "s.png", "--threads", "0"],
            &["a.png", "--style", "s.png", "--evaluations", "-1"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
        assert!(parse(&["--file", "b.toml"]).is_ok());
    }
}

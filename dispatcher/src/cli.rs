//! The command line, as it is typed.

use clap::{Parser, Subcommand};

use crate::asking::parameters::presets;
use crate::commands::{
    CancelArgs, DeadArgs, DoctorArgs, FetchArgs, QueueArgs, RunArgs, StatusArgs, SubmitArgs,
    WatchArgs,
};

/// Redraws pictures in the style of others, on as many devices as there are.
#[derive(Debug, Parser)]
#[command(name = "stylefleet", version, after_help = ENVIRONMENT)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
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
pub enum Command {
    /// Redraw pictures on this machine
    ///
    /// Each CONTENT is redrawn in each STYLE; the pictures land in DIR as CONTENT.STYLE.png, each
    /// with a .json that holds its parameters, seconds, evaluations, final loss by term and
    /// versions. Run again, the same command keeps what is done and goes on from where it was
    /// stopped. Ctrl-C stops it cleanly; a second one at once, which costs some seconds of work.
    #[command(after_long_help = manual(), allow_negative_numbers = true)]
    Run(Box<RunArgs>),

    /// Hand pictures to the fleet
    ///
    /// Takes the contents, styles, options and batch files of `run`, and contents and styles in
    /// buckets: s3://bucket/key, and s3://bucket/folder/ for the images in it, by their endings.
    /// Images are uploaded once, jobs published, and the batch's name printed. Done again, the same
    /// command hands in only what is missing: jobs that are done are kept, jobs that failed or were
    /// cancelled are tried anew, all others are with the broker already.
    #[command(after_long_help = SUBMIT, allow_negative_numbers = true)]
    Submit(Box<SubmitArgs>),

    /// Follow a batch until all its jobs are over
    ///
    /// Shows what has happened and what happens. Works, with less detail, while the broker is
    /// away. Ctrl-C ends the watch, not the work.
    ///
    /// Example: stylefleet watch b-0123456789abcdef
    ///
    /// Exit codes: 0 all done, 1 some failed or were cancelled, 130 interrupted.
    #[command(verbatim_doc_comment)]
    Watch(WatchArgs),

    /// Say what has become of batches and jobs, from the store alone
    ///
    /// Examples:
    ///   stylefleet status                   all batches
    ///   stylefleet status nightly --jobs    a batch, result by result
    ///   stylefleet status nightly/boat.wave one result: who is at it, or how it ended
    #[command(verbatim_doc_comment)]
    Status(StatusArgs),

    /// Bring a batch's results into a folder, from the store alone
    ///
    /// Each comes with its .json, as `run` leaves them. Those that are there already are kept.
    /// Nothing is written over: where a name is taken, the result gets a number, as in -2.
    /// Exit code 1 if any is missing.
    ///
    /// Example: stylefleet fetch nightly --out pictures
    #[command(verbatim_doc_comment)]
    Fetch(FetchArgs),

    /// Cancel jobs
    ///
    /// Queued jobs are passed over when their turn comes; a running one stops within seconds and
    /// keeps its checkpoint, from which a later submit goes on. A job that another batch wants
    /// too is cancelled for both.
    ///
    /// Examples:
    ///   stylefleet cancel nightly           all of a batch
    ///   stylefleet cancel nightly/boat.wave one result
    #[command(verbatim_doc_comment)]
    Cancel(CancelArgs),

    /// Look after jobs that were set aside
    ///
    /// Jobs that fail for good, or kill their workers, are set aside with the reason. The list says
    /// which of them are done since, by another submit.
    ///
    /// Examples:
    ///   stylefleet dead list
    ///   stylefleet dead retry 0123456789ab
    ///   stylefleet dead drop --batch nightly
    ///   stylefleet dead drop --all --done   leaves those that wait for a decision
    #[command(verbatim_doc_comment)]
    Dead(DeadArgs),

    /// Show how many jobs wait, who works, and how fast
    ///
    /// Listens to the workers for some seconds. Rates are those of the last ten minutes.
    Queue(QueueArgs),

    /// Check broker, store and clocks, and say what to mend
    ///
    /// Exit code 1 if there is a problem.
    Doctor(DoctorArgs),
}

/// What follows the options in the long help of `submit`.
const SUBMIT: &str = "\
Examples:
  stylefleet submit photos --style starry_night.jpg --batch nightly
  stylefleet submit --file batch.toml --priority high --wait --out pictures
  stylefleet submit s3://albums/2026/ --style s3://albums/styles/a.jpg

`stylefleet run --help` explains contents, presets and batch files; `stylefleet --help` the
environment.

Events (--json): submitted, with the batch's name and counts, failed for each picture that could not
be asked for, and passed-over; with --wait also those of `run` but stopping, and cancelled.

Exit codes: 0 all accepted, 1 some pictures could not be asked for, or, with --wait, not be made,
2 wrong usage, 130 interrupted.";

/// What follows the options in the long help.
fn manual() -> String {
    format!(
        "\
Examples:
  One picture in one style, as out/harbour.starry_night.png:
    stylefleet run harbour.jpg --style starry_night.jpg
  Every photo in a folder in each of two styles, on two devices:
    stylefleet run photos --style a.jpg --style b.jpg --device cuda:0,cuda:1
  A blend of two styles, larger, in the photo's own colours:
    stylefleet run harbour.jpg --style a.jpg=2 --style b.jpg=1 --size 1024 --keep-colors luminance
  The objective of a well-known notebook, until its loss is 1e9:
    stylefleet run harbour.jpg --style a.jpg --preset notebook --stop-below 1e9

Contents:
  Images are PNG, JPEG, WebP, TIFF, GIF, BMP, HEIC, AVIF and JPEG XL files. Of a folder, those with
  the endings of these formats are taken, such as .jpg, .jfif, .tif or .heic, and files without an
  ending that are such images; with --recursive those in its subfolders too. Other files are
  passed over and counted, hidden files and what was made here without a word.
  A CONTENT that is not there is a pattern: * and ? for any characters and any one, [a-z] for one
  of these, {{a,b}} for either, ** for folders however deep. Quote it, or the shell expands it. A
  part of it that is there by that very name means itself, as in '[2024] trip/*.jpg'.

Names:
  A picture is called CONTENT.STYLE, in a subfolder if its content is in one. Where two would
  get one name, the later ones end in -2, -3, ...
  Nothing in DIR is written over. Where a name is taken, by a picture of another CONTENT or with
  other options, or by a file of yours, the new picture gets a number and keeps it from then on.
  The .json beside a picture says what it is of. A picture that you changed is left as it is; as
  it was made, it comes again under a number.

Presets (the others where they differ from the first):
{presets}
Batch file:
{batch}
Events (--json), told apart by their field \"event\":
  started, progress, note, interrupted  of a job: the fields \"job\" and \"name\", and their own
  previewed, finished, kept, failed     of a result; the first three with its \"file\", and with all
                                        its \"files\" where it has more than one
  passed-over                           of a folder or pattern with other files than images
  stopping, summary                     of the run

Environment:
  STYLEFLEET_WORKER  the worker's command [default: stylefleet-worker, beside this or in PATH]
  STYLEFLEET_LOG     what to log to standard error, as in debug [default: stylefleet=warn]
  STYLEFLEET_WEIGHTS, STYLEFLEET_CACHE, STYLEFLEET_THREADS and STYLEFLEET_CHECKPOINT_SECONDS are
  the worker's: see stylefleet-worker settings

Exit codes: 0 all done, 1 some failed, 2 wrong usage, 130 interrupted.",
        presets = presets(),
        batch = indent(include_str!("asking/batch.example.toml")),
    )
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<RunArgs, clap::Error> {
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
        assert_eq!(args.options.content.map(|list| list.len()), Some(2));
        assert_eq!(args.options.style.map(|list| list.len()), Some(2));
        assert_eq!(args.options.blend, Some(true));
        assert_eq!(args.options.parameters.seed, Some(7));
        assert!(args.json);
    }

    #[test]
    fn refuses_what_makes_no_sense() {
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

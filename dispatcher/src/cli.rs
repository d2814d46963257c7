//! The command line of `stylefleet`: the kinds of jobs that it can order, and the commands of any
//! fleet.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, Parser, Subcommand};

use crate::apply::{self, ApplyOptions};
use crate::commands::{CommandError, DashboardArgs, Ending, FleetCommand, RunArgs, SubmitArgs};
use crate::models::{self, ModelsArgs};
use crate::pictures::SubmitOptions;
use crate::session::Session;
use crate::stylize::{self, PictureOrders, RunOptions};
use crate::train::{self, TrainOptions};
use crate::video::{self, FetchVideoArgs, VideoOptions};

/// Redraws pictures in the style of others, on as many devices as there are.
#[derive(Debug, Parser)]
#[command(name = "stylefleet")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Redraw pictures on this machine
    ///
    /// Each CONTENT is redrawn in each STYLE; the pictures land in DIR as CONTENT.STYLE.png, each
    /// with a .json that holds its parameters, seconds, evaluations, final loss by term and
    /// versions. Run again, the same command keeps what is done and goes on from where it was
    /// stopped. Ctrl-C stops it cleanly; a second one at once, which costs some seconds of work.
    #[command(after_long_help = stylize::manual::run(), allow_negative_numbers = true)]
    Run(Box<RunArgs<RunOptions>>),

    /// Hand pictures to the fleet
    ///
    /// Takes the contents, styles, options and batch files of `run`, or, with --model, what `apply`
    /// takes. Images are uploaded once, jobs published, and the batch's name printed. Done again,
    /// the same command hands in only what is missing: jobs that are done are kept, jobs that
    /// failed or were cancelled are tried anew, all others are with the broker already.
    #[command(after_long_help = stylize::manual::SUBMIT, allow_negative_numbers = true)]
    Submit(Box<SubmitArgs<SubmitOptions>>),

    /// Train a network for styles, on this machine
    ///
    /// The network then redraws any picture in one pass (`apply`). It is trained for the objective
    /// of `run`, on photographs, and lands in FILE, with a .json beside it that holds its
    /// parameters, seconds, steps, final loss by term and versions, and with a picture of samples.
    /// Run again, the same command goes on from where it was stopped. Ctrl-C stops it cleanly; a
    /// second one at once, which costs some seconds of work.
    #[command(
        after_long_help = train::manual::TRAIN,
        allow_negative_numbers = true,
        mut_arg("out", |out| out.value_name("FILE").help(MODEL_FILE).long_help(MODEL_FILE))
    )]
    Train(Box<RunArgs<TrainOptions>>),

    /// Hand the training of a network to the fleet
    ///
    /// Takes the options of `train`. Styles and photographs are uploaded once, and the batch's name
    /// printed. Done again, the same command hands in only what is missing.
    #[command(
        after_long_help = train::manual::SUBMIT,
        allow_negative_numbers = true,
        mut_arg("out", model_file),
        // A network has a --batch of its own.
        mut_arg("batch_name", |batch| batch.long("batch-name"))
    )]
    SubmitTrain(Box<SubmitArgs<TrainOptions>>),

    /// Redraw pictures with a trained network, on this machine
    ///
    /// Each CONTENT is redrawn in each style of the model, or in those named; the pictures land in
    /// DIR as CONTENT.STYLE.png, each with a .json. Run again, the same command keeps what is done.
    #[command(
        after_long_help = apply::MANUAL,
        allow_negative_numbers = true,
        mut_arg("preview_every", |option| option.hide(true)),
        mut_arg("curve", |option| option.hide(true))
    )]
    Apply(Box<RunArgs<ApplyOptions>>),

    /// Redraw a video, on this machine
    ///
    /// Each frame starts from the one before it, moved as the clip moves, and is held to it; or,
    /// with --model, a trained network redraws each frame by itself. The video lands in FILE, with
    /// the clip's sound and subtitles. Run again, the same command goes on from where it was
    /// stopped. Ctrl-C stops it cleanly; a second one at once, which costs some seconds of work.
    #[command(
        after_long_help = video::manual::VIDEO,
        allow_negative_numbers = true,
        mut_arg("out", |out| out.value_name("FILE").help(VIDEO_FILE).long_help(VIDEO_FILE)),
        mut_arg("curve", |option| option.hide(true))
    )]
    Video(Box<RunArgs<VideoOptions>>),

    /// Hand a video to the fleet
    ///
    /// Takes the options of `video`. The clip is cut into chunks at scenes, which workers redraw
    /// side by side. Done again, the same command hands in only what is missing.
    #[command(
        after_long_help = video::manual::SUBMIT,
        allow_negative_numbers = true,
        mut_arg("out", video_file),
        mut_arg("curve", |option| option.hide(true))
    )]
    SubmitVideo(Box<SubmitArgs<VideoOptions>>),

    /// Join what there is so far of a video that the fleet makes
    ///
    /// Where chunks are missing, the frame before stays.
    FetchVideo(FetchVideoArgs),

    /// Look at model files, and write them in another form
    Models(ModelsArgs),

    /// Show the fleet on a web page, and to other programs as JSON
    ///
    /// Prints the page's address, and answers until it is stopped. Whoever reaches it may do
    /// everything that your settings let you do, so it listens to this machine alone; elsewhere
    /// actions need the token in STYLEFLEET_DASHBOARD_TOKEN. The API is described at
    /// api/openapi.json.
    ///
    /// Examples:
    ///   stylefleet dashboard
    ///   stylefleet dashboard --listen 0.0.0.0:8780 --host fleet.example.org
    #[command(verbatim_doc_comment)]
    Dashboard(DashboardArgs),

    #[command(flatten)]
    Fleet(FleetCommand),
}

/// What `--out` is to `train`.
const MODEL_FILE: &str = "The model's file, NAME.safetensors, whose folder's .stylefleet holds the \
                          store [default: out/STYLE+STYLE.safetensors]";

/// `--out` of `submit-train`, which has a meaning without --wait too.
fn model_file(_: Arg) -> Arg {
    Arg::new("out")
        .long("out")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help(
            "The model's file, NAME.safetensors: NAME is what the result is called; with --wait, \
             it is fetched there [default name: STYLE+STYLE]",
        )
}

/// `--out` of `video`.
const VIDEO_FILE: &str = "The video's file, .mp4, .mov, .mkv or .webm, or numbered images, as in \
                          'frames/%05d.png'; its folder's .stylefleet holds the store [default: \
                          out/styled.mp4]";

/// `--out` of `submit-video`, which has a meaning without --wait too.
fn video_file(_: Arg) -> Arg {
    Arg::new("out")
        .long("out")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help(
            "The video's file, .mp4, .mov, .mkv or .webm, or numbered images, as in \
             'frames/%05d.png', which the codec follows from; with --wait, it is joined there \
             [default: styled.mp4]",
        )
}

impl Args {
    /// Runs the command.
    pub async fn perform(self, session: Session) -> Result<Ending, CommandError> {
        match self.command {
            Command::Run(args) => session.run(*args).await,
            Command::Submit(args) => session.submit(*args).await,
            Command::Train(args) => session.run(*args).await,
            Command::SubmitTrain(args) => session.submit(*args).await,
            Command::Apply(args) => session.run(*args).await,
            Command::Video(args) => session.run(*args).await,
            Command::SubmitVideo(args) => session.submit(*args).await,
            Command::FetchVideo(args) => {
                session.with_store(|store| video::fetch(args, store)).await
            }
            Command::Models(args) => Ok(models::run(args)?),
            Command::Dashboard(args) => {
                let orders = |store| Arc::new(PictureOrders::new(store)) as _;
                session.dashboard(args, orders).await
            }
            Command::Fleet(command) => session.fleet(command).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::CommandFactory;

    use super::*;

    fn accepts(args: &str) -> bool {
        Args::try_parse_from(["stylefleet"].into_iter().chain(args.split(' '))).is_ok()
    }

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
        // Which looks at nothing in a release build.
        for command in Args::command().get_subcommands() {
            let mut seen = HashSet::new();
            for option in command.get_arguments() {
                let others = option.get_all_aliases().unwrap_or_default();
                for name in option.get_long().into_iter().chain(others) {
                    assert!(seen.insert(name), "{}: two --{name}", command.get_name());
                }
            }
        }
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
    fn networks_have_their_own_options() {
        for args in [
            "train --style a.png --style b.png=night --photos x y --out z.safetensors --steps 9",
            "train --style a.png --photos x --preset gatys --precision f32 --recursive --lr 0.1",
            "submit-train --style a.png --photos x --out z.safetensors --batch-size 2",
            "submit-train --style a.png --photos x --batch-name b --batch 2 --wait",
            "apply --model m a.png b.png",
            "apply --model m a.png --style x=2 --style y --mask m.png --mask none --size 64x48",
            "submit --model m a.png",
            "submit --model m a.png --style x --wait --out d",
            "models list",
            "models show m --json",
            "models export m --onnx o",
        ] {
            assert!(accepts(args), "{args}");
        }
        for args in [
            "train --style a.png",
            "train --photos x",
            "train --style a.png --photos x --evaluations 9",
            "train --style a.png --photos x --steps many",
            "submit-train --style a.png --photos x --batch b",
            "apply a.png",
            "apply --model m",
            "apply --model m a.png --evaluations 9",
            "apply --model m a.png --preset gatys",
            "submit --model m",
            "submit --model m --file b.toml",
            "submit a.png",
            "run --model m a.png --style s",
            "models show",
            "models export m",
        ] {
            assert!(!accepts(args), "{args}");
        }
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

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Takes jobs, one at a time, and stores what they make.
///
/// Settings come from flags, then the environment (STYLEFLEET_ and a setting's name in capitals, as
/// in STYLEFLEET_MAX_PIXELS), then the file given with --config, then built-in defaults.
#[derive(Debug, Parser)]
#[command(name = "stylefleet-worker")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the worker can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take jobs from the program that started this one, over standard input and output.
    ///
    /// `stylefleet run` starts its workers like this. Ends when told to, when standard input
    /// closes, or on SIGTERM or SIGINT; a job under way is kept as a checkpoint.
    Local {
        /// Folder that holds inputs, checkpoints and outputs.
        #[arg(long, value_name = "DIR")]
        store: PathBuf,
        #[command(flatten)]
        flags: Flags,
    },
    /// Take jobs from a broker until told to stop.
    ///
    /// Settings `broker` and `store` say where jobs come from and outputs go; `stylefleet-worker
    /// settings` lists them all. On SIGTERM or SIGINT a job under way is kept as a checkpoint and
    /// given back; a second signal ends the worker at once.
    Serve {
        #[command(flatten)]
        flags: Flags,
    },
    /// Print every setting with its default, as a file for --config.
    Settings,
    /// Say what this machine offers, and check that it works.
    Doctor {
        /// Print one JSON document instead of lines.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Print what a shell needs to complete commands and options.
    ///
    /// Packages install it.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages into a folder, one for each command.
    Man {
        /// Folder for the pages, made if need be.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Settings given on the command line; they win over every other source.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// A file with settings, in TOML.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to compute: auto, cpu, cuda or cuda:N. Auto: the first CUDA device, else the CPU.
    #[arg(long)]
    pub device: Option<String>,
    /// Threads to compute with on the CPU; 0: libtorch chooses.
    #[arg(long, value_name = "N")]
    pub threads: Option<u32>,
    /// Weights of VGG19 or VGG16: a file as deploy/setup makes it, or store:SHA256.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<String>,
    /// Folder for what can be fetched again.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Largest image accepted, in pixels; to decode one takes up to 28 bytes a pixel.
    #[arg(long, value_name = "N")]
    pub max_pixels: Option<u64>,
    /// Memory that a job may take, to about a tenth, such as 4GiB; auto: most of the machine's, all
    /// of a GPU's.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Least time between two checkpoints; 0: one after every iteration.
    #[arg(long, value_name = "S")]
    pub checkpoint_seconds: Option<f64>,
}

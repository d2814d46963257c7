//! The `stylefleet` command: turns content and style images into jobs, hands them to workers and
//! collects the pictures.

mod batch_file;
mod cli;
mod config;
mod desk;
mod dispatch;
mod door;
mod expand;
mod fleet;
mod gallery;
mod intake;
mod names;
mod options;
mod output;
mod plan;
mod run;
mod scheduler;
mod signals;
mod values;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Args, Command};
use crate::config::Settings;

/// Exit codes beyond success: some pictures failed, wrong usage, interrupted.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => return complain(&error, USAGE),
    };
    tracing_subscriber::fmt()
        .with_env_filter(&settings.log)
        .with_writer(std::io::stderr)
        .init();
    match args.command {
        Command::Run(args) => run(*args, &settings).await,
    }
}

async fn run(args: cli::RunArgs, settings: &Settings) -> ExitCode {
    let plan = match plan::Plan::new(args.options, args.file.as_deref()) {
        Ok(plan) => plan,
        Err(error) => return complain(&error, USAGE),
    };
    match run::run(plan, args.json, settings).await {
        Ok(run::Ending::AllDone) => ExitCode::SUCCESS,
        Ok(run::Ending::SomeFailed) => ExitCode::from(FAILED),
        Ok(run::Ending::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => complain(&error, FAILED),
    }
}

fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

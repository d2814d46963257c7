//! The `stylefleet` command: turns content and style images into jobs, hands them to workers and
//! collects the pictures.

mod asking;
mod batch;
mod board;
mod cli;
mod commands;
mod config;
mod curve;
mod documents;
mod local;
mod output;
mod picture_folder;
mod signals;
mod state;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::Args;
use crate::commands::{Ending, perform};
use crate::config::Settings;

/// Exit codes beyond success: some pictures failed or there was trouble, wrong usage, interrupted.
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
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match perform(args.command, &settings).await {
        Ok(Ending::AllDone) => ExitCode::SUCCESS,
        Ok(Ending::SomeFailed) => ExitCode::from(FAILED),
        Ok(Ending::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) if error.is_usage() => complain(&error, USAGE),
        Err(error) => complain(&error, FAILED),
    }
}

fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

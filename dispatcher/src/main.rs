//! The `stylefleet` command: turns content and style images into jobs, hands them to workers and
//! collects the pictures.

mod asking;
mod brokers;
mod cli;
mod commands;
mod config;
mod curve;
mod follow;
mod local;
mod output;
mod output_folder;
mod reporter;
mod signals;
mod stores;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use crate::cli::Args;
use crate::commands::{Ending, perform};
use crate::config::Settings;

/// Exit codes beyond success: some results failed or there was trouble, wrong usage, interrupted.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => return complain(&error, USAGE),
    };
    tracing_subscriber::fmt()
        .with_env_filter(settings.log())
        .with_writer(|| output::Log)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, FAILED),
    };
    let ended = runtime.block_on(perform(args.command, &settings));
    // A file system may be at a call that never returns; it is not waited for.
    runtime.shutdown_background();
    match ended {
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

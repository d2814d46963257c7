//! The program `stylefleet-worker`: takes one job at a time, does it, stores what comes of it.
//!
//! Start reading at `job`. Only `kinds` knows particular kinds of job: [`Kinds::standard`] holds
//! those of this program. A program for another kind registers it by [`Kinds::with`] and calls
//! [`main`], as `tests/counting` does.

mod activity;
mod checkpoints;
mod cli;
mod completions;
mod config;
mod doctor;
mod engine_thread;
mod events;
mod failure;
mod health;
mod inputs;
mod job;
mod kinds;
mod local;
mod memory;
mod metrics;
mod own_store;
mod previews;
mod record;
mod serve;
mod service;
mod signals;
mod spans;
mod stdout;
#[cfg(test)]
mod testing;
mod watch;
mod weights;

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

pub use async_trait::async_trait;
pub use failure::Failure;
pub use inputs::Inputs;
pub use kinds::{Assignment, Kind, Kinds};
pub use stylefleet_engine as engine;
use stylefleet_proto::Build;
use stylefleet_telemetry::Telemetry;

use crate::cli::{Cli, Command};
use crate::config::Settings;

/// Exit code where the worker cannot begin: settings, device, weights.
const CANNOT_BEGIN: u8 = 2;

/// Runs the command that the process was started with, for jobs of these kinds. Call it first of
/// all, before there are other threads.
pub fn main(build: Build, kinds: Kinds) -> ExitCode {
    config::forbid_tf32();
    stylefleet_engine::allocator::keep_what_is_freed();
    let mut program = Cli::command().version(build.to_string());
    let cli = Cli::from_arg_matches(&program.get_matches_mut());
    let cli = cli.unwrap_or_else(|error| error.format(&mut program).exit());
    match run(cli.command, program, build, kinds) {
        Ok(code) => code,
        Err((code, error)) => {
            eprintln!("stylefleet-worker: {error}");
            ExitCode::from(code)
        }
    }
}

/// Logs to standard error, and traces if that is wanted, until this is dropped.
fn telemetry(settings: &Settings) -> Telemetry {
    Telemetry::start("stylefleet-worker", &settings.logs(), std::io::stderr)
}

fn run(
    command: Command,
    program: clap::Command,
    build: Build,
    kinds: Kinds,
) -> Result<ExitCode, (u8, Box<dyn std::error::Error>)> {
    let out = stdout::claim().map_err(|e| (CANNOT_BEGIN, e.into()))?;
    let settings = |flags| Settings::load(flags).map_err(|e| (CANNOT_BEGIN, e.into()));
    match command {
        Command::Local { store, flags } => {
            let settings = settings(&flags)?;
            let _telemetry = telemetry(&settings);
            local::run(&store, &settings, kinds, out)
                .map(|()| ExitCode::SUCCESS)
                .map_err(|e| (if e.is_at_start() { CANNOT_BEGIN } else { 1 }, e.into()))
        }
        Command::Serve { flags } => {
            let settings = settings(&flags)?;
            let _telemetry = telemetry(&settings);
            serve::run(&settings, build, kinds)
                .map(|()| ExitCode::SUCCESS)
                .map_err(|e| (if e.is_at_start() { CANNOT_BEGIN } else { 1 }, e.into()))
        }
        Command::Settings => File::from(out)
            .write_all(config::DEFAULTS.as_bytes())
            .map(|()| ExitCode::SUCCESS)
            .map_err(|e| (1, e.into())),
        Command::Doctor { json, flags } => {
            doctor::run(&settings(&flags)?, json, out).map_err(|e| (1, e.into()))
        }
        Command::Completions { shell } => completions::completions(shell, program, out)
            .map(|()| ExitCode::SUCCESS)
            .map_err(|e| (1, e.into())),
        Command::Man { folder } => completions::man(&folder, program)
            .map(|()| ExitCode::SUCCESS)
            .map_err(|e| (1, e.into())),
    }
}

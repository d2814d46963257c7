//! `stylefleet-worker`: takes one job at a time, stylizes it, stores the picture.
//!
//! Start reading at [`job`].

mod checkpoints;
mod cli;
mod config;
mod doctor;
mod engine_thread;
mod events;
mod failure;
mod health;
mod inputs;
mod job;
mod local;
mod metrics;
mod own_store;
mod previews;
mod record;
mod serve;
mod service;
mod signals;
mod stdout;
mod watch;
mod weights;

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::config::Settings;

/// Exit code where the worker cannot begin: settings, device, weights.
const CANNOT_BEGIN: u8 = 2;

fn main() -> ExitCode {
    config::forbid_tf32();
    stylefleet_engine::allocator::keep_what_is_freed();
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err((code, error)) => {
            eprintln!("stylefleet-worker: {error}");
            ExitCode::from(code)
        }
    }
}

/// Logs to standard error from here on.
fn log(settings: &Settings) {
    tracing_subscriber::fmt()
        .with_env_filter(settings.log())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

fn run(command: Command) -> Result<ExitCode, (u8, Box<dyn std::error::Error>)> {
    let out = stdout::claim().map_err(|e| (CANNOT_BEGIN, e.into()))?;
    let settings = |flags| Settings::load(flags).map_err(|e| (CANNOT_BEGIN, e.into()));
    match command {
        Command::Local { store, flags } => {
            let settings = settings(&flags)?;
            log(&settings);
            local::run(&store, &settings, out)
                .map(|()| ExitCode::SUCCESS)
                .map_err(|e| (if e.is_at_start() { CANNOT_BEGIN } else { 1 }, e.into()))
        }
        Command::Serve { flags } => {
            let settings = settings(&flags)?;
            log(&settings);
            serve::run(&settings)
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
    }
}

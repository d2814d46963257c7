//! The `stylefleet` command as a library: it orders jobs, hands them to workers, follows them and
//! collects what they make. No part of it knows a kind of job but the one that implements
//! [`Order`] for it.
//!
//! A program is made of [`main`], of [`FleetCommand`], which are the commands of any fleet, and of
//! [`RunArgs`] and [`SubmitArgs`] with the options of its kind. [`Args`] are those of the program
//! that is shipped; its kinds are `stylize`, `train` and `apply`.

mod apply;
mod brokers;
mod cli;
mod commands;
mod config;
mod curve;
mod follow;
mod images;
mod local;
mod models;
mod names;
mod order;
mod output;
mod output_folder;
mod pictures;
mod reporter;
mod session;
mod signals;
mod stores;
mod stylize;
mod table;
pub mod testing;
mod train;

use std::process::ExitCode;

use stylefleet_telemetry::Telemetry;
use tokio::runtime::Builder;

pub use cli::Args;
pub use commands::{CommandError, Ending, FleetCommand, RunArgs, SubmitArgs};
pub use images::buckets::{Buckets, Listings};
pub use local::{Devices, Machine};
pub use order::{Order, OrderError, Plan, Request, Uploader};
pub use reporter::Reporter;
pub use session::Session;

use config::Settings;

/// Exit codes beyond success: some results failed or there was trouble, wrong usage, interrupted.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

/// What a program does: reads its arguments and the environment, and has `perform` run the command.
pub fn main<A: clap::Parser>(
    perform: impl AsyncFnOnce(A, Session) -> Result<Ending, CommandError>,
) -> ExitCode {
    let args = A::parse();
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => return complain(&error, USAGE),
    };
    let _telemetry = Telemetry::start("stylefleet", &settings.logs(), || output::Log);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, FAILED),
    };
    let ended = runtime.block_on(async { perform(args, Session::begin(settings)?).await });
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
    // People get one line; this has what lies behind it.
    tracing::debug!("{}", stylefleet_model::with_sources(error));
    eprintln!("error: {error}");
    ExitCode::from(code)
}

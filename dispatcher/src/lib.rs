//! The `stylefleet` command as a library: it orders jobs, hands them to workers, follows them and
//! collects what they make. No part of it knows a kind of job but the one that implements
//! [`Order`] for it.
//!
//! A program is made of [`main`], of [`FleetCommand`], which are the commands of any fleet, and of
//! [`RunArgs`] and [`SubmitArgs`] with the options of its kind. [`Args`] are those of the program
//! that is shipped; its kinds are `stylize`, `train`, `apply` and
//! `video`.

mod apply;
mod brokers;
mod cli;
mod color;
mod commands;
mod config;
mod curve;
mod exit;
mod follow;
mod images;
mod local;
mod models;
mod names;
mod order;
mod output;
mod output_folder;
mod pictures;
mod program;
mod report;
mod reporter;
mod session;
mod signals;
mod stores;
mod stylize;
mod table;
pub mod testing;
mod train;
mod video;

use std::process::ExitCode;

use stylefleet_proto::Build;
use stylefleet_telemetry::Telemetry;
use tokio::runtime::Builder;

pub use cli::Args;
pub use commands::{CommandError, Ending, FleetCommand, RunArgs, SubmitArgs};
pub use images::buckets::{Buckets, Listings};
pub use local::{Devices, Machine};
pub use order::{Assembled, Assembly, Order, OrderError, Plan, Request, Uploader};
pub use reporter::Reporter;
pub use session::Session;

use config::Settings;

/// What a program does: reads its arguments and settings, and has `perform` run the command.
pub fn main<A: clap::Parser>(
    build: Build,
    perform: impl AsyncFnOnce(A, Session) -> Result<Ending, CommandError>,
) -> ExitCode {
    color::settle(config::arguments());
    let mut program = program::command::<A>(build);
    let args = A::from_arg_matches(&program.clone().get_matches());
    let args = args.unwrap_or_else(|error| error.format(&mut program).exit());
    let ended = run(build, program, async |session| perform(args, session).await);
    if let Err(error) = &ended {
        // People get one line; this has what lies behind it.
        tracing::debug!("{}", stylefleet_model::with_sources(error));
        eprintln!("error: {error}");
    }
    ExitCode::from(exit::code(&ended))
}

fn run(
    build: Build,
    program: clap::Command,
    perform: impl AsyncFnOnce(Session) -> Result<Ending, CommandError>,
) -> Result<Ending, CommandError> {
    let settings = Settings::read()?;
    let _telemetry = Telemetry::start("stylefleet", &settings.logs(), || output::Log);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(CommandError::Runtime)?;
    let ended =
        runtime.block_on(async { perform(Session::begin(settings, build, program)?).await });
    // A file system may be at a call that never returns; it is not waited for.
    runtime.shutdown_background();
    ended
}

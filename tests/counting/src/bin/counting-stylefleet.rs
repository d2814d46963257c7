//! `stylefleet` for one kind more.

use std::process::ExitCode;

use clap::Parser;
use stylefleet_counting::options::CountingOptions;
use stylefleet_dispatcher::{FleetCommand, RunArgs, SubmitArgs};
use stylefleet_proto::Build;

/// Counts, and looks after fleets.
#[derive(Debug, Parser)]
enum Command {
    /// Count on this machine
    Run(RunArgs<CountingOptions>),
    /// Have a fleet count
    Submit(SubmitArgs<CountingOptions>),
    #[command(flatten)]
    Fleet(FleetCommand),
}

fn main() -> ExitCode {
    let build = Build {
        version: env!("CARGO_PKG_VERSION"),
        commit: None,
    };
    stylefleet_dispatcher::main(build, async |command, session| match command {
        Command::Run(args) => session.run(args).await,
        Command::Submit(args) => session.submit(args).await,
        Command::Fleet(command) => session.fleet(command).await,
    })
}

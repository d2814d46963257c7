//! `stylefleet` for one kind more.

use std::process::ExitCode;

use clap::Parser;
use stylefleet_counting::options::CountingOptions;
use stylefleet_dispatcher::{FleetCommand, RunArgs, SubmitArgs};

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
    stylefleet_dispatcher::main(async |command, session| match command {
        Command::Run(args) => session.run(args).await,
        Command::Submit(args) => session.submit(args).await,
        Command::Fleet(command) => session.fleet(command).await,
    })
}

//! The `stylefleet` command.

use std::process::ExitCode;

use stylefleet_dispatcher::Args;

fn main() -> ExitCode {
    stylefleet_dispatcher::main(Args::perform)
}

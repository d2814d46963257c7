//! `stylefleet-worker`: takes one job at a time, does it, stores what comes of it.

use std::process::ExitCode;

use stylefleet_worker::Kinds;

fn main() -> ExitCode {
    stylefleet_worker::main(Kinds::standard())
}

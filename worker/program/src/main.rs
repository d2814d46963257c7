//! `stylefleet-worker`: takes one job at a time, does it, stores what comes of it.

use std::process::ExitCode;

use stylefleet_proto::Build;
use stylefleet_worker::Kinds;

fn main() -> ExitCode {
    let build = Build {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("STYLEFLEET_COMMIT"),
    };
    stylefleet_worker::main(build, Kinds::standard())
}

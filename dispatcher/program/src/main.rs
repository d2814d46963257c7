//! The `stylefleet` command.

use std::process::ExitCode;

use stylefleet_dispatcher::Args;
use stylefleet_proto::Build;

fn main() -> ExitCode {
    let build = Build {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("STYLEFLEET_COMMIT"),
    };
    stylefleet_dispatcher::main(build, Args::perform)
}

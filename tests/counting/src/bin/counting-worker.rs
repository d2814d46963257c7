//! `stylefleet-worker` with one kind more.

use std::process::ExitCode;

use stylefleet_counting::task::CountingKind;
use stylefleet_proto::Build;
use stylefleet_worker::Kinds;

fn main() -> ExitCode {
    let build = Build {
        version: env!("CARGO_PKG_VERSION"),
        commit: None,
    };
    stylefleet_worker::main(build, Kinds::standard().with(CountingKind))
}

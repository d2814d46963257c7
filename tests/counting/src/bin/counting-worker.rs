//! `stylefleet-worker` with one kind more.

use std::process::ExitCode;

use stylefleet_counting::task::CountingKind;
use stylefleet_worker::Kinds;

fn main() -> ExitCode {
    stylefleet_worker::main(Kinds::standard().with(CountingKind))
}

//! Tells the linker where libtorch is, and the program which commit it is built from.

#[path = "../../dispatcher/program/build.rs"]
#[allow(dead_code)]
mod commit;
#[path = "../build.rs"]
#[allow(dead_code)]
mod libtorch;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    commit::tell_commit();
    libtorch::tell_linker()
}

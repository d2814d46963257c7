//! Compiles `stylefleet.proto` with protox, so that no `protoc` need be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=stylefleet.proto");
    let descriptors = protox::compile(["stylefleet.proto"], ["."])?;
    // Sorted, so that figures are shown in one order.
    prost_build::Config::new()
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}

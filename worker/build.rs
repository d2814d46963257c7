//! Tells the linker where libtorch is; the engine uses this script too, as do all programs that
//! link it.
//!
//! Link arguments do not pass from a dependency to what depends on it, so every crate with an
//! executable or a test sets them itself. CUDA's half of libtorch is not linked but loaded, from
//! the same folder, where it is needed (`engine/src/cuda.rs`).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tell_linker()
}

/// Adds the folder to where executables look for libraries.
pub fn tell_linker() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let folder = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .map_err(|_| "torch-sys does not say where libtorch is: set LIBTORCH")?;
    println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    Ok(())
}

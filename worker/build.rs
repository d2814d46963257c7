//! Links the final artifacts with all of libtorch; the engine uses this script too.
//!
//! No symbol of libtorch_cuda is named in Rust, so the linker leaves the library out when asked
//! plainly, and CUDA is then silently missing at run time. Link arguments do not pass from a
//! dependency to what depends on it, so every crate with an executable or a test says them itself.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let folder = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .map_err(|_| "torch-sys does not say where libtorch is: set LIBTORCH")?;
    let has = |library: &str| PathBuf::from(&folder).join(library).exists();

    let mut arguments = vec![format!("-Wl,-rpath,{folder}"), "-Wl,--no-as-needed".into()];
    arguments.push("-ltorch".into());
    if has("libtorch_cuda.so") {
        arguments.extend(["-ltorch_cuda".into(), "-lc10_cuda".into()]);
    }
    arguments.push("-Wl,--as-needed".into());
    for argument in arguments {
        println!("cargo::rustc-link-arg={argument}");
    }
    Ok(())
}

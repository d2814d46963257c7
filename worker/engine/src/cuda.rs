//! CUDA's half of libtorch, which is loaded only where it is needed.
//!
//! On a machine without a GPU it would cost every worker a quarter of a GB and a fifth of a second
//! (BENCHMARKS.md). libtorch checks only once whether it is there: call [`load`] before anything
//! else.
#![expect(
    unsafe_code,
    reason = "no compiler knows what a library does when it is loaded"
)]

use std::error::Error as _;
use std::ffi::c_int;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY};
use tch::{Cuda, Device, Kind, Tensor};

use crate::device::DeviceMemory;
use crate::{Cause, Error};

/// Comes with libtorch, and registers its kernels when it is loaded.
const LIBRARY: &str = "libtorch_cuda.so";
/// Comes with NVIDIA's driver; in containers, from the host.
const DRIVER: &str = "libcuda.so.1";

static LOADED: OnceLock<Result<(), Cause>> = OnceLock::new();

/// Whether NVIDIA's driver is installed here.
pub fn has_driver() -> bool {
    open(DRIVER).is_ok()
}

/// Makes CUDA known to libtorch; the error says why that is impossible. It is done once in a
/// process: a second call returns what the first did.
pub fn load() -> Result<(), &'static Cause> {
    let refuse = |reason: Cause| {
        let words = format!(
            "this libtorch has no CUDA ({reason}): run `deploy/setup/setup.sh --cuda` (where it is \
             installed: `stylefleet-setup --cuda`), or build the worker with a LIBTORCH that has it"
        );
        reason.in_words(words)
    };
    let loaded = LOADED.get_or_init(|| open(LIBRARY).map_err(refuse));
    loaded.as_ref().copied()
}

/// CUDA devices that this process sees; none where CUDA was not loaded.
pub(crate) fn devices() -> u32 {
    if LOADED.get().is_some_and(Result::is_ok) && Cuda::is_available() {
        u32::try_from(Cuda::device_count()).unwrap_or(0)
    } else {
        0
    }
}

/// How the memory of the device of that number stands, if CUDA was loaded. tch does not tell; the
/// CUDA runtime, which came with libtorch, does.
pub(crate) fn memory(device: c_int) -> Option<DeviceMemory> {
    if !(0..devices() as c_int).contains(&device) {
        return None;
    }
    let program = Library::this();
    let (mut free, mut size) = (0usize, 0usize);
    // SAFETY: both functions have these types in every version of the runtime, and take any number
    // and two places to write to. The device is one that is there, and only this thread's choice
    // of a device is changed.
    let answer = unsafe {
        type SetDevice = unsafe extern "C" fn(c_int) -> c_int;
        type MemGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;
        let set_device = program.get::<SetDevice>(b"cudaSetDevice\0").ok()?;
        let mem_get_info = program.get::<MemGetInfo>(b"cudaMemGetInfo\0").ok()?;
        match set_device(device) {
            0 => mem_get_info(&mut free, &mut size),
            error => error,
        }
    };
    (answer == 0).then(|| DeviceMemory {
        used: size.saturating_sub(free) as u64,
        size: size as u64,
    })
}

/// Why libtorch sees no device.
pub(crate) fn why_no_device() -> Cause {
    match Tensor::f_zeros([1], (Kind::Float, Device::Cuda(0))) {
        Ok(_) => "libtorch sees none".into(),
        Err(error) => Cause::of(Error::from(error)),
    }
}

/// Loads a shared library for good: as the loader finds it, with the program's rpath first.
fn open(library: &str) -> Result<(), Cause> {
    // SAFETY: the initialisers of both libraries have no preconditions.
    let library = unsafe { Library::open(Some(library), RTLD_LAZY | RTLD_GLOBAL) };
    library.map(std::mem::forget).map_err(|e| {
        let words = e
            .source()
            .map_or_else(|| e.to_string(), ToString::to_string);
        Cause::new(words, e)
    })
}

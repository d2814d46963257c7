//! The engine: a device, perhaps with a network, and what tasks keep for later ones.

use std::path::PathBuf;

use stylefleet_model::stylize::Network;
use tch::Device;

use crate::Error;
use crate::cuda;
use crate::device;
use crate::kept::Kept;
use crate::memory::Memory;
use crate::vgg::Vgg;

/// The libtorch that tch is built for; its build refuses any other.
const LIBTORCH: &str = "2.13.0";

/// What an engine is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// `cpu`, `cuda:N`, or `auto`: the first CUDA device, or the CPU where there is none.
    pub device: String,
    /// Threads to compute with on the CPU; none lets libtorch choose.
    pub threads: Option<usize>,
    /// The weights of VGG19 or VGG16 as `deploy/setup` makes them. None: tasks that need a network
    /// fail.
    pub weights: Option<PathBuf>,
    /// Largest image accepted, in pixels; checked before it is decoded.
    pub max_pixels: u64,
    /// Bytes of memory that a task may take, of the process on a CPU, of the device on a GPU: large
    /// pictures go through the network in tiles that fit. None: three quarters of the machine's; on
    /// a GPU, tiles only once its memory is full.
    pub memory: Option<u64>,
}

/// What an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The device: `cpu`, `cuda:0`, ...
    pub device: String,
    /// CUDA devices that this process sees; it does not look if it was told `cpu`.
    pub cuda_devices: u32,
    /// Version of libtorch.
    pub libtorch: String,
    /// Threads that the CPU computes with.
    pub threads: usize,
    /// Vector instructions that the CPU has.
    pub cpu_capability: String,
    /// The network that the weights are of, if there are any: `VGG19` or `VGG16`.
    pub network: Option<String>,
    /// SHA-256 of the weights file, if there is one, in hexadecimal.
    pub weights_sha256: Option<String>,
}

/// A device, perhaps with a network. One task at a time.
///
/// ```no_run
/// use stylefleet_engine::tasks::stylize::Request;
/// use stylefleet_engine::{
///     Control, Engine, Error, Observer, Options, Outcome, Progress, State, Task,
/// };
///
/// /// Lets the engine work.
/// struct Quiet;
///
/// impl Observer for Quiet {
///     fn noted(&mut self, note: &str) {
///         eprintln!("{note}");
///     }
///
///     fn progressed(&mut self, _: &Progress) -> Control {
///         Control::Continue
///     }
///
///     fn accepted(&mut self, _: &State<'_>) {}
/// }
///
/// fn redraw(request: &Request) -> Result<Vec<Vec<u8>>, Error> {
///     let mut engine = Engine::open(&Options {
///         device: "auto".to_owned(),
///         threads: None,
///         weights: Some("vgg19.safetensors".into()),
///         max_pixels: 100_000_000,
///         memory: None,
///     })?;
///     match request.run(&mut engine, None, &mut Quiet)? {
///         Outcome::Finished(finished) => {
///             let outputs = finished.outputs.into_iter();
///             outputs.map(|output| (output.encode)()).collect()
///         }
///         // To go on from, had `progressed` interrupted it.
///         Outcome::Interrupted { checkpoint, .. } => Ok(vec![checkpoint]),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Engine {
    pub(crate) vgg: Option<Vgg>,
    pub(crate) kept: Kept,
    pub(crate) device: Device,
    pub(crate) max_pixels: u64,
    pub(crate) memory: Memory,
    description: Description,
}

impl Engine {
    /// Checks the device and loads the network, if there is to be one.
    pub fn open(options: &Options) -> Result<Self, Error> {
        if let Some(threads) = options.threads {
            tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
        }
        let device = device::resolve(&options.device)?;
        // The same shapes are computed again and again: let cuDNN search for its fastest kernels.
        tch::Cuda::cudnn_set_benchmark(true);
        let weights = options.weights.as_deref();
        let vgg = weights.map(|path| Vgg::load(path, device)).transpose()?;
        Ok(Self {
            description: Description {
                device: device::name(device),
                cuda_devices: cuda::devices(),
                libtorch: LIBTORCH.to_owned(),
                threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
                cpu_capability: device::cpu_capability(),
                network: vgg.as_ref().map(|vgg| vgg.network().to_string()),
                weights_sha256: vgg.as_ref().map(|vgg| vgg.weights_sha256().to_owned()),
            },
            kept: Kept::default(),
            device,
            max_pixels: options.max_pixels,
            memory: Memory::new(options.memory.or_else(|| device::memory(device))),
            vgg,
        })
    }

    /// What this engine is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The network, if it is `wanted`.
    pub(crate) fn vgg(&self, wanted: Network) -> Result<&Vgg, Error> {
        let vgg = self.vgg.as_ref().ok_or(Error::NoNetwork)?;
        vgg.check_network(wanted)?;
        Ok(vgg)
    }

    /// [`Engine::vgg`], to be changed.
    pub(crate) fn vgg_mut(&mut self, wanted: Network) -> Result<&mut Vgg, Error> {
        let vgg = self.vgg.as_mut().ok_or(Error::NoNetwork)?;
        vgg.check_network(wanted)?;
        Ok(vgg)
    }
}

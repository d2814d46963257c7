//! The engine: a network on a device, and what it keeps between jobs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use stylefleet_model::stylize::{Parameters, Precision, Preset};
use tch::{Device, Kind, Tensor};

use crate::checkpoint;
use crate::cuda;
use crate::device;
use crate::inputs::{self, Inputs};
use crate::memory::Memory;
use crate::monitor::Monitor;
use crate::objective::{self, Loss, Mode, statistics};
use crate::scales::schedule;
use crate::styles::Styles;
use crate::stylize::Job;
use crate::targets::Targets;
use crate::vgg::{Arithmetic, Vgg};
use crate::{Error, Observer, Picture, Request, Source};

/// The libtorch that tch is built for; its build refuses any other.
const LIBTORCH: &str = "2.13.0";

/// What an engine is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// `cpu`, `cuda:N`, or `auto`: the first CUDA device, or the CPU where there is none.
    pub device: String,
    /// Threads to compute with on the CPU; none lets libtorch choose.
    pub threads: Option<usize>,
    /// The weights of VGG19 or VGG16 as `deploy/setup` makes them.
    pub weights: PathBuf,
    /// Largest image accepted, in pixels; checked before it is decoded.
    pub max_pixels: u64,
    /// Bytes of memory that a job may take, of the process on a CPU, of the device on a GPU: large
    /// pictures go through the network in tiles that fit. None: three quarters of the machine's; on
    /// a GPU, tiles only once its memory is full.
    pub memory: Option<u64>,
}

/// What an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The device: `cpu`, `cuda:0`, ...
    pub device: String,
    /// CUDA devices that this process sees; it does not look where it was told `cpu`.
    pub cuda_devices: u32,
    /// Version of libtorch.
    pub libtorch: String,
    /// Threads that the CPU computes with.
    pub threads: usize,
    /// Vector instructions that the CPU has.
    pub cpu_capability: String,
    /// The network that the weights are of: `VGG19` or `VGG16`.
    pub network: String,
    /// SHA-256 of the weights file, in hexadecimal.
    pub weights_sha256: String,
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a picture.
    Finished(Picture),
    /// The observer interrupted it.
    Interrupted {
        /// The optimiser's whole state, to resume from.
        checkpoint: Vec<u8>,
        /// Evaluations it holds, over all scales.
        evaluations: u32,
    },
}

/// The loss at one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The whole loss.
    pub loss: f64,
    /// What each term adds to it.
    pub terms: BTreeMap<String, f64>,
    /// d loss / d picture, in the order of the picture's values.
    pub gradient: Vec<f32>,
}

/// A network on a device. One job at a time.
///
/// ```no_run
/// use stylefleet_engine::{
///     Control, Engine, Error, Observer, Options, Outcome, Progress, Request, State,
/// };
/// use stylefleet_model::stylize::Format;
///
/// /// Lets the engine work.
/// struct Quiet;
///
/// impl Observer for Quiet {
///     fn noted(&mut self, note: &str) {
///         eprintln!("{note}");
///     }
///
///     fn evaluated(&mut self, _: &Progress) -> Control {
///         Control::Continue
///     }
///
///     fn accepted(&mut self, _: &State<'_>) {}
/// }
///
/// fn redraw(request: &Request) -> Result<Vec<u8>, Error> {
///     let mut engine = Engine::open(&Options {
///         device: "auto".to_owned(),
///         threads: None,
///         weights: "vgg19.safetensors".into(),
///         max_pixels: 100_000_000,
///         memory: None,
///     })?;
///     match engine.stylize(request, None, &mut Quiet)? {
///         Outcome::Finished(picture) => picture.encode(Format::Png),
///         // To go on from, had `evaluated` interrupted it.
///         Outcome::Interrupted { checkpoint, .. } => Ok(checkpoint),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Engine {
    vgg: Vgg,
    styles: Styles,
    targets: Targets,
    /// What automatic precision begins with.
    automatic: Arithmetic,
    max_pixels: u64,
    memory: Memory,
    description: Description,
}

impl Engine {
    /// Loads the network and checks the device.
    pub fn open(options: &Options) -> Result<Self, Error> {
        if let Some(threads) = options.threads {
            tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
        }
        let device = device::resolve(&options.device)?;
        // The same shapes come again and again: let cuDNN look for its fastest kernels.
        tch::Cuda::cudnn_set_benchmark(true);
        let (vgg, weights_sha256) = Vgg::load(&options.weights, device)?;
        Ok(Self {
            automatic: Arithmetic::automatic(device)?,
            description: Description {
                device: device::name(device),
                cuda_devices: cuda::devices(),
                libtorch: LIBTORCH.to_owned(),
                threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
                cpu_capability: device::cpu_capability(),
                network: vgg.network().to_string(),
                weights_sha256,
            },
            styles: Styles::default(),
            targets: Targets::default(),
            max_pixels: options.max_pixels,
            memory: Memory::new(options.memory.or_else(|| device::memory(device))),
            vgg,
        })
    }

    /// What this engine is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Makes one picture, from the start or from where `checkpoint` left it. Where the checkpoint
    /// is of no use, [`Error::Checkpoint`] says so and nothing was done.
    pub fn stylize(
        &mut self,
        request: &Request,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        self.check(&request.parameters)?;
        let inputs = Inputs::load(request, &mut self.styles, self.max_pixels, observer)?;
        let scales = schedule(inputs.extent, request.parameters.scales);
        let arithmetic = match request.parameters.precision {
            Precision::F32 => Arithmetic::F32,
            Precision::Bf16 => Arithmetic::Bf16,
            Precision::Auto => self.automatic,
        };
        let monitor = Monitor::new(request, scales, arithmetic, observer);
        let job = Job {
            vgg: &mut self.vgg,
            targets: &mut self.targets,
            request,
            inputs,
            memory: self.memory,
            monitor,
        };
        job.run(checkpoint)
    }

    /// The loss of `objective` at `x`, 32-bit: channels B, G, R of the content's size, row by row,
    /// means subtracted. Nothing is resized. The network sees no more than `most_pixels` at once.
    pub fn evaluate(
        &self,
        objective: &Parameters,
        content: &Source,
        styles: &[(Source, f64)],
        x: &[f32],
        most_pixels: u64,
    ) -> Result<Evaluation, Error> {
        self.check(objective)?;
        let mode = Mode {
            arithmetic: Arithmetic::F32,
            most_pixels,
        };
        let read = |source: &Source| {
            let image = source.read(self.max_pixels)?.pixels;
            inputs::to_network(&image, objective.means, self.vgg.device())
        };
        let content = read(content)?;
        let statistics = styles
            .iter()
            .map(|(style, _)| statistics(objective, &self.vgg, &read(style)?, mode))
            .collect::<Result<Vec<_>, Error>>()?;
        let styles = statistics.iter().zip(styles);
        let styles = styles.map(|(statistics, (_, share))| objective::Style {
            statistics,
            share: *share,
            mask: None,
        });
        let styles: Vec<_> = styles.collect();
        let loss = Loss::new(objective, &self.vgg, &content, &styles, mode)?;
        let x = Tensor::f_from_slice(x)?
            .f_reshape(content.size())?
            .f_to_device(self.vgg.device())?;
        let found = loss.evaluate(&self.vgg, &x)?;
        Ok(Evaluation {
            loss: found.loss,
            terms: found.terms,
            gradient: Vec::<f32>::try_from(&found.gradient.f_to_device(Device::Cpu)?)?,
        })
    }

    /// Steps of the job of that identity that `checkpoint` holds, if it is whole and of that job;
    /// of a picture, evaluations over all scales.
    pub fn steps_in(checkpoint: &[u8], identity: &str) -> Result<u32, Error> {
        checkpoint::step(checkpoint, identity)
    }

    /// Seconds that one evaluation at `side` x `side` pixels takes: Gatys' layers, in the
    /// arithmetic that automatic precision begins with.
    pub fn time_evaluation(&mut self, side: u32) -> Result<f64, Error> {
        let arithmetic = self.automatic;
        self.vgg.prepare(arithmetic)?;
        let objective = Parameters {
            network: self.vgg.network(),
            ..Preset::Gatys.parameters()
        };
        let side = i64::from(side);
        let picture = Tensor::f_ones([1, 3, side, side], (Kind::Float, self.vgg.device()))?;
        let mode = Mode {
            arithmetic,
            most_pixels: u64::MAX,
        };
        let style = objective::Style {
            statistics: &statistics(&objective, &self.vgg, &picture, mode)?,
            share: 1.0,
            mask: None,
        };
        let loss = Loss::new(&objective, &self.vgg, &picture, &[style], mode)?;
        // The first one warms up.
        loss.evaluate(&self.vgg, &picture)?;
        let start = Instant::now();
        loss.evaluate(&self.vgg, &picture)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Refuses objectives of another network than the weights are of.
    fn check(&self, objective: &Parameters) -> Result<(), Error> {
        let (wanted, have) = (objective.network, self.vgg.network());
        if wanted == have {
            return Ok(());
        }
        Err(Error::Request(format!(
            "it asks for {wanted}, and this worker's weights are of {have}: give the worker \
             weights of {wanted}, or ask for {have}"
        )))
    }
}

//! `stylefleet-worker doctor`: what this machine offers, and whether it works.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use serde::Serialize;
use stylefleet_engine::{Cause, Engine, Tools, cuda};

use crate::config::Settings;

/// Side of the picture whose evaluation is timed.
const SIDE: u32 = 256;

#[derive(Debug, Default, Serialize)]
struct Report {
    version: &'static str,
    weights: String,
    /// Whether this libtorch has CUDA.
    cuda: bool,
    nvidia_driver: bool,
    #[serde(flatten)]
    engine: Option<EngineReport>,
    /// The version of ffmpeg, which videos need; none where it is missing.
    ffmpeg: Option<String>,
    /// Seconds that one evaluation takes at 256 x 256.
    evaluation_seconds: Option<f64>,
    /// What is wrong, each with its remedy.
    failures: Vec<String>,
}

#[derive(Debug, Serialize)]
struct EngineReport {
    device: String,
    libtorch: String,
    cuda_devices: u32,
    threads: usize,
    cpu_capability: String,
    network: Option<String>,
    weights_sha256: Option<String>,
}

/// Checks everything, reports on `out`; the exit code says whether all is well.
pub fn run(settings: &Settings, json: bool, out: OwnedFd) -> std::io::Result<ExitCode> {
    let report = examine(settings);
    let mut out = File::from(out);
    if json {
        serde_json::to_writer_pretty(&out, &report)?;
        writeln!(out)?;
    } else {
        out.write_all(lines(&report).as_bytes())?;
    }
    Ok(ExitCode::from(u8::from(!report.failures.is_empty())))
}

fn examine(settings: &Settings) -> Report {
    // This comes first, whatever the device, so that libtorch sees the GPUs.
    let cuda = cuda::load();
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        weights: settings.weights().display().to_string(),
        cuda: cuda.is_ok(),
        nvidia_driver: cuda::has_driver(),
        ffmpeg: Tools::find(None)
            .ok()
            .map(|tools| tools.version().to_owned()),
        ..Report::default()
    };
    match Engine::open(&settings.engine()) {
        Ok(mut engine) => {
            report.engine = Some(describe(&engine));
            match engine.time_evaluation(SIDE) {
                Ok(seconds) => report.evaluation_seconds = Some(seconds),
                Err(error) => report.failures.push(error.to_string()),
            }
        }
        Err(error) => report.failures.push(error.to_string()),
    }
    // Whoever asks for the CPU by name wants no GPU.
    if settings.engine().device != "cpu" {
        report.failures.extend(unused_gpu(&report, cuda.err()));
    }
    report
}

fn describe(engine: &Engine) -> EngineReport {
    let description = engine.description().clone();
    EngineReport {
        device: description.device,
        libtorch: description.libtorch,
        cuda_devices: description.cuda_devices,
        threads: description.threads,
        cpu_capability: description.cpu_capability,
        network: description.network,
        weights_sha256: description.weights_sha256,
    }
}

/// Why a GPU of this machine would not be used. `missing` is why CUDA cannot be loaded.
fn unused_gpu(report: &Report, missing: Option<&Cause>) -> Option<String> {
    if !report.nvidia_driver {
        return None;
    }
    if let Some(reason) = missing {
        return Some(format!(
            "cuda: this machine has an NVIDIA driver, but {reason}"
        ));
    }
    let sees_none = report.engine.as_ref().is_some_and(|e| e.cuda_devices == 0);
    sees_none.then(|| {
        "cuda: this machine has an NVIDIA driver but libtorch sees no device: check nvidia-smi and \
         CUDA_VISIBLE_DEVICES, and that the driver is as new as libtorch's CUDA"
            .to_owned()
    })
}

fn lines(report: &Report) -> String {
    let yes_no = |yes| if yes { "yes" } else { "no" }.to_owned();
    let ffmpeg = report.ffmpeg.as_deref();
    let ffmpeg = ffmpeg.unwrap_or("missing: no videos until you run  apt-get install ffmpeg");
    let mut facts = vec![
        ("stylefleet-worker", report.version.to_owned()),
        ("libtorch has cuda", yes_no(report.cuda)),
        ("nvidia driver", yes_no(report.nvidia_driver)),
        ("weights", report.weights.clone()),
        ("ffmpeg", ffmpeg.to_owned()),
    ];
    if let Some(engine) = &report.engine {
        facts.extend(engine.network.clone().map(|network| ("network", network)));
        let weights = engine.weights_sha256.clone();
        facts.extend(weights.map(|sha256| ("weights sha256", sha256)));
        facts.extend([
            ("libtorch", engine.libtorch.clone()),
            ("device", engine.device.clone()),
            ("cuda devices", engine.cuda_devices.to_string()),
            ("threads", engine.threads.to_string()),
            ("cpu capability", engine.cpu_capability.clone()),
        ]);
    }
    if let Some(seconds) = report.evaluation_seconds {
        facts.push(("one evaluation", format!("{seconds:.3} s at {SIDE}x{SIDE}")));
    }
    facts.extend(
        report
            .failures
            .iter()
            .map(|failure| ("FAILED", failure.clone())),
    );
    facts
        .iter()
        .map(|(name, value)| format!("{name:<18} {value}\n"))
        .collect()
}

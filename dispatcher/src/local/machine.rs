//! How a run uses this machine.

use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;

/// Heading of what is one setting for all results.
pub const WHOLE: &str = "The whole run (one setting for all results)";

/// Largest image that workers accept unless told otherwise, in pixels.
const MAX_PIXELS: u64 = 100_000_000;

/// What only a run on this machine can be told. What is not told has a default.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Machine {
    /// Folder for the results, made if need be; its .stylefleet holds the store [default: out]
    ///
    /// One run at a time may use a folder.
    #[arg(long, aliases = ["output", "output-image"], value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Where to compute: auto, cpu, cuda, or cuda:N[,cuda:M...] [default: auto]
    ///
    /// auto: every CUDA device, or the CPU where there is none. cuda: the first. A worker is
    /// started for each device listed; a CUDA device that is not there is an error.
    #[arg(long, value_name = "D", help_heading = WHOLE)]
    pub device: Option<Devices>,

    /// CPU threads of each worker, 1 or more [default: the cores, shared evenly]
    #[arg(long, value_name = "N", help_heading = WHOLE)]
    pub threads: Option<NonZero<u32>>,

    /// Memory that each worker's job may take, to about a tenth, such as 4GiB [default: most of the
    /// machine's, all of a GPU's]
    ///
    /// Larger pictures go through the network in tiles: more slowly, to the same end.
    #[arg(long, value_name = "SIZE", help_heading = WHOLE)]
    pub memory: Option<ByteSize>,

    /// Largest image that workers accept, in pixels; an order says so if it has images.
    #[arg(skip)]
    pub max_pixels: Option<NonZero<u64>>,
}

impl Machine {
    /// Largest image that workers accept, in pixels.
    pub fn max_pixels(&self) -> u64 {
        self.max_pixels.map_or(MAX_PIXELS, NonZero::get)
    }

    /// This, and what `base` says where this says nothing.
    pub fn over(self, base: Self) -> Self {
        Self {
            out: self.out.or(base.out),
            device: self.device.or(base.device),
            threads: self.threads.or(base.threads),
            memory: self.memory.or(base.memory),
            max_pixels: self.max_pixels.or(base.max_pixels),
        }
    }
}

/// The devices to compute on: `auto`, or a list such as `cuda:0,cuda:1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// Every CUDA device, or the CPU where there is none.
    Auto,
    /// These, one worker each.
    These(Vec<String>),
}

/// What was written is no device.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no device: give auto, cpu, cuda or cuda:N, several with commas between")]
pub struct NoDevice(String);

impl Devices {
    /// CPU threads for each worker where several share the CPU: computing threads that outnumber
    /// the cores wait for each other. None leaves it to the worker.
    pub fn threads_each(&self) -> Option<NonZero<u32>> {
        let Self::These(devices) = self else {
            return None;
        };
        let sharing = devices.iter().filter(|device| *device == "cpu").count();
        let cores = std::thread::available_parallelism().ok()?.get();
        let each = u32::try_from(cores / sharing.max(1)).ok()?;
        if sharing > 1 {
            NonZero::new(each.max(1))
        } else {
            None
        }
    }
}

impl FromStr for Devices {
    type Err = NoDevice;

    fn from_str(text: &str) -> Result<Self, NoDevice> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let device = |text: &str| match text.trim() {
            "cuda" => Ok("cuda:0".to_owned()),
            device @ "cpu" => Ok(device.to_owned()),
            device => {
                let index = device.strip_prefix("cuda:");
                let index = index.and_then(|index| index.parse::<u8>().ok());
                let known = index.map(|index| format!("cuda:{index}"));
                known.ok_or_else(|| NoDevice(text.to_owned()))
            }
        };
        text.split(',')
            .map(device)
            .collect::<Result<_, _>>()
            .map(Self::These)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let devices = |text: &str| text.parse::<Devices>().ok();
        assert_eq!(devices("auto"), Some(Devices::Auto));
        let two = Devices::These(vec!["cuda:0".into(), "cuda:1".into()]);
        assert_eq!(devices("cuda:0,cuda:1").as_ref(), Some(&two));
        assert_eq!(devices("cuda,cuda:01"), Some(two));
        for text in ["", "gpu", "cuda:", "cuda:x", "cpu,auto", "cpu,"] {
            assert_eq!(devices(text), None, "{text}");
        }
    }
}

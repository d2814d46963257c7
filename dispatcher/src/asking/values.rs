//! Values that people write, on the command line and in batch files alike.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use stylefleet_proto::MAX_PREVIEW_EVERY;

/// What is wrong with a value.
#[derive(Debug, thiserror::Error)]
pub enum BadValue {
    /// Not a device.
    #[error("\"{0}\" is no device: give auto, cpu, cuda or cuda:N, several with commas between")]
    Device(String),
}

/// A style image and, where one was given, its weight in the blend.
#[derive(Debug, Clone, PartialEq)]
pub struct StyleImage {
    /// The file.
    pub path: PathBuf,
    /// Its share, relative to the other styles.
    pub weight: Option<f64>,
}

impl StyleImage {
    /// Reads `file` or `file=weight`. A file whose name has an `=` in it keeps it.
    pub fn parse(written: &Path) -> Self {
        let split = written.to_str().and_then(|text| {
            let (path, weight) = text.rsplit_once('=')?;
            Some((path, weight.parse().ok()?))
        });
        match split {
            Some((path, weight)) if !written.exists() => Self {
                path: path.into(),
                weight: Some(weight),
            },
            _ => Self {
                path: written.to_owned(),
                weight: None,
            },
        }
    }
}

/// What is written for a style that has no mask.
pub const NO_MASK: &str = "none";

/// A style of a blend.
#[derive(Debug, Clone, PartialEq)]
pub struct Blended {
    /// The file.
    pub path: PathBuf,
    /// Its share, relative to the other styles.
    pub weight: f64,
    /// The file that says where it counts; none: everywhere.
    pub mask: Option<PathBuf>,
}

/// The devices to compute on: `auto`, or a list such as `cuda:0,cuda:1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// Every CUDA device, or the CPU where there is none.
    Auto,
    /// These, one worker each.
    These(Vec<String>),
}

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
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
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
                known.ok_or_else(|| BadValue::Device(text.to_owned()))
            }
        };
        text.split(',')
            .map(device)
            .collect::<Result<_, _>>()
            .map(Self::These)
    }
}

/// Reads how many evaluations lie between progress pictures.
pub fn preview_every() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MAX_PREVIEW_EVERY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_keeps_the_equals_sign_of_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let odd = folder.path().join("e=2");
        let plain = StyleImage::parse(&odd);
        assert_eq!(plain.weight, Some(2.0));
        std::fs::write(&odd, "").expect("writes");
        let odd_file = StyleImage::parse(&odd);
        assert_eq!((odd_file.path, odd_file.weight), (odd.clone(), None));
        let weighted = StyleImage::parse(&folder.path().join("e=2=0.5"));
        assert_eq!((weighted.path, weighted.weight), (odd, Some(0.5)));
        assert_eq!(StyleImage::parse(Path::new("a=b.png")).weight, None);
    }

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

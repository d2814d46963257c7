//! Values that people write, on the command line and in batch files alike.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::{Error as WordError, StrDeserializer};
use stylefleet_proto::{Colors, Layer, LayerWeight, MAX_PREVIEW_EVERY, Size, UnknownLayer};

/// What is wrong with a value.
#[derive(Debug, thiserror::Error)]
pub enum BadValue {
    /// Not a size.
    #[error(
        "\"{0}\" is no size: give pixels of the longer side, as in 512, or both, as in 640x480"
    )]
    Size(String),
    /// Not a layer.
    #[error(transparent)]
    Layer(#[from] UnknownLayer),
    /// Not a number.
    #[error("\"{0}\" is no number")]
    Number(String),
    /// Styles are counted from 1.
    #[error("\"{0}\" names no style: they count from 1, as in style:1")]
    StyleIndex(String),
    /// Not a device.
    #[error("\"{0}\" is no device: give auto, cpu, cuda or cuda:N, several with commas between")]
    Device(String),
}

/// `512` or `640x480`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureSize(pub Size);

impl FromStr for PictureSize {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let pixels = |text: &str| text.parse().ok();
        let size = match text.split_once(['x', 'X']) {
            None => pixels(text).map(Size::Longest),
            Some((width, height)) => pixels(width)
                .zip(pixels(height))
                .map(|(width, height)| Size::Exact { width, height }),
        };
        size.map(Self)
            .ok_or_else(|| BadValue::Size(text.to_owned()))
    }
}

/// `conv1_1=0.5,conv2_1`: layers, some with a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers(Vec<(Layer, Option<f64>)>);

impl Layers {
    /// The layers, each with the weight given, or else the one it has in `preset`, or else 1.
    pub fn weighted(&self, preset: &[LayerWeight]) -> Vec<LayerWeight> {
        let usual = |layer| preset.iter().find(|entry| entry.layer == layer);
        self.0
            .iter()
            .map(|&(layer, weight)| LayerWeight {
                layer,
                weight: weight.unwrap_or_else(|| usual(layer).map_or(1.0, |entry| entry.weight)),
            })
            .collect()
    }
}

impl FromStr for Layers {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.split(',')
            .map(|entry| match entry.trim().split_once('=') {
                None => Ok((entry.trim().parse()?, None)),
                Some((layer, weight)) => Ok((layer.parse()?, Some(number(weight)?))),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn number(text: &str) -> Result<f64, BadValue> {
    text.parse().map_err(|_| BadValue::Number(text.to_owned()))
}

/// Where to start: `content`, `noise`, `style`, `style:2`, or a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// The content image.
    Content,
    /// Noise.
    Noise,
    /// A style of the blend, from 1.
    Style(u32),
    /// Any other image.
    File(PathBuf),
}

impl FromStr for Start {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match (text, text.strip_prefix("style:")) {
            ("content" | "image", _) => Ok(Self::Content),
            ("noise" | "random", _) => Ok(Self::Noise),
            ("style", _) => Ok(Self::Style(1)),
            (_, Some(index)) => match index.parse() {
                Ok(index @ 1..) => Ok(Self::Style(index)),
                _ => Err(BadValue::StyleIndex(text.to_owned())),
            },
            _ => Ok(Self::File(text.into())),
        }
    }
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

/// What is compared of the styles' activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StyleStatistics {
    /// Sums of their products, as the preset has it.
    Gram,
    /// Their means and covariances.
    Wasserstein,
}

/// Whose colours the picture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepColors {
    /// The styles'.
    #[serde(alias = "0")]
    None,
    /// The content's; the picture gives the luminance.
    #[serde(alias = "1")]
    Luminance,
    /// The content's; the styles are recoloured to their mean and covariance.
    Match,
    /// The content's; the styles are recoloured to their histograms.
    Histogram,
}

impl From<KeepColors> for Colors {
    fn from(keep: KeepColors) -> Self {
        match keep {
            KeepColors::None => Self::Style,
            KeepColors::Luminance => Self::Luminance,
            KeepColors::Match => Self::Match,
            KeepColors::Histogram => Self::Histogram,
        }
    }
}

/// Reads how many evaluations lie between progress pictures.
pub fn preview_every() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MAX_PREVIEW_EVERY))
}

/// Reads one of an enum's words, as a batch file would.
pub fn word<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, WordError> {
    T::deserialize(StrDeserializer::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let size = |text: &str| text.parse::<PictureSize>().map(|size| size.0).ok();
        assert_eq!(size("512"), Some(Size::Longest(512)));
        let exact = Size::Exact {
            width: 640,
            height: 480,
        };
        assert_eq!(size("640x480"), Some(exact));
        for text in ["", "x", "640x", "x480", "-1", "1.5", "640x480x3", "big"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn layers_take_their_usual_weight() {
        let layer = |text: &str| text.parse::<Layer>().expect("a layer");
        let preset = [LayerWeight {
            layer: layer("conv2_1"),
            weight: 0.25,
        }];
        let layers: Layers = "conv1_1=0.5, relu2_1,conv3_1".parse().expect("layers");
        let weights: Vec<_> = layers.weighted(&preset).iter().map(|l| l.weight).collect();
        assert_eq!(weights, [0.5, 0.25, 1.0]);
        for text in ["", "conv9_9", "conv1_1=", "conv1_1=x", "conv1_1,,conv2_1"] {
            assert!(text.parse::<Layers>().is_err(), "{text}");
        }
    }

    #[test]
    fn starts() {
        let start = |text: &str| text.parse::<Start>().ok();
        assert_eq!(start("noise"), Some(Start::Noise));
        assert_eq!(start("style"), Some(Start::Style(1)));
        assert_eq!(start("style:3"), Some(Start::Style(3)));
        assert_eq!(start("noise.png"), Some(Start::File("noise.png".into())));
        assert_eq!(start("style:0"), None);
        assert_eq!(start("style:x"), None);
    }

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

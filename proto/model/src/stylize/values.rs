//! Parameters that are neither a number nor a word.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Layer;
use crate::parameter::{NONE, plain};
use crate::{Invalid, Limits, Value};

/// Smallest side of a picture, in pixels: below it VGG19's pooling leaves nothing.
pub const MIN_SIDE: u32 = 16;
/// Largest side of a picture, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Largest weight of a layer among layers or a style among styles.
pub const MAX_SHARE: f64 = 1e6;

/// Size of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// The longer side; the other follows the content's shape.
    Longest(u32),
    /// Both sides; the content is stretched to it.
    Exact {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

impl Size {
    /// Width and height of the picture that is made of a content of these, in pixels.
    pub fn of(self, content: [u32; 2]) -> [u32; 2] {
        match self {
            Self::Longest(longer) => fitted(content, longer.into()),
            Self::Exact { width, height } => [width, height],
        }
    }
}

/// Width and height of the same shape with the longer side as given, and no side below
/// [`MIN_SIDE`].
pub fn fitted(sides: [u32; 2], longer: f64) -> [u32; 2] {
    let factor = longer / f64::from(sides[0].max(sides[1]));
    sides.map(|side| ((f64::from(side) * factor).round() as u32).max(MIN_SIDE))
}

impl Value for Size {
    type Written = Self;

    fn read(text: &str) -> Result<Self, String> {
        let pixels = |text: &str| text.parse().ok();
        let size = match text.split_once(['x', 'X']) {
            None => pixels(text).map(Self::Longest),
            Some((width, height)) => pixels(width)
                .zip(pixels(height))
                .map(|(width, height)| Self::Exact { width, height }),
        };
        size.ok_or_else(|| {
            format!(
                "invalid size \"{text}\": give pixels of the longer side, as in 512, or both, as \
                 in 640x480"
            )
        })
    }

    fn resolve(written: &Self, _: &Self) -> Self {
        *written
    }

    fn show(&self) -> String {
        match self {
            Self::Longest(side) => side.to_string(),
            Self::Exact { width, height } => format!("{width}x{height}"),
        }
    }

    fn check(&self, field: &str) -> Result<(), Invalid> {
        let limits = Limits::from(MIN_SIDE..=MAX_SIDE);
        let check = |field: &str, side: u32| limits.check(field, side.into());
        match *self {
            Self::Longest(side) => check(field, side),
            Self::Exact { width, height } => {
                check(&format!("{field}.width"), width)?;
                check(&format!("{field}.height"), height)
            }
        }
    }
}

/// Where the optimisation starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// The content image.
    Content,
    /// Noise around mid-grey.
    Noise,
    /// The style with this index, from 0, stretched to the picture.
    Style(u32),
    /// An image of its own, stretched to the picture.
    Image,
}

/// Where to start, as people write it: `content`, `noise`, `style`, `style:2`, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// One that needs no file.
    Init(Init),
    /// The image in this file.
    File(PathBuf),
}

impl Value for Init {
    type Written = Start;

    fn read(text: &str) -> Result<Start, String> {
        Ok(Start::Init(match (text, text.strip_prefix("style:")) {
            ("content" | "image", _) => Self::Content,
            ("noise" | "random", _) => Self::Noise,
            ("style", _) => Self::Style(0),
            (_, Some(place)) => match place.parse() {
                Ok(place @ 1..) => Self::Style(place - 1),
                _ => {
                    return Err(format!(
                        "\"{text}\" names no style: they count from 1, as in style:1"
                    ));
                }
            },
            _ => return Ok(Start::File(text.into())),
        }))
    }

    fn resolve(written: &Start, _: &Self) -> Self {
        match written {
            Start::Init(init) => *init,
            Start::File(_) => Self::Image,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Content => "content".to_owned(),
            Self::Noise => "noise".to_owned(),
            Self::Style(index) => format!("style:{}", index.saturating_add(1)),
            Self::Image => "a file".to_owned(),
        }
    }
}

/// A layer and its share of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerWeight {
    /// The layer.
    pub layer: Layer,
    /// Its weight: 0 to 1e6.
    pub weight: f64,
}

/// The layers that a loss looks at, none twice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layers(pub Vec<LayerWeight>);

/// Layers as people write them, as in `conv1_1=0.5,conv2_1`: one without a weight has the preset's.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenLayers(Vec<(Layer, Option<f64>)>);

impl Layers {
    /// Most layers that a loss looks at: all there are.
    pub const MOST: usize = Layer::COUNT;

    /// The layers at these places, block and convolution from 1, where they exist.
    pub fn of(entries: impl IntoIterator<Item = (u8, u8, f64)>) -> Self {
        let entry = |(block, convolution, weight)| {
            Layer::new(block, convolution).map(|layer| LayerWeight { layer, weight })
        };
        Self(entries.into_iter().filter_map(entry).collect())
    }
}

impl Deref for Layers {
    type Target = Vec<LayerWeight>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Layers {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Value for Layers {
    type Written = WrittenLayers;

    fn read(text: &str) -> Result<WrittenLayers, String> {
        if text == NONE {
            return Ok(WrittenLayers(Vec::new()));
        }
        let layer = |text: &str| text.trim().parse::<Layer>().map_err(|e| e.to_string());
        let entry = |entry: &str| match entry.split_once('=') {
            None => Ok((layer(entry)?, None)),
            Some((name, weight)) => Ok((layer(name)?, Some(f64::read(weight)?))),
        };
        text.split(',')
            .map(entry)
            .collect::<Result<_, _>>()
            .map(WrittenLayers)
    }

    fn resolve(written: &WrittenLayers, usual: &Self) -> Self {
        let usual = |layer| {
            let entry = usual.iter().find(|entry| entry.layer == layer);
            entry.map_or(1.0, |entry| entry.weight)
        };
        let entry = |&(layer, weight): &(Layer, Option<f64>)| LayerWeight {
            layer,
            weight: weight.unwrap_or_else(|| usual(layer)),
        };
        Self(written.0.iter().map(entry).collect())
    }

    fn show(&self) -> String {
        if self.is_empty() {
            return NONE.to_owned();
        }
        let entry = |entry: &LayerWeight| format!("{}={}", entry.layer, plain(entry.weight));
        self.iter().map(entry).collect::<Vec<_>>().join(",")
    }

    fn check(&self, field: &str) -> Result<(), Invalid> {
        if self.len() > Self::MOST {
            let reason = format!("has {} entries, at most {}", self.len(), Self::MOST);
            return Err(Invalid::new(field, reason));
        }
        let limits = Limits::from(0.0..=MAX_SHARE);
        for (i, entry) in self.iter().enumerate() {
            limits.check(&format!("{field}.{}", entry.layer), entry.weight)?;
            if self[..i].iter().any(|before| before.layer == entry.layer) {
                return Err(Invalid::new(field, format!("names {} twice", entry.layer)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let size = |text: &str| Size::read(text).ok();
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
        let preset = Layers::of([(2, 1, 0.25)]);
        let written = Layers::read("conv1_1=0.5, relu2_1,conv3_1").expect("layers");
        let layers = Layers::resolve(&written, &preset);
        assert_eq!(layers.show(), "conv1_1=0.5,conv2_1=0.25,conv3_1=1");
        for text in ["", "conv9_9", "conv1_1=", "conv1_1=x", "conv1_1,,conv2_1"] {
            assert!(Layers::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn starts() {
        let start = |text: &str| Init::read(text).ok();
        let init = |init| Some(Start::Init(init));
        assert_eq!(start("noise"), init(Init::Noise));
        assert_eq!(start("style"), init(Init::Style(0)));
        assert_eq!(start("style:3"), init(Init::Style(2)));
        assert_eq!(start("noise.png"), Some(Start::File("noise.png".into())));
        assert_eq!(start("style:0"), None);
        assert_eq!(start("style:x"), None);
    }
}

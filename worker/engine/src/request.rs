//! What the engine is asked to do.

use std::fmt;

use crate::Source;

/// One picture to make.
#[derive(Debug, Clone)]
pub struct Request {
    /// What the request is known by: a checkpoint is taken by one of the same identity alone.
    pub identity: String,
    /// The picture to redraw.
    pub content: Source,
    /// The styles to blend, at least one.
    pub styles: Vec<Style>,
    /// Where the optimisation starts.
    pub init: Init,
    /// Size of the picture.
    pub size: Size,
    /// The losses and their weights.
    pub objective: Objective,
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
    /// Longer side of a style image relative to the picture's longer side.
    pub style_scale: f64,
    /// Stretch style images to the picture's exact size instead.
    pub stretch_style: bool,
    /// Arithmetic of the network.
    pub precision: Precision,
    /// Seed of the noise.
    pub seed: u64,
    /// Decay, 0 to below 1, of the mean of all places that a scale ends with, newest most; 0: it
    /// ends with the best place.
    pub average: f64,
}

/// A style of the blend.
#[derive(Debug, Clone)]
pub struct Style {
    /// The painting.
    pub image: Source,
    /// How much it counts relative to the others.
    pub share: f64,
    /// Where in the picture it counts: white everything, black nothing; stretched to the picture.
    /// None: everywhere.
    pub mask: Option<Source>,
}

/// Where the optimisation starts.
#[derive(Debug, Clone)]
pub enum Init {
    /// The content image.
    Content,
    /// Noise around mid-grey.
    Noise,
    /// The style with this index, stretched to the picture.
    Style(usize),
    /// Another image, stretched to the picture.
    Image(Source),
}

/// Size of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The losses and their weights. Values are in the network's range: 0 to 255, B, G, R, means
/// subtracted.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The network whose activations are compared: the engine's weights must be of it.
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
    /// Strength of the style, 0 (the content alone) to 1 (the style alone): both losses are
    /// measured against what they come to at the content, at every size anew, so that a half is
    /// alike for all. None: the weights as they are.
    pub strength: Option<f64>,
    /// Scale each layer's term such that the magnitudes of its gradient along the layer's
    /// activations, at the content, sum to the weight times the picture's values, three a pixel, at
    /// every size anew; for content terms, where all positions of a channel were equal.
    pub normalize_gradients: bool,
}

/// A layer and its share of the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerWeight {
    /// The layer.
    pub layer: Layer,
    /// Its weight, not negative.
    pub weight: f64,
}

/// One of VGG19's 16 convolutions, 0 to 15, standing for the activation after its ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer(u8);

impl Layer {
    /// Convolutions in each of the five blocks.
    pub const BLOCKS: [u8; 5] = [2, 2, 4, 4, 4];
    /// Number of layers.
    pub const COUNT: usize = 16;

    /// The layer at this place, block and convolution from 1, if there is such a layer.
    pub fn new(block: u8, convolution: u8) -> Option<Self> {
        let before = block.checked_sub(1)?;
        let convolutions = *Self::BLOCKS.get(usize::from(before))?;
        let index: u8 = Self::BLOCKS[..usize::from(before)].iter().sum();
        (1..=convolutions)
            .contains(&convolution)
            .then(|| Self(index + convolution - 1))
    }

    /// The layer next to the picture.
    pub fn first() -> Self {
        Self(0)
    }

    /// Every layer, from the picture inwards.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    /// Place among VGG19's 16, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Whether there is a pooling between it and the layer before.
    pub(crate) fn follows_pooling(self) -> bool {
        let (block, convolution) = self.place();
        block > 1 && convolution == 1
    }

    /// Pixels from one of the layer's positions to the next.
    pub fn stride(self) -> i64 {
        1 << (self.place().0 - 1)
    }

    /// Activations at each of the layer's positions.
    pub fn channels(self) -> i64 {
        (64 << (self.place().0 - 1)).min(512)
    }

    /// Block and convolution, both from 1.
    pub fn place(self) -> (u8, u8) {
        let mut left = self.0;
        for (block, convolutions) in (1..).zip(Self::BLOCKS) {
            if left < convolutions {
                return (block, left + 1);
            }
            left -= convolutions;
        }
        unreachable!("a layer is one of {}", Self::COUNT)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (block, convolution) = self.place();
        write!(f, "conv{block}_{convolution}")
    }
}

/// A network of Simonyan and Zisserman (arXiv 1409.1556).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Up to four convolutions in a block: every [`Layer`].
    Vgg19,
    /// No more than three: all but conv3_4, conv4_4 and conv5_4.
    Vgg16,
}

impl Network {
    pub(crate) fn has(self, layer: Layer) -> bool {
        self == Self::Vgg19 || layer.place().1 < 4
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vgg19 => "VGG19",
            Self::Vgg16 => "VGG16",
        })
    }
}

/// Which means are subtracted from the channels B, G, R.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Means {
    /// 103.939, 116.779, 123.68: what the network was trained with.
    Bgr,
    /// 123.68, 116.779, 103.939: the 2017 notebook's swap.
    Swapped,
}

/// What stands between the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The largest of 2 x 2.
    Max,
    /// The mean of 2 x 2.
    Average,
}

/// Form of the content loss. F, P: activations of picture and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentLoss {
    /// 1/2 sum (F - P)^2: Gatys et al., arXiv 1508.06576, equation 1.
    HalfSum,
    /// mean (F - P)^2.
    Mean,
}

/// Form of the style loss. G, A: sums over positions of the outer products of activations, of
/// picture and style; M: a layer's positions; N: its channels; S: the picture's pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StyleLoss {
    /// sum (G/M - A/M)^2 / (4 N^2): equation 4 of arXiv 1508.06576 with the positions divided
    /// out, so that picture and style may differ in size.
    PerPosition,
    /// sum (G - A)^2 / (6 S)^2: the 2017 notebook's.
    Notebook,
    /// W^2 / N: W is the 2-Wasserstein distance of the normal distributions with the activations'
    /// means and covariances.
    Wasserstein,
}

/// Form of the total variation. dx, dy: differences of neighbouring pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalVariation {
    /// sum (dx^2 + dy^2)^1.25 over all pixels but the last row and column: the 2017 notebook's.
    Notebook,
    /// sum |dx| + sum |dy|.
    L1,
    /// sum dx^2 + sum dy^2.
    L2,
}

/// Whose colours the picture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// The styles'.
    Style,
    /// The content's: the picture gives the luminance alone.
    Luminance,
    /// The content's: the styles take its colours' mean and covariance before they are used.
    Match,
    /// The content's: each channel of the styles is given the content's histogram before they are
    /// used.
    Histogram,
}

/// The minimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimizer {
    /// Limited-memory BFGS with a line search.
    Lbfgs,
    /// Adam.
    Adam,
}

/// Arithmetic of the network; losses and optimiser are always 32-bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// bf16 where the device gains from it, until its rounding stops the progress; else f32.
    Auto,
    /// 32-bit.
    F32,
    /// bf16.
    Bf16,
}

/// File format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 8 bits a channel, no loss.
    Png,
    /// 8 bits a channel, quality 95.
    Jpeg,
    /// 16 bits a channel, no loss.
    Tiff,
}

//! Parameters that are one of a few words. Their order is that of the numbers in
//! `stylefleet.proto`.

use crate::choice::choice;
use crate::{Choice, Value};

choice! {
    /// Networks of Simonyan and Zisserman (arXiv 1409.1556).
    Network {
        /// 16 convolutions, conv1_1 to conv5_4: every [`super::Layer`].
        Vgg19 = "vgg19",
        /// 13 convolutions: VGG19's names without conv3_4, conv4_4 and conv5_4.
        Vgg16 = "vgg16",
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vgg19 => "VGG19",
            Self::Vgg16 => "VGG16",
        })
    }
}

choice! {
    /// Which means are subtracted from the channels B, G, R.
    Means {
        /// 103.939, 116.779, 123.68: what the network was trained with.
        Bgr = "bgr",
        /// 123.68, 116.779, 103.939: the 2017 notebook's swap.
        Swapped = "swapped",
    }
}

choice! {
    /// What stands between the network's blocks, over 2 x 2 positions.
    Pooling {
        /// The largest.
        Max = "max",
        /// The mean.
        Average = "average",
    }
}

choice! {
    /// Form of the content loss. F, P: activations of picture and content.
    ContentLoss {
        /// 1/2 sum (F - P)^2: Gatys et al., arXiv 1508.06576, equation 1.
        HalfSum = "half-sum",
        /// mean (F - P)^2.
        Mean = "mean",
    }
}

choice! {
    @choice
    /// Form of the style loss. G, A: sums over positions of the outer products of activations, of
    /// picture and style; M: a layer's positions; N: its channels; S: the picture's pixels.
    StyleLoss {
        /// sum (G/M - A/M)^2 / (4 N^2): equation 4 of arXiv 1508.06576 with the positions divided
        /// out, so that picture and style may differ in size.
        PerPosition = "per-position",
        /// sum (G - A)^2 / (6 S)^2: the 2017 notebook's.
        Notebook = "notebook",
        /// W^2 / N, where W is the 2-Wasserstein distance of the normal distributions that have the
        /// means and covariances of the activations of picture and style.
        Wasserstein = "wasserstein",
    }
}

impl Value for StyleLoss {
    /// None: a comparison of Gram matrices, in the preset's form.
    type Written = Option<Self>;

    fn read(text: &str) -> Result<Option<Self>, String> {
        match text {
            "gram" => Ok(None),
            form => Self::from_word(form).map(Some),
        }
    }

    fn resolve(written: &Option<Self>, usual: &Self) -> Self {
        written.unwrap_or(*usual)
    }

    fn show(&self) -> String {
        self.word().to_owned()
    }

    fn choices() -> Option<String> {
        Some(format!("gram, {}", Self::words()))
    }
}

choice! {
    /// Form of the total variation. dx, dy: differences of neighbouring pixels.
    TotalVariation {
        /// sum (dx^2 + dy^2)^1.25 over all pixels but the last row and column: the 2017 notebook's.
        Notebook = "notebook",
        /// sum |dx| + sum |dy|.
        L1 = "l1",
        /// sum dx^2 + sum dy^2.
        L2 = "l2",
    }
}

choice! {
    /// What of the content's colours the picture keeps.
    KeepColors {
        /// Nothing: it takes the styles'.
        None = "none" | "0",
        /// All: the picture gives the luminance alone.
        Luminance = "luminance" | "1",
        /// Mean and covariance: the styles are recoloured to them before they are used.
        Match = "match",
        /// The histogram of each channel: the styles are recoloured to them before they are used.
        Histogram = "histogram",
    }
}

choice! {
    /// What minimises the objective.
    Optimizer {
        /// Limited-memory BFGS with a line search.
        Lbfgs = "lbfgs",
        /// Adam, with steps of 5 grey levels.
        Adam = "adam",
    }
}

choice! {
    /// Arithmetic of the network; losses and optimiser are always 32-bit.
    Precision {
        /// bf16 where the device gains from it, until its rounding stops the progress; else f32.
        Auto = "auto",
        /// 32-bit.
        F32 = "f32",
        /// bf16.
        Bf16 = "bf16",
    }
}

choice! {
    /// File format of a picture.
    Format {
        /// 8 bits a channel, no loss.
        Png = "png",
        /// 8 bits a channel, quality 95.
        Jpeg = "jpeg",
        /// 16 bits a channel, no loss.
        Tiff = "tiff",
    }
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

//! Names of VGG19's convolutions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Network;

/// One of VGG19's 16 convolutions, standing for the activation after its ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Layer {
    block: u8,
    convolution: u8,
}

/// A name that is no layer of VGG19.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no layer of VGG19: they are conv1_1, conv1_2, conv2_1, conv2_2, and conv3_1 to \
     conv5_4 with four in each block (relu3_1 and block3_conv1 mean conv3_1)"
)]
pub struct UnknownLayer(pub String);

impl Layer {
    /// Convolutions in each of the five blocks.
    pub const BLOCKS: [u8; 5] = [2, 2, 4, 4, 4];

    /// The layer's place, block 1 to 5 and convolution from 1, if there is such a layer.
    pub const fn new(block: u8, convolution: u8) -> Option<Self> {
        if block >= 1
            && block <= 5
            && convolution >= 1
            && convolution <= Self::BLOCKS[block as usize - 1]
        {
            Some(Self { block, convolution })
        } else {
            None
        }
    }

    /// The block, 1 to 5; a pooling layer stands between blocks.
    pub const fn block(self) -> u8 {
        self.block
    }

    /// The convolution within its block, from 1.
    pub const fn convolution(self) -> u8 {
        self.convolution
    }

    /// Whether the network has it.
    pub fn is_of(self, network: Network) -> bool {
        match network {
            Network::Vgg19 => true,
            Network::Vgg16 => self.convolution < 4,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conv{}_{}", self.block, self.convolution)
    }
}

impl FromStr for Layer {
    type Err = UnknownLayer;

    /// Reads `conv4_2`, `relu4_2` (as in neural-style) or `block4_conv2` (as in Keras).
    fn from_str(text: &str) -> Result<Self, UnknownLayer> {
        let place = match text.strip_prefix("block") {
            Some(rest) => rest.split_once("_conv"),
            None => text
                .strip_prefix("conv")
                .or_else(|| text.strip_prefix("relu"))
                .and_then(|rest| rest.split_once('_')),
        };
        place
            .and_then(|(block, convolution)| {
                Self::new(block.parse().ok()?, convolution.parse().ok()?)
            })
            .ok_or_else(|| UnknownLayer(text.to_owned()))
    }
}

impl TryFrom<String> for Layer {
    type Error = UnknownLayer;

    fn try_from(text: String) -> Result<Self, UnknownLayer> {
        text.parse()
    }
}

impl From<Layer> for String {
    fn from(layer: Layer) -> Self {
        layer.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_spellings() {
        for text in ["conv4_2", "relu4_2", "block4_conv2"] {
            assert_eq!(text.parse(), Ok(Layer::new(4, 2).expect("exists")));
        }
    }

    #[test]
    fn refuses_what_is_no_layer() {
        for text in [
            "conv1_3",
            "conv6_1",
            "conv0_1",
            "conv3_5",
            "pool1",
            "conv+1_1x",
            "",
        ] {
            assert!(text.parse::<Layer>().is_err(), "{text}");
        }
    }
}

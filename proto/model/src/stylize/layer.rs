//! The network's layers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Network;
use crate::text::written_as_text;

/// One of VGG19's 16 convolutions, standing for the activation after its ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Layer(u8);

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

    /// Whether the network has it.
    pub fn is_of(self, network: Network) -> bool {
        match network {
            Network::Vgg19 => true,
            Network::Vgg16 => self.place().1 < 4,
        }
    }

    /// Whether there is a pooling between it and the layer before.
    pub fn follows_pooling(self) -> bool {
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
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (block, convolution) = self.place();
        write!(f, "conv{block}_{convolution}")
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

written_as_text!(Layer);

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
            "conv3_0",
            "pool1",
            "conv+1_1x",
            "",
        ] {
            assert!(text.parse::<Layer>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_layer_has_its_place() {
        let names: Vec<_> = Layer::all().map(|layer| layer.to_string()).collect();
        assert_eq!(names.len(), Layer::COUNT);
        assert_eq!(
            (&*names[0], &*names[4], &*names[15]),
            ("conv1_1", "conv3_1", "conv5_4")
        );
        for (index, layer) in Layer::all().enumerate() {
            let (block, convolution) = layer.place();
            assert_eq!(Layer::new(block, convolution), Some(layer));
            assert_eq!(layer.index(), index);
        }
    }
}

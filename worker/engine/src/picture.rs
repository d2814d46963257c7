//! The finished picture.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use stylefleet_model::stylize::{Format, Precision};

use crate::{Error, image};

/// A finished picture and how it came about.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// R, G, B of each pixel, row by row, sRGB in 0 to 1.
    pub pixels: Vec<f32>,
    /// Seconds of work, over all attempts that were resumed.
    pub seconds: f64,
    /// Evaluations over all scales.
    pub evaluations: u32,
    /// Final loss, once held to the valid range; where the content lends its colours, before that.
    pub loss: f64,
    /// What each term adds to the loss: `content`, `tv`, and the style layers by name.
    pub terms: BTreeMap<String, f64>,
    /// Arithmetic at the end: [`Precision::F32`] or [`Precision::Bf16`].
    pub precision: Precision,
    /// How the loss fell, oldest first.
    pub curve: Vec<CurvePoint>,
}

/// The loss after an iteration. Losses at different scales are those of different objectives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The scale, from 1.
    pub scale: u32,
    /// Evaluations done by then, over all scales.
    pub evaluations: u32,
    /// The loss.
    pub loss: f64,
}

impl Picture {
    /// The picture as a file.
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, Error> {
        let Self { width, height, .. } = *self;
        image::encode([width, height], &self.pixels, format)
    }
}

//! From samples to light or ink.

use super::super::decode::damaged;
use crate::Cause;

/// What the samples of a pixel mean.
#[derive(Debug)]
pub(super) struct Colors {
    pub model: Model,
    /// The number that stands for full intensity.
    pub white: f32,
    pub alpha: Option<Alpha>,
}

/// TIFF's photometric interpretations.
#[derive(Debug)]
pub(super) enum Model {
    Grey,
    /// Grey whose 0 is white.
    Ink,
    Rgb,
    Palette(Vec<[f32; 3]>),
    Cmyk,
    YCbCr(YCbCr),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Alpha {
    /// Which sample of a pixel it is.
    pub sample: usize,
    /// Whether the colours are multiplied by it already.
    pub associated: bool,
}

impl Model {
    /// Samples of a pixel that are colours.
    pub fn samples(&self) -> usize {
        match self {
            Self::Grey | Self::Ink | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr(_) => 3,
            Self::Cmyk => 4,
        }
    }
}

impl Colors {
    /// Values of a pixel that come out: grey; R, G, B; or four inks.
    pub fn channels(&self) -> usize {
        match self.model {
            Model::Grey | Model::Ink => 1,
            Model::Rgb | Model::Palette(_) | Model::YCbCr(_) => 3,
            Model::Cmyk => 4,
        }
    }

    /// These values, 0 to 1, the first `channels` of the four, with what is transparent laid on
    /// white. Light above 1, as in pictures of high dynamic range, is left for the caller to cut
    /// off.
    pub fn values(&self, pixel: &[f32]) -> [f32; 4] {
        let share = |sample: usize| pixel[sample] / self.white;
        let mut values = match &self.model {
            Model::Grey | Model::Ink => [share(0); 4],
            Model::Rgb => [share(0), share(1), share(2), 0.0],
            Model::Cmyk => [share(0), share(1), share(2), share(3)],
            Model::Palette(colors) => {
                let [red, green, blue] = colors.get(pixel[0] as usize).copied().unwrap_or_default();
                [red, green, blue, 0.0]
            }
            Model::YCbCr(model) => {
                let [red, green, blue] = model.rgb([pixel[0], pixel[1], pixel[2]]);
                [red, green, blue, 0.0]
            }
        };
        if let Some(Alpha { sample, associated }) = self.alpha {
            let alpha = share(sample).clamp(0.0, 1.0);
            let factor = if associated { 1.0 } else { alpha };
            // White is no ink, or all light.
            let white = if matches!(self.model, Model::Ink) {
                0.0
            } else {
                1.0 - alpha
            };
            values = values.map(|value| value * factor + white);
        }
        match self.model {
            Model::Ink => values.map(|ink| 1.0 - ink),
            _ => values,
        }
    }
}

/// How luminance and colour differences become R, G, B (TIFF 6.0, section 21).
#[derive(Debug)]
pub(super) struct YCbCr {
    /// The shares of R, G, B in the luminance.
    luma: [f32; 3],
    /// Of Y, Cb, Cr, the number that stands for none and how far it is to the greatest.
    origin: [f32; 3],
    range: [f32; 3],
}

impl YCbCr {
    /// Of the tags YCbCrCoefficients and ReferenceBlackWhite.
    pub fn new(luma: [f32; 3], reference: [f32; 6]) -> Result<Self, Cause> {
        let [y0, y1, b0, b1, r0, r1] = reference;
        let range = [y1 - y0, b1 - b0, r1 - r0];
        let numbers = luma.iter().chain(&reference);
        if luma[1] == 0.0 || range.contains(&0.0) || !numbers.into_iter().all(|n| n.is_finite()) {
            return Err(damaged("its YCbCr colours have no scale"));
        }
        Ok(Self {
            luma,
            origin: [y0, b0, r0],
            range,
        })
    }

    fn rgb(&self, codes: [f32; 3]) -> [f32; 3] {
        // Of 255 steps, colour differences use 127 either way.
        let full = [1.0, 127.0 / 255.0, 127.0 / 255.0];
        let [y, cb, cr] = [0, 1, 2].map(|i| (codes[i] - self.origin[i]) / self.range[i] * full[i]);
        let [of_red, of_green, of_blue] = self.luma;
        let red = y + cr * (2.0 - 2.0 * of_red);
        let blue = y + cb * (2.0 - 2.0 * of_blue);
        let green = (y - of_red * red - of_blue * blue) / of_green;
        [red, green, blue]
    }
}

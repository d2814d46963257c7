//! The finished picture.

use std::collections::BTreeMap;

use stylefleet_model::Figures;
use stylefleet_model::stylize::{Format, Precision};
use tch::Tensor;

use crate::tasks::curve::{self, CurvePoint};
use crate::tasks::picture;
use crate::vgg::Vgg;
use crate::{Error, Finished, Output, image};

/// A finished picture and how it came about.
#[derive(Debug, Clone)]
pub(in crate::tasks) struct Picture {
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
    /// Final loss, after clamping to the valid range, and before the content's colours are applied.
    pub loss: f64,
    /// What each term adds to the loss: `content`, `tv`, and the style layers by name.
    pub terms: BTreeMap<String, f64>,
    /// Arithmetic at the end: [`Precision::F32`] or [`Precision::Bf16`].
    pub precision: Precision,
    /// How the loss fell, oldest first.
    pub curve: Vec<CurvePoint>,
}

impl Picture {
    /// The result of a request for a file of that format, made with `vgg`.
    pub fn finished(self, format: Format, vgg: &Vgg) -> Finished {
        let precision = match self.precision {
            Precision::Bf16 => "bf16",
            Precision::F32 | Precision::Auto => "f32",
        };
        let made_with = [
            ("network", vgg.network().to_string()),
            ("weights", vgg.weights_sha256().to_owned()),
            ("precision", precision.to_owned()),
        ];
        let (seconds, steps, figures) = (self.seconds, self.evaluations.into(), self.figures());
        let curve = curve::output(&self.curve);
        Finished {
            outputs: vec![self.into_output(format), curve],
            seconds,
            steps,
            figures,
            made_with: made_with.map(|(part, what)| (part.to_owned(), what)).into(),
        }
    }

    /// The loss with its terms, and the size.
    fn figures(&self) -> Figures {
        let mut figures = Figures::from([
            ("loss".to_owned(), self.loss),
            ("picture.width".to_owned(), self.width.into()),
            ("picture.height".to_owned(), self.height.into()),
        ]);
        figures.extend(curve::figures_of(self.terms.clone()));
        figures
    }

    fn into_output(self, format: Format) -> Output {
        picture::output(format, move || self.encode(format))
    }

    /// The picture as `[1, 3, H, W]`, 0 to 255, on the CPU.
    pub fn tensor(&self) -> Result<Tensor, Error> {
        let shape = [1, i64::from(self.height), i64::from(self.width), 3];
        let rows = Tensor::f_from_slice(&self.pixels)?.f_reshape(shape)?;
        Ok(rows.f_permute([0, 3, 1, 2])?.f_mul_scalar(255.0)?)
    }

    /// The picture as a file.
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, Error> {
        let Self { width, height, .. } = *self;
        image::encode([width, height], &self.pixels, format)
    }
}

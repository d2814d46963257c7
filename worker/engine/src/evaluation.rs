//! A single evaluation of an objective: its value, and how long it takes.

use std::collections::BTreeMap;
use std::time::Instant;

use stylefleet_model::stylize::{Parameters, Preset};
use tch::{Device, Kind, Tensor};

use crate::arithmetic::Arithmetic;
use crate::objective::{Loss, Mode, Style, statistics};
use crate::vgg::to_network;
use crate::{Engine, Error, Source};

/// The loss at one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The whole loss.
    pub loss: f64,
    /// What each term adds to it.
    pub terms: BTreeMap<String, f64>,
    /// d loss / d picture, in the order of the picture's values.
    pub gradient: Vec<f32>,
}

impl Engine {
    /// The loss of `objective` at `x`, 32-bit: channels B, G, R of the content's size, row by row,
    /// means subtracted. Nothing is resized. The network sees no more than `most_pixels` at once.
    pub fn evaluate(
        &self,
        objective: &Parameters,
        content: &Source,
        styles: &[(Source, f64)],
        x: &[f32],
        most_pixels: u64,
    ) -> Result<Evaluation, Error> {
        let vgg = self.vgg(objective.network)?;
        let mode = Mode {
            arithmetic: Arithmetic::F32,
            most_pixels,
        };
        let read = |source: &Source| {
            let image = source.read(self.max_pixels)?.pixels;
            to_network(&image, objective.means, vgg.device())
        };
        let content = read(content)?;
        let statistics = styles
            .iter()
            .map(|(style, _)| statistics(objective, vgg, &read(style)?, mode))
            .collect::<Result<Vec<_>, Error>>()?;
        let styles = statistics.iter().zip(styles);
        let styles = styles.map(|(statistics, (_, share))| Style {
            statistics,
            share: *share,
            mask: None,
        });
        let styles: Vec<_> = styles.collect();
        let loss = Loss::new(objective, vgg, &content, &styles, mode)?;
        let x = Tensor::f_from_slice(x)?
            .f_reshape(content.size())?
            .f_to_device(vgg.device())?;
        let found = loss.evaluate(vgg, &x)?;
        Ok(Evaluation {
            loss: found.loss,
            terms: found.terms,
            gradient: Vec::<f32>::try_from(&found.gradient.f_to_device(Device::Cpu)?)?,
        })
    }

    /// Seconds that one evaluation at `side` x `side` pixels takes: Gatys' layers, in the
    /// arithmetic that automatic precision begins with.
    pub fn time_evaluation(&mut self, side: u32) -> Result<f64, Error> {
        let vgg = self.vgg.as_mut().ok_or(Error::NoNetwork)?;
        let arithmetic = vgg.automatic();
        vgg.prepare(arithmetic)?;
        let objective = Parameters {
            network: vgg.network(),
            ..Preset::Gatys.parameters()
        };
        let side = i64::from(side);
        let picture = Tensor::f_ones([1, 3, side, side], (Kind::Float, vgg.device()))?;
        let mode = Mode {
            arithmetic,
            most_pixels: u64::MAX,
        };
        let style = Style {
            statistics: &statistics(&objective, vgg, &picture, mode)?,
            share: 1.0,
            mask: None,
        };
        let loss = Loss::new(&objective, vgg, &picture, &[style], mode)?;
        // The first one warms up.
        loss.evaluate(vgg, &picture)?;
        let start = Instant::now();
        loss.evaluate(vgg, &picture)?;
        Ok(start.elapsed().as_secs_f64())
    }
}

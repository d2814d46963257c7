//! The weights that count at a scale, where not those that were given: found once, at the content.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::Loss;
use crate::vgg::{Kept, Vgg};
use stylefleet_model::stylize::{Layer, LayerWeight, StyleLoss};

use crate::Error;

/// Content to style at a strength of one half, chosen by eye: what is left of the style loss in the
/// end is a small part of what it comes to at the content; of the content's variation, most.
const EVEN: f64 = 0.05;

impl Loss {
    /// Weighs each layer such that the magnitudes of its terms' gradient along its activations, at
    /// the content, sum to the layer's weight for each value of the picture. The content's terms
    /// are at their least there: theirs is taken where all positions of a channel are equal.
    pub(super) fn normalize(&mut self, vgg: &Vgg, content: &Tensor) -> Result<(), Error> {
        let style = self.style_pulls(vgg, content)?;
        let content = self.content_pulls()?;
        let values = 3.0 * self.extent.pixels() as f64;
        let objective = &mut self.objective;
        weigh(
            &mut objective.style_layers,
            values * objective.style_weight,
            &style,
        );
        weigh(
            &mut objective.content_layers,
            values * objective.content_weight,
            &content,
        );
        Ok(())
    }

    /// Sums of the magnitudes of the style terms' gradient at the content, by layer.
    fn style_pulls(&self, vgg: &Vgg, content: &Tensor) -> Result<BTreeMap<Layer, f64>, Error> {
        let (_, _, slopes) = tch::with_grad(|| self.slopes(self.sums(vgg, content)?))?;
        let mut pulls = BTreeMap::new();
        for tile in &self.tiles {
            let view = self.view(vgg, tile.cut(content)?, tile, Kept::Wanted)?;
            for &(layer, ref activations) in &view.activations {
                let own = tile.core(activations, layer)?;
                if let Some(gradient) = self.style_gradient(layer, &own, &slopes, tile)? {
                    *pulls.entry(layer).or_default() += magnitude(&gradient)?;
                }
            }
        }
        Ok(pulls)
    }

    /// The same of the content's terms, where all positions of a channel are equal.
    fn content_pulls(&self) -> Result<BTreeMap<Layer, f64>, Error> {
        let pull = |(&layer, target): (&Layer, &Tensor)| {
            let factor = 2.0 * self.content_factor(layer, target);
            Ok((layer, magnitude(&varied(target)?)? * factor))
        };
        self.content.iter().map(pull).collect()
    }

    /// Weighs style and content for a style of that strength. What there is to balance is the
    /// content's variation against the style that the content lacks; their ratio is that of
    /// (1 - strength) to strength, squared, and in the middle [`EVEN`].
    pub(super) fn balance(
        &mut self,
        vgg: &Vgg,
        content: &Tensor,
        strength: f64,
    ) -> Result<(), Error> {
        let (_, terms) = self.score(vgg, content)?;
        let of_style = |(name, _): &(&String, &f64)| !["content", "tv"].contains(&name.as_str());
        let style: f64 = terms.iter().filter(of_style).map(|(_, term)| term).sum();
        let mut variation = 0.0;
        for (&layer, activations) in &self.content {
            let factor = self.content_factor(layer, activations);
            let squares = varied(activations)?.f_square()?.f_sum(Kind::Float)?;
            variation += squares.f_mul_scalar(factor)?.f_double_value(&[])?;
        }
        let even = match style / variation {
            ratio if ratio.is_finite() && ratio > 0.0 => ratio,
            // One of them says nothing: there is nothing to balance.
            _ => 1.0,
        };
        let middle = match self.objective.style_loss {
            StyleLoss::PerPosition | StyleLoss::Notebook => EVEN,
            // Gram matrices are compared by squares, distances are not squared again.
            StyleLoss::Wasserstein => EVEN.sqrt(),
        };
        match strength {
            0.0 => self.objective.style_weight = 0.0,
            strength => {
                self.objective.content_weight *= middle * even * (1.0 / strength - 1.0).powi(2);
            }
        }
        Ok(())
    }
}

/// Weighs each layer such that it pulls `wanted` times its weight, where `pulls` says how it pulls
/// now.
fn weigh(layers: &mut [LayerWeight], wanted: f64, pulls: &BTreeMap<Layer, f64>) {
    for entry in layers {
        let pull = pulls.get(&entry.layer).copied().unwrap_or(0.0);
        let factor = wanted * entry.weight / pull;
        // A layer that does not pull says nothing: it stays as it is.
        if factor.is_finite() {
            entry.weight *= factor;
        }
    }
}

/// Activations without what all positions of a channel have in common, 32-bit.
fn varied(activations: &Tensor) -> Result<Tensor, Error> {
    let activations = activations.f_to_kind(Kind::Float)?;
    let mean = activations.f_mean_dim([2, 3].as_slice(), true, Kind::Float)?;
    Ok(activations.f_sub(&mean)?)
}

/// Sum of the magnitudes; this waits for the device.
fn magnitude(tensor: &Tensor) -> Result<f64, Error> {
    Ok(tensor.f_abs()?.f_sum(Kind::Float)?.f_double_value(&[])?)
}

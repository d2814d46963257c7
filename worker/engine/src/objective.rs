//! The loss and its gradient.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::vgg::{Arithmetic, Vgg};
use crate::{ContentLoss, Error, Layer, LayerWeight, Objective, StyleLoss, TotalVariation};

/// Gram matrices `[C, C]` of one style image and the positions summed over, by layer.
pub(crate) type Grams = BTreeMap<Layer, (Tensor, i64)>;

/// An objective with its targets, at one scale.
#[derive(Debug)]
pub(crate) struct Loss {
    objective: Objective,
    /// Layers that a term looks at, from the picture inwards.
    layers: Vec<Layer>,
    content: BTreeMap<Layer, Tensor>,
    style: BTreeMap<Layer, Tensor>,
}

/// The loss at one picture.
#[derive(Debug)]
pub(crate) struct Evaluation {
    pub loss: f64,
    /// d loss / d picture, flat, 32-bit.
    pub gradient: Tensor,
    /// What each term adds to the loss.
    pub terms: BTreeMap<String, f64>,
}

impl Loss {
    /// Takes the targets from `content`, a picture like those to be evaluated, and from the
    /// `styles`' Gram matrices, each with its share; shares count relative to their sum.
    pub fn new(
        objective: &Objective,
        vgg: &Vgg,
        content: &Tensor,
        styles: &[(&Grams, f64)],
        arithmetic: Arithmetic,
    ) -> Result<Self, Error> {
        let _no_grad = tch::no_grad_guard();
        let content_layers = live(objective.content_weight, &objective.content_layers);
        let features = vgg.features(content, &content_layers, objective.pooling, arithmetic)?;
        let mut layers = style_layers(objective);
        layers.extend(&content_layers);
        layers.sort_unstable();
        layers.dedup();
        Ok(Self {
            objective: objective.clone(),
            style: style_layers(objective)
                .into_iter()
                .map(|layer| Ok((layer, blend(objective.style_loss, styles, layer)?)))
                .collect::<Result<_, Error>>()?,
            content: content_layers.into_iter().zip(features).collect(),
            layers,
        })
    }

    /// The loss at `picture`, `[1, 3, H, W]`, 32-bit, B, G, R, means subtracted, and its gradient.
    /// The host waits for the device once, at the end.
    pub fn evaluate(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
        arithmetic: Arithmetic,
    ) -> Result<Evaluation, Error> {
        // libtorch crashes on a backward pass through what was recorded nowhere.
        let (names, terms, gradient) =
            tch::with_grad(|| self.differentiate(vgg, picture, arithmetic))?;
        let terms = valued(names, &terms)?;
        Ok(Evaluation {
            loss: terms.values().sum(),
            gradient: gradient.f_reshape([-1])?,
            terms,
        })
    }

    /// The loss at `picture` and its terms, without the gradient, which takes most of the memory.
    pub fn score(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
        arithmetic: Arithmetic,
    ) -> Result<(f64, BTreeMap<String, f64>), Error> {
        let _no_grad = tch::no_grad_guard();
        let (names, terms) = named(self.terms(vgg, picture, arithmetic)?)?;
        let terms = valued(names, &terms)?;
        Ok((terms.values().sum(), terms))
    }

    /// The terms' names and values, and the gradient of their sum.
    fn differentiate(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
        arithmetic: Arithmetic,
    ) -> Result<(Vec<String>, Tensor, Tensor), Error> {
        let picture = picture.f_detach()?.f_requires_grad_(true)?;
        let (names, terms) = named(self.terms(vgg, &picture, arithmetic)?)?;
        let total = terms.f_sum(Kind::Float)?;
        let gradient = Tensor::f_run_backward(&[&total], &[&picture], false, false)?
            .pop()
            .ok_or_else(|| Error::Torch("no gradient came back".into()))?;
        Ok((names, terms, gradient))
    }

    /// Scalars that add up to the loss, by name.
    fn terms(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
        arithmetic: Arithmetic,
    ) -> Result<Vec<(String, Tensor)>, Error> {
        let objective = &self.objective;
        let (height, width) = spatial(picture)?;
        let features = vgg.features(picture, &self.layers, objective.pooling, arithmetic)?;
        let mut terms = Vec::with_capacity(self.layers.len() + 2);
        for (layer, feature) in self.layers.iter().zip(&features) {
            if let Some(target) = self.style.get(layer) {
                let weight = objective.style_weight * weight_of(&objective.style_layers, *layer);
                let term = style_term(
                    objective.style_loss,
                    feature,
                    target,
                    weight,
                    height * width,
                )?;
                terms.push((layer.to_string(), term));
            }
        }
        let mut content: Option<Tensor> = None;
        for (layer, feature) in self.layers.iter().zip(&features) {
            if let Some(target) = self.content.get(layer) {
                let weight =
                    objective.content_weight * weight_of(&objective.content_layers, *layer);
                let term = content_term(objective.content_loss, feature, target, weight)?;
                content = Some(match content {
                    Some(sum) => sum.f_add(&term)?,
                    None => term,
                });
            }
        }
        terms.extend(content.map(|term| ("content".to_owned(), term)));
        if objective.tv_weight > 0.0 {
            let term = total_variation(objective.total_variation, picture)?;
            terms.push(("tv".to_owned(), term.f_mul_scalar(objective.tv_weight)?));
        }
        Ok(terms)
    }
}

/// The terms' names, and their values in one tensor.
fn named(terms: Vec<(String, Tensor)>) -> Result<(Vec<String>, Tensor), Error> {
    let (names, terms): (Vec<_>, Vec<_>) = terms.into_iter().unzip();
    Ok((names, Tensor::f_stack(&terms, 0)?))
}

/// Reads the values; this waits for the device.
fn valued(names: Vec<String>, terms: &Tensor) -> Result<BTreeMap<String, f64>, Error> {
    let values = Vec::<f32>::try_from(&terms.f_detach()?)?;
    Ok(names
        .into_iter()
        .zip(values.into_iter().map(f64::from))
        .collect())
}

/// Gram matrices of a style image `[1, 3, h, w]` at the layers that `objective` looks at.
pub(crate) fn grams(
    objective: &Objective,
    vgg: &Vgg,
    style: &Tensor,
    arithmetic: Arithmetic,
) -> Result<Grams, Error> {
    let _no_grad = tch::no_grad_guard();
    let layers = style_layers(objective);
    let features = vgg.features(style, &layers, objective.pooling, arithmetic)?;
    layers
        .into_iter()
        .zip(features)
        .map(|(layer, feature)| Ok((layer, gram(&feature)?)))
        .collect()
}

/// The style layers whose weight counts, from the picture inwards.
pub(crate) fn style_layers(objective: &Objective) -> Vec<Layer> {
    live(objective.style_weight, &objective.style_layers)
}

/// The layers whose weight counts, from the picture inwards.
fn live(weight: f64, layers: &[LayerWeight]) -> Vec<Layer> {
    let mut live: Vec<Layer> = layers
        .iter()
        .filter(|entry| weight * entry.weight > 0.0)
        .map(|entry| entry.layer)
        .collect();
    live.sort_unstable();
    live
}

fn weight_of(layers: &[LayerWeight], layer: Layer) -> f64 {
    let of_layer = |entry: &&LayerWeight| entry.layer == layer;
    layers
        .iter()
        .find(of_layer)
        .map_or(0.0, |entry| entry.weight)
}

fn spatial(tensor: &Tensor) -> Result<(i64, i64), Error> {
    let (_, _, height, width) = tensor.size4()?;
    Ok((height, width))
}

/// Sum over positions of the outer products of activations, `[C, C]`, 32-bit, and the positions.
fn gram(feature: &Tensor) -> Result<(Tensor, i64), Error> {
    let (_, channels, height, width) = feature.size4()?;
    // With the channels innermost this is a view.
    let positions = feature
        .f_permute([0, 2, 3, 1])?
        .f_reshape([-1, channels])?
        .f_to_kind(Kind::Float)?;
    Ok((positions.f_tr()?.f_matmul(&positions)?, height * width))
}

/// A layer's target: the styles' Gram matrices, per position where the loss wants that, averaged
/// by their shares.
fn blend(loss: StyleLoss, styles: &[(&Grams, f64)], layer: Layer) -> Result<Tensor, Error> {
    let shares: f64 = styles.iter().map(|(_, share)| share).sum();
    let mut blended: Option<Tensor> = None;
    for (grams, share) in styles {
        let (gram, positions) = grams
            .get(&layer)
            .ok_or_else(|| Error::Request(format!("a style has no target at {layer}")))?;
        let part = gram.f_mul_scalar(share / shares / divisor(loss, *positions))?;
        blended = Some(match blended {
            Some(sum) => sum.f_add(&part)?,
            None => part,
        });
    }
    blended.ok_or_else(|| Error::Request("a job needs a style".into()))
}

fn divisor(loss: StyleLoss, positions: i64) -> f64 {
    match loss {
        StyleLoss::PerPosition => positions as f64,
        StyleLoss::Notebook => 1.0,
    }
}

/// [`StyleLoss`] of one layer. The weight goes inside the square, which keeps the values in the
/// range of 32 bits.
fn style_term(
    loss: StyleLoss,
    feature: &Tensor,
    target: &Tensor,
    weight: f64,
    pixels: i64,
) -> Result<Tensor, Error> {
    let (gram, positions) = gram(feature)?;
    let channels = gram.size()[0] as f64;
    let factor = weight.sqrt()
        / match loss {
            StyleLoss::PerPosition => 2.0 * channels,
            StyleLoss::Notebook => 6.0 * pixels as f64,
        };
    Ok(gram
        .f_mul_scalar(1.0 / divisor(loss, positions))?
        .f_sub(target)?
        .f_mul_scalar(factor)?
        .f_square()?
        .f_sum(Kind::Float)?)
}

/// [`ContentLoss`] of one layer.
fn content_term(
    loss: ContentLoss,
    feature: &Tensor,
    target: &Tensor,
    weight: f64,
) -> Result<Tensor, Error> {
    let factor = match loss {
        ContentLoss::HalfSum => 0.5,
        ContentLoss::Mean => 1.0 / feature.numel() as f64,
    };
    Ok(feature
        .f_to_kind(Kind::Float)?
        .f_sub(&target.f_to_kind(Kind::Float)?)?
        .f_square()?
        .f_sum(Kind::Float)?
        .f_mul_scalar(factor * weight)?)
}

/// [`TotalVariation`] of a picture, not yet weighted.
fn total_variation(kind: TotalVariation, picture: &Tensor) -> Result<Tensor, Error> {
    let (height, width) = spatial(picture)?;
    let dy = picture
        .f_narrow(2, 1, height - 1)?
        .f_sub(&picture.f_narrow(2, 0, height - 1)?)?;
    let dx = picture
        .f_narrow(3, 1, width - 1)?
        .f_sub(&picture.f_narrow(3, 0, width - 1)?)?;
    Ok(match kind {
        TotalVariation::Notebook => {
            let dy = dy.f_narrow(3, 0, width - 1)?;
            let dx = dx.f_narrow(2, 0, height - 1)?;
            dy.f_square()?
                .f_add(&dx.f_square()?)?
                .f_pow_tensor_scalar(1.25)?
                .f_sum(Kind::Float)?
        }
        TotalVariation::L1 => dy
            .f_abs()?
            .f_sum(Kind::Float)?
            .f_add(&dx.f_abs()?.f_sum(Kind::Float)?)?,
        TotalVariation::L2 => dy
            .f_square()?
            .f_sum(Kind::Float)?
            .f_add(&dx.f_square()?.f_sum(Kind::Float)?)?,
    })
}

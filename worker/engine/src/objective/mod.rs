//! The loss and its gradient.
//!
//! Every term is a sum over positions, or a function of Gram matrices, which are such sums. So a
//! picture can be evaluated tile by tile, exactly: one pass adds up the Gram matrices, and tells
//! how the loss depends on them; a second one follows that back to the pixels.

mod terms;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tch::{Kind, Tensor};

use crate::inputs::extent_of;
use crate::scales::Extent;
use crate::tiles::{Tile, tiles};
use crate::vgg::{Arithmetic, Vgg};
use crate::{Error, Layer, LayerWeight, Objective, StyleLoss};
use terms::{content_term, divisor, gram, style_term, total_variation};

/// Gram matrices `[C, C]` of one style image and the positions summed over, by layer.
pub(crate) type Grams = BTreeMap<Layer, (Tensor, i64)>;

/// An objective with its targets, at one scale.
#[derive(Debug)]
pub(crate) struct Loss {
    objective: Objective,
    arithmetic: Arithmetic,
    extent: Extent,
    tiles: Vec<Tile>,
    /// Layers that a term looks at, from the picture inwards.
    layers: Vec<Layer>,
    content: BTreeMap<Layer, Tensor>,
    style: BTreeMap<Layer, Tensor>,
}

/// How the network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    pub arithmetic: Arithmetic,
    /// Most pixels that the network sees at once; larger pictures go through it in tiles.
    pub most_pixels: u64,
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

/// Everything that is a sum over positions, and so over tiles.
#[derive(Debug)]
struct Sums {
    /// Gram matrices, by the style layers in their order.
    grams: Vec<Tensor>,
    /// Terms that are such sums themselves, by name.
    parts: Vec<(&'static str, Tensor)>,
}

impl Loss {
    /// Takes the targets from `content`, a picture like those to be evaluated, and from the
    /// `styles`' Gram matrices, each with its share; shares count relative to their sum.
    pub fn new(
        objective: &Objective,
        vgg: &Vgg,
        content: &Tensor,
        styles: &[(&Grams, f64)],
        mode: Mode,
    ) -> Result<Self, Error> {
        let content_layers = live(objective.content_weight, &objective.content_layers);
        let layers = live_layers(objective);
        let style = style_layers(objective)
            .into_iter()
            .map(|layer| Ok((layer, blend(objective.style_loss, styles, layer)?)))
            .collect::<Result<_, Error>>()?;
        let extent = extent_of(content)?;
        let mut loss = Self {
            objective: objective.clone(),
            arithmetic: mode.arithmetic,
            extent,
            tiles: tiled(extent, &layers, mode.most_pixels),
            layers,
            content: BTreeMap::new(),
            style,
        };
        loss.content = loss.activations(vgg, content, &content_layers)?;
        Ok(loss)
    }

    /// The loss at `picture`, `[1, 3, H, W]`, 32-bit, B, G, R, means subtracted, and its gradient.
    /// The host waits for the device once, at the end.
    pub fn evaluate(&self, vgg: &Vgg, picture: &Tensor) -> Result<Evaluation, Error> {
        // libtorch crashes on a backward pass through what was recorded nowhere.
        let (names, terms, gradient) = tch::with_grad(|| match &self.tiles[..] {
            [whole] => self.differentiate(vgg, picture, whole),
            _ => self.differentiate_tiles(vgg, picture),
        })?;
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
    ) -> Result<(f64, BTreeMap<String, f64>), Error> {
        let (names, terms) = self.terms(self.sums(vgg, picture)?)?;
        let terms = valued(names, &terms)?;
        Ok((terms.values().sum(), terms))
    }

    /// The terms' names and values, and the gradient of their sum, all in one pass.
    fn differentiate(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
        whole: &Tile,
    ) -> Result<(Vec<String>, Tensor, Tensor), Error> {
        let picture = picture.f_detach()?.f_requires_grad_(true)?;
        let (names, terms) = self.terms(self.sums_of(vgg, &picture, whole)?)?;
        let [gradient] = gradients(&terms.f_sum(Kind::Float)?, [&picture])?;
        Ok((names, terms, gradient))
    }

    /// The same in two passes over the tiles.
    fn differentiate_tiles(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
    ) -> Result<(Vec<String>, Tensor, Tensor), Error> {
        let mut sums = self.sums(vgg, picture)?;
        for gram in &mut sums.grams {
            *gram = gram.f_requires_grad_(true)?;
        }
        let grams: Vec<_> = sums.grams.iter().map(Tensor::shallow_clone).collect();
        let (names, terms) = self.terms(sums)?;
        let slopes = match grams.len() {
            0 => Vec::new(),
            _ => Tensor::f_run_backward(&[terms.f_sum(Kind::Float)?], &grams, false, false)?,
        };
        let gradient = picture.f_zeros_like()?;
        for tile in &self.tiles {
            let mut seen = tile.cut(picture)?.f_contiguous()?.f_detach()?;
            let seen = seen.f_requires_grad_(true)?;
            let Sums { grams, parts } = self.sums_of(vgg, &seen, tile)?;
            let by_style = slopes
                .iter()
                .zip(&grams)
                .map(|(slope, gram)| Ok(slope.f_mul(gram)?.f_sum(Kind::Float)?));
            let mut terms = by_style.collect::<Result<Vec<_>, Error>>()?;
            terms.extend(parts.into_iter().map(|(_, part)| part));
            let total = Tensor::f_stack(&terms, 0)?.f_sum(Kind::Float)?;
            let [of_tile] = gradients(&total, [&seen])?;
            let _no_grad = tch::no_grad_guard();
            let _sum = tile.cut(&gradient)?.f_add_(&of_tile)?;
        }
        Ok((names, terms.f_detach()?, gradient))
    }

    /// Sums over the whole picture, not to be differentiated.
    fn sums(&self, vgg: &Vgg, picture: &Tensor) -> Result<Sums, Error> {
        let _no_grad = tch::no_grad_guard();
        let mut tiles = self.tiles.iter();
        let mut next = || {
            let of_tile = |tile: &Tile| self.sums_of(vgg, &tile.cut(picture)?, tile);
            tiles.next().map(of_tile).transpose()
        };
        let no_tile = || Error::Torch("a picture without tiles".into());
        let mut total = next()?.ok_or_else(no_tile)?;
        while let Some(more) = next()? {
            for (sum, gram) in total.grams.iter_mut().zip(&more.grams) {
                *sum = sum.f_add_(gram)?;
            }
            for ((_, sum), (_, part)) in total.parts.iter_mut().zip(&more.parts) {
                *sum = sum.f_add(part)?;
            }
        }
        Ok(total)
    }

    /// Sums over one tile's own positions. `seen` is what the network sees for it.
    fn sums_of(&self, vgg: &Vgg, seen: &Tensor, tile: &Tile) -> Result<Sums, Error> {
        let objective = &self.objective;
        let features = vgg.features(seen, &self.layers, objective.pooling, self.arithmetic)?;
        let mut grams = Vec::with_capacity(self.style.len());
        let mut content: Option<Tensor> = None;
        for (&layer, feature) in self.layers.iter().zip(&features) {
            let feature = tile.core(feature, layer)?;
            if self.style.contains_key(&layer) {
                grams.push(gram(&feature)?);
            }
            if let Some(target) = self.content.get(&layer) {
                let weight = objective.content_weight * weight_of(&objective.content_layers, layer);
                let term = content_term(
                    objective.content_loss,
                    &feature,
                    &tile.place(target, layer)?,
                    weight,
                    target.numel(),
                )?;
                content = Some(match content {
                    Some(sum) => sum.f_add(&term)?,
                    None => term,
                });
            }
        }
        let mut parts: Vec<_> = content.map(|term| ("content", term)).into_iter().collect();
        if objective.tv_weight > 0.0 {
            let (pixels, own) = tile.pixels(seen)?;
            let term = total_variation(objective.total_variation, &pixels, own)?;
            parts.push(("tv", term.f_mul_scalar(objective.tv_weight)?));
        }
        Ok(Sums { grams, parts })
    }

    /// Names and values of the terms that add up to the loss.
    fn terms(&self, sums: Sums) -> Result<(Vec<String>, Tensor), Error> {
        let objective = &self.objective;
        let mut names = Vec::with_capacity(self.style.len() + 2);
        let mut terms = Vec::with_capacity(self.style.len() + 2);
        for ((layer, target), gram) in self.style.iter().zip(&sums.grams) {
            let weight = objective.style_weight * weight_of(&objective.style_layers, *layer);
            let pixels = self.extent.pixels() as i64;
            let positions = positions(self.extent, *layer);
            let loss = objective.style_loss;
            terms.push(style_term(loss, gram, target, weight, positions, pixels)?);
            names.push(layer.to_string());
        }
        for (name, part) in sums.parts {
            terms.push(part);
            names.push(name.to_owned());
        }
        Ok((names, Tensor::f_stack(&terms, 0)?))
    }

    /// Activations of the whole picture, by layer.
    fn activations(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
        layers: &[Layer],
    ) -> Result<BTreeMap<Layer, Tensor>, Error> {
        let _no_grad = tch::no_grad_guard();
        let pooling = self.objective.pooling;
        if let [_] = self.tiles[..] {
            let whole = vgg.features(picture, layers, pooling, self.arithmetic)?;
            return Ok(layers.iter().copied().zip(whole).collect());
        }
        let mut whole: BTreeMap<Layer, Tensor> = BTreeMap::new();
        for tile in &self.tiles {
            let seen = vgg.features(&tile.cut(picture)?, layers, pooling, self.arithmetic)?;
            for (&layer, seen) in layers.iter().zip(&seen) {
                let whole = match whole.entry(layer) {
                    Entry::Occupied(there) => there.into_mut(),
                    Entry::Vacant(none) => none.insert(room_for(seen, self.extent, layer)?),
                };
                let mut place = tile.place(whole, layer)?;
                place.f_copy_(&tile.core(seen, layer)?)?;
            }
        }
        Ok(whole)
    }
}

/// d total / d each of `variables`.
fn gradients<const N: usize>(
    total: &Tensor,
    variables: [&Tensor; N],
) -> Result<[Tensor; N], Error> {
    let gradients = Tensor::f_run_backward(&[total], &variables, false, false)?;
    let missing = |_| Error::Torch("no gradient came back".into());
    gradients.try_into().map_err(missing)
}

/// Tiles of a picture whose activations are wanted at `layers`.
fn tiled(extent: Extent, layers: &[Layer], most_pixels: u64) -> Vec<Tile> {
    match layers.last() {
        Some(&deepest) => tiles(extent, deepest, most_pixels),
        None => tiles(extent, Layer::first(), u64::MAX),
    }
}

/// Positions of a layer in a picture of that size.
fn positions(extent: Extent, layer: Layer) -> i64 {
    let along = |side: u32| i64::from(side) / layer.stride();
    along(extent.width) * along(extent.height)
}

/// An empty tensor for a whole picture's activations, laid out like a part of them.
fn room_for(part: &Tensor, extent: Extent, layer: Layer) -> Result<Tensor, Error> {
    let along = |side: u32| i64::from(side) / layer.stride();
    let shape = [1, along(extent.height), along(extent.width), part.size()[1]];
    let empty = Tensor::f_empty(shape, (part.kind(), part.device()))?;
    Ok(empty.f_permute([0, 3, 1, 2])?)
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
    mode: Mode,
) -> Result<Grams, Error> {
    let _no_grad = tch::no_grad_guard();
    let layers = style_layers(objective);
    let extent = extent_of(style)?;
    let mut grams = Grams::new();
    for tile in tiled(extent, &layers, mode.most_pixels) {
        let seen = tile.cut(style)?;
        let features = vgg.features(&seen, &layers, objective.pooling, mode.arithmetic)?;
        for (&layer, feature) in layers.iter().zip(&features) {
            let part = gram(&tile.core(feature, layer)?)?;
            let sum = match grams.get(&layer) {
                Some((sum, _)) => sum.f_add(&part)?,
                None => part,
            };
            grams.insert(layer, (sum, positions(extent, layer)));
        }
    }
    Ok(grams)
}

/// The layers that a term looks at, from the picture inwards.
pub(crate) fn live_layers(objective: &Objective) -> Vec<Layer> {
    let mut layers = style_layers(objective);
    layers.extend(live(objective.content_weight, &objective.content_layers));
    layers.sort_unstable();
    layers.dedup();
    layers
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

#[cfg(test)]
mod tests;

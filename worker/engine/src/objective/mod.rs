//! The loss and its gradient.
//!
//! Every term is a sum over positions, or a function of moments of the activations, which are such
//! sums. So a picture can be evaluated tile by tile, exactly: one pass adds up the moments and
//! finds how the loss depends on them; a second one follows that back to the pixels.

mod anchor;
mod gradient;
mod style;
mod terms;
mod weights;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use tch::Tensor;

use crate::arithmetic::Arithmetic;
use crate::image::Extent;
use crate::tiles::{Tile, tiles};
use crate::vgg::{Kept, Vgg};
use stylefleet_model::stylize::{ContentLoss, Layer, LayerWeight, Parameters};

use crate::Error;
pub(crate) use anchor::Anchor;
use style::{Region, divisor, moments, positions, regions, sides};
pub(crate) use style::{Statistics, Style};
use terms::{squares, total_variation};

/// Most pixels of a tile: kernels index the values of its 64 channels in 32 bits.
const COUNTABLE: u64 = 1 << 24;

/// An objective with its targets, at one scale.
#[derive(Debug)]
pub(crate) struct Loss {
    /// Its weights are those of this scale.
    objective: Parameters,
    arithmetic: Arithmetic,
    extent: Extent,
    tiles: Vec<Tile>,
    /// Layers that a term looks at, from the picture inwards.
    layers: Vec<Layer>,
    content: BTreeMap<Layer, Tensor>,
    style_layers: Vec<Layer>,
    regions: Rc<[Region]>,
    anchor: Option<Anchor>,
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

/// One tile as the network sees it.
#[derive(Debug)]
struct View {
    /// The pixels of the tile and of what is around it.
    seen: Tensor,
    /// The activations there, from the picture inwards: of the layers that a term looks at, or of
    /// all down to those.
    activations: Vec<(Layer, Tensor)>,
    /// The total variation of the tile's own pixels, if it counts.
    variation: Option<Tensor>,
}

/// Everything that is a sum over positions, and so over tiles.
#[derive(Debug)]
struct Sums {
    /// Moments of each region at each style layer, by layer first.
    moments: Vec<Tensor>,
    /// Terms that are such sums themselves, by name.
    parts: Vec<(&'static str, Tensor)>,
}

impl Loss {
    /// Takes the targets from `content`, a picture like those to be evaluated, and from the
    /// `styles`.
    pub fn new(
        objective: &Parameters,
        vgg: &Vgg,
        content: &Tensor,
        styles: &[Style<'_>],
        mode: Mode,
    ) -> Result<Self, Error> {
        let _no_grad = tch::no_grad_guard();
        let content_layers = live(objective.content_weight, &objective.content_layers);
        let layers = live_layers(objective);
        if layers.is_empty() && objective.tv_weight == 0.0 {
            let nothing = "all weights are zero: nothing is asked for";
            return Err(Error::Request(nothing.into()));
        }
        let style_layers = style_layers(objective);
        let extent = Extent::of(content)?;
        let mut loss = Self {
            objective: objective.clone(),
            arithmetic: mode.arithmetic,
            extent,
            tiles: tiled(extent, &layers, mode.most_pixels),
            layers,
            content: BTreeMap::new(),
            regions: regions(objective.style_loss, &style_layers, styles)?.into(),
            style_layers,
            anchor: None,
        };
        loss.content = loss.activations(vgg, content, &content_layers)?;
        if objective.normalize_gradients {
            loss.normalize(vgg, content)?;
        }
        if let Some(strength) = objective.strength {
            loss.balance(vgg, content, strength)?;
        }
        Ok(loss)
    }

    /// The same with its weights as they are, for another `content` of the same size.
    pub fn with_content(&self, vgg: &Vgg, content: &Tensor) -> Result<Self, Error> {
        let _no_grad = tch::no_grad_guard();
        let objective = &self.objective;
        let layers = live(objective.content_weight, &objective.content_layers);
        Ok(Self {
            objective: objective.clone(),
            arithmetic: self.arithmetic,
            extent: self.extent,
            tiles: self.tiles.clone(),
            layers: self.layers.clone(),
            content: self.activations(vgg, content, &layers)?,
            style_layers: self.style_layers.clone(),
            regions: Rc::clone(&self.regions),
            anchor: None,
        })
    }

    /// The same, with pixels held to given values.
    pub fn with_anchor(self, anchor: Option<Anchor>) -> Self {
        Self { anchor, ..self }
    }

    /// The same, in which the style counts only that `part`, from 0 to 1.
    pub fn with_less_style(mut self, part: f64) -> Self {
        self.objective.style_weight *= part;
        self
    }

    /// Whether a term of that name compares with a style.
    pub fn is_of_style(&self, term: &str) -> bool {
        let mut layers = self.style_layers.iter();
        layers.any(|layer| layer.to_string() == term)
    }

    /// The objective with the weights that count at this scale.
    pub fn objective(&self) -> &Parameters {
        &self.objective
    }

    /// The loss at `picture`, `[1, 3, H, W]`, 32-bit, B, G, R, means subtracted, and its gradient.
    /// The host waits for the device once, at the end.
    pub fn evaluate(&self, vgg: &Vgg, picture: &Tensor) -> Result<Evaluation, Error> {
        // libtorch crashes on a backward pass through tensors without a recorded graph.
        let (names, terms, gradient) = tch::with_grad(|| self.differentiate(vgg, picture))?;
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

    /// Sums over the whole picture, not to be differentiated.
    fn sums(&self, vgg: &Vgg, picture: &Tensor) -> Result<Sums, Error> {
        let _no_grad = tch::no_grad_guard();
        let mut tiles = self.tiles.iter();
        let mut next = || {
            let of_tile = |tile: &Tile| {
                let view = self.view(vgg, tile.cut(picture)?, tile, Kept::Wanted)?;
                self.sums_of(&view, tile)
            };
            tiles.next().map(of_tile).transpose()
        };
        let no_tile = || Error::Torch("a picture without tiles".into());
        let mut total = next()?.ok_or_else(no_tile)?;
        while let Some(more) = next()? {
            for (sum, moments) in total.moments.iter_mut().zip(&more.moments) {
                *sum = sum.f_add_(moments)?;
            }
            for ((_, sum), (_, part)) in total.parts.iter_mut().zip(&more.parts) {
                *sum = sum.f_add(part)?;
            }
        }
        Ok(total)
    }

    /// A tile through the network, which sees `seen` for it.
    fn view(&self, vgg: &Vgg, seen: Tensor, tile: &Tile, kept: Kept) -> Result<View, Error> {
        let pooling = self.objective.pooling;
        Ok(View {
            activations: vgg.features(&seen, &self.layers, kept, pooling, self.arithmetic)?,
            variation: self.variation(&seen, tile)?,
            seen,
        })
    }

    /// The total variation of a tile's own pixels, if it counts.
    fn variation(&self, seen: &Tensor, tile: &Tile) -> Result<Option<Tensor>, Error> {
        let (kind, weight) = (self.objective.total_variation, self.objective.tv_weight);
        if weight == 0.0 {
            return Ok(None);
        }
        let (pixels, own) = tile.pixels(seen)?;
        let variation = total_variation(kind, &pixels, own)?;
        Ok(Some(variation.f_mul_scalar(weight)?))
    }

    /// Sums over one tile's own positions, not to be differentiated.
    fn sums_of(&self, view: &View, tile: &Tile) -> Result<Sums, Error> {
        let _no_grad = tch::no_grad_guard();
        let mut all_moments = Vec::with_capacity(self.style_layers.len() * self.regions.len());
        let mut content: Option<Tensor> = None;
        for &(layer, ref activations) in &view.activations {
            let own = tile.core(activations, layer)?;
            if self.style_layers.contains(&layer) {
                for region in self.regions.iter() {
                    let mask = mask_in(tile, region, layer)?;
                    let loss = self.objective.style_loss;
                    all_moments.push(moments(loss, &own, mask.as_ref())?);
                }
            }
            if let Some(target) = self.content.get(&layer) {
                let factor = self.content_factor(layer, target);
                let term = squares(&own, &tile.place(target, layer)?)?.f_mul_scalar(factor)?;
                content = Some(match content {
                    Some(sum) => sum.f_add(&term)?,
                    None => term,
                });
            }
        }
        let mut parts = Vec::with_capacity(3);
        parts.extend(content.map(|term| ("content", term)));
        if let Some(term) = &view.variation {
            parts.push(("tv", term.f_detach()?));
        }
        if let Some(anchor) = &self.anchor {
            parts.push(("temporal", anchor.term(&view.seen, tile)?));
        }
        Ok(Sums {
            moments: all_moments,
            parts,
        })
    }

    /// Names and values of the terms that add up to the loss.
    fn terms(&self, sums: Sums) -> Result<(Vec<String>, Tensor), Error> {
        let objective = &self.objective;
        let mut names = Vec::with_capacity(sums.moments.len() + 2);
        let mut terms = Vec::with_capacity(sums.moments.len() + 2);
        let of_layers = self.style_layers.iter().flat_map(|layer| {
            let of_layer = |region| (*layer, region);
            self.regions.iter().map(of_layer)
        });
        for ((layer, region), moments) in of_layers.zip(&sums.moments) {
            let weight = objective.style_weight * weight_of(&objective.style_layers, layer);
            let loss = objective.style_loss;
            terms.push(region.term(loss, layer, moments, weight, self.extent)?);
            names.push(layer.to_string());
        }
        for (name, part) in sums.parts {
            terms.push(part);
            names.push(name.to_owned());
        }
        Ok((names, Tensor::f_stack(&terms, 0)?))
    }

    /// What the squares of a layer's differences from its target are multiplied by.
    fn content_factor(&self, layer: Layer, target: &Tensor) -> f64 {
        let objective = &self.objective;
        let weight = objective.content_weight * weight_of(&objective.content_layers, layer);
        let form = match objective.content_loss {
            ContentLoss::HalfSum => 0.5,
            ContentLoss::Mean => 1.0 / target.numel() as f64,
        };
        form * weight
    }

    /// Activations of the whole picture, by layer.
    fn activations(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
        layers: &[Layer],
    ) -> Result<BTreeMap<Layer, Tensor>, Error> {
        let pooling = self.objective.pooling;
        if let [_] = self.tiles[..] {
            let whole = vgg.features(picture, layers, Kept::Wanted, pooling, self.arithmetic)?;
            return Ok(whole.into_iter().collect());
        }
        let mut whole: BTreeMap<Layer, Tensor> = BTreeMap::new();
        for tile in &self.tiles {
            let seen = vgg.features(
                &tile.cut(picture)?,
                layers,
                Kept::Wanted,
                pooling,
                self.arithmetic,
            )?;
            for &(layer, ref seen) in &seen {
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

/// How much each of a tile's own positions counts for a region, if not all the same.
fn mask_in(tile: &Tile, region: &Region, layer: Layer) -> Result<Option<Tensor>, Error> {
    let mask = region.mask(layer);
    mask.map(|mask| tile.place(mask, layer)).transpose()
}

/// Tiles of a picture whose activations are wanted at `layers`.
fn tiled(extent: Extent, layers: &[Layer], most_pixels: u64) -> Vec<Tile> {
    match layers.last() {
        Some(&deepest) => tiles(extent, deepest, most_pixels.min(COUNTABLE)),
        None => tiles(extent, Layer::first(), u64::MAX),
    }
}

/// An empty tensor for a whole picture's activations, laid out like a part of them.
fn room_for(part: &Tensor, extent: Extent, layer: Layer) -> Result<Tensor, Error> {
    let [rows, columns] = sides(extent, layer);
    let shape = [1, rows, columns, part.size()[1]];
    let empty = Tensor::f_empty(shape, (part.kind(), part.device()))?;
    Ok(empty.f_permute([0, 3, 1, 2])?)
}

/// Reads the values; this waits for the device.
fn valued(names: Vec<String>, terms: &Tensor) -> Result<BTreeMap<String, f64>, Error> {
    let values = Vec::<f32>::try_from(&terms.f_detach()?)?;
    let mut valued = BTreeMap::new();
    for (name, value) in names.into_iter().zip(values) {
        *valued.entry(name).or_default() += f64::from(value);
    }
    Ok(valued)
}

/// Statistics of a style image `[1, 3, h, w]` at the layers that `objective` looks at.
pub(crate) fn statistics(
    objective: &Parameters,
    vgg: &Vgg,
    style: &Tensor,
    mode: Mode,
) -> Result<Statistics, Error> {
    let _no_grad = tch::no_grad_guard();
    let layers = style_layers(objective);
    let extent = Extent::of(style)?;
    let mut sums = Statistics::new();
    for tile in tiled(extent, &layers, mode.most_pixels) {
        let seen = tile.cut(style)?;
        let features = vgg.features(
            &seen,
            &layers,
            Kept::Wanted,
            objective.pooling,
            mode.arithmetic,
        )?;
        for &(layer, ref feature) in &features {
            let part = moments(objective.style_loss, &tile.core(feature, layer)?, None)?;
            let sum = match sums.get(&layer) {
                Some(sum) => sum.f_add(&part)?,
                None => part,
            };
            sums.insert(layer, sum);
        }
    }
    let compared = |(layer, sum): (Layer, Tensor)| {
        let divisor = divisor(objective.style_loss, positions(extent, layer) as f64);
        Ok((layer, sum.f_div_scalar(divisor)?))
    };
    sums.into_iter().map(compared).collect()
}

/// The layers that a term looks at, from the picture inwards.
pub(crate) fn live_layers(objective: &Parameters) -> Vec<Layer> {
    let mut layers = style_layers(objective);
    layers.extend(live(objective.content_weight, &objective.content_layers));
    layers.sort_unstable();
    layers.dedup();
    layers
}

/// The style layers whose weight counts, from the picture inwards.
pub(crate) fn style_layers(objective: &Parameters) -> Vec<Layer> {
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

#[cfg(test)]
mod tests;

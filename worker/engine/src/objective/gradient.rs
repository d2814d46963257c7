//! The loss's gradient: from the moments' slopes back to the pixels, tile by tile.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::style::pulled;
use super::{Loss, Sums, View, mask_in};
use crate::tiles::Tile;
use crate::vgg::{Kept, Vgg};
use stylefleet_model::stylize::Layer;

use crate::Error;

/// The loss's slopes along the moments: of each layer, one for each region.
pub(super) type Slopes = BTreeMap<Layer, Vec<Tensor>>;

impl Loss {
    /// The terms' names and values, and the gradient of their sum.
    pub(super) fn differentiate(
        &self,
        vgg: &Vgg,
        picture: &Tensor,
    ) -> Result<(Vec<String>, Tensor, Tensor), Error> {
        if let [whole] = &self.tiles[..] {
            let view = self.view(vgg, variable(picture)?, whole, Kept::All)?;
            let (names, terms, slopes) = self.slopes(self.sums_of(&view, whole)?)?;
            let gradient = self.followed_back(vgg, view, &slopes, whole)?;
            return Ok((names, terms, gradient));
        }
        let (names, terms, slopes) = self.slopes(self.sums(vgg, picture)?)?;
        let gradient = picture.f_zeros_like()?;
        for tile in &self.tiles {
            let view = self.view(vgg, variable(&tile.cut(picture)?)?, tile, Kept::All)?;
            let of_tile = self.followed_back(vgg, view, &slopes, tile)?;
            let _no_grad = tch::no_grad_guard();
            let _sum = tile.cut(&gradient)?.f_add_(&of_tile)?;
        }
        Ok((names, terms, gradient))
    }

    /// The terms' names and values, and the slope of their sum along each of the moments.
    pub(super) fn slopes(&self, mut sums: Sums) -> Result<(Vec<String>, Tensor, Slopes), Error> {
        for moments in &mut sums.moments {
            *moments = variable(moments)?;
        }
        let moments: Vec<_> = sums.moments.iter().map(Tensor::shallow_clone).collect();
        let (names, terms) = self.terms(sums)?;
        let slopes = match moments.len() {
            0 => Vec::new(),
            _ => Tensor::f_run_backward(&[terms.f_sum(Kind::Float)?], &moments, false, false)?,
        };
        let mut slopes = slopes.into_iter();
        let of_layer = |&layer| (layer, slopes.by_ref().take(self.regions.len()).collect());
        let slopes = self.style_layers.iter().map(of_layer).collect();
        Ok((names, terms.f_detach()?, slopes))
    }

    /// d loss / d what is seen of a tile, given the loss's slopes along the moments.
    fn followed_back(
        &self,
        vgg: &Vgg,
        view: View,
        slopes: &Slopes,
        tile: &Tile,
    ) -> Result<Tensor, Error> {
        let View {
            seen,
            activations,
            variation,
        } = view;
        let pull = |layer, activations: &Tensor| {
            let is_looked_at = self.layers.contains(&layer);
            let pulled =
                is_looked_at.then(|| self.layer_gradient(layer, activations, slopes, tile));
            pulled.transpose()
        };
        let (pooling, arithmetic) = (self.objective.pooling, self.arithmetic);
        let perceived = vgg.backward(activations, pooling, arithmetic, pull)?;
        let smooth = match variation {
            Some(term) => Tensor::f_run_backward(&[term], &[&seen], false, false)?.pop(),
            None => None,
        };
        let gradient = match (perceived, smooth) {
            (Some(perceived), Some(smooth)) => perceived.f_add(&smooth)?,
            (Some(gradient), None) | (None, Some(gradient)) => gradient,
            (None, None) => return Err(Error::Torch("no gradient came back".into())),
        };
        if let Some(anchor) = &self.anchor {
            let _no_grad = tch::no_grad_guard();
            anchor.add_slope(&gradient, &seen, tile)?;
        }
        Ok(gradient)
    }

    /// d loss / d activations of a layer: zero around the tile's own positions.
    fn layer_gradient(
        &self,
        layer: Layer,
        activations: &Tensor,
        slopes: &Slopes,
        tile: &Tile,
    ) -> Result<Tensor, Error> {
        let own = tile.core(activations, layer)?;
        let style = self.style_gradient(layer, &own, slopes, tile)?;
        let content = self.content_gradient(layer, &own, tile)?;
        let gradient = match (style, content) {
            (Some(mut style), Some(content)) => style.f_add_(&content)?,
            (Some(gradient), None) | (None, Some(gradient)) => gradient,
            (None, None) => return Err(Error::Torch(format!("no term looks at {layer}").into())),
        };
        if gradient.size() == activations.size() {
            return Ok(gradient);
        }
        let around = activations.f_zeros_like()?;
        tile.core(&around, layer)?.f_copy_(&gradient)?;
        Ok(around)
    }

    /// d style loss / d a tile's own activations of a layer, if it is a style layer.
    pub(super) fn style_gradient(
        &self,
        layer: Layer,
        own: &Tensor,
        slopes: &Slopes,
        tile: &Tile,
    ) -> Result<Option<Tensor>, Error> {
        let mut sum: Option<Tensor> = None;
        let slopes = slopes.get(&layer).into_iter().flatten();
        for (region, slope) in self.regions.iter().zip(slopes) {
            let mask = mask_in(tile, region, layer)?;
            let part = pulled(self.objective.style_loss, slope, own, mask.as_ref())?;
            sum = Some(match sum {
                Some(mut sum) => sum.f_add_(&part)?,
                None => part,
            });
        }
        Ok(sum)
    }

    /// d content loss / d a tile's own activations of a layer, if it is a content layer.
    fn content_gradient(
        &self,
        layer: Layer,
        own: &Tensor,
        tile: &Tile,
    ) -> Result<Option<Tensor>, Error> {
        let Some(target) = self.content.get(&layer) else {
            return Ok(None);
        };
        let factor = 2.0 * self.content_factor(layer, target);
        let away = own.f_sub(&tile.place(target, layer)?)?;
        Ok(Some(away.f_mul_scalar(factor)?))
    }
}

/// The same values, to be differentiated by.
fn variable(tensor: &Tensor) -> Result<Tensor, Error> {
    Ok(tensor.f_detach()?.f_requires_grad_(true)?)
}

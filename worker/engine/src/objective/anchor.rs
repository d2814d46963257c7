//! A term that holds pixels to given values: Ruder et al., "Artistic Style Transfer for Videos"
//! (arXiv 1604.08610), equation 7.

use stylefleet_model::stylize::Layer;
use tch::{Kind, Tensor};

use crate::Error;
use crate::tiles::Tile;

/// Values that pixels are held to, and how strongly: the term is the sum over pixels of the weight
/// times the square of the distance.
#[derive(Debug)]
pub(crate) struct Anchor {
    /// `[1, 3, H, W]`, as the network takes pictures.
    pub target: Tensor,
    /// `[1, 1, H, W]`, 0 or more; 0 leaves a pixel alone.
    pub weights: Tensor,
}

impl Anchor {
    /// The same tensors.
    pub fn shallow_clone(&self) -> Self {
        Self {
            target: self.target.shallow_clone(),
            weights: self.weights.shallow_clone(),
        }
    }

    /// What a tile's own pixels add to the loss.
    pub(super) fn term(&self, seen: &Tensor, tile: &Tile) -> Result<Tensor, Error> {
        let weighted = self
            .away(seen, tile)?
            .f_square()?
            .f_mul(&self.weights(tile)?)?;
        Ok(weighted.f_sum(Kind::Float)?)
    }

    /// Adds the term's slope along a tile's own pixels to `gradient`, which is along all that is
    /// `seen`.
    pub(super) fn add_slope(
        &self,
        gradient: &Tensor,
        seen: &Tensor,
        tile: &Tile,
    ) -> Result<(), Error> {
        let slope = self.away(seen, tile)?.f_mul(&self.weights(tile)?)?;
        let mut own = tile.core(gradient, Layer::first())?;
        let _sum = own.f_add_(&slope.f_mul_scalar(2.0)?)?;
        Ok(())
    }

    /// From the target to a tile's own pixels.
    fn away(&self, seen: &Tensor, tile: &Tile) -> Result<Tensor, Error> {
        let own = tile.core(seen, Layer::first())?;
        Ok(own.f_sub(&tile.place(&self.target, Layer::first())?)?)
    }

    fn weights(&self, tile: &Tile) -> Result<Tensor, Error> {
        tile.place(&self.weights, Layer::first())
    }
}

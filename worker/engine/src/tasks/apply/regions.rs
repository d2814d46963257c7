//! Where in the picture which styles count.

use tch::{Kind, Tensor};

use stylefleet_model::apply::Share;

use super::Request;
use super::request::Network;
use crate::device::upload;
use crate::image::{Extent, fitted, grey};
use crate::{Engine, Error, Source};

/// Keeps divisions finite where no style counts.
const LITTLE: f64 = 1e-30;

/// Styles that count at the same places: the network blends them.
#[derive(Debug)]
pub(super) struct Region {
    /// The share of each of the network's styles, 1 together.
    pub shares: Vec<f64>,
    /// How much they count beside other regions.
    weight: f64,
    /// Where, `[1, 1, H, W]`, 0 to 1, on the device; none: everywhere.
    pub mask: Option<Tensor>,
}

/// The regions of a picture of size `extent`: one of all styles that have no mask, and one of each
/// other.
pub(super) fn regions(
    request: &Request,
    network: &Network,
    extent: Extent,
    engine: &Engine,
) -> Result<Vec<Region>, Error> {
    let styles = &request.asked.styles;
    if request.masks.len() != styles.len() {
        let (masks, styles) = (request.masks.len(), styles.len());
        let reason = format!("it has {styles} styles and places for {masks} masks");
        return Err(Error::Request(reason));
    }
    let mut everywhere = Region {
        shares: vec![0.0; network.header.styles.len()],
        weight: 0.0,
        mask: None,
    };
    let mut regions = Vec::new();
    for (share, mask) in styles.iter().zip(&request.masks) {
        let index = index_of(share, request, network)?;
        match mask {
            None => {
                everywhere.shares[index] = share.weight;
                everywhere.weight += share.weight;
            }
            Some(mask) => {
                let mut shares = vec![0.0; network.header.styles.len()];
                shares[index] = 1.0;
                regions.push(Region {
                    shares,
                    weight: share.weight,
                    mask: Some(read(mask, extent, engine)?),
                });
            }
        }
    }
    if everywhere.weight > 0.0 {
        let sum = everywhere.weight;
        everywhere.shares.iter_mut().for_each(|share| *share /= sum);
        regions.insert(0, everywhere);
    }
    Ok(regions)
}

/// The place of a style among the network's.
fn index_of(share: &Share, request: &Request, network: &Network) -> Result<usize, Error> {
    let styles = &network.header.styles;
    network.header.style_index(&share.style).ok_or_else(|| {
        let known: Vec<_> = styles.iter().map(ToString::to_string).collect();
        let (style, known) = (&share.style, known.join(", "));
        request
            .model
            .refuse(format!("has no style {style}: it has {known}"))
    })
}

fn read(mask: &Source, extent: Extent, engine: &Engine) -> Result<Tensor, Error> {
    let pixels = grey(&mask.read(engine.max_pixels)?.pixels)?.f_narrow(1, 0, 1)?;
    let pixels = fitted(&pixels, extent)?.f_div_scalar(255.0)?;
    if pixels.f_max()?.f_double_value(&[])? == 0.0 {
        let reason = "is black everywhere: its style would count nowhere";
        return Err(Error::image(&mask.name, reason));
    }
    upload(&pixels, engine.device)
}

/// What regions' pictures make together: at each pixel their mean by weight. Where masks leave
/// something open, the content fills it.
#[derive(Debug)]
pub(super) struct Blend {
    /// Of pictures times weights.
    sum: Tensor,
    weights: Tensor,
    /// How far the masks together cover the content.
    cover: Tensor,
}

impl Blend {
    /// Of no region yet.
    pub fn new(content: &Tensor) -> Result<Self, Error> {
        let (_, _, height, width) = content.size4()?;
        let nothing = || Tensor::f_zeros([1, 1, height, width], (Kind::Float, content.device()));
        Ok(Self {
            sum: content.f_zeros_like()?,
            weights: nothing()?,
            cover: nothing()?,
        })
    }

    /// Adds what the network made for `region`.
    pub fn add(&mut self, picture: &Tensor, region: &Region) -> Result<(), Error> {
        let mask = match &region.mask {
            Some(mask) => mask.shallow_clone(),
            None => self.cover.f_ones_like()?,
        };
        let weights = mask.f_mul_scalar(region.weight)?;
        let _ = self.sum.f_addcmul_(picture, &weights)?;
        let _ = self.weights.f_add_(&weights)?;
        let _ = self.cover.f_add_(&mask)?;
        Ok(())
    }

    /// The picture that comes of `content`.
    pub fn over(mut self, content: &Tensor) -> Result<Tensor, Error> {
        let styled = self.sum.f_div_(&self.weights.f_clamp_min_(LITTLE)?)?;
        Ok(content.f_lerp_tensor(&styled, &self.cover.f_clamp_max_(1.0)?)?)
    }
}

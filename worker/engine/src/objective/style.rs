//! The style loss: statistics of the activations of a picture, or of regions of it, against those
//! of the styles.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::image::Extent;
use stylefleet_model::stylize::{Layer, StyleLoss};

use crate::Error;

/// Positions whose moments are summed at once.
const PART: usize = 1 << 16;
/// Eigenvalues below this part of the largest are rounding errors.
const NEGLIGIBLE: f64 = 1e-10;

/// Statistics of a style image by layer: [`moments`] divided by what [`divisor`] says.
pub(crate) type Statistics = BTreeMap<Layer, Tensor>;

/// A style for a picture, or for a region of it.
#[derive(Debug)]
pub(crate) struct Style<'a> {
    pub statistics: &'a Statistics,
    /// How much it counts relative to the others.
    pub share: f64,
    /// Where it counts, `[1, 1, H, W]` of the picture's size, 0 to 1; none: everywhere.
    pub mask: Option<Tensor>,
}

/// A part of the picture, and the statistics that it is to have.
#[derive(Debug)]
pub(super) struct Region {
    /// How much it counts.
    weight: f64,
    /// How much each position counts, `[1, 1, h, w]`, and all of them together; none: each is 1.
    masks: Option<BTreeMap<Layer, (Tensor, f64)>>,
    targets: BTreeMap<Layer, Target>,
}

#[derive(Debug)]
struct Target {
    statistics: Tensor,
    /// The square root of the covariance, where the loss asks for it.
    root: Option<Tensor>,
}

/// Sum over positions of the outer products of activations `[1, C, h, w]`, each counted as much as
/// `mask`, `[1, 1, h, w]`, says: `[C, C]`, 32-bit. Where the loss wants the mean too, there is one
/// activation more, which is always 1.
pub(super) fn moments(
    loss: StyleLoss,
    activations: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Tensor, Error> {
    let positions = by_position(loss, activations)?;
    let mask = mask.map(|mask| mask.f_reshape([-1, 1])).transpose()?;
    let mut sum = Tensor::f_zeros([positions.size()[1]; 2], (Kind::Float, positions.device()))?;
    // Part by part: 32-bit copies of all at once would take twice what the network keeps.
    for start in (0..positions.size()[0]).step_by(PART) {
        let length = (positions.size()[0] - start).min(PART as i64);
        let part = positions
            .f_narrow(0, start, length)?
            .f_to_kind(Kind::Float)?;
        let counted = match &mask {
            Some(mask) => part.f_mul(&mask.f_narrow(0, start, length)?)?,
            None => part.shallow_clone(),
        };
        sum = sum.f_addmm_(&part.f_tr()?, &counted)?;
    }
    Ok(sum)
}

/// d loss / d activations, laid out and rounded like those, of a loss that changes by `slope` with
/// their [`moments`]: P, a row for each position, makes the moments P' M P, which change P by
/// M P (slope + slope').
pub(super) fn pulled(
    loss: StyleLoss,
    slope: &Tensor,
    activations: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Tensor, Error> {
    let _no_grad = tch::no_grad_guard();
    let (_, channels, height, width) = activations.size4()?;
    let slope = slope
        .f_add(&slope.f_tr()?)?
        .f_narrow(1, 0, channels)?
        .f_to_kind(activations.kind())?;
    let mut change = by_position(loss, activations)?.f_matmul(&slope)?;
    if let Some(mask) = mask {
        change = change.f_mul(&mask.f_to_kind(change.kind())?.f_reshape([-1, 1])?)?;
    }
    Ok(change
        .f_reshape([1, height, width, channels])?
        .f_permute([0, 3, 1, 2])?)
}

/// A row of activations for each position, `[h * w, C]`, and a column of ones where the loss wants
/// the mean. With the channels innermost and no ones this is a view.
fn by_position(loss: StyleLoss, activations: &Tensor) -> Result<Tensor, Error> {
    let rows = activations
        .f_permute([0, 2, 3, 1])?
        .f_reshape([-1, activations.size()[1]])?;
    if loss != StyleLoss::Wasserstein {
        return Ok(rows);
    }
    let ones = Tensor::f_ones([rows.size()[0], 1], (rows.kind(), rows.device()))?;
    Ok(Tensor::f_cat(&[rows, ones], 1)?)
}

/// What moments over so many positions are divided by before they are compared.
pub(super) fn divisor(loss: StyleLoss, positions: f64) -> f64 {
    match loss {
        StyleLoss::PerPosition | StyleLoss::Wasserstein => positions,
        StyleLoss::Notebook => 1.0,
    }
}

/// Rows and columns of positions that a layer has in a picture of that size.
pub(super) fn sides(extent: Extent, layer: Layer) -> [i64; 2] {
    [extent.height, extent.width].map(|side| i64::from(side) / layer.stride())
}

/// Positions of a layer in a picture of that size.
pub(super) fn positions(extent: Extent, layer: Layer) -> i64 {
    sides(extent, layer).iter().product()
}

/// The regions of a picture: one for each style that has a mask, one for the blend of the others.
pub(super) fn regions(
    loss: StyleLoss,
    layers: &[Layer],
    styles: &[Style<'_>],
) -> Result<Vec<Region>, Error> {
    let (masked, everywhere): (Vec<_>, Vec<_>) =
        styles.iter().partition(|style| style.mask.is_some());
    let mut regions = Vec::with_capacity(masked.len() + 1);
    if !everywhere.is_empty() {
        let shares: f64 = everywhere.iter().map(|style| style.share).sum();
        regions.push(Region {
            weight: shares / everywhere.len() as f64,
            masks: None,
            targets: targets(loss, layers, &everywhere)?,
        });
    }
    for style in masked {
        let Some(mask) = &style.mask else { continue };
        let area = mask.f_mean(Kind::Float)?.f_double_value(&[])?;
        if area <= 0.0 {
            return Err(Error::Request(
                "a mask is black everywhere: its style would count nowhere".into(),
            ));
        }
        // Statistics are per position: without the area, small regions would pull harder.
        regions.push(Region {
            weight: style.share * area,
            masks: Some(by_layer(mask, layers)?),
            targets: targets(loss, layers, &[style])?,
        });
    }
    let shares: f64 = styles.iter().map(|style| style.share).sum();
    for region in &mut regions {
        region.weight *= styles.len() as f64 / shares;
    }
    Ok(regions)
}

/// A mask at the sizes of the layers, and how much all positions count together.
fn by_layer(mask: &Tensor, layers: &[Layer]) -> Result<BTreeMap<Layer, (Tensor, f64)>, Error> {
    let at = |&layer: &Layer| {
        let stride = [layer.stride(); 2];
        let mask = mask.f_avg_pool2d(stride, stride, [0, 0], false, true, None)?;
        let all = mask.f_sum(Kind::Float)?.f_double_value(&[])?;
        Ok((layer, (mask, all.max(f64::MIN_POSITIVE))))
    };
    layers.iter().map(at).collect()
}

/// What the blend of `styles` asks for, by layer.
fn targets(
    loss: StyleLoss,
    layers: &[Layer],
    styles: &[&Style<'_>],
) -> Result<BTreeMap<Layer, Target>, Error> {
    let shares: f64 = styles.iter().map(|style| style.share).sum();
    let target = |&layer: &Layer| {
        let mut parts = styles.iter().map(|style| {
            let missing = || Error::Request(format!("a style has no target at {layer}"));
            let statistics = style.statistics.get(&layer).ok_or_else(missing)?;
            Ok::<_, Error>(statistics.f_mul_scalar(style.share / shares)?)
        });
        let first = parts.next();
        let mut statistics = first.unwrap_or_else(|| Err(Error::Request("no style".into())))?;
        for part in parts {
            statistics = statistics.f_add(&part?)?;
        }
        let root = match loss {
            StyleLoss::Wasserstein => Some(root(&Gaussian::of(&statistics)?.covariance)?),
            StyleLoss::PerPosition | StyleLoss::Notebook => None,
        };
        Ok((layer, Target { statistics, root }))
    };
    layers.iter().map(target).collect()
}

impl Region {
    /// How much each position of a layer counts, if not all the same.
    pub fn mask(&self, layer: Layer) -> Option<&Tensor> {
        let (mask, _) = self.masks.as_ref()?.get(&layer)?;
        Some(mask)
    }

    /// [`StyleLoss`] of one layer of a picture, by its [`moments`] over this region. The weight
    /// goes inside the square, which keeps the values in the range of 32 bits.
    pub fn term(
        &self,
        loss: StyleLoss,
        layer: Layer,
        moments: &Tensor,
        weight: f64,
        picture: Extent,
    ) -> Result<Tensor, Error> {
        let missing = || Error::Request(format!("a style has no target at {layer}"));
        let target = self.targets.get(&layer).ok_or_else(missing)?;
        let all = match &self.masks {
            Some(masks) => masks.get(&layer).ok_or_else(missing)?.1,
            None => positions(picture, layer) as f64,
        };
        let found = moments.f_mul_scalar(1.0 / divisor(loss, all))?;
        let weight = weight * self.weight;
        let channels = layer.channels() as f64;
        let (wanted, factor) = match (loss, &target.root) {
            (StyleLoss::PerPosition, _) => (target.statistics.shallow_clone(), 0.5 / channels),
            (StyleLoss::Notebook, _) => {
                // A sum over the region's part of the positions.
                let part = all / positions(picture, layer) as f64;
                let factor = 1.0 / (6.0 * picture.pixels() as f64);
                (target.statistics.f_mul_scalar(part)?, factor)
            }
            (StyleLoss::Wasserstein, Some(root)) => {
                let distance = wasserstein(&found, &target.statistics, root)?;
                return Ok(distance.f_mul_scalar(weight / channels)?);
            }
            (StyleLoss::Wasserstein, None) => return Err(missing()),
        };
        Ok(found
            .f_sub(&wanted)?
            .f_mul_scalar(weight.sqrt() * factor)?
            .f_square()?
            .f_sum(Kind::Float)?)
    }
}

/// Mean `[C, 1]` and covariance `[C, C]` of activations, 64-bit: small differences of large
/// numbers.
struct Gaussian {
    mean: Tensor,
    covariance: Tensor,
}

impl Gaussian {
    /// From [`moments`] divided by the positions.
    fn of(statistics: &Tensor) -> Result<Self, Error> {
        let channels = statistics.size()[0] - 1;
        let rows = statistics
            .f_to_kind(Kind::Double)?
            .f_narrow(0, 0, channels)?;
        let mean = rows.f_narrow(1, channels, 1)?;
        let covariance = rows
            .f_narrow(1, 0, channels)?
            .f_sub(&mean.f_matmul(&mean.f_tr()?)?)?;
        Ok(Self { mean, covariance })
    }
}

/// Square of the 2-Wasserstein distance of two normal distributions (Olkin and Pukelsheim, Linear
/// Algebra and its Applications 48, 1982). `root`: of the target's covariance.
fn wasserstein(found: &Tensor, target: &Tensor, root: &Tensor) -> Result<Tensor, Error> {
    let (found, target) = (Gaussian::of(found)?, Gaussian::of(target)?);
    let product = root.f_matmul(&found.covariance)?.f_matmul(root)?;
    let values = product.f_linalg_eigvalsh("L")?;
    let least = values.f_detach()?.f_max()?.f_mul_scalar(NEGLIGIBLE)?;
    let shared = values
        .f_maximum(&least.f_clamp_min(f64::from(f32::MIN_POSITIVE))?)?
        .f_sqrt()?
        .f_sum(Kind::Double)?;
    let means = found.mean.f_sub(&target.mean)?.f_square()?;
    Ok(means
        .f_sum(Kind::Double)?
        .f_add(&found.covariance.f_trace()?)?
        .f_add(&target.covariance.f_trace()?)?
        .f_sub(&shared.f_mul_scalar(2.0)?)?
        .f_to_kind(Kind::Float)?)
}

/// The square root of a covariance matrix.
fn root(covariance: &Tensor) -> Result<Tensor, Error> {
    let (values, vectors) = covariance.f_linalg_eigh("L")?;
    let scaled = vectors.f_mul(&values.f_clamp_min(0.0)?.f_sqrt()?)?;
    Ok(scaled.f_matmul(&vectors.f_tr()?)?)
}

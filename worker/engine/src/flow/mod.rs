//! Dense optical flow: where each pixel of one picture lies in another.
//!
//! The energy is that of Brox et al., "High Accuracy Optical Flow Estimation Based on a Theory for
//! Warping" (ECCV 2004): brightness and its gradient stay as they are along the flow, and the flow
//! is smooth; both are meant robustly, and smoothness counts less where the picture has an edge.
//! It is linearised and minimised level by level of a pyramid, coarse to fine (`solver`), with a
//! median after each step (Sun et al., "Secrets of Optical Flow Estimation", CVPR 2010).
//!
//! Pictures are `[1, 3, H, W]`, R, G, B, 0 to 255. Flows are `[1, 2, H, W]`: to the right, then
//! down, in pixels. All are 32-bit and on one device.

mod consistency;
mod filters;
mod solver;
#[cfg(test)]
mod tests;
mod warp;

use tch::{Kind, Tensor};

use crate::Error;
use filters::{blurred, scaled};

pub(crate) use consistency::reliable;
pub(crate) use warp::warped;

/// Each level of the pyramid has so much of the sides of the one before.
const FACTOR: f64 = 0.6;
/// The shorter side of the coarsest level is at least this.
const COARSEST: f64 = 16.0;
/// Blur before a level is sampled at [`FACTOR`], in pixels: what the coarser grid cannot hold.
const ANTIALIASING: f64 = 0.8;

/// The flow that leads from each pixel of `from` to where the same thing is in `to`.
pub(crate) fn between(from: &Tensor, to: &Tensor) -> Result<Tensor, Error> {
    let _no_grad = tch::no_grad_guard();
    let (_, _, height, width) = from.size4()?;
    let mut levels = vec![(brightness(from)?, brightness(to)?)];
    for size in sizes(height, width) {
        let Some((from, to)) = levels.last() else {
            break;
        };
        let coarser = |finer: &Tensor| scaled(&blurred(finer, ANTIALIASING)?, size);
        levels.push((coarser(from)?, coarser(to)?));
    }
    let mut flow: Option<Tensor> = None;
    for (from, to) in levels.iter().rev() {
        let start = match flow {
            Some(coarser) => {
                let (_, _, height, width) = from.size4()?;
                resized(&coarser, height, width)?
            }
            None => from.f_zeros_like()?.f_expand([1, 2, -1, -1], false)?,
        };
        flow = Some(solver::improved(&start, from, to)?);
    }
    flow.ok_or_else(|| Error::Torch("a pyramid without levels".into()))
}

/// The sizes of the pyramid's coarser levels.
fn sizes(height: i64, width: i64) -> impl Iterator<Item = [i64; 2]> {
    let shrunk = move |level: i32| [height, width].map(|side| side as f64 * FACTOR.powi(level));
    (1..)
        .map(shrunk)
        .take_while(|sides| sides.iter().all(|&side| side >= COARSEST))
        .map(|sides| sides.map(|side| side.round() as i64))
}

/// The mean of the channels, 0 to 1.
fn brightness(picture: &Tensor) -> Result<Tensor, Error> {
    Ok(picture
        .f_mean_dim(1, true, Kind::Float)?
        .f_div_scalar(255.0)?)
}

/// A flow between pictures of another size, at this size.
pub(crate) fn resized(flow: &Tensor, height: i64, width: i64) -> Result<Tensor, Error> {
    let (_, _, old_height, old_width) = flow.size4()?;
    let factors = [
        width as f32 / old_width as f32,
        height as f32 / old_height as f32,
    ];
    let factors = Tensor::f_from_slice(&factors)?.f_reshape([1, 2, 1, 1])?;
    let finer = flow.f_upsample_bilinear2d([height, width], false, None, None)?;
    Ok(finer.f_mul(&factors.f_to_device(flow.device())?)?)
}

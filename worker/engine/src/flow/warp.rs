//! Moving a picture along a flow.

use tch::{Kind, Tensor};

use crate::Error;

/// Of libtorch's `grid_sampler_2d`.
const BICUBIC: i64 = 2;
const BORDER: i64 = 1;

/// `image`, `[1, C, H, W]`, taken at each pixel from where `flow` leads, and where that lies within
/// it: 1, or 0 where it does not, `[1, 1, H, W]`.
pub(crate) fn warped(image: &Tensor, flow: &Tensor) -> Result<(Tensor, Tensor), Error> {
    let (_, _, height, width) = flow.size4()?;
    let options = (Kind::Float, flow.device());
    let column = Tensor::f_arange(width, options)?.f_reshape([1, 1, width])?;
    let row = Tensor::f_arange(height, options)?.f_reshape([1, height, 1])?;
    let x = flow.f_select(1, 0)?.f_add(&column)?;
    let y = flow.f_select(1, 1)?.f_add(&row)?;
    let within = |at: &Tensor, side: i64| at.f_ge(0.0)?.f_logical_and(&at.f_le((side - 1) as f64)?);
    let inside = within(&x, width)?.f_logical_and(&within(&y, height)?)?;
    // From -1 at the outer edge of the first pixel to 1 at that of the last.
    let grid = |at: &Tensor, side: i64| {
        at.f_mul_scalar(2.0 / side as f64)?
            .f_add_scalar(1.0 / side as f64 - 1.0)
    };
    let grid = Tensor::f_stack(&[grid(&x, width)?, grid(&y, height)?], -1)?;
    let moved = image.f_grid_sampler_2d(&grid, BICUBIC, BORDER, false)?;
    Ok((moved, inside.f_to_kind(Kind::Float)?.f_unsqueeze(1)?))
}

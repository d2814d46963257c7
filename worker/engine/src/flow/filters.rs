//! Blurs, differences and medians of `[1, C, H, W]`, which keep the size.

use tch::{Kind, Tensor};

use crate::Error;

/// Blurred by a Gaussian of that deviation in pixels. Beyond the edges lies what is at the edge.
pub(super) fn blurred(x: &Tensor, deviation: f64) -> Result<Tensor, Error> {
    let reach = (3.0 * deviation).round().max(1.0) as i64;
    let weights: Vec<f32> = (-reach..=reach)
        .map(|at| (-0.5 * (at as f64 / deviation).powi(2)).exp() as f32)
        .collect();
    let weights = Tensor::f_from_slice(&weights)?.f_to_device(x.device())?;
    let weights = weights.f_div(&weights.f_sum(Kind::Float)?)?;
    let (_, channels, _, _) = x.size4()?;
    let along = |x: &Tensor, pad: [i64; 4], side: [i64; 2]| {
        let kernel = weights.f_reshape([1, 1, side[0], side[1]])?;
        let kernel = kernel.f_expand([channels, 1, -1, -1], false)?;
        x.f_pad(pad, "replicate", None)?.f_conv2d(
            &kernel,
            None::<Tensor>,
            [1, 1],
            [0, 0],
            [1, 1],
            channels,
        )
    };
    let size = 2 * reach + 1;
    let rows = along(x, [reach, reach, 0, 0], [1, size])?;
    Ok(along(&rows, [0, 0, reach, reach], [size, 1])?)
}

/// At another size.
pub(super) fn scaled(x: &Tensor, size: [i64; 2]) -> Result<Tensor, Error> {
    Ok(x.f_upsample_bicubic2d(size, false, None, None)?)
}

/// Half the difference of the neighbours to the right and to the left, and of those below and
/// above.
pub(super) fn slopes(x: &Tensor) -> Result<[Tensor; 2], Error> {
    let (_, _, height, width) = x.size4()?;
    let padded = x.f_pad([1, 1, 1, 1], "replicate", None)?;
    let part = |row, column| padded.f_narrow(2, row, height)?.f_narrow(3, column, width);
    let half = |after: Tensor, before: Tensor| after.f_sub(&before)?.f_div_scalar(2.0);
    Ok([
        half(part(1, 2)?, part(1, 0)?)?,
        half(part(2, 1)?, part(0, 1)?)?,
    ])
}

/// What lies behind each value, along the columns and along the rows, less itself: 0 for the last.
pub(super) fn differences(x: &Tensor) -> Result<[Tensor; 2], Error> {
    let along = |dimension: i64, pad: [i64; 4]| {
        let length = x.size()[dimension as usize] - 1;
        x.f_narrow(dimension, 1, length)?
            .f_sub(&x.f_narrow(dimension, 0, length)?)?
            .f_pad(pad, "constant", None)
    };
    Ok([along(3, [0, 1, 0, 0])?, along(2, [0, 0, 0, 1])?])
}

/// The transpose of [`differences`], whose last ones do not count.
pub(super) fn gathered([right, down]: &[Tensor; 2]) -> Result<Tensor, Error> {
    let along = |x: &Tensor, dimension: i64, before: [i64; 4], after: [i64; 4]| {
        let length = x.size()[dimension as usize] - 1;
        let counted = x.f_narrow(dimension, 0, length)?;
        counted
            .f_pad(before, "constant", None)?
            .f_sub(&counted.f_pad(after, "constant", None)?)
    };
    let right = along(right, 3, [1, 0, 0, 0], [0, 1, 0, 0])?;
    Ok(right.f_add(&along(down, 2, [0, 0, 1, 0], [0, 0, 0, 1])?)?)
}

/// The median of the five by five values around each.
pub(super) fn median(x: &Tensor) -> Result<Tensor, Error> {
    const SIDE: i64 = 5;
    let (batch, channels, height, width) = x.size4()?;
    let around = SIDE / 2;
    let windows = x
        .f_pad([around; 4], "replicate", None)?
        .f_unfold(2, SIDE, 1)?
        .f_unfold(3, SIDE, 1)?
        .f_reshape([batch, channels, height, width, SIDE * SIDE])?;
    Ok(windows.f_median_dim(-1, false)?.0)
}

//! Convolutions of pixels that are all there, so that the result is smaller than the input, at less
//! cost than by their definition.
//!
//! Tensors are `[1, C, H, W]` with the channels innermost, weights `[out, in, side, side]`.

use tch::{Kind, Tensor};

use crate::Error;
use crate::arithmetic::channels_last;

/// By the definition.
pub(super) fn plain(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: i64,
) -> Result<Tensor, Error> {
    let (weight, bias) = (weight.f_to_kind(x.kind())?, bias.f_to_kind(x.kind())?);
    Ok(x.f_conv2d(&weight, Some(&bias), [stride; 2], [0, 0], [1, 1], 1)?)
}

/// A convolution of 3 x 3 of pixels that are doubled before, without those that have but one
/// neighbour in `x`. Doubled, two of three neighbours are the same: a kernel of 2 x 2 does, with
/// four channels for each, of the four pixels around the corner between those that it sees. Their
/// rounding errors differ: see [`Pixel`].
pub(super) fn doubling(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, Error> {
    /// What the two pixels of `x` count, for the one before the corner, then for the one behind.
    const SUMS: [f32; 12] = [
        1.0, 1.0, 0.0, //
        0.0, 0.0, 1.0, //
        1.0, 0.0, 0.0, //
        0.0, 1.0, 1.0,
    ];
    let (outputs, inputs, _, _) = weight.size4()?;
    let sums = Tensor::f_from_slice(&SUMS)?.f_reshape([4, 3])?;
    // On rows and columns at once.
    let sums = sums.f_kron(&sums)?.f_to_device(weight.device())?;
    let kernels = sums
        .f_matmul(&weight.f_reshape([outputs * inputs, 9])?.f_tr()?)?
        .f_reshape([2, 2, 2, 2, outputs, inputs])?
        .f_permute([4, 0, 2, 5, 1, 3])?
        .f_reshape([4 * outputs, inputs, 2, 2])?;
    let pixel = Pixel::of(x, weight, bias)?;
    let four = pixel.result.f_reshape([-1, 1])?.f_expand([-1, 4], false)?;
    let difference = x.f_sub(&pixel.value.f_reshape([1, -1, 1, 1])?)?;
    let made = plain(&difference, &kernels, &four.f_reshape([-1])?, 1)?;
    // These are large.
    drop(difference);
    let shuffled = made.f_pixel_shuffle(2)?;
    drop(made);
    let (_, _, height, width) = shuffled.size4()?;
    channels_last(
        &shuffled
            .f_narrow(2, 1, height - 2)?
            .f_narrow(3, 1, width - 2)?,
    )
}

/// A convolution to few channels, row by row of the kernel, each with channels of its own, which
/// are added up then: processors work on 16 channels at once.
pub(super) fn by_rows(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, Error> {
    let (outputs, inputs, side, _) = weight.size4()?;
    let all = side * outputs;
    let rows = weight
        .f_permute([2, 0, 1, 3])?
        .f_reshape([all, inputs, 1, side])?;
    let none = None::<&Tensor>;
    let rows = x.f_conv2d(&rows, none, [1, 1], [0, 0], [1, 1], 1)?;
    let sum = Tensor::f_eye(all, (x.kind(), x.device()))?
        .f_reshape([side, outputs, all, 1])?
        .f_permute([1, 2, 0, 3])?;
    Ok(rows.f_conv2d(&sum, Some(bias), [1, 1], [0, 0], [1, 1], 1)?)
}

/// One pixel of what is convolved. Where a picture is flat, normalisation divides rounding errors
/// by next to nothing. If these differ from place to place, they become a pattern. So only the
/// difference from this pixel is convolved: nothing, where all is flat.
struct Pixel {
    /// `[in]`
    value: Tensor,
    /// What comes of it if all pixels are like this one, the bias included: `[out]`, 32-bit.
    result: Tensor,
}

impl Pixel {
    fn of(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Self, Error> {
        let value = x.f_narrow(2, 0, 1)?.f_narrow(3, 0, 1)?.f_reshape([-1])?;
        let sums = weight.f_sum_dim_intlist([2, 3].as_slice(), false, Kind::Float)?;
        let result = sums.f_mv(&value.f_to_kind(Kind::Float)?)?.f_add(bias)?;
        Ok(Self { value, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::device;

    fn random(shape: [i64; 4]) -> Tensor {
        let x = Tensor::randn(shape, (Kind::Float, device()));
        channels_last(&x).expect("is laid out")
    }

    fn assert_near(found: Result<Tensor, Error>, expected: &Tensor) {
        let found = found.expect("runs");
        assert_eq!(found.size(), expected.size());
        let off = ((&found - expected).norm() / expected.norm()).double_value(&[]);
        assert!(off < 1e-5, "{off}");
    }

    fn bias(channels: i64) -> Tensor {
        Tensor::linspace(-1.0, 1.0, channels, (Kind::Float, device()))
    }

    #[test]
    fn doubling_is_doubling_before_the_convolution() {
        let (x, weight, bias) = (random([1, 5, 9, 12]), random([7, 5, 3, 3]), bias(7));
        let doubled = x.upsample_nearest2d([18, 24], None, None);
        let all = plain(&doubled, &weight, &bias, 1).expect("runs");
        let expected = all.narrow(2, 1, 14).narrow(3, 1, 20);
        assert_near(doubling(&x, &weight, &bias), &expected);
    }

    #[test]
    fn rows_add_up() {
        let (x, weight, bias) = (random([1, 6, 20, 23]), random([3, 6, 9, 9]), bias(3));
        let expected = plain(&x, &weight, &bias, 1).expect("runs");
        assert_near(by_rows(&x, &weight, &bias), &expected);
    }

    #[test]
    fn what_is_flat_stays_flat() {
        let flat = random([1, 8, 1, 1]).expand([1, 8, 33, 47], false);
        let result = doubling(&flat, &random([10, 8, 3, 3]), &bias(10)).expect("runs");
        let first = result.narrow(2, 0, 1).narrow(3, 0, 1);
        assert_eq!((&result - first).abs().max().double_value(&[]), 0.0);
    }
}

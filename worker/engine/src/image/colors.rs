//! Keeping the content's colours: Gatys et al., "Preserving Color in Neural Artistic Style
//! Transfer", arXiv 1606.05897.
//!
//! Tensors are `[1, 3, H, W]`, R, G, B, 0 to 255.

use tch::{Kind, Tensor};

use crate::Error;

/// Weights of R, G, B in the luminance: ITU-R BT.601.
const LUMINANCE: [f32; 3] = [0.299, 0.587, 0.114];

/// The luminance in all three channels.
pub(crate) fn grey(image: &Tensor) -> Result<Tensor, Error> {
    Ok(luminance(image)?
        .f_expand([-1, 3, -1, -1], false)?
        .f_contiguous()?)
}

/// `image`'s luminance with the colour differences of `colors`, which has the same size.
pub(crate) fn with_chroma_of(image: &Tensor, colors: &Tensor) -> Result<Tensor, Error> {
    let difference = luminance(image)?.f_sub(&luminance(colors)?)?;
    Ok(colors.f_add(&difference)?)
}

/// `image` moved and stretched in colour space until its mean and covariance are those of
/// `model` (section 5.1, by the symmetric root of the covariance).
pub(crate) fn recolored(image: &Tensor, model: &Tensor) -> Result<Tensor, Error> {
    let (mean, covariance) = statistics(image)?;
    let (model_mean, model_covariance) = statistics(model)?;
    let stretch = power(&model_covariance, 0.5)?.f_matmul(&power(&covariance, -0.5)?)?;
    let pixels = image.f_reshape([3, -1])?.f_to_kind(Kind::Double)?;
    let moved = stretch
        .f_matmul(&pixels.f_sub(&mean)?)?
        .f_add(&model_mean)?;
    Ok(moved
        .f_reshape(image.size())?
        .f_to_kind(Kind::Float)?
        .f_clamp(0.0, 255.0)?)
}

/// `image` with the levels of each channel moved until they are spread as those of `model`
/// (Gonzalez and Woods, "Digital Image Processing", section 3.3).
pub(crate) fn with_histogram_of(image: &Tensor, model: &Tensor) -> Result<Tensor, Error> {
    let channel = |tensor: &Tensor, channel| -> Result<Vec<f32>, Error> {
        let values = tensor.f_narrow(1, channel, 1)?.f_reshape([-1])?;
        Ok(Vec::<f32>::try_from(&values)?)
    };
    let mut matched = Vec::with_capacity(image.numel());
    for index in 0..image.size()[1] {
        let values = channel(image, index)?;
        let levels = matching(
            &shares_below(&values),
            &shares_below(&channel(model, index)?),
        );
        matched.extend(values.into_iter().map(|value| {
            let below = (value.max(0.0) as usize).min(levels.len() - 2);
            let part = value - below as f32;
            levels[below] + (levels[below + 1] - levels[below]) * part
        }));
    }
    Ok(Tensor::f_from_slice(&matched)?.f_reshape(image.size())?)
}

/// For each level, the share of values below it; those at it count half.
fn shares_below(values: &[f32]) -> [f64; 256] {
    let mut counts = [0.0; 256];
    for value in values {
        counts[(value.round().max(0.0) as usize).min(255)] += 1.0 / values.len() as f64;
    }
    let mut sum = 0.0;
    counts.map(|count| {
        sum += count;
        sum - count / 2.0
    })
}

/// For each level of the one, the level of the other with as much below it.
fn matching(from: &[f64; 256], to: &[f64; 256]) -> [f32; 256] {
    from.map(|share| {
        let above = to.partition_point(|other| *other < share);
        let (Some(low), Some(high)) = (above.checked_sub(1), to.get(above)) else {
            return above.min(255) as f32;
        };
        let gap = high - to[low];
        let part = if gap > 0.0 {
            (share - to[low]) / gap
        } else {
            0.0
        };
        (low as f64 + part) as f32
    })
}

fn luminance(image: &Tensor) -> Result<Tensor, Error> {
    let weights = Tensor::f_from_slice(&LUMINANCE)?.f_reshape([1, 3, 1, 1])?;
    Ok(image
        .f_mul(&weights)?
        .f_sum_dim_intlist([1].as_slice(), true, Kind::Float)?)
}

/// Mean `[3, 1]` and covariance `[3, 3]` of the colours, 64-bit.
fn statistics(image: &Tensor) -> Result<(Tensor, Tensor), Error> {
    let pixels = image.f_reshape([3, -1])?.f_to_kind(Kind::Double)?;
    let mean = pixels.f_mean_dim([1].as_slice(), true, Kind::Double)?;
    let centred = pixels.f_sub(&mean)?;
    let covariance = centred
        .f_matmul(&centred.f_tr()?)?
        .f_div_scalar(pixels.size()[1])?;
    Ok((mean, covariance))
}

/// A power of a symmetric matrix that is not negative. Variances below a quarter of a grey level
/// count as that, so that a flat image is moved but not stretched without limit.
fn power(matrix: &Tensor, exponent: f64) -> Result<Tensor, Error> {
    let (values, vectors) = matrix.f_linalg_eigh("L")?;
    let values = values.f_clamp_min(0.0625)?.f_pow_tensor_scalar(exponent)?;
    Ok(vectors.f_mul(&values)?.f_matmul(&vectors.f_tr()?)?)
}

//! Images as the network takes them: B, G, R, less the means of its training images.

use stylefleet_model::stylize::Means;
use tch::{Device, Tensor};

use crate::Error;
use crate::device::upload;
use crate::minimize::Bounds;

/// B, G, R means of the network's training images.
const MEANS: [f32; 3] = [103.939, 116.779, 123.68];

/// To what the network takes, on `device`. `image` is `[1, 3, H, W]`, R, G, B, 0 to 255.
pub(crate) fn to_network(image: &Tensor, means: Means, device: Device) -> Result<Tensor, Error> {
    let mean = mean_tensor(means)?.f_to_device(image.device())?;
    let image = image.f_flip([1])?.f_sub(&mean)?;
    upload(&image.f_contiguous()?, device)
}

/// Back from what the network takes, held to the valid range.
pub(crate) fn from_network(x: &Tensor, means: Means) -> Result<Tensor, Error> {
    let image = x.f_to_device(Device::Cpu)?.f_add(&mean_tensor(means)?)?;
    Ok(image.f_flip([1])?.f_clamp(0.0, 255.0)?)
}

/// The range of valid values, as the network takes them.
pub(crate) fn bounds(means: Means, device: Device) -> Result<Bounds, Error> {
    let low = mean_tensor(means)?
        .f_neg()?
        .f_reshape([3, 1])?
        .f_to_device(device)?;
    let high = low.f_add_scalar(255.0)?;
    Ok(Bounds::new(low, high))
}

fn mean_tensor(means: Means) -> Result<Tensor, Error> {
    let mut values = MEANS;
    if means == Means::Swapped {
        values.reverse();
    }
    Ok(Tensor::f_from_slice(&values)?.f_reshape([1, 3, 1, 1])?)
}

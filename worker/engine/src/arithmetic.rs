//! The arithmetic that networks run in, and how their tensors are laid out.

use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use stylefleet_model::stylize::Precision;

use crate::{Error, device};

/// Arithmetic of a network, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arithmetic {
    F32,
    Bf16,
}

impl Arithmetic {
    /// The type of numbers.
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }

    /// What automatic precision begins with: bf16 if convolutions run markedly faster in it on
    /// `device`. A CPU's instructions say that; for a GPU, whose generation tch does not report, it
    /// is measured.
    pub fn automatic(device: Device) -> Result<Self, Error> {
        let gains = match device {
            Device::Cpu => device::cpu_gains_in_bf16(),
            _ => is_faster_in_bf16(device)?,
        };
        Ok(if gains { Self::Bf16 } else { Self::F32 })
    }

    /// What a precision asks for; none if it is automatic.
    pub fn asked(precision: Precision) -> Option<Self> {
        match precision {
            Precision::F32 => Some(Self::F32),
            Precision::Bf16 => Some(Self::Bf16),
            Precision::Auto => None,
        }
    }
}

/// Times a convolution like VGG's deeper ones. Hardware for bf16 is at least twice as fast, so
/// noise does not decide.
fn is_faster_in_bf16(device: Device) -> Result<bool, Error> {
    let _no_grad = tch::no_grad_guard();
    let mut seconds = [Duration::MAX; 2];
    let inputs = [Kind::Float, Kind::BFloat16].map(|kind| {
        let image = Tensor::f_ones([1, 256, 128, 128], (kind, device))?;
        let weight = Tensor::f_ones([256, 256, 3, 3], (kind, device))?;
        Ok::<_, Error>((channels_last(&image)?, channels_last(&weight)?))
    });
    let inputs = inputs.into_iter().collect::<Result<Vec<_>, _>>()?;
    for _ in 0..8 {
        for ((image, weight), best) in inputs.iter().zip(&mut seconds) {
            let start = Instant::now();
            let none = None::<&Tensor>;
            let output = image.f_conv2d(weight, none, [1, 1], [1, 1], [1, 1], 1)?;
            // Reading a value waits for the device.
            output.f_double_value(&[0, 0, 0, 0])?;
            *best = start.elapsed().min(*best);
        }
    }
    Ok(seconds[1] * 4 < seconds[0] * 3)
}

/// The same values, laid out with the channels innermost, as convolutions run fastest.
pub(crate) fn channels_last(tensor: &Tensor) -> Result<Tensor, Error> {
    Ok(tensor
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_permute([0, 3, 1, 2])?)
}

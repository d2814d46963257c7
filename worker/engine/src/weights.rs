//! Reads the weights of VGG19's convolutions.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::{Error, Layer};

/// The file that `deploy/setup/setup.sh` leaves in the cache folder; the digits in its name begin
/// its SHA-256.
pub const SETUP_FILE: &str = "vgg19-d53e7d51.safetensors";

/// Weight and bias of one convolution, 32-bit, on the CPU.
#[derive(Debug)]
pub(crate) struct Convolution {
    /// `[out, in, 3, 3]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Tensor,
}

/// Channels that leave each of the five blocks' convolutions.
const CHANNELS: [i64; 5] = [64, 128, 256, 512, 512];

/// The 16 convolutions and the SHA-256 of the file, from a safetensors file with `convB_C.weight`
/// and `convB_C.bias` for an input of B, G, R in 0 to 255, means subtracted.
pub(crate) fn read(path: &Path) -> Result<(Vec<Convolution>, String), Error> {
    let refuse = |reason: String| Error::Weights {
        path: path.display().to_string(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|e| {
        refuse(format!(
            "{e}: run `make setup`, or name the file with --weights"
        ))
    })?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    if let Some(named) = checksum_in_name(path).filter(|named| !sha256.starts_with(named)) {
        return Err(refuse(format!(
            "its name says that its SHA-256 begins with {named}, but it is {sha256}: it is \
             damaged, remove it and run `make setup`"
        )));
    }
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| refuse(format!("is no safetensors file ({e}): run `make setup`")))?;
    let mut channels_in = 3;
    let mut convolutions = Vec::with_capacity(Layer::COUNT);
    for layer in Layer::all() {
        let channels = CHANNELS[usize::from(layer.place().0) - 1];
        convolutions.push(Convolution {
            weight: tensor(
                &file,
                &format!("{layer}.weight"),
                &[channels, channels_in, 3, 3],
            )
            .map_err(refuse)?,
            bias: tensor(&file, &format!("{layer}.bias"), &[channels]).map_err(refuse)?,
        });
        channels_in = channels;
    }
    Ok((convolutions, sha256))
}

/// The checksum in the name of set-up's file, [`SETUP_FILE`].
fn checksum_in_name(path: &Path) -> Option<&'static str> {
    (path.file_name()? == SETUP_FILE).then_some("d53e7d51")
}

fn tensor(file: &SafeTensors<'_>, name: &str, shape: &[i64]) -> Result<Tensor, String> {
    let view = file
        .tensor(name)
        .map_err(|_| format!("has no {name}: convert it with deploy/setup/weights.py"))?;
    let found: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    if view.dtype() != Dtype::F32 || found != shape {
        return Err(format!(
            "{name} is {:?} {found:?}, must be F32 {shape:?}: it is not VGG19's",
            view.dtype()
        ));
    }
    let tensor = Tensor::f_from_data_size(view.data(), shape, Kind::Float)
        .map_err(|e| format!("{name}: {e}"))?;
    let finite = tensor
        .f_isfinite()
        .and_then(|t| t.f_all())
        .and_then(|t| t.f_int64_value(&[]))
        .map_err(|e| format!("{name}: {e}"))?;
    if finite == 1 {
        Ok(tensor)
    } else {
        Err(format!(
            "{name} has values that are not finite: the file is damaged, run `make setup`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_told_by_the_checksum_in_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let damaged = folder.path().join(SETUP_FILE);
        let mut bytes = std::fs::read(crate::golden::weights()).expect("is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&damaged, bytes).expect("writes");
        let refused = read(&damaged).expect_err("is damaged").to_string();
        assert!(
            refused.contains("SHA-256 begins with d53e7d51"),
            "{refused}"
        );
    }
}

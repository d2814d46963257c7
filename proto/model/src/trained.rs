//! Models: files that hold a trained style network, and say how it was made.
//!
//! A model is a safetensors file. Its metadata has a [`Header`] as JSON, under [`HEADER`]; its
//! tensors are those that the header names, in F32 or F16. Whoever holds a [`Trained`] holds a good
//! one: everything is checked before.

mod header;
mod style_name;

use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::Invalid;
pub(crate) use header::check_names;
pub use header::{FORMAT, HEADER, Header, Layout, MAX_STYLES, TrainingRecord, WIDTHS};
pub use style_name::StyleName;

/// Longest complaint about a file, in characters: it may quote what the file holds.
const MAX_REASON: usize = 300;

/// A model file that was read and checked.
#[derive(Debug)]
pub struct Trained<'a> {
    /// What the file says of itself.
    pub header: Header,
    file: SafeTensors<'a>,
}

impl<'a> Trained<'a> {
    /// Reads a model file. Nothing is allocated that is much larger than the file.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Invalid> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let header = metadata.metadata().as_ref();
        let header = header.and_then(|metadata| metadata.get(HEADER));
        let header = header.ok_or_else(|| {
            refused(
                "is a safetensors file, but no model of this program: deploy/setup/model.py \
                 converts models of PyTorch and ONNX",
            )
        })?;
        let header = Header::read(header).map_err(|invalid| refused(invalid.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        check_tensors(&header, &file)?;
        Ok(Self { header, file })
    }

    /// The values of the tensor of that name, in its layout; none if the header names no such
    /// tensor.
    pub fn values(&self, name: &str) -> Vec<f32> {
        let tensor = self.file.tensor(name).ok();
        tensor.map_or_else(Vec::new, |tensor| values(&tensor).collect())
    }
}

/// Refuses other tensors than those that the header names.
fn check_tensors(header: &Header, file: &SafeTensors<'_>) -> Result<(), Invalid> {
    let shapes = header.shapes();
    for (name, shape) in &shapes {
        let tensor = file
            .tensor(name)
            .map_err(|_| refused(format!("lacks the tensor {name}")))?;
        check_tensor(name, shape, &tensor)?;
    }
    let is_known = |name: &str| shapes.iter().any(|(known, _)| known == name);
    match file.names().into_iter().find(|name| !is_known(name)) {
        Some(name) => Err(refused(format!(
            "has a tensor {name}, which is no part of such a network"
        ))),
        None => Ok(()),
    }
}

fn check_tensor(name: &str, shape: &[usize], tensor: &TensorView<'_>) -> Result<(), Invalid> {
    if tensor.shape() != shape {
        let found = tensor.shape();
        let reason = format!("has a tensor {name} of the shape {found:?}, must be {shape:?}");
        return Err(refused(reason));
    }
    if !matches!(tensor.dtype(), Dtype::F32 | Dtype::F16) {
        let dtype = tensor.dtype();
        let reason = format!("has a tensor {name} of the type {dtype}, must be F32 or F16");
        return Err(refused(reason));
    }
    if !values(tensor).all(f32::is_finite) {
        let reason = format!("has a tensor {name} with a value that is not finite: train it anew");
        return Err(refused(reason));
    }
    Ok(())
}

/// The values of a tensor of either type.
fn values<'a>(tensor: &TensorView<'a>) -> Box<dyn Iterator<Item = f32> + 'a> {
    match tensor.dtype() {
        Dtype::F16 => {
            let (values, _) = tensor.data().as_chunks();
            Box::new(values.iter().map(|&bytes| f16::from_le_bytes(bytes).into()))
        }
        _ => {
            let (values, _) = tensor.data().as_chunks();
            Box::new(values.iter().map(|&bytes| f32::from_le_bytes(bytes)))
        }
    }
}

fn unreadable(error: SafeTensorError) -> Invalid {
    match error {
        SafeTensorError::MetadataIncompleteBuffer => {
            refused("has not the bytes that its header tells of: it is truncated, or damaged")
        }
        SafeTensorError::InvalidHeaderLength => {
            refused("ends before its header does: it is truncated, or no safetensors file")
        }
        error => refused(format!(
            "is no safetensors file ({error}): deploy/setup/model.py converts models of PyTorch \
             and ONNX"
        )),
    }
}

/// The complaint about a file, on one line whatever it quotes.
fn refused(reason: impl AsRef<str>) -> Invalid {
    let reason = reason.as_ref().replace(char::is_control, " ");
    Invalid::new("model", reason.chars().take(MAX_REASON).collect::<String>())
}

#[cfg(test)]
mod tests;

//! Model files: the network's tensors as bytes, and back.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tch::{Device, Kind, Tensor};

use stylefleet_model::trained::{HEADER, Header, Trained};

use crate::{Error, Output};

/// The role of a model among a job's outputs.
const ROLE: &str = "model";

/// A model as an output of a job: `header` and the tensors that it names.
pub(crate) fn output(header: Header, tensors: &BTreeMap<String, Tensor>) -> Result<Output, Error> {
    let values = |(name, tensor): (&String, &Tensor)| {
        let flat = tensor
            .f_detach()?
            .f_to_device(Device::Cpu)?
            .f_contiguous()?;
        let flat = flat.f_to_kind(Kind::Float)?.f_reshape([-1])?;
        Ok((name.clone(), Vec::<f32>::try_from(&flat)?))
    };
    let tensors = tensors.iter().map(values);
    let values = tensors.collect::<Result<BTreeMap<_, _>, Error>>()?;
    Ok(Output {
        role: ROLE,
        media_type: "application/octet-stream",
        ending: "safetensors",
        encode: Box::new(move || {
            encode(&header, &values).map_err(|source| Error::Encoding { role: ROLE, source })
        }),
    })
}

/// The file: values of each tensor by name, and the header.
fn encode(
    header: &Header,
    values: &BTreeMap<String, Vec<f32>>,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let bytes: BTreeMap<&str, Vec<u8>> = values
        .iter()
        .map(|(name, values)| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            (name.as_str(), bytes.collect())
        })
        .collect();
    let mut views = Vec::with_capacity(bytes.len());
    for (name, shape) in header.shapes() {
        let bytes = bytes.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        views.push((name, TensorView::new(Dtype::F32, shape, bytes)?));
    }
    let header = serde_json::to_string(header)?;
    let metadata = [(HEADER.to_owned(), header)].into();
    Ok(safetensors::serialize(views, Some(metadata))?)
}

/// The tensors of a model, 32-bit, by name.
pub(super) fn tensors(model: &Trained<'_>) -> Result<BTreeMap<String, Tensor>, Error> {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let shape: Vec<i64> = shape.into_iter().map(|side| side as i64).collect();
        let tensor = Tensor::f_from_slice(&model.values(&name))?.f_reshape(&shape)?;
        Ok((name, tensor))
    };
    model.header.shapes().into_iter().map(tensor).collect()
}

//! A job's whole state as bytes: a safetensors file whose metadata carries what is no tensor.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::Error;
use crate::curve::Curve;
use crate::minimize::{Minimizer, Scalars, Spectrum};
use crate::scales::Extent;
use crate::vgg::Arithmetic;

/// Raised when the meaning of a checkpoint changes.
const VERSION: u32 = 3;
/// Under this name the metadata holds the [`Header`] as JSON.
const HEADER: &str = "stylefleet";

/// Where a job stands, apart from its minimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Index of the scale at work.
    pub scale: usize,
    /// Evaluations done at this scale.
    pub evaluation: u32,
    /// Evaluations done over all scales.
    pub total: u32,
    /// Losses after the last iterations at this scale, oldest first.
    pub recent: Vec<f64>,
    /// The losses of the whole job so far.
    pub curve: Curve,
    /// Arithmetic of the network.
    pub arithmetic: Arithmetic,
    /// Seconds of work.
    pub seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    position: Position,
    scalars: Scalars,
}

/// Encodes where a job stands. Tensors are copied one after the other, so that no more memory is
/// taken than the bytes themselves need.
pub(crate) fn encode(position: &Position, minimizer: &Minimizer) -> Result<Vec<u8>, Error> {
    let (scalars, tensors) = minimizer.save();
    let header = Header {
        version: VERSION,
        position: position.clone(),
        scalars,
    };
    let header = serde_json::to_string(&header).map_err(unusable)?;
    let failure = RefCell::new(None);
    let saved = tensors.iter().map(|(name, tensor)| {
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        let saved = Saved {
            tensor,
            shape,
            failure: &failure,
        };
        (name, saved)
    });
    let metadata = HashMap::from([(HEADER.to_owned(), header)]);
    let bytes = safetensors::serialize(saved, Some(metadata)).map_err(unusable)?;
    failure.into_inner().map_or(Ok(bytes), Err)
}

/// A 32-bit tensor to be written.
struct Saved<'a> {
    tensor: &'a Tensor,
    shape: Vec<usize>,
    /// Where a device does not give its data.
    failure: &'a RefCell<Option<Error>>,
}

impl View for Saved<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        bytes_of(self.tensor).map_or_else(
            |error| {
                self.failure.replace(Some(error));
                Cow::Borrowed(&[][..])
            },
            Cow::Owned,
        )
    }

    fn data_len(&self) -> usize {
        self.tensor.numel() * size_of::<f32>()
    }
}

/// Decodes what [`encode`] made of a job that goes through `scales`.
pub(crate) fn decode(
    bytes: &[u8],
    scales: &[Extent],
    device: Device,
) -> Result<(Position, Minimizer), Error> {
    let (file, header) = open(bytes)?;
    let extent = *scales
        .get(header.position.scale)
        .ok_or_else(|| unusable("it has more scales than the job"))?;
    let expected = 3 * extent.pixels() as i64;
    let mut take = |name: &str| {
        let view = file.tensor(name).map_err(unusable)?;
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        if view.dtype() != Dtype::F32 || shape != [expected] {
            return Err(unusable(format!(
                "{name} is {shape:?}, the job has {expected} variables"
            )));
        }
        Ok(Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?)
    };
    let spectrum = Spectrum::new(extent, device)?;
    let minimizer = Minimizer::restore(&header.scalars, Some(spectrum), device, &mut take)?;
    Ok((header.position, minimizer))
}

/// Evaluations that a checkpoint holds, over all scales.
pub(crate) fn evaluations(bytes: &[u8]) -> Result<u32, Error> {
    Ok(open(bytes)?.1.position.total)
}

fn open(bytes: &[u8]) -> Result<(SafeTensors<'_>, Header), Error> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unusable)?;
    let header = metadata
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get(HEADER))
        .ok_or_else(|| unusable("it is none of stylefleet's"))?;
    let header: Header = serde_json::from_str(header).map_err(unusable)?;
    if header.version != VERSION {
        return Err(unusable(format!(
            "its version is {}, not {VERSION}",
            header.version
        )));
    }
    Ok((SafeTensors::deserialize(bytes).map_err(unusable)?, header))
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>, Error> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * size_of::<f32>()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

fn unusable(reason: impl ToString) -> Error {
    Error::Checkpoint(reason.to_string())
}

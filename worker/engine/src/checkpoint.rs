//! A job's whole state as bytes: a safetensors file whose metadata carries what is no tensor, and a
//! hash of all of it. What is read back is believed only if it is the request's own, whole, and
//! makes sense: a job that went on from anything else would end in a picture of nothing.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

#[cfg(test)]
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::curve::Curve;
use crate::inputs::bounds;
use crate::minimize::{Minimizer, Scalars, Spectrum};
use crate::scales::Extent;
use crate::vgg::Arithmetic;
use crate::{Error, Request};

/// Raised when the meaning of a checkpoint changes.
const VERSION: u32 = 4;
/// Under this name the metadata holds the [`Header`] as JSON.
const HEADER: &str = "stylefleet";
/// Under this name the metadata holds the SHA-256 of header and tensors.
const HASH: &str = "sha256";

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
    /// Of the request.
    identity: String,
    position: Position,
    scalars: Scalars,
}

/// Encodes where the job that a request of that identity asks for stands. Tensors are copied one
/// after the other, so that no more memory is taken than the bytes themselves need.
pub(crate) fn encode(
    identity: &str,
    position: &Position,
    minimizer: &Minimizer,
) -> Result<Vec<u8>, Error> {
    let (scalars, mut tensors) = minimizer.save();
    let header = Header {
        version: VERSION,
        identity: identity.to_owned(),
        position: position.clone(),
        scalars,
    };
    let header = serde_json::to_string(&header).map_err(unusable)?;
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut hash = Hash::new(&header);
    for (name, tensor) in &tensors {
        hash.add(name, &bytes_of(tensor)?);
    }
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
    let metadata = [(HEADER, header), (HASH, hash.hex())];
    let metadata = HashMap::from(metadata.map(|(name, text)| (name.to_owned(), text)));
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

/// Decodes what [`encode`] made of the job that a request asks for, which goes through `scales`.
pub(crate) fn decode(
    bytes: &[u8],
    request: &Request,
    scales: &[Extent],
    device: Device,
) -> Result<(Position, Minimizer), Error> {
    let (file, header) = open(bytes, &request.identity)?;
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
        let tensor = Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?;
        match is_finite(&tensor)? {
            true => Ok(tensor),
            false => Err(unusable(format!("{name} is not finite"))),
        }
    };
    let spectrum = Spectrum::new(extent, device)?;
    let minimizer = Minimizer::restore(&header.scalars, Some(spectrum), device, &mut take)?;
    if !minimizer.is(request.parameters.optimizer) {
        return Err(unusable("it is of the other optimizer"));
    }
    if !minimizer.is_within(&bounds(request.parameters.means, device)?)? {
        return Err(unusable("its picture is out of the valid range"));
    }
    Ok((header.position, minimizer))
}

/// Evaluations that a checkpoint of the request of that identity holds, over all scales.
pub(crate) fn evaluations(bytes: &[u8], identity: &str) -> Result<u32, Error> {
    Ok(open(bytes, identity)?.1.position.total)
}

fn open<'a>(bytes: &'a [u8], identity: &str) -> Result<(SafeTensors<'a>, Header), Error> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unusable)?;
    let metadata = metadata.metadata().clone().unwrap_or_default();
    let text = metadata
        .get(HEADER)
        .ok_or_else(|| unusable("it is none of stylefleet's"))?;
    let Versioned { version } = serde_json::from_str(text).map_err(unusable)?;
    if version != VERSION {
        return Err(unusable(format!("its version is {version}, not {VERSION}")));
    }
    let header: Header = serde_json::from_str(text).map_err(unusable)?;
    if header.identity != identity {
        return Err(unusable(format!(
            "it is of {}, not of {identity}",
            header.identity
        )));
    }
    let file = SafeTensors::deserialize(bytes).map_err(unusable)?;
    if metadata.get(HASH) != Some(&hash_of(text, &file)) {
        return Err(unusable("it is damaged: its hash is another"));
    }
    Ok((file, header))
}

/// What every version's header has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// SHA-256 of a header, then of the tensors by their names.
struct Hash(Sha256);

impl Hash {
    fn new(header: &str) -> Self {
        Self(Sha256::new_with_prefix(header))
    }

    fn add(&mut self, name: &str, tensor: &[u8]) {
        self.0.update(name);
        self.0.update(tensor);
    }

    fn hex(self) -> String {
        hex::encode(self.0.finalize())
    }
}

fn hash_of(header: &str, file: &SafeTensors<'_>) -> String {
    let mut tensors = file.tensors();
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut hash = Hash::new(header);
    for (name, view) in &tensors {
        hash.add(name, view.data());
    }
    hash.hex()
}

fn is_finite(tensor: &Tensor) -> Result<bool, Error> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
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

/// A checkpoint with its header or its tensors changed, and the hash that then belongs to it.
#[cfg(test)]
pub(crate) fn forged(
    checkpoint: &[u8],
    header: impl Fn(&str) -> String,
    tensor: impl Fn(&str, f32) -> f32,
) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(checkpoint).expect("is one");
    let metadata = metadata.metadata().clone().expect("has some");
    let header = header(&metadata[HEADER]);
    let file = SafeTensors::deserialize(checkpoint).expect("is one");
    let changed = file.tensors().into_iter().map(|(name, view)| {
        let values = view
            .data()
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(f32::from_le_bytes);
        let values = values.map(|value| tensor(&name, value));
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        (name, view.shape().to_vec(), bytes)
    });
    let changed: Vec<_> = changed.collect();
    let views = changed.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.expect("fits"))
    });
    let bare = safetensors::serialize(views.clone(), None).expect("serialises");
    let hash = hash_of(&header, &SafeTensors::deserialize(&bare).expect("is one"));
    let metadata = [(HEADER, header), (HASH, hash)];
    let metadata = HashMap::from(metadata.map(|(name, text)| (name.to_owned(), text)));
    safetensors::serialize(views, Some(metadata)).expect("serialises")
}

//! A job's whole state as bytes, whatever its kind: a safetensors file whose metadata holds
//! everything but the tensors, and a hash of all of it. A checkpoint is used only if it is the
//! job's own, whole, and finite: a job that resumed from anything else would come to nothing
//! useful.

use std::borrow::Cow;
use std::cell::RefCell;

#[cfg(test)]
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::{Cause, Error};

/// Raised when the meaning of a checkpoint changes.
const VERSION: u32 = 7;
/// Under this name the metadata holds the [`Header`] as JSON.
const HEADER: &str = "stylefleet";
/// Under this name the metadata holds the SHA-256 of header and tensors.
const HASH: &str = "sha256";

/// What a checkpoint is of.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The kind of job.
    pub kind: &'a str,
    /// The job.
    pub identity: &'a str,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    kind: String,
    identity: String,
    /// Steps of the job that are done.
    steps: u64,
    /// The kind's state beside its tensors.
    state: serde_json::Value,
}

/// A checkpoint that was read.
pub struct Checkpoint<'a> {
    header: Header,
    file: SafeTensors<'a>,
}

/// Encodes where a job stands after so many steps, if `state` is all that it resumes from.
pub fn save(owner: Owner<'_>, steps: u64, state: &impl Serialize) -> Result<Vec<u8>, Error> {
    save_with(owner, steps, state, Vec::new())
}

/// [`save`], with tensors beside the state. They are copied one after the other, so that no more
/// memory is taken than the bytes themselves need.
pub(crate) fn save_with(
    owner: Owner<'_>,
    steps: u64,
    state: &impl Serialize,
    mut tensors: Vec<(String, Tensor)>,
) -> Result<Vec<u8>, Error> {
    let header = Header {
        version: VERSION,
        kind: owner.kind.to_owned(),
        identity: owner.identity.to_owned(),
        steps,
        state: serde_json::to_value(state).map_err(caused_by)?,
    };
    let header = serde_json::to_string(&header).map_err(caused_by)?;
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
    let metadata = metadata.map(|(name, text)| (name.to_owned(), text)).into();
    let bytes = safetensors::serialize(saved, Some(metadata)).map_err(caused_by)?;
    failure.into_inner().map_or(Ok(bytes), Err)
}

/// A tensor to be written: 32-bit numbers, or bytes.
struct Saved<'a> {
    tensor: &'a Tensor,
    shape: Vec<usize>,
    /// The error, if the device does not give the data.
    failure: &'a RefCell<Option<Error>>,
}

impl View for Saved<'_> {
    fn dtype(&self) -> Dtype {
        if self.tensor.kind() == Kind::Uint8 {
            Dtype::U8
        } else {
            Dtype::F32
        }
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
        size_of_data(self.tensor)
    }
}

/// Reads a checkpoint of that job.
pub fn read<'a>(bytes: &'a [u8], owner: Owner<'_>) -> Result<Checkpoint<'a>, Error> {
    let checkpoint = read_any(bytes, owner.identity)?;
    let kind = &checkpoint.header.kind;
    if kind != owner.kind {
        return Err(unusable(format!("it is of a job of the kind {kind}")));
    }
    Ok(checkpoint)
}

/// Steps that a checkpoint of that job holds, whatever its kind.
pub fn steps(bytes: &[u8], identity: &str) -> Result<u64, Error> {
    Ok(read_any(bytes, identity)?.steps())
}

impl Checkpoint<'_> {
    /// Steps that it holds.
    pub fn steps(&self) -> u64 {
        self.header.steps
    }

    /// The kind's state beside its tensors.
    pub fn state<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.header.state).map_err(caused_by)
    }

    /// A tensor of bytes, if there is one of that name.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Ok(view) = self.file.tensor(name) else {
            return Ok(None);
        };
        if view.dtype() != Dtype::U8 {
            return Err(unusable(format!("{name} is no bytes")));
        }
        Ok(Some(view.data().to_vec()))
    }

    /// A tensor of so many values, 32-bit and finite, on the CPU.
    pub(crate) fn tensor(&self, name: &str, values: i64) -> Result<Tensor, Error> {
        let view = self.file.tensor(name).map_err(caused_by)?;
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        if view.dtype() != Dtype::F32 || shape != [values] {
            return Err(unusable(format!(
                "{name} is {shape:?}, the job has {values} variables"
            )));
        }
        let tensor = Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?;
        if is_finite(&tensor)? {
            Ok(tensor)
        } else {
            Err(unusable(format!("{name} is not finite")))
        }
    }
}

fn read_any<'a>(bytes: &'a [u8], identity: &str) -> Result<Checkpoint<'a>, Error> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(caused_by)?;
    let metadata = metadata.metadata().clone().unwrap_or_default();
    let text = metadata
        .get(HEADER)
        .ok_or_else(|| unusable("it is none of stylefleet's"))?;
    let Versioned { version } = serde_json::from_str(text).map_err(caused_by)?;
    if version != VERSION {
        return Err(unusable(format!("its version is {version}, not {VERSION}")));
    }
    let header: Header = serde_json::from_str(text).map_err(caused_by)?;
    if header.identity != identity {
        return Err(unusable(format!(
            "it is of {}, not of {identity}",
            header.identity
        )));
    }
    let file = SafeTensors::deserialize(bytes).map_err(caused_by)?;
    if metadata.get(HASH) != Some(&hash_of(text, &file)) {
        return Err(unusable("it is damaged: its hash is another"));
    }
    Ok(Checkpoint { header, file })
}

/// What the header of every version has.
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

/// Whether all values are finite; this waits for the device.
pub(crate) fn is_finite(tensor: &Tensor) -> Result<bool, Error> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>, Error> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; size_of_data(&tensor)];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

/// Bytes of the values.
fn size_of_data(tensor: &Tensor) -> usize {
    tensor.numel() * tensor.kind().elt_size_in_bytes()
}

/// The error of a checkpoint that cannot be used.
pub fn unusable(reason: impl Into<Cause>) -> Error {
    Error::Checkpoint(reason.into())
}

/// [`unusable`], because of another error.
fn caused_by(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    unusable(Cause::of(error))
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
    let metadata = metadata.map(|(name, text)| (name.to_owned(), text)).into();
    safetensors::serialize(views, Some(metadata)).expect("serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner<'_> = Owner {
        kind: "test",
        identity: "a job",
    };

    #[test]
    fn a_state_without_tensors_is_read_as_it_was_saved() {
        let state = ("counted".to_owned(), vec![1, 2]);
        let saved = save(OWNER, 1 << 40, &state).expect("saves");
        assert_eq!(steps(&saved, "a job").expect("reads"), 1 << 40);
        let found = read(&saved, OWNER).expect("reads");
        assert_eq!(found.steps(), 1 << 40);
        assert_eq!(found.state::<(String, Vec<u8>)>().expect("reads"), state);
    }

    #[test]
    fn what_is_another_jobs_or_another_kinds_is_refused() {
        let saved = save(OWNER, 1, &()).expect("saves");
        let of = |kind, identity| read(&saved, Owner { kind, identity }).err();
        assert!(matches!(of("test", "another"), Some(Error::Checkpoint(_))));
        assert!(matches!(of("other", "a job"), Some(Error::Checkpoint(_))));
        assert!(steps(&saved, "another").is_err());
        assert!(steps(b"", "a job").is_err());
    }
}

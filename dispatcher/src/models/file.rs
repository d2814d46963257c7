//! Model files, checked before anything is done with them.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use stylefleet_model::Invalid;
use stylefleet_model::trained::{Header, Trained};

use crate::images::buckets::{Buckets, is_remote};
use crate::order::OrderError;

/// What a model file's name ends in.
pub const ENDING: &str = "safetensors";
/// Largest file that is read: more than twice the widest network's.
const MAX_BYTES: u64 = 256 << 20;

/// A file that holds a model.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// Where it lies.
    pub path: PathBuf,
    /// All of it.
    pub bytes: Bytes,
    /// What it says of itself.
    pub header: Header,
}

/// Why a file is no use as a model.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct ModelError {
    path: PathBuf,
    #[source]
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("is no file")]
    NoFile,
    #[error("is not there")]
    NotThere,
    #[error("is too large for a model: more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("{}", .0.reason)]
    Invalid(#[from] Invalid),
}

impl ModelFile {
    /// Reads and checks the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Self::of(path, read(path))
    }

    /// The same, of a file or an object in a bucket.
    pub async fn open(path: &Path, buckets: &Buckets) -> Result<Self, OrderError> {
        let bytes = if is_remote(path) {
            buckets.get(path).await?.ok_or(Reason::NotThere)
        } else {
            read(path)
        };
        Self::of(path, bytes).map_err(|error| OrderError::Usage(error.into()))
    }

    fn of(path: &Path, bytes: Result<Bytes, Reason>) -> Result<Self, ModelError> {
        let checked = bytes.and_then(|bytes| {
            let header = Trained::read(&bytes)?.header;
            Ok((bytes, header))
        });
        let path = path.to_owned();
        match checked {
            Ok((bytes, header)) => Ok(Self {
                path,
                bytes,
                header,
            }),
            Err(reason) => Err(ModelError { path, reason }),
        }
    }

    /// Its tensors.
    pub fn trained(&self) -> Result<Trained<'_>, ModelError> {
        Trained::read(&self.bytes).map_err(|invalid| ModelError {
            path: self.path.clone(),
            reason: invalid.into(),
        })
    }
}

fn read(path: &Path) -> Result<Bytes, Reason> {
    // Looked at before it is opened: opening a named pipe would wait for its other end.
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => {}
        Ok(_) => return Err(Reason::NoFile),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Reason::NotThere),
        Err(error) => return Err(error.into()),
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(MAX_BYTES + 1);
    if file.read_to_end(&mut bytes)? as u64 > MAX_BYTES {
        return Err(Reason::TooLarge);
    }
    Ok(bytes.into())
}

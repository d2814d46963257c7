//! Files that are uploaded as objects, and that objects are downloaded into.

use std::fs::{File, Permissions};
use std::io::{self, Read, Take};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use stylefleet_proto::{Digest, Hasher};
use tempfile::NamedTempFile;

use super::StoreError;

/// How the names of files begin that are still being written.
pub const WRITING: &str = ".writing-";

/// Bytes that are read or written at once.
pub const PIECE: usize = 1 << 20;

/// Runs blocking work off the async threads.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// A temporary file in `path`'s folder, which is made where there is none.
pub fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    tempfile::Builder::new()
        .prefix(WRITING)
        // As any new file: the umask decides who else may read it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

/// A file that is to be uploaded. It is hashed while it is read, so that the bytes that are checked
/// are those that were sent, whatever happens to the file meanwhile.
pub struct Source {
    path: PathBuf,
    file: Take<File>,
    digest: Digest,
    hasher: Hasher,
}

impl Source {
    /// The file at `path`, which should have this digest.
    pub async fn open(path: &Path, digest: &Digest) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let opened = {
            let path = path.clone();
            blocking(move || {
                let file = File::open(path)?;
                let size = file.metadata()?.len();
                Ok(file.take(size))
            })
        };
        Ok(Self {
            file: opened.await.map_err(|e| fault("read", &path, e))?,
            path,
            digest: *digest,
            hasher: Hasher::default(),
        })
    }

    /// Bytes that are still to be read.
    pub fn size(&self) -> u64 {
        self.file.limit()
    }

    /// Its bytes in pieces of `size`; the last may be shorter. Ends with an error if they do not
    /// have the digest: then the pieces before must not become an object.
    pub fn pieces(self, size: u64) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
        stream::try_unfold(self, move |source| source.next(size))
    }

    /// All its bytes.
    pub async fn whole(self) -> Result<Bytes, StoreError> {
        let size = self.size();
        let pieces: Vec<_> = self.pieces(size).try_collect().await?;
        Ok(pieces.concat().into())
    }

    async fn next(mut self, size: u64) -> Result<Option<(Bytes, Self)>, StoreError> {
        let path = self.path.clone();
        let read = blocking(move || {
            let size = size.min(self.size());
            let mut piece = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            (&mut self.file).take(size).read_to_end(&mut piece)?;
            self.hasher.update(&piece);
            Ok((piece, self))
        });
        let (piece, source) = read.await.map_err(|e| fault("read", &path, e))?;
        if !piece.is_empty() {
            return Ok(Some((piece.into(), source)));
        }
        if source.hasher.digest() == source.digest {
            return Ok(None);
        }
        Err(StoreError::Mismatch {
            what: path.display().to_string(),
            digest: source.digest,
            remedy: "it changed after it was hashed: run the same command again",
        })
    }
}

/// What went wrong with a local file.
pub fn fault(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::File {
        action,
        path: path.display().to_string(),
        source,
    }
}

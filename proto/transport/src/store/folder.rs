//! A folder as the store: an object is a file. Objects appear by rename or link, so no reader
//! ever sees half of one.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use stylefleet_proto::Digest;
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::files::{PIECE, Source, WRITING, blocking, temporary_beside};
use super::{Reading, Stat, Store, StoreError, Version, checked, checked_folder};

/// A store in a folder of the local file system.
#[derive(Debug, Clone)]
pub struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    /// The store under `root`, which is made when first written to.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The file that holds the object.
    pub fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        Ok(self.root.join(checked(key)?))
    }

    /// Runs blocking work on an object's file off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &str,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking_on(action, self.path(key)?, work).await
    }

    /// The same, on any path.
    async fn blocking_on<T: Send + 'static>(
        &self,
        action: &'static str,
        path: PathBuf,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let what = path.display().to_string();
        let outcome = blocking(move || work(&path)).await;
        outcome.map_err(|source| fault(action, what, source))
    }
}

#[async_trait]
impl Store for FolderStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.blocking("read", key, |path| {
            Ok(if_there(std::fs::read(path))?.map(Bytes::from))
        })
        .await
    }

    async fn read(
        &self,
        key: &str,
        range: Range<u64>,
        wanted: Option<&Version>,
    ) -> Result<Option<Reading>, StoreError> {
        let what = self.locate(key);
        let size = range.end.saturating_sub(range.start);
        let opened = self.blocking("read", key, move |path| {
            let Some(mut file) = if_there(File::open(path))? else {
                return Ok(None);
            };
            let about = file.metadata()?;
            file.seek(SeekFrom::Start(range.start.min(about.len())))?;
            Ok(about.is_file().then(|| (file, version(&about))))
        });
        let Some((file, version)) = opened.await? else {
            return Ok(None);
        };
        if wanted.is_some_and(|wanted| *wanted != version) {
            return Err(StoreError::Changed { what });
        }
        let file = tokio::fs::File::from_std(file).take(size);
        let bytes = ReaderStream::with_capacity(file, PIECE);
        Ok(Some(Reading {
            version: Some(version),
            bytes: bytes
                .map_err(move |e| fault("read", what.clone(), e))
                .boxed(),
        }))
    }

    async fn stat(&self, key: &str) -> Result<Option<Stat>, StoreError> {
        self.blocking("look for", key, |path| {
            match if_there(std::fs::metadata(path))? {
                Some(file) if file.is_file() => Ok(Some(Stat {
                    size: file.len(),
                    modified: file.modified()?,
                })),
                _ => Ok(None),
            }
        })
        .await
    }

    async fn present(&self, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        let paths: Vec<_> = keys
            .iter()
            .map(|key| self.path(key))
            .collect::<Result<_, _>>()?;
        self.blocking_on("look into", self.root.clone(), move |_| {
            let is_object =
                |path| Ok(if_there(std::fs::metadata(path))?.is_some_and(|f| f.is_file()));
            paths.iter().map(is_object).collect()
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.blocking("write", key, move |path| {
            written_beside(path, &bytes)?.persist(path)?;
            Ok(())
        })
        .await
    }

    async fn put_file(&self, key: &str, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        let mut pieces = pin!(Source::open(path, digest).await?.pieces(PIECE as u64));
        let mut file = self.blocking("write", key, temporary_beside).await?;
        while let Some(piece) = pieces.try_next().await? {
            let write = move |_: &Path| file.write_all(&piece).map(|()| file);
            file = self.blocking("write", key, write).await?;
        }
        self.blocking("write", key, move |path| {
            file.as_file().sync_data()?;
            file.persist(path)?;
            Ok(())
        })
        .await
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
        self.blocking("write", key, move |path| {
            if path.try_exists()? {
                return Ok(false);
            }
            match written_beside(path, &bytes)?.persist_noclobber(path) {
                Ok(_) => Ok(true),
                Err(e) if e.error.kind() == ErrorKind::AlreadyExists => Ok(false),
                Err(e) => Err(e.error),
            }
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.blocking("remove", key, |path| {
            if_there(std::fs::remove_file(path)).map(drop)
        })
        .await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let path = self.root.join(checked_folder(folder)?);
        let root = self.root.clone();
        self.blocking_on("list", path, move |path| {
            let mut keys = Vec::new();
            let mut folders = vec![path.to_owned()];
            while let Some(folder) = folders.pop() {
                // A folder may go while we look.
                for entry in if_there(std::fs::read_dir(folder))?.into_iter().flatten() {
                    let path = entry?.path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if let Some(key) = key_of(&root, &path) {
                        keys.push(key);
                    }
                }
            }
            keys.sort();
            Ok(keys)
        })
        .await
    }

    fn locate(&self, key: &str) -> String {
        self.root.join(key).display().to_string()
    }
}

/// The key of the object in a file, unless the file is none of ours.
fn key_of(root: &Path, file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let key = file.strip_prefix(root).ok()?.to_str()?;
    (!name.starts_with(WRITING) && checked(key).is_ok()).then(|| key.to_owned())
}

/// None where there is no such file. A folder is no object, nor is anything under a file.
fn if_there<T>(outcome: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(e) => match e.kind() {
            ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory => Ok(None),
            _ => Err(e),
        },
    }
}

/// A temporary file in `path`'s folder with `bytes` in it, on the disk.
fn written_beside(path: &Path, bytes: &[u8]) -> std::io::Result<NamedTempFile> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    Ok(file)
}

/// Objects are replaced by new files, never changed.
fn version(file: &Metadata) -> Version {
    let (written, part) = (file.mtime(), file.mtime_nsec());
    Version(format!("{}-{}-{written}.{part}", file.ino(), file.len()))
}

/// What went wrong when `action` was tried on an object or a folder.
fn fault(action: &'static str, what: String, source: std::io::Error) -> StoreError {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { what },
        _ => StoreError::Io {
            action,
            what,
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, FolderStore) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = FolderStore::new(folder.path().join("store"));
        (folder, store)
    }

    #[tokio::test]
    async fn leaves_no_litter() {
        let (_folder, store) = store();
        store.put("jobs/x", Bytes::from("1")).await.expect("writes");
        assert!(
            !store
                .put_new("jobs/x", Bytes::from("2"))
                .await
                .expect("declines")
        );
        let files = std::fs::read_dir(store.root.join("jobs"))
            .expect("lists")
            .count();
        assert_eq!(files, 1);
    }

    #[tokio::test]
    async fn lists_no_file_that_is_still_being_written() {
        let (_folder, store) = store();
        store.put("jobs/x", Bytes::from("1")).await.expect("writes");
        let path = store.path("jobs/y").expect("a key");
        let _unfinished = written_beside(&path, b"2").expect("writes");
        assert_eq!(store.list("").await.expect("lists"), ["jobs/x"]);
    }
}

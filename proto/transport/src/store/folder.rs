//! A folder as the store: an object is a file. Objects appear by rename or link, so no reader
//! ever sees half of one.

use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::NamedTempFile;

use super::{Store, StoreError};

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

    /// The file that holds the object. Keys are relative and never climb.
    pub fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        let part_is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if key.split('/').all(part_is_plain) && !key.contains(['\\', '\0']) {
            Ok(self.root.join(key))
        } else {
            Err(StoreError::Key(key.to_owned()))
        }
    }

    /// Runs blocking file work off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &str,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.path(key)?;
        let what = path.display().to_string();
        let outcome = tokio::task::spawn_blocking(move || work(&path))
            .await
            .unwrap_or_else(|panic| Err(std::io::Error::other(panic.to_string())));
        outcome.map_err(|source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { what },
            _ => StoreError::Io {
                action,
                what,
                source,
            },
        })
    }
}

#[async_trait]
impl Store for FolderStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.blocking("read", key, |path| match std::fs::read(path) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        })
        .await
    }

    async fn contains(&self, key: &str) -> Result<bool, StoreError> {
        self.blocking("look for", key, |path| path.try_exists())
            .await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.blocking("write", key, move |path| {
            written_beside(path, &bytes)?.persist(path)?;
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
        self.blocking("remove", key, |path| match std::fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        })
        .await
    }
}

/// A temporary file in `path`'s folder with `bytes` in it, on the disk.
fn written_beside(path: &Path, bytes: &[u8]) -> std::io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        // As any new file: the umask decides who else may read it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    Ok(file)
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
    async fn keeps_replaces_and_removes() {
        let (_folder, store) = store();
        assert_eq!(store.get("a/b").await.expect("reads"), None);
        assert!(!store.contains("a/b").await.expect("looks"));
        store.put("a/b", Bytes::from("1")).await.expect("writes");
        store.put("a/b", Bytes::from("2")).await.expect("writes");
        assert_eq!(store.get("a/b").await.expect("reads"), Some("2".into()));
        store.delete("a/b").await.expect("removes");
        store.delete("a/b").await.expect("removes what is gone");
        assert!(!store.contains("a/b").await.expect("looks"));
    }

    #[tokio::test]
    async fn one_of_many_writers_wins() {
        let (_folder, store) = store();
        let writers: Vec<_> = (0..16)
            .map(|i| {
                let store = store.clone();
                tokio::spawn(async move {
                    let bytes = Bytes::from(i.to_string());
                    store
                        .put_new("jobs/x", bytes)
                        .await
                        .expect("writes")
                        .then_some(i)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            winners.extend(writer.await.expect("ends"));
        }
        let kept = store.get("jobs/x").await.expect("reads").expect("is there");
        assert_eq!(winners.len(), 1);
        assert_eq!(kept, winners[0].to_string());
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
    async fn never_leaves_its_root() {
        let (_folder, store) = store();
        for key in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a//b",
            "",
            "a/./b",
            "a\\b",
        ] {
            let refused = store.get(key).await;
            assert!(matches!(refused, Err(StoreError::Key(_))), "{key}");
        }
    }
}

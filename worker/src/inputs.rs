//! Jobs' inputs: from the store, or from a cache on disk of those used last.
//!
//! The cache is only an optimisation: whatever is wrong with it, the store has the input.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use stylefleet_proto::{Digest, Input, keys};
use stylefleet_transport::store::{Store, StoreError};
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// The folder of a cache is listed again once one part in so many of its limit was written: a job
/// may have thousands of inputs, and the folder thousands of files.
const UNLISTED: u64 = 16;

/// Where jobs' inputs come from. Clones share a cache.
#[derive(Clone)]
pub struct Inputs {
    store: Arc<dyn Store>,
    cache: Option<Arc<Cache>>,
}

/// Files named by the hash of their bytes. The least recently used are removed first. Several
/// workers may share the folder; each may exceed the limit by a small part, until it sees what
/// the others have written.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
    /// Bytes that may be written before the folder is listed again.
    room: Mutex<u64>,
}

impl Inputs {
    /// Inputs of `store`, kept in `cache` if there is one.
    pub(crate) fn new(store: Arc<dyn Store>, cache: Option<Cache>) -> Self {
        let cache = cache.map(Arc::new);
        Self { store, cache }
    }

    /// The bytes of `input`, checked against its hash.
    pub async fn get(&self, input: &Input) -> Result<Bytes, Failure> {
        let Input { sha256, name, .. } = input.clone();
        if let Some(bytes) = self.cached(&sha256).await {
            return Ok(bytes);
        }
        let Some(bytes) = self.store.get(&keys::input(&sha256)).await? else {
            return Err(Failure::Missing { name, sha256 });
        };
        if Digest::of(&bytes) != sha256 {
            return Err(Failure::Altered { name, sha256 });
        }
        self.keep(sha256, bytes.clone()).await;
        Ok(bytes)
    }

    /// A file with the bytes of `input`, checked against its hash. It has no name in a folder, and
    /// is gone once it is closed. What is large enough to need one is not cached.
    pub async fn file(&self, input: &Input) -> Result<File, Failure> {
        let Input { sha256, name, .. } = input.clone();
        // The disk may be full here, and another worker have room.
        let failed = |source: io::Error| StoreError::Io {
            action: "write",
            what: format!("a temporary file for {name}"),
            source,
        };
        let named = NamedTempFile::new().map_err(failed)?;
        match self
            .store
            .get_file(&keys::input(&sha256), named.path(), &sha256)
            .await
        {
            Ok(true) => Ok(File::open(named.path()).map_err(failed)?),
            Ok(false) => Err(Failure::Missing { name, sha256 }),
            Err(StoreError::Mismatch { .. }) => Err(Failure::Altered { name, sha256 }),
            Err(StoreError::File { source, .. }) => Err(failed(source).into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn cached(&self, sha256: &Digest) -> Option<Bytes> {
        let cache = self.cache.clone()?;
        let sha256 = *sha256;
        let read = tokio::task::spawn_blocking(move || cache.get(&sha256));
        read.await.ok()?
    }

    async fn keep(&self, sha256: Digest, bytes: Bytes) {
        let Some(cache) = self.cache.clone() else {
            return;
        };
        let kept = tokio::task::spawn_blocking(move || cache.put(&sha256, &bytes)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!("an input is not cached: {error}");
        }
    }
}

impl Cache {
    /// A cache of at most `limit` bytes in `folder`.
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit,
            room: Mutex::default(),
        }
    }

    fn get(&self, sha256: &Digest) -> Option<Bytes> {
        let path = self.path(sha256);
        let bytes = fs::read(&path).ok()?;
        if Digest::of(&bytes) != *sha256 {
            // The file is damaged: the store has the right bytes.
            let _ = fs::remove_file(path);
            return None;
        }
        // Marks it as the most recently used.
        let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes.into())
    }

    fn put(&self, sha256: &Digest, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.limit {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        self.reserve(bytes.len() as u64)?;
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(self.path(sha256))?;
        Ok(())
    }

    /// Makes sure that there is room for so many bytes, at most the limit.
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if *room < bytes {
            let most = bytes.max(self.limit / UNLISTED);
            *room = (self.limit - self.trim(self.limit - most)?).min(most);
        }
        *room -= bytes;
        Ok(())
    }

    /// Removes the files used longest ago, until all have at most `most` bytes. Returns how many
    /// they have.
    fn trim(&self, most: u64) -> io::Result<u64> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another worker may have removed it meanwhile.
            if let Ok(about) = entry.metadata() {
                files.push((about.modified()?, about.len(), entry.path()));
            }
        }
        files.sort();
        let mut taken: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if taken <= most {
                break;
            }
            let _ = fs::remove_file(path);
            taken -= size;
        }
        Ok(taken)
    }

    fn path(&self, sha256: &Digest) -> PathBuf {
        Path::new(&self.folder).join(sha256.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    use stylefleet_transport::store::MemoryStore;

    use super::*;

    fn input(bytes: &[u8]) -> Input {
        Input {
            role: "content".parse().expect("a role"),
            sha256: Digest::of(bytes),
            name: "a.png".parse().expect("a name"),
        }
    }

    fn cache(limit: u64) -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(folder.path().join("inputs"), limit);
        (folder, cache)
    }

    #[tokio::test]
    async fn asks_the_store_only_once() {
        let (_folder, cache) = cache(100);
        let store = Arc::new(MemoryStore::default());
        let key = keys::input(&Digest::of(b"one"));
        store.put(&key, "one".into()).await.expect("writes");
        let inputs = Inputs::new(store.clone(), Some(cache));
        inputs.get(&input(b"one")).await.expect("from the store");
        store.delete(&key).await.expect("removes");
        let cached = inputs.get(&input(b"one")).await.expect("from the cache");
        assert_eq!(cached, "one");
    }

    #[tokio::test]
    async fn files_are_checked_and_have_no_name() {
        let store = Arc::new(MemoryStore::default());
        let put = |file: &'static [u8], bytes: &'static [u8]| {
            let (store, key) = (store.clone(), keys::input(&Digest::of(file)));
            async move { store.put(&key, bytes.into()).await.expect("writes") }
        };
        put(b"one", b"one").await;
        put(b"two", b"another").await;
        let inputs = Inputs::new(store.clone(), None);
        let mut file = inputs.file(&input(b"one")).await.expect("is there");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("reads");
        assert_eq!(bytes, b"one");
        assert_eq!(file.metadata().expect("is told").nlink(), 0);
        let altered = inputs.file(&input(b"two")).await;
        assert!(matches!(altered, Err(Failure::Altered { .. })));
        let missing = inputs.file(&input(b"three")).await;
        assert!(matches!(missing, Err(Failure::Missing { .. })));
    }

    #[test]
    fn removes_what_was_used_longest_ago() {
        let (_folder, cache) = cache(10);
        let [one, two, three] = [b"aaaa", b"bbbb", b"cccc"].map(|bytes| (Digest::of(bytes), bytes));
        for (age, (digest, bytes)) in [(20, &one), (10, &two)] {
            cache.put(digest, *bytes).expect("keeps");
            let then = SystemTime::now() - Duration::from_secs(age);
            let file = File::open(cache.path(digest)).expect("opens");
            file.set_modified(then).expect("ages");
        }
        assert!(cache.get(&one.0).is_some());
        cache.put(&three.0, three.1).expect("keeps");
        assert!(cache.get(&two.0).is_none());
        assert!(cache.get(&one.0).is_some() && cache.get(&three.0).is_some());
        let eleven = b"eleven bytes";
        cache.put(&Digest::of(eleven), eleven).expect("declines");
        assert!(cache.get(&Digest::of(eleven)).is_none());
    }

    /// The sizes of the files in the cache's folder.
    fn sizes(cache: &Cache) -> Vec<u64> {
        let files = fs::read_dir(&cache.folder).expect("lists");
        let size = |file: io::Result<fs::DirEntry>| file.and_then(|file| file.metadata());
        files
            .map(|file| size(file).expect("is there").len())
            .collect()
    }

    #[test]
    fn the_folder_is_listed_only_now_and_then() {
        let (_folder, cache) = cache(1600);
        let mut files = 0..;
        let mut put = || {
            let bytes = format!("{:10}", files.next().unwrap_or(0));
            let put = cache.put(&Digest::of(bytes.as_bytes()), bytes.as_bytes());
            put.expect("keeps");
        };
        put();
        // Another worker's, used longest ago. It makes the cache too large, but that is not seen
        // before a sixteenth of the limit is written.
        let others = cache.folder.join("others");
        fs::write(&others, [0; 2000]).expect("writes");
        let file = File::open(&others).expect("opens");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("ages");
        for _ in 0..9 {
            put();
            assert!(others.exists());
        }
        put();
        assert!(!others.exists());
        for _ in 0..1000 {
            put();
        }
        let taken: u64 = sizes(&cache).iter().sum();
        assert!((1400..=1600).contains(&taken), "{taken}");
    }

    #[test]
    fn never_hands_out_what_was_damaged() {
        let (_folder, cache) = cache(100);
        let digest = Digest::of(b"one");
        cache.put(&digest, b"one").expect("keeps");
        fs::write(cache.path(&digest), b"two").expect("damages");
        assert!(cache.get(&digest).is_none());
        assert!(!cache.path(&digest).exists());
    }
}

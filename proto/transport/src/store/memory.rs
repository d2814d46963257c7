//! A store that lasts as long as the process, for tests.

use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use stylefleet_proto::Digest;
use tokio::sync::Mutex;

use super::files::Source;
use super::{Reading, Stat, Store, StoreError, Version, checked, checked_folder};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, (Bytes, SystemTime)>>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let objects = self.objects.lock().await;
        Ok(objects.get(checked(key)?).map(|(bytes, _)| bytes.clone()))
    }

    async fn read(
        &self,
        key: &str,
        range: Range<u64>,
        wanted: Option<&Version>,
    ) -> Result<Option<Reading>, StoreError> {
        let objects = self.objects.lock().await;
        let Some((bytes, modified)) = objects.get(checked(key)?) else {
            return Ok(None);
        };
        let version = Version(format!("{modified:?}"));
        if wanted.is_some_and(|wanted| *wanted != version) {
            return Err(StoreError::Changed {
                what: self.locate(key),
            });
        }
        let position = |place| usize::try_from(place).map_or(bytes.len(), |p| p.min(bytes.len()));
        let [start, end] = [range.start, range.end.max(range.start)].map(position);
        Ok(Some(Reading {
            version: Some(version),
            bytes: stream::once(ready(Ok(bytes.slice(start..end)))).boxed(),
        }))
    }

    async fn stat(&self, key: &str) -> Result<Option<Stat>, StoreError> {
        let objects = self.objects.lock().await;
        Ok(objects.get(checked(key)?).map(|(bytes, modified)| Stat {
            size: bytes.len() as u64,
            modified: *modified,
        }))
    }

    async fn present(&self, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        let objects = self.objects.lock().await;
        let is_there = |key: &String| Ok(objects.contains_key(checked(key)?));
        keys.iter().map(is_there).collect()
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let object = (bytes, SystemTime::now());
        let mut objects = self.objects.lock().await;
        objects.insert(checked(key)?.to_owned(), object);
        Ok(())
    }

    async fn put_file(&self, key: &str, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        let bytes = Source::open(path, digest).await?.whole().await?;
        self.put(key, bytes).await
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let mut objects = self.objects.lock().await;
        let is_new = !objects.contains_key(checked(key)?);
        if is_new {
            objects.insert(key.to_owned(), (bytes, SystemTime::now()));
        }
        Ok(is_new)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.objects.lock().await.remove(checked(key)?);
        Ok(())
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        checked_folder(folder)?;
        let objects = self.objects.lock().await;
        let inside = objects.keys().filter(|key| key.starts_with(folder));
        Ok(inside.cloned().collect())
    }

    fn locate(&self, key: &str) -> String {
        format!("{key} (in memory)")
    }
}

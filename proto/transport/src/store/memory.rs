//! A store that lasts as long as the process, for tests.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;

use super::{Stat, Store, StoreError, checked, checked_folder};

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

//! A store that may be away for a while.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stylefleet_proto::{Digest, keys};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Check, Reading, Stat, Store, StoreError, Version, check, download};

/// First and longest wait between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// How long to try again.
#[derive(Debug, Clone)]
pub enum Patience {
    /// As long as it takes, whatever another try may mend, until this is cancelled: then every
    /// first error counts.
    Until(CancellationToken),
    /// So long, while the store is away or overloaded: whoever waits is there to mend the rest.
    For(Duration),
}

/// Tries again what the store could not do, and says so once, until the store is back.
pub struct PatientStore {
    inner: Arc<dyn Store>,
    patience: Patience,
    is_away: AtomicBool,
}

impl PatientStore {
    /// Patient with `inner`.
    pub fn new(inner: Arc<dyn Store>, patience: Patience) -> Self {
        Self {
            inner,
            patience,
            is_away: AtomicBool::new(false),
        }
    }

    /// Whether the last try at anything failed for want of the store.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Whether the store lets us do what workers do. Has no patience.
    pub async fn check(&self) -> Result<Check, StoreError> {
        let random = Digest::of(&fastrand::u128(..).to_le_bytes());
        check(&*self.inner, &keys::probe(&random)).await
    }

    /// Whether another try is to be made of what failed with `error`, and first failed `since`
    /// then.
    async fn is_worth_a_try(&self, error: &StoreError, since: Instant) -> bool {
        match &self.patience {
            Patience::Until(stop) => !stop.is_cancelled() && self.is_passing(error).await,
            Patience::For(time) => error.is_outage() && since.elapsed() < *time,
        }
    }

    /// Whether it is the store that is in trouble, rather than what was asked of it.
    async fn is_passing(&self, error: &StoreError) -> bool {
        use StoreError::{Denied, NoBucket, NoCredentials};
        match error {
            Denied { .. } | NoBucket { .. } | NoCredentials { .. } => self.check().await.is_err(),
            error => error.is_retryable(),
        }
    }

    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        // A large transfer may have taken long before it failed: that was no waiting.
        let mut failed = None;
        let (mut pause, longest) = PAUSES;
        loop {
            let outcome = work().await;
            let since = *failed.get_or_insert_with(Instant::now);
            let error = match outcome {
                Err(error) if self.is_worth_a_try(&error, since).await => error,
                Ok(done) => {
                    if self.is_away.swap(false, Ordering::Relaxed) {
                        tracing::warn!("the store is back");
                    }
                    return Ok(done);
                }
                Err(error) => return Err(error),
            };
            if !self.is_away.swap(true, Ordering::Relaxed) {
                match &self.patience {
                    Patience::Until(_) => tracing::warn!("{error}; trying again until it works"),
                    Patience::For(time) => {
                        tracing::warn!("{error}; trying again for {} s", time.as_secs());
                    }
                }
            }
            let pausing = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64()));
            match &self.patience {
                Patience::Until(stop) => tokio::select! {
                    () = pausing => {}
                    () = stop.cancelled() => {}
                },
                Patience::For(_) => pausing.await,
            }
            pause = (pause * 2).min(longest);
        }
    }
}

#[async_trait]
impl Store for PatientStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.insist(|| self.inner.get(key)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        self.insist(|| download::get_range(self, key, range.clone()))
            .await
    }

    /// If the store goes away during the download, waits for it and resumes.
    async fn get_file(&self, key: &str, path: &Path, digest: &Digest) -> Result<bool, StoreError> {
        self.insist(|| download::get_file(self, key, path, digest))
            .await
    }

    async fn read(
        &self,
        key: &str,
        range: Range<u64>,
        wanted: Option<&Version>,
    ) -> Result<Option<Reading>, StoreError> {
        self.insist(|| self.inner.read(key, range.clone(), wanted))
            .await
    }

    async fn stat(&self, key: &str) -> Result<Option<Stat>, StoreError> {
        self.insist(|| self.inner.stat(key)).await
    }

    async fn present(&self, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        self.insist(|| self.inner.present(keys)).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.insist(|| self.inner.put(key, bytes.clone())).await
    }

    async fn put_file(&self, key: &str, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        self.insist(|| self.inner.put_file(key, path, digest)).await
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
        self.insist(|| self.inner.put_new(key, bytes.clone())).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.insist(|| self.inner.delete(key)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.insist(|| self.inner.list(folder)).await
    }

    async fn presigned_url(
        &self,
        key: &str,
        lifetime: Duration,
    ) -> Result<Option<String>, StoreError> {
        self.insist(|| self.inner.presigned_url(key, lifetime))
            .await
    }

    fn locate(&self, key: &str) -> String {
        self.inner.locate(key)
    }
}

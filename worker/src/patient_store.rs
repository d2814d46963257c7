//! A store that may be away for a while.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stylefleet_proto::{Digest, keys};
use stylefleet_transport::store::{Check, Stat, Store, StoreError, check};
use tokio_util::sync::CancellationToken;

/// First and longest wait between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Tries again, for as long as it takes, what another try may mend: jobs are not to fail because
/// the store is away, or because nobody is let in any more. Once `stop` is cancelled, every first
/// error counts.
pub struct PatientStore {
    inner: Arc<dyn Store>,
    stop: CancellationToken,
}

impl PatientStore {
    /// Patient with `inner` until `stop`.
    pub fn new(inner: Arc<dyn Store>, stop: CancellationToken) -> Self {
        Self { inner, stop }
    }

    /// Whether it is the store that is in trouble, rather than what was asked of it.
    async fn is_passing(&self, error: &StoreError) -> bool {
        use StoreError::{Denied, NoBucket, NoCredentials};
        match error {
            Denied { .. } | NoBucket { .. } | NoCredentials { .. } => self.check().await.is_err(),
            error => error.is_retryable(),
        }
    }

    /// Whether the store lets us do what workers do.
    pub async fn check(&self) -> Result<Check, StoreError> {
        let random = Digest::of(&fastrand::u128(..).to_le_bytes());
        check(&*self.inner, &keys::probe(&random)).await
    }

    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let (mut pause, longest) = PAUSES;
        let mut told = false;
        loop {
            let error = match work().await {
                Err(error) if !self.stop.is_cancelled() && self.is_passing(&error).await => error,
                done => {
                    if told {
                        tracing::warn!("the store is back");
                    }
                    return done;
                }
            };
            if !told {
                tracing::warn!("{error}; trying again until it works");
                told = true;
            }
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())) => {}
                () = self.stop.cancelled() => {}
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

    async fn stat(&self, key: &str) -> Result<Option<Stat>, StoreError> {
        self.insist(|| self.inner.stat(key)).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.insist(|| self.inner.put(key, bytes.clone())).await
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

    fn locate(&self, key: &str) -> String {
        self.inner.locate(key)
    }
}

//! Networks trained to redraw any picture in a style.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use stylefleet_engine::tasks::train::{self as task, Request};
use stylefleet_engine::{Cause, Error, Source};
use stylefleet_model::train::{self, Photograph, Photographs};
use stylefleet_model::{Role, Valid};
use stylefleet_proto::{Input, Job, Specification};
use tokio::runtime::Handle;

use super::{Assignment, Kind, source};
use crate::failure::Failure;
use crate::inputs::Inputs;

/// The kind `train`.
pub struct Train;

/// What such a job asks for.
type Asked = Valid<train::Train>;

#[async_trait]
impl Kind for Train {
    fn name(&self) -> &'static str {
        Asked::KIND
    }

    /// Fetches the list of photographs, but none of them.
    async fn prepare(&self, job: &Job, inputs: &Inputs) -> Result<Assignment, Failure> {
        let asked: Asked = job.specification()?;
        let mut styles = Vec::with_capacity(asked.styles.len());
        for index in 0..asked.styles.len() {
            styles.push(source(job, inputs, train::Train::style(index)).await?);
        }
        let role = train::Train::photographs();
        let list = source(job, inputs, role.clone()).await?;
        let request = Request {
            identity: job.id.to_string(),
            styles,
            photographs: Arc::new(Stored {
                list: Photographs::read(&list.bytes)?.photographs,
                role,
                inputs: inputs.clone(),
                runtime: Handle::current(),
            }),
            asked: asked.clone(),
        };
        Assignment::new(request, &*asked)
    }
}

/// Photographs in the store. They are read by threads of the engine.
struct Stored {
    list: Vec<Photograph>,
    role: Role,
    inputs: Inputs,
    runtime: Handle,
}

impl task::Photographs for Stored {
    fn count(&self) -> usize {
        self.list.len()
    }

    fn read(&self, index: usize) -> Result<Source, Error> {
        let Some(Photograph { sha256, name }) = self.list.get(index) else {
            let reason = format!("there is no photograph {index}: please report this");
            return Err(Error::Request(reason));
        };
        let input = Input {
            role: self.role.clone(),
            sha256: *sha256,
            name: name.clone(),
        };
        match self.runtime.block_on(self.inputs.get(&input)) {
            Ok(bytes) => Ok(Source::new(name.clone(), bytes.into())),
            Err(failure) if failure.is_retryable() => Err(Error::Input {
                name: name.to_string(),
                reason: Cause::of(failure),
            }),
            Err(failure) => Err(Error::Request(failure.to_string())),
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} photographs", self.list.len())
    }
}

#[cfg(test)]
mod tests {
    use stylefleet_proto::{Digest, keys};
    use stylefleet_transport::store::{FolderStore, MemoryStore, Store};
    use task::Photographs as _;

    use super::*;

    /// Photographs with these bytes.
    fn stored(store: Arc<dyn Store>, files: &[&[u8]]) -> Arc<Stored> {
        let photograph = |file: &&[u8]| Photograph {
            sha256: Digest::of(file),
            name: "boat.jpg".parse().expect("a name"),
        };
        Arc::new(Stored {
            list: files.iter().map(photograph).collect(),
            role: train::Train::photographs(),
            inputs: Inputs::new(store, None),
            runtime: Handle::current(),
        })
    }

    /// Reads a photograph as the engine does, on a thread of its own.
    async fn read(stored: &Arc<Stored>, index: usize) -> Result<Source, Error> {
        let stored = stored.clone();
        let reading = tokio::task::spawn_blocking(move || stored.read(index));
        reading.await.expect("does not panic")
    }

    #[tokio::test]
    async fn photographs_are_read_from_the_store() {
        let store = Arc::new(MemoryStore::default());
        let put = |file: &'static [u8], bytes: &'static [u8]| {
            let (store, key) = (store.clone(), keys::input(&Digest::of(file)));
            async move { store.put(&key, bytes.into()).await.expect("writes") }
        };
        put(b"one", b"one").await;
        put(b"two", b"another").await;
        let stored = stored(store.clone(), &[b"one", b"two", b"three"]);
        assert_eq!(stored.count(), 3);
        let source = read(&stored, 0).await.expect("is there");
        assert_eq!(
            (&source.name[..], &source.bytes[..]),
            ("boat.jpg", &b"one"[..])
        );
        for (index, what) in [
            (1, "is not the file it should be"),
            (2, "is not in the store"),
        ] {
            let refused = read(&stored, index).await.expect_err(what);
            let shown = refused.to_string();
            assert!(!refused.is_retryable(), "{shown}");
            assert!(
                shown.starts_with("boat.jpg: ") && shown.contains(what),
                "{shown}"
            );
        }
    }

    #[tokio::test]
    async fn a_store_that_fails_may_not_fail_the_next_time() {
        // No system has names as long as this.
        let store = Arc::new(FolderStore::new("x".repeat(5000)));
        let refused = read(&stored(store, &[b"one"]), 0).await.expect_err("fails");
        assert!(refused.is_retryable());
        let shown = refused.to_string();
        assert!(shown.starts_with("boat.jpg cannot be fetched: "), "{shown}");
    }
}

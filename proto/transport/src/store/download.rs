//! Reads objects to their end, however often the connection is cut.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt;
use stylefleet_proto::{Digest, Hasher};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::files::{PIECE, blocking, fault, temporary_beside};
use super::{Reading, Store, StoreError};

/// Cuts in a row, with nothing read between them, after which a download fails.
const MAX_CUTS: u32 = 3;

/// See [`Store::get_range`].
pub async fn get_range<S: Store + ?Sized>(
    store: &S,
    key: &str,
    range: Range<u64>,
) -> Result<Option<Bytes>, StoreError> {
    let Some(mut download) = Download::begin(store, key, range).await? else {
        return Ok(None);
    };
    let mut pieces = Vec::new();
    while let Some(bytes) = download.next().await? {
        pieces.push(bytes);
    }
    Ok(Some(pieces.concat().into()))
}

/// See [`Store::get_file`].
pub async fn get_file<S: Store + ?Sized>(
    store: &S,
    key: &str,
    path: &Path,
    digest: &Digest,
) -> Result<bool, StoreError> {
    let Some(mut download) = Download::begin(store, key, 0..u64::MAX).await? else {
        return Ok(false);
    };
    let failed = |e| fault("write", path, e);
    let beside = path.to_owned();
    let temporary = blocking(move || temporary_beside(&beside)).await;
    let (file, temporary) = temporary.map_err(failed)?.into_parts();
    let mut file = BufWriter::with_capacity(PIECE, File::from_std(file));
    let mut hasher = Hasher::default();
    while let Some(bytes) = download.next().await? {
        hasher.update(&bytes);
        file.write_all(&bytes).await.map_err(failed)?;
    }
    if hasher.digest() != *digest {
        return Err(StoreError::Mismatch {
            what: store.locate(key),
            digest: *digest,
            remedy: "remove the object, and store it again",
        });
    }
    file.flush().await.map_err(failed)?;
    file.get_ref().sync_data().await.map_err(failed)?;
    temporary.persist(path).map_err(|e| failed(e.error))?;
    Ok(true)
}

/// An object that is being read, and is resumed after a cut.
struct Download<'a, S: ?Sized> {
    store: &'a S,
    key: &'a str,
    /// What is still to come.
    rest: Range<u64>,
    reading: Reading,
    /// Cuts since bytes last came.
    cuts: u32,
}

impl<'a, S: Store + ?Sized> Download<'a, S> {
    /// None if there is no such object.
    async fn begin(
        store: &'a S,
        key: &'a str,
        range: Range<u64>,
    ) -> Result<Option<Self>, StoreError> {
        let reading = store.read(key, range.clone(), None).await?;
        Ok(reading.map(|reading| Self {
            store,
            key,
            rest: range,
            reading,
            cuts: 0,
        }))
    }

    /// The bytes that come next; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            match self.reading.bytes.try_next().await {
                Ok(bytes) => {
                    self.rest.start += bytes.as_ref().map_or(0, Bytes::len) as u64;
                    self.cuts = 0;
                    return Ok(bytes);
                }
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// Continues where `error` cut the object off, or returns that error if this is no use.
    async fn resume(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.cuts += 1;
        let (Some(version), true) = (
            &self.reading.version,
            self.cuts < MAX_CUTS && error.is_outage(),
        ) else {
            return Err(error);
        };
        let again = self.store.read(self.key, self.rest.clone(), Some(version));
        let removed = || StoreError::Changed {
            what: self.store.locate(self.key),
        };
        self.reading = again.await?.ok_or_else(removed)?;
        Ok(())
    }
}

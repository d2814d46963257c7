//! Whether a store is there, lets us in, and keeps its promises.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{Store, StoreError};

/// What [`check`] found in a store that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Whether, of several writers of a new object at once, exactly one was told that it wrote.
    /// Otherwise two workers may both believe that they finished a job.
    pub one_writer: bool,
    /// How many seconds the store's clock is ahead of ours, give or take one.
    pub skew: i64,
}

/// Tries the store out: writes, reads and removes a small object. The error says what failed.
///
/// The key is for this alone and new each time.
pub async fn check(store: &dyn Store, key: &str) -> Result<Check, StoreError> {
    let write = |text| store.put_new(key, Bytes::from_static(text));
    let begun = SystemTime::now();
    let told = tokio::try_join!(write(b"1"), write(b"2"), write(b"3"), write(b"4"))?;
    let taken = begun.elapsed().unwrap_or_default();
    let unreliable = || StoreError::Unreliable {
        what: store.locate(key),
    };
    let stat = store.stat(key).await?.ok_or_else(unreliable)?;
    let kept = store.get(key).await?.ok_or_else(unreliable)?;
    store.delete(key).await?;

    let told = [told.0, told.1, told.2, told.3];
    let winners: Vec<_> = (b"1234".iter().zip(told)).filter(|(_, won)| *won).collect();
    if !winners.iter().any(|(text, _)| kept[..] == [**text]) {
        return Err(unreliable());
    }
    Ok(Check {
        one_writer: winners.len() == 1,
        skew: seconds(stat.modified) - seconds(begun + taken / 2),
    })
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

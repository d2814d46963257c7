//! Which store a store is. A job says which one it was handed in with, so that a worker that was
//! set up with another does not take it.

use bytes::Bytes;
use stylefleet_proto::{Digest, keys};

use super::{Store, StoreError};

/// The identity of the store; none if nobody gave it one yet.
pub async fn identity(store: &dyn Store) -> Result<Option<Digest>, StoreError> {
    let Some(bytes) = store.get(keys::IDENTITY).await? else {
        return Ok(None);
    };
    let text = str::from_utf8(&bytes).unwrap_or_default();
    let damaged = |_| StoreError::Damaged {
        what: store.locate(keys::IDENTITY),
    };
    text.trim_end().parse().map(Some).map_err(damaged)
}

/// The same; a store that has none gets one.
pub async fn establish_identity(store: &dyn Store) -> Result<Digest, StoreError> {
    loop {
        if let Some(identity) = identity(store).await? {
            return Ok(identity);
        }
        let random = [fastrand::u128(..), fastrand::u128(..)].map(u128::to_le_bytes);
        let identity = Digest::of(random.as_flattened());
        // Of several at once one is the first; the others take what it wrote.
        let text = Bytes::from(format!("{identity}\n"));
        store.put_new(keys::IDENTITY, text).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn a_store_keeps_its_identity() {
        let store = MemoryStore::default();
        assert_eq!(identity(&store).await.expect("looks"), None);
        let (one, other) = tokio::join!(establish_identity(&store), establish_identity(&store));
        let one = one.expect("is given");
        assert_eq!(other.expect("is given"), one);
        assert_eq!(identity(&store).await.expect("looks"), Some(one));
        let another = establish_identity(&MemoryStore::default()).await;
        assert_ne!(another.expect("is given"), one);
    }

    #[tokio::test]
    async fn what_is_no_identity_is_not_taken_for_one() {
        for damaged in ["", "hello", "\u{fffd}"] {
            let store = MemoryStore::default();
            store
                .put(keys::IDENTITY, damaged.into())
                .await
                .expect("writes");
            let found = establish_identity(&store).await;
            assert!(
                matches!(found, Err(StoreError::Damaged { .. })),
                "{found:?}"
            );
        }
    }
}

//! Thumbnails, each made once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use stylefleet_fleet::thumbnail::thumbnail;
use stylefleet_transport::store::Store;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::ApiError;
use crate::files::gone;

/// Bytes of thumbnails that are kept: of some two thousand of the usual size.
const KEPT: usize = 32 << 20;
/// Largest file of which a thumbnail is made.
const MAX_FILE: u64 = 128 << 20;
/// Made at once: each may take a few hundred megabytes while it lasts.
const AT_ONCE: usize = 1;
/// Sides that thumbnails are made with, in pixels: what is asked for is rounded up.
const SIDES: [u32; 3] = [160, 320, 1280];

/// Makes thumbnails, and keeps those that were asked for last.
#[derive(Debug)]
pub(crate) struct Thumbnails {
    kept: Mutex<Kept>,
    turns: Semaphore,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<(String, u32), Bytes>,
    /// The first was asked for first.
    order: VecDeque<(String, u32)>,
    bytes: usize,
}

impl Default for Thumbnails {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl Thumbnails {
    /// The picture under `key`, as a JPEG file whose longer side has about `side` pixels at most.
    pub async fn get(
        &self,
        store: &Arc<dyn Store>,
        key: &str,
        side: u32,
    ) -> Result<Bytes, ApiError> {
        let larger = SIDES.into_iter().find(|larger| *larger >= side);
        let place = (key.to_owned(), larger.unwrap_or(SIDES[SIDES.len() - 1]));
        if let Some(file) = self.known(&place) {
            return Ok(file);
        }
        // It is never closed.
        let _turn = self.turns.acquire().await;
        if let Some(file) = self.known(&place) {
            return Ok(file);
        }
        match store.stat(key).await? {
            None => return Err(gone()),
            Some(stat) if stat.size > MAX_FILE => {
                let reason = "the file is too large for a thumbnail".to_owned();
                return Err(ApiError::Missing(reason));
            }
            Some(_) => {}
        }
        let bytes = store.get(key).await?.ok_or_else(gone)?;
        let side = place.1;
        let made = spawn_blocking(move || thumbnail(&bytes, side)).await;
        let made = match made {
            Ok(Ok(made)) => Bytes::from(made),
            Ok(Err(error)) => return Err(ApiError::Missing(format!("the picture {error}"))),
            Err(panic) => return Err(ApiError::Missing(format!("no thumbnail: {panic}"))),
        };
        self.keep(place, made.clone());
        Ok(made)
    }

    fn known(&self, place: &(String, u32)) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.files.get(place).cloned()
    }

    fn keep(&self, place: (String, u32), file: Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += file.len();
        kept.order.push_back(place.clone());
        kept.files.insert(place, file);
        while kept.bytes > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            let removed = kept.files.remove(&oldest);
            kept.bytes -= removed.map_or(0, |file| file.len());
        }
    }
}

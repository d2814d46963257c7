//! The pictures of a report, each once, and so small that together they fit.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_fleet::thumbnail::{self, MAX_PIXELS, ThumbnailError};
use stylefleet_formats::{HEAD, Unread, readable};
use stylefleet_transport::store::{Store, StoreError};
use tokio::task::spawn_blocking;

use super::ReportError;
use super::document::Picture;

/// Bytes of all JPEG files together: as text they take a third more, and a page of 50 MB is as much
/// as browsers open at once.
const BUDGET: usize = 33 << 20;
/// Bytes of a picture to look at: more make no difference on a screen.
const MAX_LARGE: usize = 256 << 10;
/// Bytes below which a picture to look at is no better than that of the gallery.
const MIN_LARGE: usize = 20 << 10;
/// Longer side of a picture in the gallery, in pixels, and roughly its bytes.
const SMALL: u32 = 320;
const SMALL_BYTES: usize = 20 << 10;
/// The same where there are so many that this counts.
const TINY: u32 = 160;
const TINY_BYTES: usize = 6 << 10;
/// Longer sides that a picture to look at may have.
const LARGE: [u32; 6] = [420, 560, 720, 900, 1200, 1600];
/// Largest file that is decoded.
const MAX_FILE: u64 = 128 << 20;
/// Pictures that are decoded at once: each may take a few hundred megabytes.
const AT_ONCE: usize = 2;

/// Pictures that are to be in the report.
#[derive(Debug, Default)]
pub struct Album {
    wanted: Vec<Wanted>,
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Wanted {
    key: String,
    /// Whether it is in the gallery.
    small: bool,
}

/// How large pictures may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    /// Longer side in the gallery.
    small: u32,
    /// Bytes of one to look at; 0: none.
    large: usize,
}

impl Album {
    /// Adds the picture under `key`; its number.
    pub fn add(&mut self, key: String, small: bool) -> usize {
        let next = self.wanted.len();
        let place = *self.places.entry(key.clone()).or_insert(next);
        match self.wanted.get_mut(place) {
            Some(known) => known.small |= small,
            None => self.wanted.push(Wanted { key, small }),
        }
        place
    }

    /// Reads all of them, in the order of their numbers.
    pub async fn develop(self, store: &Arc<dyn Store>) -> Result<Vec<Picture>, ReportError> {
        let small = self.wanted.iter().filter(|wanted| wanted.small).count();
        let limits = Limits::of(self.wanted.len(), small);
        stream::iter(&self.wanted)
            .map(|wanted| read(&**store, wanted, limits))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }
}

impl Limits {
    /// For so many pictures, so many of them in the gallery.
    fn of(pictures: usize, small: usize) -> Self {
        let [usual, tiny] = [(SMALL, SMALL_BYTES), (TINY, TINY_BYTES)];
        let (side, bytes) = if 2 * small * usual.1 <= BUDGET {
            usual
        } else {
            tiny
        };
        let left = BUDGET.saturating_sub(small * bytes);
        let large = (left / pictures.max(1)).min(MAX_LARGE);
        Self {
            small: side,
            large: if large < MIN_LARGE { 0 } else { large },
        }
    }
}

async fn read(store: &dyn Store, wanted: &Wanted, limits: Limits) -> Result<Picture, ReportError> {
    let small = wanted.small;
    let made = match bytes(store, &wanted.key).await? {
        Ok(bytes) => spawn_blocking(move || shrink(&bytes, small, limits)).await?,
        Err(reason) => return Ok(unseen(reason)),
    };
    Ok(made.unwrap_or_else(|error| unseen(error.to_string())))
}

/// The file, or why it is none to decode.
async fn bytes(store: &dyn Store, key: &str) -> Result<Result<bytes::Bytes, String>, StoreError> {
    let missing = || Err("is missing in the store".to_owned());
    match store.stat(key).await? {
        None => return Ok(missing()),
        Some(stat) if stat.size > MAX_FILE => return Ok(Err("is too large a file".to_owned())),
        Some(_) => {}
    }
    let Some(head) = store.get_range(key, 0..HEAD as u64).await? else {
        return Ok(missing());
    };
    // A model may be large, and is no picture.
    match readable(&head) {
        Ok(_) => {}
        Err(Unread::Unknown) => return Ok(Err("is no picture".to_owned())),
        Err(unread) => return Ok(Err(unread.to_string())),
    }
    Ok(store.get(key).await?.map_or_else(missing, Ok))
}

fn unseen(reason: String) -> Picture {
    Picture {
        reason: Some(reason),
        ..Picture::default()
    }
}

/// Decodes a picture and makes of it what the report has.
fn shrink(file: &[u8], small: bool, limits: Limits) -> Result<Picture, ThumbnailError> {
    let picture = thumbnail::Picture::read(file, MAX_PIXELS)?;
    let large = large(&picture, limits.large)?;
    let small = if small || large.is_none() {
        Some(picture.jpeg(limits.small)?)
    } else {
        None
    };
    Ok(Picture {
        small: small.map(|file| STANDARD.encode(file)),
        large: large.map(|file| STANDARD.encode(file)),
        size: Some(picture.size()),
        reason: None,
    })
}

/// The largest of the picture's versions that has no more bytes than that, if any.
fn large(picture: &thumbnail::Picture, most: usize) -> Result<Option<Vec<u8>>, ThumbnailError> {
    let (width, height) = picture.size();
    let mut best = None;
    for side in LARGE {
        let file = picture.jpeg(side)?;
        if file.len() > most {
            break;
        }
        best = Some(file);
        if side >= width.max(height) {
            break;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat, RgbImage};
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    /// Noise, which no encoder makes small.
    fn noise(side: u32) -> Vec<u8> {
        let mut state = 1_u32;
        let image = RgbImage::from_fn(side, side, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([(state >> 8) as u8, (state >> 16) as u8, (state >> 24) as u8])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::from(image)
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("encodes");
        bytes.into_inner()
    }

    #[test]
    fn all_pictures_fit_together_however_many() {
        for (pictures, small) in [(1, 1), (20, 10), (403, 200), (2000, 1000), (5000, 5000)] {
            let limits = Limits::of(pictures, small);
            let bytes = if limits.small == SMALL {
                SMALL_BYTES
            } else {
                TINY_BYTES
            };
            let together = small * bytes + pictures * limits.large;
            assert!(together <= BUDGET, "{pictures}: {limits:?}");
        }
        assert_eq!(Limits::of(20, 10).large, MAX_LARGE);
        assert_eq!(Limits::of(5000, 5000).large, 0);
    }

    #[test]
    fn a_picture_keeps_within_its_bytes() {
        let file = noise(700);
        let most = 60 << 10;
        let limits = Limits {
            small: SMALL,
            large: most,
        };
        let made = shrink(&file, true, limits).expect("is made");
        assert_eq!(made.size, Some((700, 700)));
        let length = |text: Option<String>| text.map(|text| text.len() * 3 / 4);
        // Not even the smallest fits: the gallery's has to do.
        assert_eq!(length(made.large), None);
        assert!(length(made.small).is_some_and(|bytes| bytes > 0));
        let limits = Limits {
            large: 400 << 10,
            ..limits
        };
        let made = shrink(&file, false, limits).expect("is made");
        assert!(length(made.large).is_some_and(|bytes| bytes <= 400 << 10));
        assert_eq!(made.small, None);
    }

    #[tokio::test]
    async fn each_is_read_once_and_what_cannot_be_shown_says_why() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        for (key, bytes) in [("a", noise(8)), ("model", b"no picture".to_vec())] {
            store.put(key, bytes.into()).await.expect("writes");
        }
        let mut album = Album::default();
        let places = [("a", false), ("model", false), ("gone", true), ("a", true)]
            .map(|(key, small)| album.add(key.to_owned(), small));
        assert_eq!(places, [0, 1, 2, 0]);
        let pictures = album.develop(&store).await.expect("reads");
        assert_eq!(pictures.len(), 3);
        assert!(pictures[0].small.is_some() && pictures[0].large.is_some());
        let reason = |index: usize| pictures[index].reason.as_deref().expect("has one");
        assert_eq!(reason(1), "is no picture");
        assert_eq!(reason(2), "is missing in the store");
    }
}

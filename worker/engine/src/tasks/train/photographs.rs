//! The photographs of a training, decoded as far as it needs them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use ::image::RgbImage;
use ::image::imageops::{FilterType, crop_imm, flip_horizontal_in_place, resize};

use super::order::Crop;
use crate::image::decode;
use crate::{Error, Source};

/// Bytes of decoded photographs that are kept.
const ROOM: usize = 256 << 20;

/// Where the photographs to train on come from.
pub trait Photographs: Debug + Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// The file of one, counted from 0. It may take long, and is called on threads of the task's
    /// own; an error ends the training.
    fn read(&self, index: usize) -> Result<Source, Error>;
}

/// Decoded photographs: those used last are kept. Nothing of libtorch is in it, for it is used on
/// threads that are not the engine's.
#[derive(Debug)]
pub(super) struct Album {
    files: Arc<dyn Photographs>,
    /// Side of the samples.
    size: u32,
    max_pixels: u64,
    kept: Mutex<Kept>,
}

/// What is known of a photograph.
#[derive(Debug, Clone)]
pub(super) enum Photograph {
    /// The picture, its shorter side at most twice a sample's.
    Readable(Arc<RgbImage>),
    /// Why it cannot be read.
    Unreadable(Arc<str>),
}

impl Album {
    /// No photographs yet, of which samples of `size` are to be made.
    pub fn new(files: Arc<dyn Photographs>, size: u32, max_pixels: u64) -> Self {
        Self {
            files,
            size,
            max_pixels,
            kept: Mutex::default(),
        }
    }

    /// How many photographs there are, readable or not.
    pub fn count(&self) -> usize {
        self.files.count()
    }

    /// A photograph, counted from 0.
    pub fn get(&self, index: usize) -> Result<Photograph, Error> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(photograph) = kept().get(index) {
            return Ok(photograph);
        }
        // Not under the lock: this takes long.
        let file = self.files.read(index)?;
        let photograph = match decode(&file, self.max_pixels) {
            Ok(decoded) => {
                let picture = reduced(decoded.pixels.into_rgb8(), 2 * self.size);
                Photograph::Readable(Arc::new(picture))
            }
            Err(reason) => Photograph::Unreadable(reason.to_string().into()),
        };
        kept().put(index, photograph.clone());
        Ok(photograph)
    }

    /// R, G, B of a part of a photograph, row by row, at the size of a sample.
    pub fn sample(&self, photograph: &RgbImage, crop: Crop) -> Vec<u8> {
        let Crop { x, y, side, .. } = crop;
        let part = crop_imm(photograph, x, y, side, side).to_image();
        let mut sample = resized(part, [self.size; 2]);
        if crop.is_mirrored {
            flip_horizontal_in_place(&mut sample);
        }
        sample.into_raw()
    }
}

/// With its shorter side at most `shorter`.
fn reduced(picture: RgbImage, shorter: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let factor = f64::from(shorter) / f64::from(width.min(height));
    if factor >= 1.0 {
        return picture;
    }
    let to = [width, height].map(|side| (f64::from(side) * factor).round() as u32);
    resized(picture, to)
}

/// Bicubic, with the frequencies that would alias removed first.
fn resized(picture: RgbImage, [width, height]: [u32; 2]) -> RgbImage {
    if picture.dimensions() == (width, height) {
        picture
    } else {
        resize(&picture, width, height, FilterType::CatmullRom)
    }
}

/// Photographs by their number, with the time of their last use.
#[derive(Debug, Default)]
struct Kept {
    photographs: HashMap<usize, (u64, Photograph)>,
    /// Uses so far.
    time: u64,
    bytes: usize,
}

impl Kept {
    fn get(&mut self, index: usize) -> Option<Photograph> {
        self.time += 1;
        let (used, photograph) = self.photographs.get_mut(&index)?;
        *used = self.time;
        Some(photograph.clone())
    }

    /// Keeps a photograph, and lets go of those used longest ago until there is room for it.
    fn put(&mut self, index: usize, photograph: Photograph) {
        self.time += 1;
        self.bytes += bytes_of(&photograph);
        if let Some((_, other)) = self.photographs.insert(index, (self.time, photograph)) {
            self.bytes -= bytes_of(&other);
        }
        while self.bytes > ROOM
            && let Some(oldest) = self.oldest(index)
            && let Some((_, other)) = self.photographs.remove(&oldest)
        {
            self.bytes -= bytes_of(&other);
        }
    }

    /// The photograph used longest ago, of those that take room and are not `newest`.
    fn oldest(&self, newest: usize) -> Option<usize> {
        let takes_room = |(index, (_, photograph)): &(&usize, &(u64, Photograph))| {
            **index != newest && bytes_of(photograph) > 0
        };
        let kept = self.photographs.iter().filter(takes_room);
        kept.min_by_key(|(_, (used, _))| used)
            .map(|(index, _)| *index)
    }
}

/// Those that cannot be read are remembered for good, so that none is read again and again.
fn bytes_of(photograph: &Photograph) -> usize {
    match photograph {
        Photograph::Readable(picture) => picture.len(),
        Photograph::Unreadable(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ::image::{ImageFormat, Rgb};

    use super::*;

    /// Photographs of 40 x 20 pixels but for the one that is no picture; counts how often it is
    /// asked.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl Photographs for Counting {
        fn count(&self) -> usize {
            3
        }

        fn read(&self, index: usize) -> Result<Source, Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let mut file = std::io::Cursor::new(b"nothing".to_vec());
            if index != 2 {
                let ramp = |x, _| Rgb([(x * 6) as u8, index as u8, 0]);
                let picture = RgbImage::from_fn(40, 20, ramp);
                picture
                    .write_to(&mut file, ImageFormat::Png)
                    .expect("encodes");
            }
            Ok(Source::new(format!("{index}.png"), file.into_inner()))
        }
    }

    #[test]
    fn each_is_decoded_once_and_no_larger_than_needed() {
        let files = Arc::new(Counting::default());
        let album = Album::new(files.clone(), 4, 1 << 20);
        for _ in 0..2 {
            let Photograph::Readable(picture) = album.get(1).expect("reads") else {
                panic!("is readable");
            };
            assert_eq!(picture.dimensions(), (16, 8));
            let Photograph::Unreadable(reason) = album.get(2).expect("reads") else {
                panic!("is no picture");
            };
            assert!(reason.starts_with("2.png: "), "{reason}");
        }
        assert_eq!(files.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_sample_is_the_part_that_the_crop_says() {
        let album = Album::new(Arc::new(Counting::default()), 8, 1 << 20);
        let ramp = RgbImage::from_fn(40, 20, |x, y| Rgb([x as u8, y as u8, 9]));
        let crop = Crop {
            x: 5,
            y: 3,
            side: 8,
            is_mirrored: false,
        };
        let [straight, mirrored] = [false, true].map(|is_mirrored| {
            album.sample(
                &ramp,
                Crop {
                    is_mirrored,
                    ..crop
                },
            )
        });
        assert_eq!(straight.len(), 8 * 8 * 3);
        assert_eq!(straight[..6], [5, 3, 9, 6, 3, 9]);
        assert_eq!(mirrored[..6], [12, 3, 9, 11, 3, 9]);
        let twice = album.sample(&ramp, Crop { side: 16, ..crop });
        // The mean of pixels 5 and 6 lies between them.
        assert!(twice[0] == 5 || twice[0] == 6, "{}", twice[0]);
    }

    #[test]
    fn keeps_what_was_used_last() {
        let mut kept = Kept::default();
        let third = || {
            let picture = RgbImage::new(1 << 10, (ROOM / 9 / (1 << 10)) as u32);
            Photograph::Readable(Arc::new(picture))
        };
        kept.put(9, Photograph::Unreadable("no picture".into()));
        for index in 0..3 {
            kept.put(index, third());
        }
        assert!(kept.get(0).is_some());
        kept.put(3, third());
        assert!(kept.get(1).is_none(), "was used longest ago");
        assert!([0, 2, 3, 9].iter().all(|index| kept.get(*index).is_some()));
        assert!(kept.bytes <= ROOM);
        kept.put(3, third());
        assert_eq!(kept.photographs.len(), 4);
    }
}

//! Style images, kept from job to job: the pictures of a batch share them.

use sha2::{Digest, Sha256};

use super::Style;
use crate::image::{Extent, fitted};
use crate::source::Image;
use crate::{Error, Source};

/// SHA-256 of a file.
pub(super) type Hash = [u8; 32];

/// The style images of the last job, as far as the next one needs them.
#[derive(Debug, Default)]
pub(super) struct Styles {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    name: String,
    hash: Hash,
    /// Its size in the file.
    own: Extent,
    image: Image,
}

impl Styles {
    /// Begins a job: forgets what it does not use. Returns the hashes of its styles' files.
    pub fn begin(&mut self, styles: &[Style]) -> Vec<Hash> {
        let hash = |style: &Style| Sha256::digest(&style.image.bytes).into();
        let hashes: Vec<Hash> = styles.iter().map(hash).collect();
        self.kept.retain(|kept| hashes.contains(&kept.hash));
        hashes
    }

    /// The image in `source`, the hash of whose bytes is `hash`, at the size that `wanted` makes of
    /// its own.
    pub fn get(
        &mut self,
        source: &Source,
        hash: Hash,
        wanted: impl Fn(Extent) -> Extent,
        max_pixels: u64,
    ) -> Result<&Image, Error> {
        let is_it = |kept: &Kept| {
            let is_wanted =
                Extent::of(&kept.image.pixels).is_ok_and(|extent| extent == wanted(kept.own));
            kept.hash == hash && kept.name == source.name && is_wanted
        };
        let place = match self.kept.iter().position(is_it) {
            Some(place) => place,
            None => {
                let mut image = source.read(max_pixels)?;
                let own = Extent::of(&image.pixels)?;
                if wanted(own) != own {
                    image.pixels = fitted(&image.pixels, wanted(own))?;
                }
                self.kept.retain(|kept| kept.hash != hash);
                self.kept.push(Kept {
                    name: source.name.clone(),
                    hash,
                    own,
                    image,
                });
                self.kept.len() - 1
            }
        };
        Ok(&self.kept[place].image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::source;

    fn style(name: &str) -> Style {
        Style {
            image: source(name),
            share: 1.0,
            mask: None,
        }
    }

    /// Where the image lies in memory, and its width.
    fn look(styles: &mut Styles, style: &Style, width: u32) -> (usize, i64) {
        let hash = styles.begin(std::slice::from_ref(style))[0];
        let wanted = |own: Extent| own.fitted(f64::from(width));
        let image = styles.get(&style.image, hash, wanted, 1 << 20);
        let pixels = &image.expect("reads").pixels;
        (pixels.data_ptr() as usize, pixels.size()[3])
    }

    #[test]
    fn read_once_for_all_jobs_that_want_them_alike() {
        let mut styles = Styles::default();
        let night = style("starry_night_64x64.png");
        let other = style("astronaut_64x64.png");
        let (place, width) = look(&mut styles, &night, 48);
        assert_eq!(width, 48);
        assert_eq!(look(&mut styles, &night, 48), (place, 48));
        // Enlarged from what was kept, it would be blurred: it is read again.
        assert_eq!(look(&mut styles, &night, 64).1, 64);
        assert_eq!(styles.kept.len(), 1);
        look(&mut styles, &other, 48);
        assert_eq!(styles.kept.len(), 1, "what nobody asks for is let go");
    }
}

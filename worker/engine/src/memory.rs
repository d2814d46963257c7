//! How much of a picture fits into memory at once.
//!
//! The figures are estimates, from peaks measured at 256 to 2048 pixels on a CPU, which may be off
//! by a tenth for a job. If one is too low, and libtorch runs out of memory, the job goes on with
//! smaller tiles.

use crate::arithmetic::Arithmetic;
use crate::image::Extent;
use crate::objective::live_layers;
use crate::tiles::least_pixels;
use stylefleet_model::stylize::{Layer, Parameters};

use crate::Error;

/// libtorch, the network in both arithmetics, and what allocators keep.
pub(crate) const BASE: u64 = 450 << 20;
/// Bytes a pixel for the picture as a whole: the inputs, and the tensors of the minimiser but for
/// its pairs, with their like in a checkpoint.
const WHOLE: u64 = 200;
/// Bytes a pixel for one pair of L-BFGS: three channels of two tensors, and the same in a
/// checkpoint that is on its way to the store.
const PAIR: u64 = 48;
/// Pairs of L-BFGS: the most that are of any use, and the fewest that it works well with.
const PAIRS: (u64, u64) = (20, 3);
/// A tile of this many pixels is not mostly surroundings. Before tiles get smaller, pairs are given
/// up.
const FAIR_TILE: u64 = 512 * 512;

/// The memory that a job may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Bytes, of the process or of the device; none: the limit is found by running out of memory.
    limit: Option<u64>,
    /// Bytes of it that are taken by what is beside the picture.
    taken: u64,
    /// The largest tiles that have not been too large.
    most_pixels: u64,
}

/// How a picture fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fit {
    /// Most pixels that the network sees at once.
    pub most_pixels: u64,
    /// Most pairs that L-BFGS keeps.
    pub pairs: usize,
}

impl Memory {
    /// No more than `limit` bytes, if there is a limit.
    pub fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            taken: 0,
            most_pixels: u64::MAX,
        }
    }

    /// The same with so many bytes taken by what is beside the picture.
    pub fn beside(self, taken: u64) -> Self {
        Self { taken, ..self }
    }

    /// Bytes that a job may take, if there is a limit.
    pub fn limit(self) -> Option<u64> {
        self.limit
    }

    /// How pictures of size `extent` fit. Fails if they do not.
    pub fn fit(
        self,
        extent: Extent,
        objective: &Parameters,
        arithmetic: Arithmetic,
    ) -> Result<Fit, Error> {
        let Some(limit) = self.limit else {
            return Ok(Fit {
                most_pixels: self.most_pixels,
                pairs: PAIRS.0 as usize,
            });
        };
        let seen = seen(objective, arithmetic);
        let least = |tile: u64, pairs: u64| {
            let whole = BASE + self.taken + extent.pixels() * (WHOLE + PAIR * pairs);
            whole + seen * tile.min(extent.pixels())
        };
        let needed = least(least_pixels(deepest(objective)), PAIRS.1);
        if limit < needed {
            let Extent { width, height } = extent;
            return Err(Error::Memory {
                picture: format!("{width}x{height}"),
                needed,
                limit,
            });
        }
        let spare = limit.saturating_sub(least(FAIR_TILE, 0));
        let pairs = (spare / (PAIR * extent.pixels())).clamp(PAIRS.1, PAIRS.0);
        let most_pixels = (limit - least(0, pairs)) / seen;
        Ok(Fit {
            most_pixels: most_pixels.min(self.most_pixels),
            pairs: pairs as usize,
        })
    }

    /// Halves the tiles, where the network now sees `now` pixels at once. Returns whether tiles can
    /// be that small.
    pub fn shrink(&mut self, now: u64, objective: &Parameters) -> bool {
        self.most_pixels = now / 2;
        self.most_pixels >= least_pixels(deepest(objective))
    }
}

/// Bytes for each pixel that the network sees at once: the activations that the way back needs,
/// with a tenth for what allocators lose, and the two of its widest that a step there adds.
fn seen(objective: &Parameters, arithmetic: Arithmetic) -> u64 {
    let bytes = match arithmetic {
        Arithmetic::F32 => 4,
        Arithmetic::Bf16 => 2,
    };
    let floats = |layer: Layer| layer.channels() as f64 / (layer.stride() * layer.stride()) as f64;
    let kept = Layer::all().take(deepest(objective).index() + 1);
    let kept: f64 = kept.map(floats).sum();
    let widest = 2.0 * floats(Layer::first());
    ((kept * 1.1 + widest) * f64::from(bytes)) as u64
}

/// The layer that the network runs to.
fn deepest(objective: &Parameters) -> Layer {
    live_layers(objective).pop().unwrap_or(Layer::first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::objective;

    fn fit(side: u32, limit: u64) -> Result<Fit, Error> {
        let extent = Extent {
            width: side,
            height: side,
        };
        Memory::new(Some(limit)).fit(extent, &objective("gatys"), Arithmetic::F32)
    }

    #[test]
    fn gives_up_size_of_tiles_first_then_pairs_then_the_job() {
        let fits = [20, 8, 5, 3].map(|gib| fit(2048, gib << 30).expect("fits"));
        assert_eq!(fits[0].pairs, 20);
        assert!(fits[0].most_pixels >= 2048 * 2048);
        assert_eq!(fits[1].pairs, 20);
        assert!((FAIR_TILE..2048 * 2048).contains(&fits[1].most_pixels));
        assert!((3..20).contains(&fits[2].pairs) && fits[2].most_pixels < fits[1].most_pixels);
        assert!((3..fits[2].pairs).contains(&fits[3].pairs));
        assert!(fits[3].most_pixels < 2 * FAIR_TILE);
        let refused = fit(4096, 2 << 30).expect_err("does not fit");
        assert!(refused.to_string().contains("4096x4096"), "{refused}");
    }

    #[test]
    fn what_is_beside_the_picture_leaves_it_less() {
        let extent = Extent {
            width: 512,
            height: 512,
        };
        let (memory, objective) = (Memory::new(Some(2 << 30)), objective("gatys"));
        let fit = |taken| {
            memory
                .beside(taken)
                .fit(extent, &objective, Arithmetic::F32)
        };
        let all = fit(0).expect("fits").most_pixels;
        assert!(fit(1 << 30).expect("fits").most_pixels < all);
        let refused = fit(2 << 30).expect_err("does not fit").to_string();
        assert!(refused.contains("and 2.0 GiB are allowed"), "{refused}");
    }

    #[test]
    fn what_was_too_large_is_halved_until_it_is_too_small() {
        let objective = objective("gatys");
        let mut memory = Memory::new(None);
        assert!(memory.shrink(1 << 20, &objective));
        let extent = Extent {
            width: 1024,
            height: 1024,
        };
        let fit = memory.fit(extent, &objective, Arithmetic::F32);
        assert_eq!(fit.expect("fits").most_pixels, 1 << 19);
        assert!(memory.shrink(1 << 19, &objective));
        assert!(!memory.shrink(60_000, &objective));
    }
}

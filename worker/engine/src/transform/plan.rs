//! How a picture goes through a network: as a whole, or, where memory is short, in tiles.
//!
//! The figures are peaks measured at 1 to 16 megapixels on a CPU, with a margin.

use tch::Kind;

use crate::Error;
use crate::image::Extent;
use crate::memory::{BASE, Memory};

/// Bytes a pixel of what the last convolution makes: 9 rows of 3 channels, and their sum.
const LAST: u64 = 4 * 27 + 4 * 3;
/// Bytes a pixel of the picture that goes in, and of the one that comes out.
const PICTURE: u64 = 12;
/// What a tile has around it on each side, in pixels, rounded up.
const AROUND: u32 = 16;
/// Shortest side of a tile: of smaller ones, most is around.
const SHORTEST: u32 = 64;

/// How a picture goes through a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// All of it at once.
    Whole,
    /// In tiles of no more than so many pixels a side.
    Tiles(u32),
}

impl Plan {
    /// The fastest way of a picture of size `extent` through a network of that width, in the
    /// arithmetic of `kind`, that fits into `memory`, where the job holds `held` bytes a pixel
    /// besides. Fails if none does.
    pub fn new(
        memory: Memory,
        extent: Extent,
        width: i64,
        kind: Kind,
        held: u64,
    ) -> Result<Self, Error> {
        let Some(limit) = memory.limit() else {
            return Ok(Self::Whole);
        };
        let channels = width as u64 * kind.elt_size_in_bytes() as u64;
        // Up to three tensors with all rows and columns at once, at the end two, in 32 bits too if
        // there is need.
        let exact = if kind == Kind::Float {
            0
        } else {
            4 * width as u64
        };
        let full = (3 * channels).max(2 * channels + exact + LAST);
        let full = |pixels: u64| pixels * full;
        let whole = BASE + extent.pixels() * (2 * PICTURE + held) + full(extent.pixels());
        if whole <= limit {
            return Ok(Self::Whole);
        }
        // Kept whole: two tensors with four times the channels and a quarter of the rows and
        // columns; at the end only one, and the picture.
        let quarter = channels / 4;
        let kept = (2 * quarter).max(quarter + PICTURE);
        let tiled = BASE + extent.pixels() * (PICTURE + kept + held);
        let seen = |side: u32| u64::from(side + 2 * AROUND).pow(2);
        let needed = tiled + full(seen(SHORTEST));
        if limit < needed {
            let Extent { width, height } = extent;
            return Err(Error::Memory {
                picture: format!("{width}x{height}"),
                needed,
                limit,
            });
        }
        let fits = |side: &u32| tiled + full(seen(*side)) <= limit;
        let sides = (SHORTEST..extent.longer()).step_by(SHORTEST as usize);
        Ok(Self::Tiles(
            sides.take_while(fits).last().unwrap_or(SHORTEST),
        ))
    }

    /// The next plan for a picture of size `extent` that takes less, if there is one.
    pub fn smaller(self, extent: Extent) -> Option<Self> {
        let side = match self {
            Self::Whole => extent.longer() / 2,
            Self::Tiles(side) => side / 2,
        };
        (side >= SHORTEST).then_some(Self::Tiles(side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: i64 = 32;

    fn plan(side: u32, kind: Kind, limit: Option<u64>) -> Result<Plan, Error> {
        let extent = Extent {
            width: side,
            height: side,
        };
        Plan::new(Memory::new(limit), extent, WIDTH, kind, 0)
    }

    #[test]
    fn what_does_not_fit_whole_is_done_in_the_largest_tiles() {
        let plan = |side, kind, limit| plan(side, kind, limit).expect("fits");
        assert_eq!(plan(512, Kind::Float, Some(700_000_000)), Plan::Whole);
        assert_eq!(plan(4096, Kind::Float, None), Plan::Whole);
        let side = |plan| match plan {
            Plan::Whole => u32::MAX,
            Plan::Tiles(side) => side,
        };
        let gib = 1 << 30;
        let sides = [1, 2, 3, 16].map(|gibs| side(plan(2048, Kind::Float, Some(gibs * gib))));
        assert!(sides.is_sorted() && sides[0] >= SHORTEST, "{sides:?}");
        assert_eq!(sides[3], u32::MAX);
        let of_16_mp = side(plan(4096, Kind::Float, Some(2 * gib)));
        assert!((256..1024).contains(&of_16_mp), "{of_16_mp}");
        assert!(side(plan(4096, Kind::BFloat16, Some(2 * gib))) > of_16_mp);
    }

    #[test]
    fn what_does_not_fit_at_all_is_refused() {
        let refused = plan(8192, Kind::Float, Some(2 << 30)).expect_err("does not fit");
        let Error::Memory {
            picture, needed, ..
        } = refused
        else {
            panic!("{refused}");
        };
        assert_eq!(picture, "8192x8192");
        assert_eq!(
            plan(8192, Kind::Float, Some(needed)).expect("fits"),
            Plan::Tiles(SHORTEST)
        );
    }

    #[test]
    fn tiles_that_are_too_large_are_halved_until_they_are_too_small() {
        let extent = Extent {
            width: 300,
            height: 200,
        };
        let smaller = Plan::Whole.smaller(extent).expect("is smaller");
        assert_eq!(smaller, Plan::Tiles(150));
        let smaller = smaller.smaller(extent).expect("is smaller");
        assert_eq!(smaller, Plan::Tiles(75));
        assert_eq!(smaller.smaller(extent), None);
    }
}

//! Which part of which photograph a sample is: a function of the seed and of the sample's number
//! alone, the same on all machines. So where training stands in its data is one number.

/// What numbers are drawn for, so that they have nothing in common.
const ORDER: u64 = 1;
const CROP: u64 = 2;
const MOTION: u64 = 3;

/// Random numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). Not a library's, which may give
/// other numbers after an update.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The numbers that belong to `key`.
    fn of(key: [u64; 3]) -> Self {
        let mut random = Self(0);
        for part in key {
            random.0 = random.next() ^ part;
        }
        random
    }

    /// Those of a sample's motion.
    pub fn of_motion(seed: u64, sample: u64) -> Self {
        Self::of([MOTION, seed, sample])
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is above 0.
    pub fn below(&mut self, end: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u32
    }

    /// A number from `start` to `end`.
    pub fn between(&mut self, start: f32, end: f32) -> f32 {
        const STEPS: u32 = 1 << 24;
        start + (end - start) * (self.below(STEPS) as f32 / STEPS as f32)
    }
}

/// The numbers below `count` in the order of an `epoch`.
pub(super) fn shuffled(seed: u64, epoch: u64, count: usize) -> Vec<usize> {
    let mut random = Random::of([ORDER, seed, epoch]);
    let mut order: Vec<usize> = (0..count).collect();
    for place in (1..count).rev() {
        order.swap(place, random.below(place as u32 + 1) as usize);
    }
    order
}

/// A square part of a photograph, perhaps mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crop {
    pub x: u32,
    pub y: u32,
    pub side: u32,
    pub is_mirrored: bool,
}

impl Crop {
    /// That of a sample, for a photograph of `width` by `height`: no smaller than `size`, if it is
    /// large enough, up to all of its shorter side.
    pub fn of(seed: u64, sample: u64, [width, height]: [u32; 2], size: u32) -> Self {
        let mut random = Random::of([CROP, seed, sample]);
        let shorter = width.min(height);
        let side = shorter - random.below(shorter.saturating_sub(size) + 1);
        Self {
            x: random.below(width - side + 1),
            y: random.below(height - side + 1),
            side,
            is_mirrored: random.below(2) == 1,
        }
    }

    /// The largest in the middle.
    pub fn middle([width, height]: [u32; 2]) -> Self {
        let side = width.min(height);
        Self {
            x: (width - side) / 2,
            y: (height - side) / 2,
            side,
            is_mirrored: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// On any machine and after any update.
    #[test]
    fn the_same_numbers_for_ever() {
        // As the authors' own program has it.
        assert_eq!(Random(0).next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(shuffled(7, 0, 8), [3, 7, 5, 0, 1, 2, 4, 6]);
        let crop = Crop {
            x: 136,
            y: 33,
            side: 389,
            is_mirrored: false,
        };
        assert_eq!(Crop::of(7, 3, [640, 427], 256), crop);
    }

    #[test]
    fn an_epoch_has_each_photograph_once_and_the_next_another_order() {
        let orders: Vec<_> = (0..4).map(|epoch| shuffled(0, epoch, 100)).collect();
        for order in &orders {
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 100);
        }
        assert_ne!(orders[0], orders[1]);
        assert_ne!(shuffled(1, 0, 100), orders[0]);
    }

    #[test]
    fn crops_lie_within_the_photograph_and_differ() {
        for extent in [[512, 768], [768, 512], [256, 300], [100, 90], [1, 7]] {
            let crops: Vec<_> = (0..200).map(|n| Crop::of(0, n, extent, 256)).collect();
            let [width, height] = extent;
            let shorter = width.min(height);
            for crop in &crops {
                assert!(crop.x + crop.side <= width && crop.y + crop.side <= height);
                assert!(crop.side >= shorter.min(256) && crop.side <= shorter);
            }
            let mirrored = crops.iter().filter(|crop| crop.is_mirrored).count();
            assert!((60..140).contains(&mirrored), "{mirrored}");
            let sides = crops
                .iter()
                .map(|crop| crop.side)
                .collect::<BTreeSet<_>>()
                .len();
            assert_eq!(sides > 50, shorter > 400, "{sides} of {extent:?}");
        }
    }

    #[test]
    fn the_middle_is_as_far_from_all_sides() {
        let crop = Crop::middle([7, 4]);
        assert_eq!((crop.x, crop.y, crop.side), (1, 0, 4));
    }
}

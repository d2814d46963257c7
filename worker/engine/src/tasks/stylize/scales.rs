//! Coarse to fine: which sizes a picture goes through.

use stylefleet_model::stylize::{MIN_SIDE, Parameters, Size, fitted};

use crate::image::Extent;

/// The coarsest scale's longer side is at least this, where scales are chosen automatically...
const COARSEST_LONGER: u32 = 64;
/// ... and its shorter side at least this, which leaves the deepest layers two positions.
const COARSEST_SHORTER: u32 = 32;

impl Extent {
    /// The same shape with the longer side as given, and no side below what the network takes.
    pub fn fitted(self, longer: f64) -> Self {
        let [width, height] = fitted([self.width, self.height], longer);
        Self { width, height }
    }
}

/// The size of the picture made of a content image of size `content`.
pub(in crate::tasks) fn picture(size: Size, content: Extent) -> Extent {
    let [width, height] = size.of([content.width, content.height]);
    Extent { width, height }
}

/// The size at which a style image of size `style` is used beside a picture of size `picture`.
pub(in crate::tasks) fn style(objective: &Parameters, style: Extent, picture: Extent) -> Extent {
    if objective.stretch_style {
        picture
    } else {
        style.fitted(f64::from(picture.longer()) * objective.style_scale)
    }
}

/// The sizes that a picture goes through, each twice the one before, the last one its own.
/// `count` 0 chooses how many.
pub(super) fn schedule(picture: Extent, count: u32) -> Vec<Extent> {
    let shorter = picture.width.min(picture.height);
    let (most, longest, shortest) = match count {
        0 => (u32::BITS, COARSEST_LONGER, COARSEST_SHORTER),
        _ => (count, MIN_SIDE, MIN_SIDE),
    };
    let levels = (1..most)
        .take_while(|level| picture.longer() >> level >= longest && shorter >> level >= shortest);
    let coarser = |level: u32| Extent {
        width: picture.width.div_ceil(1 << level),
        height: picture.height.div_ceil(1 << level),
    };
    let mut scales: Vec<Extent> = levels.map(coarser).collect();
    scales.reverse();
    scales.push(picture);
    scales
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(width: u32, height: u32, count: u32) -> Vec<(u32, u32)> {
        schedule(Extent { width, height }, count)
            .into_iter()
            .map(|scale| (scale.width, scale.height))
            .collect()
    }

    #[test]
    fn doubles_up_to_the_picture() {
        assert_eq!(sizes(256, 192, 0), [(64, 48), (128, 96), (256, 192)]);
        assert_eq!(sizes(255, 255, 3), [(64, 64), (128, 128), (255, 255)]);
        assert_eq!(sizes(100, 100, 0), [(100, 100)]);
        assert_eq!(sizes(256, 256, 1), [(256, 256)]);
    }

    #[test]
    fn stops_where_the_network_would_see_nothing() {
        assert_eq!(sizes(64, 20, 9), [(64, 20)]);
        assert_eq!(sizes(512, 40, 0), [(512, 40)]);
    }

    #[test]
    fn keeps_the_shape() {
        let content = Extent {
            width: 640,
            height: 427,
        };
        let fitted = picture(Size::Longest(512), content);
        assert_eq!(
            fitted,
            Extent {
                width: 512,
                height: 342
            }
        );
    }
}

//! How a video is written.

use serde::{Deserialize, Serialize};

use crate::choice::choice;
use crate::{Choice, Invalid, Limits, Validate};

choice! {
    /// Video codecs.
    #[derive(Default)]
    Codec {
        /// H.264, by libx264.
        #[default]
        H264 = "h264" | "avc" | "x264",
        /// H.265, by libx265.
        Hevc = "hevc" | "h265" | "x265",
        /// VP9, by libvpx.
        Vp9 = "vp9",
        /// AV1, by SVT-AV1.
        Av1 = "av1",
        /// Apple ProRes 422 HQ, 10 bits.
        Prores = "prores",
        /// FFV1: lossless.
        Ffv1 = "ffv1",
        /// A PNG file for each frame.
        Png = "png",
        /// A JPEG file for each frame.
        Jpeg = "jpeg" | "jpg",
        /// A TIFF file for each frame.
        Tiff = "tiff" | "tif",
    }
}

/// How the frames of a video are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// The codec.
    pub codec: Codec,
    /// Constant quality, 0 best; none where the codec has none.
    pub crf: Option<u32>,
    /// Bits of a sample: 8, 10 or 16.
    pub depth: u32,
}

/// What a codec can do.
struct Abilities {
    /// The best and the worst constant quality, and what is usual.
    crf: Option<(u32, u32)>,
    depths: &'static [u32],
}

impl Codec {
    fn abilities(self) -> Abilities {
        let (crf, depths): (_, &[u32]) = match self {
            Self::H264 => (Some((18, 51)), &[8, 10]),
            Self::Hevc => (Some((20, 51)), &[8, 10]),
            Self::Vp9 => (Some((24, 63)), &[8, 10]),
            Self::Av1 => (Some((26, 63)), &[8, 10]),
            Self::Prores => (None, &[10]),
            Self::Ffv1 => (None, &[8, 10, 16]),
            Self::Png | Self::Tiff => (None, &[8, 16]),
            Self::Jpeg => (Some((2, 31)), &[8]),
        };
        Abilities { crf, depths }
    }

    /// The usual constant quality, if it has any: no loss that one sees.
    pub fn usual_crf(self) -> Option<u32> {
        self.abilities().crf.map(|(usual, _)| usual)
    }

    /// Whether it has samples of so many bits.
    pub fn has_depth(self, depth: u32) -> bool {
        self.abilities().depths.contains(&depth)
    }
}

impl Validate for Encoding {
    fn validate(&self) -> Result<(), Invalid> {
        let Abilities { crf, depths } = self.codec.abilities();
        let codec = self.codec.word();
        match (self.crf, crf) {
            (Some(given), Some((_, worst))) => {
                Limits::from(0..=worst).check("crf", given.into())?;
            }
            (None, None) => {}
            (Some(_), None) => {
                let reason = format!("has no meaning for {codec}: leave it out");
                return Err(Invalid::new("crf", reason));
            }
            (None, Some(_)) => return Err(Invalid::new("crf", format!("is missing for {codec}"))),
        }
        if !depths.contains(&self.depth) {
            let known: Vec<_> = depths.iter().map(ToString::to_string).collect();
            let reason = format!("is {}, {codec} has {}", self.depth, known.join(" and "));
            return Err(Invalid::new("depth", reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_codec_cannot_do_is_refused() {
        for &codec in Codec::ALL {
            let encoding = |depth| Encoding {
                codec,
                crf: codec.usual_crf(),
                depth,
            };
            for depth in 0..20 {
                let is_valid = encoding(depth).validate().is_ok();
                assert_eq!(is_valid, codec.has_depth(depth), "{codec:?} {depth}");
            }
        }
        let refused = |codec, crf, depth| {
            let encoding = Encoding { codec, crf, depth };
            encoding.validate().expect_err("refused").to_string()
        };
        assert_eq!(
            refused(Codec::H264, Some(52), 8),
            "crf: is 52, must be 0 to 51"
        );
        assert_eq!(refused(Codec::Vp9, None, 8), "crf: is missing for vp9");
        assert_eq!(
            refused(Codec::Ffv1, Some(3), 8),
            "crf: has no meaning for ffv1: leave it out"
        );
        assert_eq!(
            refused(Codec::Prores, None, 8),
            "depth: is 8, prores has 10"
        );
        assert_eq!(
            refused(Codec::Av1, Some(3), 12),
            "depth: is 12, av1 has 8 and 10"
        );
    }
}

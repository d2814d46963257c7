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
        ProRes = "prores",
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
    /// Constant quality, lower is better; none where the codec has none.
    pub crf: Option<u8>,
    /// Bits of a sample: 8, 10 or 16.
    pub depth: u8,
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Codec {
    /// The lowest constant quality, the highest, and the usual one, in which no loss is seen; none
    /// if the codec has none. Lower is better.
    pub fn crf(self) -> Option<(u8, u8, u8)> {
        match self {
            Self::H264 => Some((0, 51, 18)),
            Self::Hevc => Some((0, 51, 20)),
            Self::Vp9 => Some((0, 63, 24)),
            Self::Av1 => Some((1, 63, 24)),
            Self::Jpeg => Some((2, 31, 2)),
            Self::ProRes | Self::Ffv1 | Self::Png | Self::Tiff => None,
        }
    }

    /// The bits of a sample that it has. The first is the usual.
    pub fn depths(self) -> &'static [u8] {
        match self {
            Self::H264 | Self::Hevc | Self::Vp9 | Self::Av1 => &[8, 10],
            Self::ProRes => &[10],
            Self::Ffv1 => &[8, 10, 16],
            Self::Png | Self::Tiff => &[8, 16],
            Self::Jpeg => &[8],
        }
    }
}

impl Encoding {
    /// With this quality and these bits, or the codec's usual ones.
    pub fn new(codec: Codec, crf: Option<u8>, depth: Option<u8>) -> Result<Self, Invalid> {
        let usual = codec.crf().map(|(.., usual)| usual);
        let encoding = Self {
            codec,
            crf: crf.or(usual),
            depth: depth.unwrap_or(codec.depths()[0]),
        };
        encoding.validate()?;
        Ok(encoding)
    }
}

impl Validate for Encoding {
    fn validate(&self) -> Result<(), Invalid> {
        let codec = self.codec.word();
        match (self.crf, self.codec.crf()) {
            (Some(given), Some((best, worst, _))) => {
                Limits::from(u32::from(best)..=u32::from(worst)).check("crf", given.into())?;
            }
            (None, None) => {}
            (Some(_), None) => {
                let reason = format!("has no meaning for {codec}: leave it out");
                return Err(Invalid::new("crf", reason));
            }
            (None, Some(_)) => return Err(Invalid::new("crf", format!("is missing for {codec}"))),
        }
        let depths = self.codec.depths();
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
            Encoding::new(codec, None, None).expect("the usual is valid");
            for depth in 0..20 {
                let is_valid = Encoding::new(codec, None, Some(depth)).is_ok();
                assert_eq!(
                    is_valid,
                    codec.depths().contains(&depth),
                    "{codec:?} {depth}"
                );
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
            refused(Codec::ProRes, None, 8),
            "depth: is 8, prores has 10"
        );
        assert_eq!(
            refused(Codec::Av1, Some(3), 12),
            "depth: is 12, av1 has 8 and 10"
        );
    }
}

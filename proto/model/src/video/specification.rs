//! What a job of this kind asks for, apart from its inputs.

use serde::{Deserialize, Serialize};

use super::{Encoding, Temporal};
use crate::apply::Apply;
use crate::stylize::{Format, Init, Size, Stylize};
use crate::{Invalid, Role, RoleRule, Validate};

/// Most frames of a chunk.
pub const MAX_FRAMES: usize = 1024;

/// A chunk of a video: its frames, how they are redrawn, and how the result is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Video {
    /// Which frames of the clip.
    pub chunk: Chunk,
    /// How they are redrawn.
    pub way: Way,
    /// How the result is encoded.
    pub encoding: Encoding,
}

/// Frames of a clip that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The frames' times in the clip's units, rising: 1 to [`MAX_FRAMES`].
    pub times: Vec<i64>,
    /// The unit.
    pub time_base: TimeBase,
    /// The time of the video's first frame, at most that of the chunk's.
    pub start: i64,
    /// Whether the last frame is the first of the next chunk: it is made so that the frames before
    /// it lead to it, but it is no part of the result.
    pub is_shared: bool,
}

/// A unit of time: numerator / denominator seconds, both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBase {
    /// Above the line.
    pub numerator: u32,
    /// Below it.
    pub denominator: u32,
}

/// How frames are redrawn. Sizes are exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By the optimiser, one after the other.
    Optimize {
        /// How a frame is redrawn.
        picture: Stylize,
        /// What holds it to the others.
        temporal: Temporal,
    },
    /// By a network, each by itself.
    Apply(Apply),
}

impl Chunk {
    /// How many frames the result has.
    pub fn written(&self) -> usize {
        self.times.len() - usize::from(self.is_shared)
    }
}

impl Video {
    /// The role of the clip.
    pub fn clip() -> Role {
        Role::new("clip")
    }

    /// The role of the optical flow that others have computed, for the optimiser: of each two
    /// frames that are held to each other, both ways.
    pub fn flow() -> Role {
        Role::new("flow")
    }

    /// Width and height of the frames.
    pub fn size(&self) -> [u32; 2] {
        match self.way.size() {
            Some(Size::Exact { width, height }) => [width, height],
            // It would not be valid.
            Some(Size::Longest(side)) => [side; 2],
            None => [0; 2],
        }
    }

    /// The inputs that such a job has.
    pub fn roles(&self) -> Vec<RoleRule> {
        let (rules, content, flow) = match &self.way {
            Way::Optimize { picture, .. } => {
                let flow = RoleRule::optional(Self::flow());
                (picture.roles(), Stylize::content(), Some(flow))
            }
            Way::Apply(apply) => (apply.roles(), Apply::content(), None),
        };
        let others = rules.into_iter().filter(|rule| rule.role != content);
        [RoleRule::required(Self::clip())]
            .into_iter()
            .chain(flow)
            .chain(others)
            .collect()
    }
}

impl Validate for Chunk {
    fn validate(&self) -> Result<(), Invalid> {
        let frames = self.times.len();
        if !(1..=MAX_FRAMES).contains(&frames) {
            let reason = format!("has {frames} frames, must have 1 to {MAX_FRAMES}");
            return Err(Invalid::new("chunk", reason));
        }
        if self.is_shared && frames == 1 {
            return Err(Invalid::new("chunk", "has no frame of its own"));
        }
        let is_rising = |pair: &[i64]| pair[0] < pair[1];
        if !self.times.windows(2).all(is_rising) {
            return Err(Invalid::new("chunk", "has frames whose times do not rise"));
        }
        if self.times[0]
            .checked_sub(self.start)
            .is_none_or(|after| after < 0)
        {
            return Err(Invalid::new("chunk", "begins before the video"));
        }
        let TimeBase {
            numerator,
            denominator,
        } = self.time_base;
        if numerator == 0 || denominator == 0 {
            let reason = format!("is {numerator}/{denominator} s");
            return Err(Invalid::new("time_base", reason));
        }
        Ok(())
    }
}

impl Way {
    fn size(&self) -> Option<Size> {
        match self {
            Self::Optimize { picture, .. } => Some(picture.parameters.size),
            Self::Apply(apply) => apply.size,
        }
    }

    fn format(&self) -> Format {
        match self {
            Self::Optimize { picture, .. } => picture.parameters.format,
            Self::Apply(apply) => apply.format,
        }
    }
}

impl Validate for Way {
    fn validate(&self) -> Result<(), Invalid> {
        if !matches!(self.size(), Some(Size::Exact { .. })) {
            return Err(Invalid::new(
                "size",
                "is not exact, as that of a video must be",
            ));
        }
        if self.format() != Format::Png {
            return Err(Invalid::new(
                "format",
                "has no meaning for a video: leave it out",
            ));
        }
        match self {
            Self::Optimize { picture, temporal } => {
                if picture.parameters.init == Init::Image {
                    let reason = "is a file, which has no meaning for a video: leave it out";
                    return Err(Invalid::new("init", reason));
                }
                picture.validate()?;
                temporal.validate()
            }
            Self::Apply(apply) => apply.validate(),
        }
    }
}

impl Validate for Video {
    fn validate(&self) -> Result<(), Invalid> {
        self.chunk.validate()?;
        self.way.validate()?;
        self.encoding.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Codec;
    use super::*;
    use crate::Valid;
    use crate::stylize::{KeepColors, Precision, Preset};

    fn video(change: impl FnOnce(&mut Video, &mut Stylize)) -> Result<Valid<Video>, Invalid> {
        let mut parameters = Preset::Studio.parameters();
        parameters.size = Size::Exact {
            width: 64,
            height: 48,
        };
        let mut picture = Stylize {
            weights: vec![1.0, 2.0],
            parameters,
        };
        let mut video = Video {
            chunk: Chunk {
                times: vec![-1, 0, 5],
                time_base: TimeBase {
                    numerator: 1,
                    denominator: 25,
                },
                start: -1,
                is_shared: true,
            },
            way: Way::Apply(Apply {
                styles: Vec::new(),
                size: None,
                keep_colors: KeepColors::None,
                format: Format::Png,
                precision: Precision::Auto,
            }),
            encoding: Encoding {
                codec: Codec::H264,
                crf: Some(18),
                depth: 8,
            },
        };
        change(&mut video, &mut picture);
        video.way = Way::Optimize {
            picture,
            temporal: Temporal::default(),
        };
        Valid::new(video)
    }

    #[test]
    fn names_what_is_wrong() {
        type Change = fn(&mut Video, &mut Stylize);
        let cases: [(Change, &str); 10] = [
            (|v, _| v.chunk.start = 0, "chunk: begins before the video"),
            (
                |v, _| v.chunk.times.clear(),
                "chunk: has 0 frames, must have 1 to 1024",
            ),
            (
                |v, _| v.chunk.times = (0..1025).collect(),
                "chunk: has 1025 frames, must have 1 to 1024",
            ),
            (
                |v, _| v.chunk.times.truncate(1),
                "chunk: has no frame of its own",
            ),
            (
                |v, _| v.chunk.times = vec![3, 3],
                "chunk: has frames whose times do not rise",
            ),
            (
                |v, _| v.chunk.time_base.denominator = 0,
                "time_base: is 1/0 s",
            ),
            (
                |_, p| p.parameters.size = Size::Longest(64),
                "size: is not exact, as that of a video must be",
            ),
            (
                |_, p| p.parameters.format = Format::Jpeg,
                "format: has no meaning for a video: leave it out",
            ),
            (
                |_, p| p.parameters.init = Init::Image,
                "init: is a file, which has no meaning for a video: leave it out",
            ),
            (
                |v, _| v.encoding.depth = 9,
                "depth: is 9, h264 has 8 and 10",
            ),
        ];
        video(|_, _| ()).expect("is valid");
        for (change, expected) in cases {
            let refused = video(change).expect_err(expected);
            assert_eq!(refused.to_string(), expected);
        }
    }

    #[test]
    fn its_roles_follow_from_it() {
        let video = video(|_, _| ()).expect("is valid");
        let roles = video.roles().into_iter().map(|rule| {
            let mark = if rule.is_required { "" } else { "?" };
            format!("{}{mark}", rule.role)
        });
        let roles: Vec<_> = roles.collect();
        assert_eq!(
            roles,
            ["clip", "flow?", "style.1", "mask.1?", "style.2", "mask.2?"]
        );
        assert_eq!((video.size(), video.chunk.written()), ([64, 48], 2));
    }
}

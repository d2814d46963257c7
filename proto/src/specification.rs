//! What jobs of each kind ask for. The envelope, [`Job`](crate::Job), knows no kind: it carries a
//! specification as bytes. A kind is a type that implements [`Specification`]; whoever makes or
//! does such jobs knows it.

use std::collections::HashSet;

use prost::Message;
use stylefleet_model::apply::{Apply, Share};
use stylefleet_model::stylize::{Size, Stylize};
use stylefleet_model::train::Train;
use stylefleet_model::trained::StyleName;
use stylefleet_model::video::{Chunk, Encoding, TimeBase, Video, Way};
use stylefleet_model::{Invalid, RoleRule, Valid};

use crate::check::required;
use crate::parameters::Field;
use crate::{Input, wire};

/// What a job of one kind asks for, apart from its inputs. A value of such a type is valid.
pub trait Specification: Sized {
    /// The name of the kind.
    const KIND: &'static str;

    /// The kind's message.
    fn encode(&self) -> Vec<u8>;

    /// Reads and checks the kind's message.
    fn decode(message: &[u8]) -> Result<Self, Invalid>;

    /// The inputs that such a job must have, or may have.
    fn roles(&self) -> Vec<RoleRule>;
}

/// Refuses inputs that are not what `rules` say: one of each that must be there, at most one of
/// each that may be, no others.
pub(crate) fn check_inputs(rules: &[RoleRule], inputs: &[Input]) -> Result<(), Invalid> {
    let mut roles = HashSet::new();
    for Input { role, .. } in inputs {
        if !rules.iter().any(|rule| rule.role == *role) {
            let reason = format!("are no part of such a job: {role}");
            return Err(Invalid::new("inputs", reason));
        }
        if !roles.insert(role) {
            return Err(Invalid::new("inputs", format!("are there twice: {role}")));
        }
    }
    let missing = rules
        .iter()
        .find(|rule| rule.is_required && !roles.contains(&rule.role));
    match missing {
        Some(rule) => Err(Invalid::new("inputs", format!("lack one: {}", rule.role))),
        None => Ok(()),
    }
}

impl Specification for Valid<Stylize> {
    const KIND: &'static str = "stylize";

    fn encode(&self) -> Vec<u8> {
        wire::Stylize::from(&**self).encode_to_vec()
    }

    fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let message: wire::Stylize = read(message)?;
        Self::new(message.try_into()?)
    }

    fn roles(&self) -> Vec<RoleRule> {
        Stylize::roles(self)
    }
}

impl Specification for Valid<Train> {
    const KIND: &'static str = "train";

    fn encode(&self) -> Vec<u8> {
        let message = wire::Train {
            styles: self.styles.iter().map(ToString::to_string).collect(),
            training: Some((&self.training).into()),
            objective: Some((&self.objective).into()),
        };
        message.encode_to_vec()
    }

    fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let message: wire::Train = read(message)?;
        let styles = message.styles.iter().map(|name| style(name));
        Self::new(Train {
            styles: styles.collect::<Result<_, _>>()?,
            training: required("training", message.training)?.try_into()?,
            objective: required("objective", message.objective)?.try_into()?,
        })
    }

    fn roles(&self) -> Vec<RoleRule> {
        Train::roles(self)
    }
}

impl Specification for Valid<Apply> {
    const KIND: &'static str = "apply";

    fn encode(&self) -> Vec<u8> {
        wire::Apply::from(&**self).encode_to_vec()
    }

    fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let message: wire::Apply = read(message)?;
        Self::new(message.try_into()?)
    }

    fn roles(&self) -> Vec<RoleRule> {
        Apply::roles(self)
    }
}

impl Specification for Valid<Video> {
    const KIND: &'static str = "video";

    fn encode(&self) -> Vec<u8> {
        let Video {
            chunk,
            way,
            encoding,
        } = &**self;
        let (way, temporal) = match way {
            Way::Optimize { picture, temporal } => {
                let way = wire::video::Way::Optimize(picture.into());
                (way, Some(temporal.into()))
            }
            Way::Apply(apply) => (wire::video::Way::Apply(apply.into()), None),
        };
        let message = wire::Video {
            times: chunk.times.clone(),
            time_base: Some(wire::TimeBase {
                numerator: chunk.time_base.numerator,
                denominator: chunk.time_base.denominator,
            }),
            start: chunk.start,
            is_shared: chunk.is_shared,
            codec: encoding.codec.to_wire(),
            crf: encoding.crf.map(u32::from),
            depth: encoding.depth.into(),
            way: Some(way),
            temporal,
        };
        message.encode_to_vec()
    }

    fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let message: wire::Video = read(message)?;
        let time_base = required("time_base", message.time_base)?;
        let way = match required("way", message.way)? {
            wire::video::Way::Optimize(picture) => Way::Optimize {
                picture: picture.try_into()?,
                temporal: required("temporal", message.temporal)?.try_into()?,
            },
            wire::video::Way::Apply(apply) => Way::Apply(apply.try_into()?),
        };
        Self::new(Video {
            chunk: Chunk {
                times: message.times,
                time_base: TimeBase {
                    numerator: time_base.numerator,
                    denominator: time_base.denominator,
                },
                start: message.start,
                is_shared: message.is_shared,
            },
            way,
            encoding: Encoding {
                codec: Field::from_wire("codec", message.codec)?,
                crf: message.crf.map(|crf| byte("crf", crf)).transpose()?,
                depth: byte("depth", message.depth)?,
            },
        })
    }

    fn roles(&self) -> Vec<RoleRule> {
        Video::roles(self)
    }
}

impl From<&Stylize> for wire::Stylize {
    fn from(stylize: &Stylize) -> Self {
        Self {
            weights: stylize.weights.clone(),
            parameters: Some((&stylize.parameters).into()),
        }
    }
}

impl TryFrom<wire::Stylize> for Stylize {
    type Error = Invalid;

    fn try_from(message: wire::Stylize) -> Result<Self, Invalid> {
        Ok(Self {
            weights: message.weights,
            parameters: required("parameters", message.parameters)?.try_into()?,
        })
    }
}

impl From<&Apply> for wire::Apply {
    fn from(apply: &Apply) -> Self {
        let share = |share: &Share| wire::Share {
            style: share.style.to_string(),
            weight: share.weight,
        };
        Self {
            styles: apply.styles.iter().map(share).collect(),
            size: apply.size.map(Into::into),
            keep_colors: apply.keep_colors.to_wire(),
            format: apply.format.to_wire(),
            precision: apply.precision.to_wire(),
        }
    }
}

impl TryFrom<wire::Apply> for Apply {
    type Error = Invalid;

    fn try_from(message: wire::Apply) -> Result<Self, Invalid> {
        let share = |share: wire::Share| {
            Ok(Share {
                style: style(&share.style)?,
                weight: share.weight,
            })
        };
        let styles = message.styles.into_iter().map(share);
        Ok(Self {
            styles: styles.collect::<Result<_, Invalid>>()?,
            size: message.size.map(Into::into),
            keep_colors: Field::from_wire("keep_colors", message.keep_colors)?,
            format: Field::from_wire("format", message.format)?,
            precision: Field::from_wire("precision", message.precision)?,
        })
    }
}

fn read<M: Message + Default>(message: &[u8]) -> Result<M, Invalid> {
    M::decode(message).map_err(|error| Invalid::new("specification", error.to_string()))
}

fn byte(field: &str, number: u32) -> Result<u8, Invalid> {
    let too_large = |_| Invalid::new(field, format!("is {number}, must be at most {}", u8::MAX));
    number.try_into().map_err(too_large)
}

fn style(name: &str) -> Result<StyleName, Invalid> {
    name.parse()
        .map_err(|invalid: Invalid| Invalid::new("styles", invalid.reason))
}

impl From<Size> for wire::apply::Size {
    fn from(size: Size) -> Self {
        match size {
            Size::Longest(side) => Self::Longest(side),
            Size::Exact { width, height } => Self::Exact(wire::Extent { width, height }),
        }
    }
}

impl From<wire::apply::Size> for Size {
    fn from(size: wire::apply::Size) -> Self {
        match size {
            wire::apply::Size::Longest(side) => Self::Longest(side),
            wire::apply::Size::Exact(wire::Extent { width, height }) => {
                Self::Exact { width, height }
            }
        }
    }
}

//! Parameters as the contract's messages have them. The fields follow from the tables in
//! `stylefleet_model`; here is how each type of field is written.

use stylefleet_model::stylize::{
    ContentLoss, Format, Init, KeepColors, LayerWeight, Layers, Means, Network, Optimizer,
    Parameters, Pooling, Precision, Size, StyleLoss, TotalVariation,
};
use stylefleet_model::train::Training;
use stylefleet_model::video::{Codec, Temporal};
use stylefleet_model::{
    Choice, Invalid, with_stylize_parameters, with_temporal_parameters, with_training_parameters,
};

use crate::check::required;
use crate::wire;

/// A value and its form in a message.
pub(crate) trait Field: Sized {
    type Wire;

    fn to_wire(&self) -> Self::Wire;

    fn from_wire(field: &str, wire: Self::Wire) -> Result<Self, Invalid>;
}

macro_rules! convert {
    ($name:ident $(
        $(#[doc = $about:literal])+
        $field:ident: $type:ty { $($row:tt)* }
    )*) => {
        impl From<&$name> for wire::$name {
            fn from(from: &$name) -> Self {
                Self {
                    $($field: Field::to_wire(&from.$field),)*
                }
            }
        }

        /// Reads the fields. Whether their values are valid is for whoever puts them into a
        /// specification to check.
        impl TryFrom<wire::$name> for $name {
            type Error = Invalid;

            fn try_from(from: wire::$name) -> Result<Self, Invalid> {
                Ok(Self {
                    $($field: <$type as Field>::from_wire(stringify!($field), from.$field)?,)*
                })
            }
        }
    };
}

with_stylize_parameters!(convert, Parameters);
with_training_parameters!(convert, Training);
with_temporal_parameters!(convert, Temporal);

macro_rules! as_it_is {
    ($($type:ty),*) => {
        $(impl Field for $type {
            type Wire = Self;

            fn to_wire(&self) -> Self {
                *self
            }

            fn from_wire(_: &str, wire: Self) -> Result<Self, Invalid> {
                Ok(wire)
            }
        })*
    };
}

as_it_is!(u32, u64, f64, bool, Option<f64>);

macro_rules! by_number {
    ($($type:ident),*) => {
        $(impl Field for $type {
            type Wire = i32;

            fn to_wire(&self) -> i32 {
                self.number()
            }

            fn from_wire(field: &str, wire: i32) -> Result<Self, Invalid> {
                let unknown = || Invalid::new(field, format!("has no value {wire}"));
                Self::from_number(wire).ok_or_else(unknown)
            }
        })*

        #[cfg(test)]
        #[test]
        fn messages_and_people_mean_the_same_by_a_word() {
            $(tests::assert_same_words::<$type>(|number| {
                Some(wire::$type::try_from(number).ok()?.as_str_name())
            });)*
        }
    };
}

by_number!(
    Codec,
    ContentLoss,
    Format,
    KeepColors,
    Means,
    Network,
    Optimizer,
    Pooling,
    Precision,
    StyleLoss,
    TotalVariation
);

impl Field for Size {
    type Wire = Option<wire::parameters::Size>;

    fn to_wire(&self) -> Self::Wire {
        Some(match *self {
            Self::Longest(side) => wire::parameters::Size::Longest(side),
            Self::Exact { width, height } => {
                wire::parameters::Size::Exact(wire::Extent { width, height })
            }
        })
    }

    fn from_wire(field: &str, wire: Self::Wire) -> Result<Self, Invalid> {
        Ok(match required(field, wire)? {
            wire::parameters::Size::Longest(side) => Self::Longest(side),
            wire::parameters::Size::Exact(wire::Extent { width, height }) => {
                Self::Exact { width, height }
            }
        })
    }
}

impl Field for Init {
    type Wire = Option<wire::parameters::Init>;

    fn to_wire(&self) -> Self::Wire {
        Some(match *self {
            Self::Content => wire::parameters::Init::Content(wire::InitContent {}),
            Self::Noise => wire::parameters::Init::Noise(wire::InitNoise {}),
            Self::Style(index) => wire::parameters::Init::Style(index),
            Self::Image => wire::parameters::Init::Image(wire::InitImage {}),
        })
    }

    fn from_wire(field: &str, wire: Self::Wire) -> Result<Self, Invalid> {
        Ok(match required(field, wire)? {
            wire::parameters::Init::Content(_) => Self::Content,
            wire::parameters::Init::Noise(_) => Self::Noise,
            wire::parameters::Init::Style(index) => Self::Style(index),
            wire::parameters::Init::Image(_) => Self::Image,
        })
    }
}

impl Field for Layers {
    type Wire = Vec<wire::LayerWeight>;

    fn to_wire(&self) -> Self::Wire {
        let entry = |entry: &LayerWeight| wire::LayerWeight {
            layer: entry.layer.to_string(),
            weight: entry.weight,
        };
        self.iter().map(entry).collect()
    }

    fn from_wire(field: &str, wire: Self::Wire) -> Result<Self, Invalid> {
        let entry = |entry: wire::LayerWeight| {
            let layer = entry.layer.parse();
            let layer = layer.map_err(|unknown: stylefleet_model::stylize::UnknownLayer| {
                Invalid::new(field, unknown.to_string())
            })?;
            Ok(LayerWeight {
                layer,
                weight: entry.weight,
            })
        };
        // More than there may be are not even read.
        let most = wire.into_iter().take(Self::MOST + 1);
        most.map(entry).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a choice have the numbers of the enum of the same name in the message.
    pub fn assert_same_words<T: Choice>(name: impl Fn(i32) -> Option<&'static str>) {
        for choice in T::ALL {
            let in_message = name(choice.number()).expect("the message has the number");
            let word = choice.word().replace('-', "_").to_uppercase();
            assert!(
                in_message.ends_with(&format!("_{word}")),
                "{in_message} is not {word}"
            );
        }
        assert_eq!(name(T::ALL.len() as i32), None);
    }
}

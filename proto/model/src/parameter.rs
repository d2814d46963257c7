//! What a parameter is: the row of a kind's table, and what its values have in common.

use std::fmt;
use std::ops::RangeInclusive;

use crate::Invalid;

/// What is known of a parameter apart from its values: a row of a kind's table.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its field in messages and records, as in `tv_weight`.
    pub field: &'static str,
    /// The group that it is listed in.
    pub heading: Heading,
    /// What stands for its value in help texts, as in `N`.
    pub value: &'static str,
    /// Other names that are understood, as in `image-size`.
    pub aliases: &'static [&'static str],
    /// What it does, line by line: a paragraph in brief, then further ones.
    pub about: &'static [&'static str],
    /// The numbers that are allowed.
    pub limits: Option<Limits>,
    /// A value that means something of its own, and what, as in `0: never`.
    pub special: Option<&'static str>,
    /// The words that are allowed.
    pub choices: Option<String>,
    /// Whether it is true where it is named without a value.
    pub is_flag: bool,
    /// Its value where none is given; none if that depends on the preset.
    pub default: Option<String>,
}

/// The groups that parameters are listed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    /// What the picture is.
    Picture,
    /// What the picture is to be like.
    Objective,
    /// How much is done for it.
    Effort,
    /// How a network is trained.
    Training,
    /// What holds the frames of a video together.
    Time,
}

/// The numbers that a parameter may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    least: f64,
    most: f64,
    /// Whether the least one is excluded.
    above: bool,
}

impl Parameter {
    /// Its name for people, as in `tv-weight`.
    pub fn name(&self) -> String {
        option(self.field)
    }

    /// What it does, in one line, with what is allowed and what holds where it is not given.
    pub fn brief(&self) -> String {
        let allowed = match (&self.choices, &self.limits) {
            (Some(choices), _) => format!(": {choices}"),
            (None, Some(limits)) => format!(", {limits}"),
            (None, None) => String::new(),
        };
        let special = self.special.map(|special| format!(" ({special})"));
        let special = special.unwrap_or_default();
        let default = self.default.as_deref().unwrap_or("preset's");
        let about = self.paragraphs().swap_remove(0);
        format!("{about}{allowed}{special} [default: {default}]")
    }

    /// What more there is to say; nothing, often.
    pub fn details(&self) -> Vec<String> {
        self.paragraphs().split_off(1)
    }

    fn paragraphs(&self) -> Vec<String> {
        let lines: Vec<_> = self.about.iter().map(|line| line.trim()).collect();
        let paragraphs = lines.split(|line| line.is_empty());
        paragraphs.map(|lines| lines.join(" ")).collect()
    }
}

/// A field's name as people write it.
pub(crate) fn option(field: &str) -> String {
    field.replace('_', "-")
}

impl Heading {
    /// How help texts call the group.
    pub fn title(self) -> &'static str {
        match self {
            Self::Picture => "The picture",
            Self::Objective => "The objective",
            Self::Effort => "The effort",
            Self::Training => "The training",
            Self::Time => "The video",
        }
    }
}

impl Limits {
    /// Any number above zero.
    pub const POSITIVE: Self = Self::above(0.0, f64::MAX);

    /// Numbers greater than `least`, at most `most`.
    pub const fn above(least: f64, most: f64) -> Self {
        Self {
            least,
            most,
            above: true,
        }
    }

    /// Refuses a number outside; NaN always is.
    pub fn check(&self, field: &str, number: f64) -> Result<(), Invalid> {
        let is_above = if self.above {
            number > self.least
        } else {
            number >= self.least
        };
        if is_above && number <= self.most {
            Ok(())
        } else {
            let reason = format!("is {}, must be {self}", Plain(number));
            Err(Invalid::new(field, reason))
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.above, self.most) {
            (true, f64::MAX) => write!(f, "greater than {}", Plain(self.least)),
            (true, most) => write!(
                f,
                "greater than {}, at most {}",
                Plain(self.least),
                Plain(most)
            ),
            (false, most) => write!(f, "{} to {}", Plain(self.least), Plain(most)),
        }
    }
}

impl From<RangeInclusive<u32>> for Limits {
    fn from(range: RangeInclusive<u32>) -> Self {
        Self::from(f64::from(*range.start())..=f64::from(*range.end()))
    }
}

impl From<RangeInclusive<f64>> for Limits {
    fn from(range: RangeInclusive<f64>) -> Self {
        Self {
            least: *range.start(),
            most: *range.end(),
            above: false,
        }
    }
}

/// A number, in scientific notation where the plain one would be long.
struct Plain(f64);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if magnitude == 0.0 || (1e-4..1e7).contains(&magnitude) {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:e}", self.0)
        }
    }
}

/// A text that reads back as the same number.
pub(crate) fn plain(number: f64) -> String {
    Plain(number).to_string()
}

/// What the values of a parameter are.
pub trait Value: Sized + Clone + PartialEq {
    /// What people write for one. It may leave to the preset what it does not say.
    type Written: Clone + PartialEq;

    /// Whether the name alone means true.
    const IS_FLAG: bool = false;

    /// Reads what people write; or says what is wrong with it.
    fn read(text: &str) -> Result<Self::Written, String>;

    /// The value that is meant, where the preset has `usual`.
    fn resolve(written: &Self::Written, usual: &Self) -> Self;

    /// The value as people would write it.
    fn show(&self) -> String;

    /// The number that must be within the limits, if it is one.
    fn as_number(&self) -> Option<f64> {
        None
    }

    /// Checks what limits do not say.
    fn check(&self, _field: &str) -> Result<(), Invalid> {
        Ok(())
    }

    /// The words that are allowed, if there are few.
    fn choices() -> Option<String> {
        None
    }
}

macro_rules! number {
    ($type:ty, $what:literal, $show:expr) => {
        impl Value for $type {
            type Written = Self;

            fn read(text: &str) -> Result<Self, String> {
                text.parse()
                    .map_err(|_| format!(concat!("\"{}\" is no ", $what), text))
            }

            fn resolve(written: &Self, _: &Self) -> Self {
                *written
            }

            fn show(&self) -> String {
                $show(*self)
            }

            fn as_number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }
    };
}

number!(u32, "whole number from 0", |number: u32| number.to_string());
number!(u64, "whole number from 0", |number: u64| number.to_string());
number!(f64, "number", plain);

impl Value for Option<f64> {
    type Written = Self;

    fn read(text: &str) -> Result<Self, String> {
        match text {
            NONE => Ok(None),
            number => f64::read(number).map(Some),
        }
    }

    fn resolve(written: &Self, _: &Self) -> Self {
        *written
    }

    fn show(&self) -> String {
        self.map_or_else(|| NONE.to_owned(), plain)
    }

    fn as_number(&self) -> Option<f64> {
        *self
    }
}

/// What is written for a value that is not there.
pub(crate) const NONE: &str = "none";

impl Value for bool {
    type Written = Self;

    const IS_FLAG: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("\"{text}\" is neither true nor false"))
    }

    fn resolve(written: &Self, _: &Self) -> Self {
        *written
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_their_ends() {
        let limits = Limits::from(0.1..=4.0);
        for inside in [0.1, 1.0, 4.0] {
            assert_eq!(limits.check("x", inside), Ok(()));
        }
        for outside in [0.0999, 4.001, f64::NAN, f64::INFINITY] {
            assert!(limits.check("x", outside).is_err(), "{outside}");
        }
        let refused = Limits::POSITIVE.check("x", 0.0).expect_err("is not above");
        assert_eq!(refused.to_string(), "x: is 0, must be greater than 0");
        assert!(Limits::POSITIVE.check("x", f64::INFINITY).is_err());
        assert!(Limits::POSITIVE.check("x", 5e-324).is_ok());
    }

    #[test]
    fn long_numbers_are_written_in_scientific_notation() {
        for (number, text) in [
            (250.0, "250"),
            (1e12, "1e12"),
            (2e-5, "2e-5"),
            (0.3, "0.3"),
            (4.0 / 128.0 / 128.0, "0.000244140625"),
            (-0.0, "-0"),
        ] {
            assert_eq!(plain(number), text);
        }
    }
}

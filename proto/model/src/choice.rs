//! Parameters that are one of a few words.

use crate::did_you_mean;

/// One of a few values, each known to people by a word and to the contract by a number.
pub trait Choice: Copy + Eq + 'static {
    /// All of them, in the order of the contract's numbers, from 0.
    const ALL: &'static [Self];

    /// What people write for it.
    fn word(self) -> &'static str;

    /// Reads a word, or another that is understood; or says what is wrong with it.
    fn from_word(text: &str) -> Result<Self, String>;

    /// The number that the contract has for it.
    fn number(self) -> i32 {
        let place = Self::ALL.iter().position(|choice| *choice == self);
        place.unwrap_or_default() as i32
    }

    /// The one with that number in the contract.
    fn from_number(number: i32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What is wrong with a word that is none of them.
    fn none_of_them(text: &str) -> String {
        let hint = did_you_mean(text, Self::ALL.iter().map(|choice| choice.word()));
        format!("\"{text}\" is none of {}{hint}", Self::words())
    }

    /// All words, for messages.
    fn words() -> String {
        let words: Vec<_> = Self::ALL.iter().map(|choice| choice.word()).collect();
        words.join(", ")
    }
}

/// Defines the values of a parameter that is one of a few words, in the order of the contract's
/// numbers. A word may have others that are understood too.
macro_rules! choice {
    (@choice $(#[$about:meta])* $name:ident {
        $($(#[$meaning:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$meaning])* #[serde(rename = $word)] $variant,)*
        }

        impl $crate::Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            fn from_word(text: &str) -> Result<Self, String> {
                match text {
                    $($word $(| $alias)* => Ok(Self::$variant),)*
                    _ => Err(<Self as $crate::Choice>::none_of_them(text)),
                }
            }
        }
    };
    ($(#[$about:meta])* $name:ident $variants:tt) => {
        choice!(@choice $(#[$about])* $name $variants);

        impl $crate::Value for $name {
            type Written = Self;

            fn read(text: &str) -> Result<Self, String> {
                $crate::Choice::from_word(text)
            }

            fn resolve(written: &Self, _: &Self) -> Self {
                *written
            }

            fn show(&self) -> String {
                $crate::Choice::word(*self).to_owned()
            }

            fn choices() -> Option<String> {
                Some(<Self as $crate::Choice>::words())
            }
        }
    };
}

pub(crate) use choice;

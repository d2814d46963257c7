//! What follows from a table of parameters, whatever the kind of job.

use crate::parameter::option;
use crate::{Invalid, Value};

/// Defines, from the rows of a table, a struct of parameters, `Overrides` of them, and the function
/// `table`. The struct's name is followed by the type of what its defaults depend on, and by what
/// `Overrides` has beside the rows. Where it is used, a function `usual` says what the value of a
/// row is where none is given, if that depends on nothing. A document of an older program may lack
/// a parameter, which then is that of the struct's `Default`.
macro_rules! define {
    (
        $(#[$of_all:meta])+
        $name:ident($base:ty) beside {
            $($(#[$of_more:meta])+ $more:ident: $more_type:ty,)*
        }
        $(
            $(#[doc = $about:literal])+
            $field:ident: $type:ty {
                heading: $heading:ident, value: $value:literal, alias: $aliases:expr,
                $(range: $range:expr,)?
                $(special: $special:literal,)?
                default: $default:expr,
            }
        )*
    ) => {
        $(#[$of_all])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[doc = $about])+ pub $field: $type,)*
        }

        /// Parameters that were given, to be laid over each other and over the defaults.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Overrides {
            $($(#[$of_more])+ pub $more: Option<$more_type>,)*
            $($(#[doc = $about])+ pub $field: Option<<$type as $crate::Value>::Written>,)*
        }

        /// The table, row by row.
        pub fn table() -> &'static [$crate::Parameter] {
            use std::sync::LazyLock;
            static TABLE: LazyLock<Vec<$crate::Parameter>> = LazyLock::new(|| {
                vec![$($crate::Parameter {
                    field: stringify!($field),
                    heading: $crate::Heading::$heading,
                    value: $value,
                    aliases: &$aliases,
                    about: &[$($about),+],
                    limits: $crate::define::limits!($($range)?),
                    special: $crate::define::optional!($($special)?),
                    choices: <$type as $crate::Value>::choices(),
                    is_flag: <$type as $crate::Value>::IS_FLAG,
                    default: usual(|all| $crate::Value::show(&all.$field)),
                },)*]
            });
            &TABLE
        }

        impl $name {
            /// The values where none are given.
            fn defaults(base: $base) -> Self {
                Self {
                    $($field: {
                        let default: fn($base) -> $type = $default;
                        default(base)
                    },)*
                }
            }

            /// Each field and its value as people would write it, in the order of the table.
            pub fn show(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($field), $crate::Value::show(&self.$field)),)*]
            }

            fn check_fields(&self) -> Result<(), $crate::Invalid> {
                use $crate::Value;
                $(
                    let field = stringify!($field);
                    let limits: Option<$crate::Limits> = $crate::define::limits!($($range)?);
                    if let (Some(limits), Some(number)) = (limits, self.$field.as_number()) {
                        limits.check(field, number)?;
                    }
                    self.$field.check(field)?;
                )*
                Ok(())
            }
        }

        impl Overrides {
            /// Gives the parameter with that field or name what is written; false if there is none.
            pub fn set(&mut self, name: &str, written: &str) -> Result<bool, $crate::Invalid> {
                match name.replace('-', "_").as_str() {
                    $(stringify!($field) => {
                        self.$field = Some($crate::define::read::<$type>(name, written)?);
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// The fields that were given, in the order of the table.
            pub fn given(&self) -> Vec<&'static str> {
                let given = [$((stringify!($field), self.$field.is_some()),)*];
                let given = given.into_iter().filter(|(_, is_given)| *is_given);
                given.map(|(field, _)| field).collect()
            }

            /// These, and those of `base` where these say nothing.
            pub fn over(self, base: &Self) -> Self {
                Self {
                    $($more: self.$more.or_else(|| base.$more.clone()),)*
                    $($field: self.$field.or_else(|| base.$field.clone()),)*
                }
            }

            fn lay_over(&self, parameters: &mut $name) {
                $(if let Some(written) = &self.$field {
                    parameters.$field = $crate::Value::resolve(written, &parameters.$field);
                })*
            }
        }
    };
}

macro_rules! limits {
    () => {
        None
    };
    ($range:expr) => {
        Some($crate::Limits::from($range))
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($special:literal) => {
        Some($special)
    };
}

pub(crate) use {define, limits, optional};

/// What is written for the parameter of that name.
pub(crate) fn read<T: Value>(name: &str, written: &str) -> Result<T::Written, Invalid> {
    T::read(written).map_err(|reason| Invalid::new(option(name), reason))
}

//! The table of parameters as options of the command line and as keys of batch files.

use std::fmt;

use clap::{Arg, Args};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};
use stylefleet_model::stylize::{Overrides, Preset, table};
use stylefleet_model::{Choice, Parameter, did_you_mean};

use crate::stylize::options::Options;
use crate::table::{Reader, Table, option};

/// The option that names a preset.
const PRESET: &str = "preset";

impl Table for Overrides {
    fn options() -> Vec<Arg> {
        options::<Self>("all parameters", table().iter())
    }

    fn give(&mut self, name: &str, written: &str) -> Result<bool, String> {
        if name == PRESET {
            self.preset = Some(Preset::from_word(written)?);
            return Ok(true);
        }
        // Fields are written with underscores in messages alone.
        let is_field = name.contains('_');
        let set = self.set(name, written).map_err(|invalid| invalid.reason);
        Ok(!is_field && set?)
    }
}

/// The option that names a preset, and those that set these parameters, which `all` names.
pub fn options<T: Table + Clone + 'static>(
    all: &str,
    rows: impl Iterator<Item = &'static Parameter>,
) -> Vec<Arg> {
    let about = format!("Values of {all} not given: {}", Preset::words());
    let presets = Preset::ALL.iter().map(|preset| preset.word().to_owned());
    let preset = Arg::new(PRESET)
        .long(PRESET)
        .value_name("P")
        .help(format!("{about} [default: {}]", Preset::default().word()))
        .hide_possible_values(true)
        .value_parser(Reader::<T>::new(PRESET.to_owned(), presets));
    [preset].into_iter().chain(rows.map(option::<T>)).collect()
}

fn is_name(name: &str) -> bool {
    name == PRESET || table().iter().any(|row| row.name() == name)
}

// Batch files.

/// A table of a batch file, of which the keys that are parameters are put aside. What is left is of
/// the type that reads it.
pub struct WithParameters<'a, A> {
    /// The table.
    pub table: A,
    /// Where the parameters go.
    pub given: &'a mut Overrides,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithParameters<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        loop {
            match self.table.next_key_seed(Key(&mut seed))? {
                None => return Ok(None),
                Some(Found::Other(key)) => return Ok(Some(key)),
                Some(Found::Parameter(name)) => {
                    let given = &mut *self.given;
                    self.table.next_value_seed(Assign { given, name })?;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.table.next_value_seed(seed)
    }
}

/// Reads a key: the name of a parameter, or what the inner seed makes of it.
struct Key<'a, K>(&'a mut Option<K>);

enum Found<T> {
    Parameter(String),
    Other(T),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<'_, K> {
    type Value = Found<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        let name = <String as serde::Deserialize>::deserialize(from)?;
        if is_name(&name) {
            return Ok(Found::Parameter(name));
        }
        let unknown = || {
            let command = Options::augment_args(clap::Command::new(""));
            let known = command.get_arguments().filter_map(Arg::get_long);
            let hint = did_you_mean(&name, known.chain(["content", "name"]));
            D::Error::custom(format!(
                "there is no option {name}: see stylefleet run --help{hint}"
            ))
        };
        let seed = self.0.take().ok_or_else(unknown)?;
        let key = name.as_str().into_deserializer();
        let other = seed.deserialize::<serde::de::value::StrDeserializer<'_, D::Error>>(key);
        other.map(Found::Other).map_err(|_| unknown())
    }
}

/// Reads a parameter's value.
struct Assign<'a> {
    given: &'a mut Overrides,
    name: String,
}

impl<'de> DeserializeSeed<'de> for Assign<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let written = from.deserialize_any(Written)?;
        self.given
            .give(&self.name, &written)
            .map(drop)
            .map_err(D::Error::custom)
    }
}

/// Reads a value as the command line would have it: text, a number, true or false.
struct Written;

impl Visitor<'_> for Written {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false")
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }
}

// The manual.

/// The default preset in full, the others where they differ from it.
pub fn presets() -> String {
    let usual = Preset::default().parameters().show();
    let mut text = String::new();
    for &preset in Preset::ALL {
        text += &format!("  {}\n", preset.word());
        let rows = table().iter().zip(preset.parameters().show());
        for ((row, (_, value)), (_, usual)) in rows.zip(&usual) {
            if preset == Preset::default() || value != *usual {
                text += &format!("    {:20} {value}\n", row.name());
            }
        }
    }
    text
}

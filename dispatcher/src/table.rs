//! The tables of parameters as options of the command line.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use clap::builder::{PossibleValue, StyledStr, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};
use stylefleet_model::Parameter;

/// What was given of a table, or of some of its rows.
pub trait Table: Default {
    /// The options that give it.
    fn options() -> Vec<Arg>;

    /// Gives the parameter of that name what is written; false if there is none.
    fn give(&mut self, name: &str, written: &str) -> Result<bool, String>;
}

/// What the command line gave of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableArgs<T>(pub T);

impl<T> Deref for TableArgs<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for TableArgs<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Table> clap::Args for TableArgs<T> {
    fn augment_args(command: Command) -> Command {
        command.args(T::options())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Table> clap::FromArgMatches for TableArgs<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self(T::default());
        given.update_from_arg_matches(matches)?;
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for option in T::options() {
            let name = option.get_id().as_str();
            if let Some(written) = matches.get_one::<String>(name) {
                self.give(name, written)
                    .map_err(|reason| clap::Error::raw(ErrorKind::ValueValidation, reason))?;
            }
        }
        Ok(())
    }
}

/// The option that sets a parameter of `T`.
pub fn option<T: Table + Clone + 'static>(row: &Parameter) -> Arg {
    let brief = row.brief();
    let paragraphs: Vec<_> = [brief.clone()].into_iter().chain(row.details()).collect();
    let words = row.choices.iter().flat_map(|words| words.split(", "));
    let words = words.map(str::to_owned);
    let option = Arg::new(row.name())
        .long(row.name())
        .aliases(row.aliases)
        .value_name(row.value)
        .help(brief)
        .help_heading(row.heading.title())
        .hide_possible_values(true)
        .value_parser(Reader::<T>::new(row.name(), words));
    let option = if paragraphs.len() > 1 {
        option.long_help(StyledStr::from(paragraphs.join("\n\n")))
    } else {
        option
    };
    if row.is_flag {
        option
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
    } else {
        option
    }
}

/// Keeps what is written for a parameter of `T`, if it can be read.
#[derive(Clone)]
pub struct Reader<T> {
    name: String,
    words: Vec<String>,
    table: PhantomData<fn() -> T>,
}

impl<T> Reader<T> {
    /// Of the parameter of that name. Shells complete it to one of `words`, if there are any.
    pub fn new(name: String, words: impl IntoIterator<Item = String>) -> Self {
        Self {
            name,
            words: words.into_iter().collect(),
            table: PhantomData,
        }
    }
}

impl<T: Table + Clone + 'static> TypedValueParser for Reader<T> {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        option: Option<&Arg>,
        written: &OsStr,
    ) -> Result<String, clap::Error> {
        let name = self.name.clone();
        let read = move |written: &str| {
            let read = T::default().give(&name, written);
            read.map(|_| written.to_owned())
        };
        read.parse_ref(command, option, written)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = self.words.iter().map(PossibleValue::new);
        (!self.words.is_empty()).then(|| Box::new(words) as _)
    }
}

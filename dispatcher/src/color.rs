//! Colours: clap's, in help and complaints, and those of the log.

use std::ffi::OsString;
use std::io::stderr;

use anstream::{AutoStream, ColorChoice};
use clap::{Arg, ValueEnum};

/// The option that says when there are colours.
const NAME: &str = "color";

/// When there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR or CLICOLOR=0 is set; elsewhere with CLICOLOR_FORCE=1
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The option of every command.
pub fn option() -> Arg {
    Arg::new(NAME)
        .long(NAME)
        .global(true)
        .value_name("WHEN")
        .value_parser(clap::value_parser!(Color))
        .hide_possible_values(true)
        .help("Colours: always, never or auto, on a terminal without NO_COLOR [default: auto]")
}

/// Holds to what the arguments say. They are not parsed yet: what is said of them may be coloured.
pub fn settle(args: impl IntoIterator<Item = OsString>) {
    let choice = match wanted(args) {
        Some(Color::Always) => ColorChoice::Always,
        Some(Color::Never) => ColorChoice::Never,
        Some(Color::Auto) | None => ColorChoice::Auto,
    };
    choice.write_global();
}

/// Whether the log is coloured.
pub fn is_for_log() -> bool {
    AutoStream::choice(&stderr()) != ColorChoice::Never
}

/// The last one given, as clap has it.
fn wanted(args: impl IntoIterator<Item = OsString>) -> Option<Color> {
    let mut wanted = None;
    let args = args
        .into_iter()
        .map(|arg| arg.to_string_lossy().into_owned());
    let mut args = args.take_while(|arg| arg != "--");
    while let Some(arg) = args.next() {
        let value = match arg.strip_prefix("--color") {
            Some("") => args.next(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        let color = value.and_then(|value| Color::from_str(&value, false).ok());
        wanted = color.or(wanted);
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_as_the_arguments_say() {
        for (args, color) in [
            ("run a.png", None),
            ("run --color never a.png", Some(Color::Never)),
            ("--color=always run", Some(Color::Always)),
            ("--color=always run --color auto", Some(Color::Auto)),
            ("--color=sometimes", None),
            ("--colors=always", None),
            ("run -- --color=always", None),
            ("run --color", None),
        ] {
            let args = args.split(' ').map(OsString::from);
            assert_eq!(wanted(args.clone()), color, "{args:?}");
        }
    }
}

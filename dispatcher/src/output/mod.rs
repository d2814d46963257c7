//! What people, and the programs they write, see of a run.

mod bars;
mod json;
mod news;
mod plain;
mod words;

use std::io::IsTerminal;

pub use news::{News, Position};

/// Where news goes.
pub trait Output {
    /// Shows it.
    fn show(&mut self, news: &News<'_>);
}

/// JSON if asked for, or else live bars on a terminal, or else lines. `pictures` are to come.
pub fn open(json: bool, pictures: usize) -> Box<dyn Output> {
    if json {
        Box::new(json::Json)
    } else if std::io::stderr().is_terminal() {
        Box::new(bars::Bars::new(pictures))
    } else {
        Box::new(plain::Plain::default())
    }
}

//! What people, and the programs they write, see of a run.

mod bars;
mod json;
mod news;
mod plain;
mod words;

use std::io::{IsTerminal, Write};

use serde::Serialize;

pub use news::{Files, News};
pub use words::{Line, ago, duration, figure, left_as_it_is, listed, of_video, short, standing};

/// Standard error, for a log: lines go beside the bars on a terminal.
#[derive(Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        bars::beside_bars(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Where news goes.
pub trait Output {
    /// Shows it.
    fn show(&mut self, news: &News<'_>);

    /// Says what is no news of a result, to people.
    fn remark(&mut self, text: &str) {
        Line::Remark(text.to_owned()).print();
    }
}

/// JSON if asked for, or else lines.
pub fn lines(json: bool) -> Box<dyn Output> {
    if json {
        Box::new(json::Json)
    } else {
        Box::new(plain::Plain::default())
    }
}

/// Prints an answer: as one JSON document if asked for, or else by `print`, for people.
pub fn answer<T: Serialize>(answer: &T, json: bool, print: impl FnOnce(&T)) {
    if !json {
        return print(answer);
    }
    if let Ok(json) = serde_json::to_string_pretty(answer) {
        // A reader that is gone reads no complaint either.
        let _ = writeln!(std::io::stdout(), "{json}");
    }
}

/// Rows of text with their columns aligned; the last column may be of any length.
pub fn table<const N: usize>(rows: &[[String; N]]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths);
        let padded: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        Line::Result(padded.join("  ").trim_end().to_owned()).print();
    }
}

/// JSON if asked for, or else live bars on a terminal, or else lines. `results` are to come.
pub fn open(json: bool, results: usize) -> Box<dyn Output> {
    if !json && std::io::stderr().is_terminal() {
        Box::new(bars::Bars::new(results))
    } else {
        lines(json)
    }
}

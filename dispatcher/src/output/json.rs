//! One JSON object per event, one a line, on standard output.

use std::io::Write;

use super::{News, Output};

/// Output for programs.
#[derive(Debug)]
pub struct Json;

impl Output for Json {
    fn show(&mut self, news: &News<'_>) {
        if let Ok(line) = serde_json::to_string(news) {
            // A reader that is gone reads no complaint either.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}

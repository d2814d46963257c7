//! Batch files of every kind, thousands of them. tests/fuzz sends its own through the same door.

use std::io::Write;

use crate::asking::options::Options;
use crate::asking::plan::{Asked, Plan};

/// Reads a batch file and plans what it asks for. Whatever it says, nothing panics; what is wrong
/// with it is said in one line.
pub fn batch_file(text: &str) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("writes");
    let planned = Asked::read(Options::default(), Some(file.path())).and_then(|mut asked| {
        for contents in asked.contents() {
            // No glob is to lead through this machine.
            contents.clear();
            contents.push("content.png".into());
        }
        Plan::new(asked)
    });
    match planned {
        Ok(plan) => {
            let mut names: Vec<_> = plan.pictures.iter().map(|p| p.name.as_ref()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), plan.pictures.len(), "no two share a name");
        }
        Err(error) => {
            let message = error.to_string();
            let (_, complaint) = message
                .split_once(&format!("{}:", file.path().display()))
                .expect("names the file");
            let (line, reason) = complaint.split_once(": ").expect("names the line");
            let line: usize = line.parse().expect("a number");
            assert!((1..=text.matches('\n').count() + 1).contains(&line), "{message}");
            assert!(!reason.is_empty(), "{message}");
            assert_eq!(message.lines().count(), 1, "{message:?}");
        }
    }
}

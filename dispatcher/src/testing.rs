//! What tests of other crates look at.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use std::path::Path;

use crate::images::buckets::Listings;
use crate::stylize::batch_file::BatchFile;
use crate::stylize::options::Options;
use crate::stylize::plan::{Asked, PicturePlan, PlanError};

/// Where a batch file seems to lie.
const FILE: &str = "batch.toml";

/// Reads a batch file of pictures and plans what it asks for. Whatever it says, nothing panics;
/// what is wrong with it is said in one line.
pub fn batch_file(text: &str) {
    let path = Path::new(FILE);
    let planned = BatchFile::of_text(text, path)
        .map_err(PlanError::from)
        .and_then(|file| {
            let mut asked = Asked::of_file(Options::default(), file, path);
            for content in asked.contents() {
                // No pattern is to lead through this machine.
                *content = "content.png".into();
            }
            PicturePlan::new(asked, &Listings::new())
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
                .split_once(&format!("{FILE}:"))
                .expect("names the file");
            let (line, reason) = complaint.split_once(": ").expect("names the line");
            let line: usize = line.parse().expect("a number");
            assert!(
                (1..=text.matches('\n').count() + 1).contains(&line),
                "{message}"
            );
            assert!(!reason.is_empty(), "{message}");
            assert_eq!(message.lines().count(), 1, "{message:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Lines that a file may be made of.
    fn lines() -> impl Strategy<Value = String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/batch_files");
        let files = std::fs::read_dir(folder).expect("has seeds");
        let read = |file: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(file.expect("an entry").path()).expect("reads")
        };
        let seeds: String = files.map(read).collect();
        let whole: Vec<_> = seeds.lines().map(str::to_owned).collect();
        let settings = whole.iter().filter_map(|line| line.split_once(" = "));
        let (keys, mut values): (Vec<_>, Vec<_>) = settings
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .unzip();
        let odd = [
            "0",
            "-1",
            "1",
            "0.0",
            "-0.0",
            "nan",
            "inf",
            "1e999",
            "true",
            "\"\"",
            "\"\\n\"",
            "[]",
            "{}",
            "\"style:0\"",
            "\"16x16384\"",
            "[\"\"]",
            "9223372036854775807",
        ];
        values.extend(odd.map(str::to_owned));
        prop_oneof![
            3 => (select(keys), select(values)).prop_map(|(key, value)| format!("{key} = {value}")),
            2 => select(whole),
            1 => Just("[[job]]\ncontent = 'a'\nstyle = 'b'".to_owned()),
            1 => "\\PC{0,20}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn no_batch_file_does_harm(
            begins in any::<bool>(),
            lines in vec(lines(), 0..6),
            end in select(vec!["\n", "\r\n", " "]),
        ) {
            let job = if begins { "[[job]]\ncontent = 'a'\nstyle = 'b'\n" } else { "" };
            batch_file(&format!("{job}{}", lines.join(end)));
        }
    }
}

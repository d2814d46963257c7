//! Documents that follow from the code are what the code says.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;

use stylefleet_model::stylize::{Preset, table};
use stylefleet_model::trained::{Header, Layout};
use stylefleet_model::{Choice, Heading, Parameter, Validate, train};

/// The page about parameters.
fn parameters() -> String {
    let mut page = String::from(
        "# Parameters\n\n\
         Every parameter of a picture: an option of `stylefleet run` and `stylefleet submit`, a\n\
         key of batch files, and, with underscores for hyphens, a field of messages and records.\n\
         This page follows from the tables in `proto/model/src/stylize/table.rs` and\n\
         `proto/model/src/train/table.rs`.\n",
    );
    for heading in [Heading::Picture, Heading::Objective, Heading::Effort] {
        writeln!(page, "\n## {}\n", heading.title()).expect("writes");
        list(
            &mut page,
            table().iter().filter(|row| row.heading == heading),
        );
    }
    writeln!(page, "\n## {}\n", Heading::Training.title()).expect("writes");
    let others = train::objective().filter(|row| row.heading != Heading::Objective);
    let others: Vec<_> = others.map(|row| format!("`--{}`", row.name())).collect();
    writeln!(
        page,
        "Networks are trained with `stylefleet train` and `stylefleet submit-train`, which take\n\
         the parameters under \"{}\", `--preset`, {}, and:\n",
        Heading::Objective.title(),
        others.join(", ")
    )
    .expect("writes");
    list(&mut page, train::table().iter());
    page += "\n## Presets\n\nWhere they differ:\n\n";
    let presets: Vec<_> = Preset::ALL
        .iter()
        .map(|preset| preset.parameters().show())
        .collect();
    let names: Vec<_> = Preset::ALL.iter().map(|preset| preset.word()).collect();
    writeln!(
        page,
        "| | {} |\n| --- |{}",
        names.join(" | "),
        " --- |".repeat(names.len())
    )
    .expect("writes");
    for (index, row) in table().iter().enumerate() {
        if row.default.is_none() {
            let values: Vec<_> = presets
                .iter()
                .map(|shown| shown[index].1.replace(',', ", "))
                .collect();
            writeln!(page, "| {} | {} |", row.name(), values.join(" | ")).expect("writes");
        }
    }
    page
}

/// Describes each row in a paragraph or more.
fn list<'a>(page: &mut String, rows: impl Iterator<Item = &'a Parameter>) {
    for row in rows {
        writeln!(page, "**`--{} {}`** {}", row.name(), row.value, row.brief()).expect("writes");
        for paragraph in row.details() {
            writeln!(page, "\n{paragraph}").expect("writes");
        }
        page.push('\n');
    }
    page.pop();
}

/// With STYLEFLEET_WRITE_DOCUMENTS in the environment it writes the page anew.
#[test]
fn the_page_about_parameters_follows_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PARAMETERS.md");
    let page = parameters();
    if std::env::var_os("STYLEFLEET_WRITE_DOCUMENTS").is_some() {
        std::fs::write(&path, &page).expect("writes");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/PARAMETERS.md is not what the table says: STYLEFLEET_WRITE_DOCUMENTS=1 cargo test \
         --release --workspace --test documents"
    );
}

/// Its header is one, and its table names the convolutions that the header implies.
#[test]
fn the_page_about_models_describes_their_files() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/MODELS.md");
    let page = std::fs::read_to_string(path).expect("is there");
    let json = page
        .split("```json")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let header: Header = serde_json::from_str(json.expect("has a header")).expect("is one");
    header.validate().expect("is valid");
    assert!(page.contains(&format!("`{}`", header.layout.word())) && Layout::ALL.len() == 1);
    let width = |side: usize| match side.checked_div(32) {
        Some(1) if side == 32 => "W".to_owned(),
        Some(times @ 2..) => format!("{times} W"),
        _ => side.to_string(),
    };
    let weights = header.shapes().into_iter().filter_map(|(name, shape)| {
        let name = name.strip_suffix(".weight")?.to_owned();
        let sides: Vec<_> = shape.into_iter().map(width).collect();
        Some((name, sides.join(", ")))
    });
    for (name, shape) in weights {
        let row = match name.strip_prefix("residual.") {
            Some(of_block) => {
                let place = of_block.split('.').nth(1).expect("two numbers");
                format!("| `residual.N.{place}`, N = 1 to 5 | {shape} |")
            }
            None => format!("| `{name}` | {shape} |"),
        };
        assert!(page.contains(&row), "{row}");
    }
}

//! What the page's script reads. Field by field, `report.js` knows these names.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use stylefleet_fleet::state::State;
use stylefleet_proto::{Curve, Figures, JobId, Labels};

/// All that a report shows.
#[derive(Debug, Serialize)]
pub struct Document {
    pub title: String,
    /// Of the program that wrote it.
    pub version: &'static str,
    /// When the jobs were submitted, and when the report was made: seconds since 1970.
    pub submitted: u64,
    pub made: u64,
    /// In the order of the batch.
    pub results: Vec<Entry>,
    /// What [`File::picture`] counts.
    pub pictures: Vec<Picture>,
}

/// A result.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub name: String,
    pub job: JobId,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub labels: Labels,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// Names and values.
    pub parameters: Vec<(String, String)>,
    pub inputs: Vec<File>,
    /// Inputs that are not listed, for they are many.
    pub more_inputs: usize,
    pub outputs: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Curve>,
}

/// What a finished job came to.
#[derive(Debug, Serialize)]
pub struct Made {
    pub seconds: f64,
    pub steps: u64,
    pub attempt: u32,
    pub device: String,
    pub figures: Figures,
    pub notes: Vec<String>,
    pub made_with: BTreeMap<String, String>,
}

/// A file that a job worked on or made.
#[derive(Debug, Serialize)]
pub struct File {
    pub role: String,
    pub name: String,
    /// A reference to it: relative, or with the scheme `file` or `s3`.
    pub link: String,
    /// Which picture it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<usize>,
}

/// A picture: JPEG files in Base64.
#[derive(Debug, Default, Serialize)]
pub struct Picture {
    /// For the gallery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub small: Option<String>,
    /// To look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub large: Option<String>,
    /// Pixels of the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<(u32, u32)>,
    /// Why it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A specification of any kind, value by value: `size.exact.width`, `90`.
pub fn parameters(specification: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    flatten("", specification, &mut rows);
    rows
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let text = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = match path {
                    // They stand for themselves.
                    "" | "parameters" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                flatten(&path, value, rows);
            }
            return;
        }
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    rows.push((path.to_owned(), text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_listed_value_by_value() {
        let specification = serde_json::json!({
            "parameters": {"seed": 7, "size": {"exact": {"width": 90}}, "stop": null},
            "weights": [1.0, 2.0],
            "format": "png",
        });
        let mut rows = parameters(&specification);
        rows.sort();
        let row = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            rows,
            [
                row("format", "png"),
                row("seed", "7"),
                row("size.exact.width", "90"),
                row("stop", "none"),
                row("weights", "[1.0,2.0]"),
            ]
        );
    }
}

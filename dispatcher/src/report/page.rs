//! One file of HTML, with its style, its script and its data.
//!
//! Names come from anywhere. They are in the data alone, which nothing executes, and the script
//! writes them as text. Beside that, the policy lets only this script and this style work, and
//! nothing load from anywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::document::Document;

const PAGE: &str = include_str!("report.html");
const STYLE: &str = concat!(
    include_str!("../../dashboard/web/widgets.css"),
    include_str!("report.css")
);
/// The dashboard's widgets, each after those that it imports, and what the report does with them.
const MODULES: [&str; 6] = [
    include_str!("../../dashboard/web/dom.js"),
    include_str!("../../dashboard/web/format.js"),
    include_str!("../../dashboard/web/widgets/zoom.js"),
    include_str!("../../dashboard/web/widgets/compare.js"),
    include_str!("../../dashboard/web/widgets/chart.js"),
    include_str!("report.js"),
];

/// What every report begins with, and nothing else does.
const MARK: &str = "<!doctype html>\n<!-- A report of Stylefleet -->\n";

/// Whether a file is a report.
pub fn is_report(file: &[u8]) -> bool {
    file.starts_with(MARK.as_bytes())
}

/// All modules as one: there is nothing to import from within a file.
fn script() -> String {
    let lines = MODULES.iter().flat_map(|module| module.lines());
    let lines = lines.filter(|line| !line.starts_with("import "));
    let lines = lines.flat_map(|line| [line.strip_prefix("export ").unwrap_or(line), "\n"]);
    lines.collect()
}

/// The page.
pub fn html(document: &Document) -> Result<String, serde_json::Error> {
    let script = script();
    let policy = format!(
        "default-src 'none'; img-src data:; style-src '{}'; script-src '{}'; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(&script)
    );
    // No tag begins within the data, whatever is in it.
    let data = serde_json::to_string(document)?.replace('<', "\\u003c");
    let mut page = String::with_capacity(MARK.len() + PAGE.len() + data.len() + (1 << 16));
    page += MARK;
    let mut rest = PAGE;
    for (place, text) in [
        ("{policy}", policy.as_str()),
        ("{style}", STYLE),
        ("{data}", data.as_str()),
        ("{script}", &script),
    ] {
        // In this order; what was filled in is not looked at again.
        if let Some((before, after)) = rest.split_once(place) {
            page += before;
            page += text;
            rest = after;
        }
    }
    page += rest;
    Ok(page)
}

/// How a policy names a text.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use stylefleet_fleet::state::State;
    use stylefleet_proto::Labels;

    use super::super::document::Entry;
    use super::*;

    fn document(name: &str) -> Document {
        let entry = Entry {
            name: name.to_owned(),
            job: "1".repeat(64).parse().expect("an id"),
            state: State::Failed,
            kind: None,
            labels: Labels::default().with(name, name),
            reason: Some(name.to_owned()),
            made: None,
            parameters: Vec::new(),
            inputs: Vec::new(),
            more_inputs: 0,
            outputs: Vec::new(),
            curve: None,
        };
        Document {
            title: name.to_owned(),
            version: "1.2.3",
            submitted: 0,
            made: 1,
            results: vec![entry],
            pictures: Vec::new(),
        }
    }

    #[test]
    fn everything_is_filled_in_once() {
        let page = html(&document("{script}{style}")).expect("is put together");
        assert!(is_report(page.as_bytes()) && !is_report(b"<!doctype html>"));
        assert_eq!(page.matches(STYLE).count(), 1);
        assert_eq!(page.matches(&script()).count(), 1);
        assert!(page.contains(&hash(&script())) && page.contains(&hash(STYLE)));
        assert!(!page.contains("{policy}") && !page.contains("{data}"));
        assert!(page.trim_end().ends_with("</html>"));
    }

    #[test]
    fn hostile_names_stay_within_the_data() {
        let name = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>";
        let plain = html(&document("plain")).expect("is put together");
        let hostile = html(&document(name)).expect("is put together");
        assert_eq!(hostile.matches('<').count(), plain.matches('<').count());
        let data = hostile.split("type=\"application/json\">").nth(1);
        let data = data.and_then(|rest| rest.split("</script>").next());
        let data: serde_json::Value = serde_json::from_str(data.expect("is there")).expect("JSON");
        assert_eq!(data["results"][0]["name"], name);
    }

    #[test]
    fn the_script_writes_names_as_text_and_loads_nothing() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!script().contains(word), "{word}");
        }
        let page = html(&document("plain")).expect("is put together");
        for word in ["http://", "https://", "src=\"", "@import", "url("] {
            // The name of SVG's elements looks like an address, and is none.
            let page = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(word), "{word}");
        }
    }
}

//! Documents that follow from the code are what the code says.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use stylefleet_model::stylize::{Preset, table};
use stylefleet_model::trained::{Header, Layout};
use stylefleet_model::{Choice, Heading, Parameter, Validate, train, video};
use stylefleet_proto::metrics::{self, Metric, Shape};
use stylefleet_tests::services::{curl, root};
use stylefleet_tests::{Run, Scene, stylefleet, worker};

/// The page about parameters.
fn parameters() -> String {
    let mut page = String::from(
        "# Parameters\n\n\
         Every parameter of a picture: an option of `stylefleet run` and `stylefleet submit`, a\n\
         key of batch files, and, with underscores for hyphens, a field of messages and records.\n\
         This page follows from the tables `table.rs` in `proto/model/src/stylize`, `train` and\n\
         `video`.\n",
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
    writeln!(page, "\n## {}\n", Heading::Time.title()).expect("writes");
    page += "`stylefleet video` and `stylefleet submit-video` take all parameters of a picture\n\
             but `--format`, and, unless a network redraws the frames (`--model`), these:\n\n";
    list(&mut page, video::table().iter());
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

/// The page about metrics.
fn metrics() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         What Prometheus finds at `/metrics`. This page follows from the tables in\n\
         `proto/src/metrics.rs`. `deploy/dashboards` has alert rules and a dashboard for Grafana,\n\
         which also read RabbitMQ's own metrics.\n",
    );
    page += "\n## Workers\n\n\
             At the address in `STYLEFLEET_HEALTH`. Whatever is counted begins at 0 with the \
             worker.\n\n";
    list_metrics(&mut page, metrics::WORKER);
    page += "\n## The fleet\n\n\
             At `metrics` below the address of `stylefleet dashboard`, for whoever may \
             read there:\n\
             with a token, unless `--read-without-token` was given, Prometheus needs\n\
             `authorization: {credentials: TOKEN}` in its `scrape_configs`. They are what the\n\
             dashboard knows of the whole fleet at the time: of several dashboards, each \
             tells the\n\
             same.\n\n";
    list_metrics(&mut page, metrics::FLEET);
    page += "\n## Labels\n";
    let all = || metrics::WORKER.iter().chain(metrics::FLEET);
    let mut described = BTreeSet::new();
    for label in all().flat_map(|metric| metric.labels) {
        // One name may have several meanings.
        if !described.insert((label.name, label.help)) {
            continue;
        }
        writeln!(page, "\n**`{}`**: {}", label.name, label.help).expect("writes");
        for (index, (value, meaning)) in label.values.iter().enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            writeln!(page, "{gap}- `{value}`: {meaning}").expect("writes");
        }
    }
    page += "\n## Buckets\n\n\
             The upper bounds of histograms, before `+Inf`:\n\n";
    for metric in all() {
        if let Shape::Histogram(bounds) = metric.shape {
            let bounds: Vec<_> = bounds.iter().map(f64::to_string).collect();
            writeln!(page, "- `{}`: {}", metric.name, bounds.join(", ")).expect("writes");
        }
    }
    page
}

/// Describes each metric in a row of a table.
fn list_metrics(page: &mut String, metrics: &[Metric]) {
    page.push_str("| name | type | unit | labels | |\n| --- | --- | --- | --- | --- |\n");
    for metric in metrics {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{}`", label.name))
            .collect();
        let (name, shape, labels) = (metric.name, metric.shape.word(), labels.join(", "));
        let unit = metric.unit().unwrap_or_default();
        writeln!(
            page,
            "| `{name}` | {shape} | {unit} | {labels} | {} |",
            metric.help
        )
        .expect("writes");
    }
}

/// Fails unless `docs/{name}` is `page`. With STYLEFLEET_WRITE_DOCUMENTS in the environment it
/// writes it anew.
fn expect_page(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    if std::env::var_os("STYLEFLEET_WRITE_DOCUMENTS").is_some() {
        std::fs::write(&path, page).expect("writes");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/{name} is not what the code says: STYLEFLEET_WRITE_DOCUMENTS=1 cargo test \
         --release --workspace --test documents"
    );
}

#[test]
fn the_page_about_parameters_follows_from_the_table() {
    expect_page("PARAMETERS.md", &parameters());
}

#[test]
fn the_page_about_metrics_follows_from_the_table() {
    expect_page("METRICS.md", &metrics());
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

/// The page about commands: what the programs say of themselves.
fn reference() -> String {
    let mut page = String::from(
        "# Reference\n\n\
         Every command with its options, settings, exit codes, and the JSON that `--json` prints.\n\
         This page is what the programs say of themselves.\n\
         [PARAMETERS.md](PARAMETERS.md) explains the parameters of pictures,\n\
         [METRICS.md](METRICS.md) the metrics.\n",
    );
    page += "\n## stylefleet\n";
    describe(&mut page, &stylefleet(), &[]);
    page += "\n## stylefleet-worker\n";
    describe(&mut page, &worker(), &[]);
    writeln!(page, "\n### Settings of the worker\n").expect("writes");
    fenced(&mut page, "toml", &said(&worker(), &["settings"]));
    page += "\n## JSON documents\n\n\
             An example of each. Fields may be added, none goes away or changes its meaning\n\
             within a version of the contract.\n";
    page += "\n### Events: run, train, apply, submit, watch --json\n\nOne object a line.\n\n";
    let events = root().join("dispatcher/src/output/events.example.jsonl");
    fenced(
        &mut page,
        "json",
        &std::fs::read_to_string(events).expect("reads"),
    );
    let folder = root().join("dispatcher/fleet/tests/schema");
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("lists").collect();
    files.sort_by_key(|file| file.as_ref().expect("an entry").file_name());
    for file in files {
        let path = file.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        let title = name.replace('-', " ");
        writeln!(page, "\n### stylefleet {title} --json\n").expect("writes");
        fenced(
            &mut page,
            "json",
            &std::fs::read_to_string(&path).expect("reads"),
        );
    }
    page
}

/// The long help of a program's command, and of those below it.
fn describe(page: &mut String, program: &Path, command: &[&str]) {
    let help = said(program, &[command, &["--help"]].concat());
    if !command.is_empty() {
        let name = program.file_name().expect("a name").to_string_lossy();
        writeln!(page, "\n### {name} {}", command.join(" ")).expect("writes");
    }
    page.push('\n');
    fenced(page, "text", &help);
    let commands = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    // Each stands in a line of its own; what it is may go on in the next.
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for name in names.filter(|name| !name.is_empty() && *name != "help") {
        describe(page, program, &[command, &[name]].concat());
    }
}

/// What a program prints, where there is no terminal and nobody's settings.
fn said(program: &Path, args: &[&str]) -> String {
    let scene = Scene::new();
    let mut command = scene.command(program);
    command.args(args).env("COLUMNS", "100");
    let ended = Run::start(command).end().expect_code(0);
    ended.stdout.join("\n")
}

fn fenced(page: &mut String, language: &str, text: &str) {
    let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    writeln!(page, "```{language}\n{}\n```", lines.join("\n")).expect("writes");
}

#[test]
fn the_page_about_commands_is_what_they_say_of_themselves() {
    let page = reference();
    for words in [
        "Exit codes:",
        "STYLEFLEET_BROKER",
        "stylefleet dead retry",
        "checkpoint_seconds",
    ] {
        assert!(page.contains(words), "{words}");
    }
    expect_page("REFERENCE.md", &page);
}

#[test]
fn the_dashboards_api_is_described() {
    let scene = Scene::new();
    let mut command = scene.command(stylefleet());
    command.args(["dashboard", "--folder", "out", "--listen", "127.0.0.1:0"]);
    let mut dashboard = Run::start(command);
    let url = dashboard.wait_for_output();
    let description: serde_json::Value =
        serde_json::from_str(&curl(&[&format!("{url}api/openapi.json")])).expect("JSON");
    let mut page = serde_json::to_string_pretty(&description).expect("writes");
    page.push('\n');
    expect_page("openapi.json", &page);
}

/// The files of this checkout that match a pattern, from its root.
fn files(patterns: &[&str]) -> Vec<PathBuf> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others"])
        .args(["--exclude-standard", "--"])
        .args(patterns)
        .current_dir(root());
    let listed = list.output().expect("git");
    let paths = String::from_utf8(listed.stdout).expect("text");
    let files: Vec<_> = paths.split_terminator('\0').map(PathBuf::from).collect();
    assert!(files.len() > 10, "{list:?} finds {files:?}");
    files
}

/// What the headings of a page are called in links, as GitHub makes it of their words.
fn anchors(page: &str) -> HashSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().map(|c| if c == ' ' { '-' } else { c });
        kept.filter(|c| c.is_alphanumeric() || "-_".contains(*c))
            .collect()
    };
    headings.map(anchor).collect()
}

/// Where the links and the pictures of a page lead.
fn targets(page: &str) -> impl Iterator<Item = &str> {
    let links = page.split("](").skip(1).map(|rest| (rest, ')'));
    let pictures = page.split("src=\"").skip(1).map(|rest| (rest, '"'));
    links
        .chain(pictures)
        .filter_map(|(rest, end)| Some(rest.split_once(end)?.0))
}

#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let mut broken = Vec::new();
    for path in files(&["*.md"]) {
        let page = std::fs::read_to_string(root().join(&path)).expect("reads");
        for target in targets(&page).filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => root().join(&path),
                file => root().join(&path).parent().expect("a folder").join(file),
            };
            let is_there = match anchor {
                "" => file.exists(),
                anchor => {
                    std::fs::read_to_string(&file).is_ok_and(|page| anchors(&page).contains(anchor))
                }
            };
            if !is_there {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What our programs are made of, with texts that go on in the next line in one piece.
fn sources() -> String {
    let files = files(&["proto/*.rs", "dispatcher/*.rs", "worker/*.rs"]);
    let read = |path| std::fs::read_to_string(root().join(path)).expect("reads");
    let all: String = files.into_iter().map(read).collect();
    all.split("\\\n").map(str::trim_start).collect()
}

/// Messages stand there as programs say them, with `…` for whatever differs from case to case.
#[test]
fn the_table_of_failures_quotes_what_programs_say() {
    let page = std::fs::read_to_string(root().join("docs/OPERATIONS.md")).expect("reads");
    let sources = sources();
    let seen = page.lines().filter_map(|row| row.split(" | ").nth(1));
    let quoted: Vec<_> = seen
        .flat_map(|seen| seen.split('`').skip(1).step_by(2))
        .collect();
    let said = |quote: &&&str| {
        let mut parts = quote.split('…').map(str::trim);
        parts.all(|part| !part.contains(' ') || sources.contains(part))
    };
    let strange: Vec<_> = quoted.iter().filter(|quote| !said(quote)).collect();
    assert!(quoted.len() > 40 && strange.is_empty(), "{strange:#?}");
}

//! The arrows of the house: who may depend on whom.
//!
//! `model <- proto <- transport <- {fleet <- dashboard <- dispatcher, worker} <- tests`,
//! `model <- engine <- worker`, `formats <- {fleet, dashboard, dispatcher, engine}`,
//! `model <- video <- {dispatcher, engine}`,
//! `proto <- telemetry <- {fleet, dispatcher, worker}`; and what belongs in one place stays there:
//! libtorch in the engine, broker and S3 in the transport, OpenTelemetry in the telemetry, the
//! environment in config modules.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        // Without this, cargo would fetch what only other systems need.
        .other_options(vec![
            "--locked".to_owned(),
            "--filter-platform".to_owned(),
            format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
        ])
        .exec()
        .expect("cargo metadata")
});

/// Crates of tests, which may depend on everything.
const TESTS: [&str; 2] = ["stylefleet-counting", "stylefleet-tests"];

/// What each crate of the house may depend on in the house.
const ARROWS: [(&str, &[&str]); 13] = [
    ("stylefleet-formats", &[]),
    ("stylefleet-model", &[]),
    ("stylefleet-video", &["stylefleet-model"]),
    ("stylefleet-proto", &["stylefleet-model"]),
    ("stylefleet-telemetry", &["stylefleet-proto"]),
    (
        "stylefleet-transport",
        &["stylefleet-model", "stylefleet-proto"],
    ),
    (
        "stylefleet-fleet",
        &[
            "stylefleet-formats",
            "stylefleet-model",
            "stylefleet-proto",
            "stylefleet-telemetry",
            "stylefleet-transport",
        ],
    ),
    (
        "stylefleet-dashboard",
        &[
            "stylefleet-fleet",
            "stylefleet-formats",
            "stylefleet-proto",
            "stylefleet-transport",
        ],
    ),
    (
        "stylefleet-dispatcher",
        &[
            "stylefleet-dashboard",
            "stylefleet-fleet",
            "stylefleet-formats",
            "stylefleet-model",
            "stylefleet-proto",
            "stylefleet-telemetry",
            "stylefleet-transport",
            "stylefleet-video",
        ],
    ),
    (
        "stylefleet-engine",
        &["stylefleet-formats", "stylefleet-model", "stylefleet-video"],
    ),
    (
        "stylefleet-worker",
        &[
            "stylefleet-engine",
            "stylefleet-model",
            "stylefleet-proto",
            "stylefleet-telemetry",
            "stylefleet-transport",
        ],
    ),
    // The programs themselves.
    ("stylefleet", &["stylefleet-dispatcher", "stylefleet-proto"]),
    (
        "stylefleet-worker-program",
        &["stylefleet-proto", "stylefleet-worker"],
    ),
];

/// What a crate must not reach, however far away, and why. A name may end in `*`.
const OUT_OF_REACH: [(&str, &[&str], &str); 5] = [
    (
        "stylefleet-model",
        &["prost*", "tokio", "tempfile", "tch"],
        "the model knows no message, no I/O and no tensor",
    ),
    (
        "stylefleet-proto",
        &[
            "tokio",
            "mio",
            "socket2",
            "async-*",
            "hyper*",
            "reqwest",
            "lapin",
            "aws-*",
            "tempfile",
            "tch",
            "torch-sys",
        ],
        "the contract is pure: no I/O",
    ),
    (
        "stylefleet-video",
        &["tokio", "tch", "torch-sys", "prost*"],
        "videos know no job, no queue and no tensor",
    ),
    (
        "stylefleet-engine",
        &["tokio", "lapin", "aws-*", "prost*", "stylefleet-proto"],
        "the engine knows no queue, no store, no tokio",
    ),
    (
        "stylefleet-dispatcher",
        &["tch", "torch-sys", "stylefleet-engine"],
        "the dispatcher never links libtorch",
    ),
];

/// Crates that only some of the house may name in their manifests.
const RESERVED: [(&str, &[&str]); 7] = [
    // Tests need it to do what the transport would not: break the contract.
    ("lapin", &["stylefleet-transport", "stylefleet-tests"]),
    ("aws-*", &["stylefleet-transport"]),
    // Tests need what a collector is sent.
    (
        "opentelemetry*",
        &["stylefleet-telemetry", "stylefleet-tests"],
    ),
    ("tracing-opentelemetry", &["stylefleet-telemetry"]),
    ("tracing-subscriber", &["stylefleet-telemetry"]),
    ("tch", &["stylefleet-engine"]),
    // For the build scripts, which hear from it where libtorch is.
    (
        "torch-sys",
        &[
            "stylefleet-counting",
            "stylefleet-engine",
            "stylefleet-worker",
            "stylefleet-worker-program",
        ],
    ),
];

/// How kinds of jobs are named in code, in small letters.
const KINDS: [&str; 5] = ["stylize", "train::", "trained::", "apply::", "video::"];

/// Where kinds of jobs may be named: their own modules, where those are registered, and where what
/// they need is looked for.
const HOMES_OF_KINDS: [&str; 22] = [
    "dispatcher/src/apply",
    "dispatcher/src/apply.rs",
    "dispatcher/src/cli.rs",
    "dispatcher/src/commands/doctor.rs",
    "dispatcher/src/lib.rs",
    "dispatcher/src/models",
    "dispatcher/src/pictures.rs",
    "dispatcher/src/stylize",
    "dispatcher/src/stylize.rs",
    "dispatcher/src/testing.rs",
    "dispatcher/src/train",
    "dispatcher/src/train.rs",
    "dispatcher/src/video",
    "dispatcher/src/video.rs",
    "proto/model",
    "proto/src/parameters.rs",
    "proto/src/specification.rs",
    "proto/src/testing.rs",
    "proto/video",
    "worker/engine",
    "worker/src/kinds",
    "worker/src/kinds.rs",
];

/// Ways to read the environment.
const ENVIRONMENT: [&str; 6] = [
    "std::env",
    "env::var",
    "env::args",
    "Environment::",
    "from_default_env",
    "from_env",
];

#[test]
fn arrows_between_the_crates_run_one_way() {
    let mut violations = Vec::new();
    for package in METADATA.workspace_packages() {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| package.name == *name) else {
            if !TESTS.contains(&package.name.as_str()) {
                violations.push(format!(
                    "{}: give this crate a place in ARROWS",
                    package.name
                ));
            }
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if name.starts_with("stylefleet-") && !allowed.contains(&name) {
                violations.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
    none(violations);
}

#[test]
fn what_is_out_of_reach_is_not_reached() {
    let mut violations = Vec::new();
    for (package, forbidden, why) in OUT_OF_REACH {
        for path in paths_from(member(package)) {
            let reached = path.last().copied().unwrap_or_default();
            if path.len() > 1 && forbidden.iter().any(|name| matches(name, reached)) {
                violations.push(format!("{}: {why}", path.join(" -> ")));
            }
        }
    }
    none(violations);
}

#[test]
fn libtorch_broker_and_s3_are_named_only_where_they_belong() {
    let mut violations = Vec::new();
    for package in METADATA.workspace_packages() {
        for dependency in &package.dependencies {
            for (name, homes) in RESERVED {
                if matches(name, &dependency.name) && !homes.contains(&package.name.as_str()) {
                    violations.push(format!(
                        "{} depends on {}, which belongs to {} alone",
                        package.name,
                        dependency.name,
                        homes.join(" and ")
                    ));
                }
            }
        }
    }
    none(violations);
}

#[test]
fn tch_is_named_only_in_the_engine() {
    let mut violations = Vec::new();
    for (file, number, line) in source_lines() {
        if has_word(&line, "tch::") && !file.starts_with("worker/engine") {
            let place = file.display();
            violations.push(format!(
                "{place}:{number} names tch: only worker/engine may"
            ));
        }
    }
    none(violations);
}

/// Everything else takes jobs of any kind as they are.
#[test]
fn kinds_of_jobs_are_named_only_where_they_belong() {
    let mut violations = Vec::new();
    for (file, number, line) in source_lines() {
        let mut homes = HOMES_OF_KINDS.iter();
        let is_home = homes.any(|home| file.starts_with(home));
        let line = line.to_lowercase();
        if KINDS.iter().any(|kind| line.contains(kind)) && !is_home {
            let place = file.display();
            violations.push(format!("{place}:{number} knows a kind of job"));
        }
    }
    none(violations);
}

#[test]
fn the_environment_is_read_only_in_config_modules() {
    let mut violations = Vec::new();
    for (file, number, line) in source_lines() {
        let line = line.replace("std::env::consts", ""); // Known when this is compiled.
        let reads = ENVIRONMENT.iter().any(|word| has_word(&line, word));
        if reads && !file.ends_with("config.rs") {
            let place = file.display();
            violations.push(format!(
                "{place}:{number} reads the environment: only config.rs may"
            ));
        }
    }
    let clap = METADATA.packages.iter().find(|p| p.name == "clap");
    let node = clap.and_then(|clap| nodes().remove(&clap.id));
    if node.is_some_and(|node| node.features.iter().any(|f| f.as_str() == "env")) {
        violations.push("clap has its feature env: only config.rs may read it".to_owned());
    }
    none(violations);
}

/// Fails with one line a violation.
fn none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("is in the workspace").to_owned()
}

fn member(name: &str) -> &'static Package {
    let mut members = METADATA.workspace_packages().into_iter();
    let found = members.find(|package| package.name == name);
    found.unwrap_or_else(|| panic!("{name} is no crate of the workspace any more"))
}

/// Whether `name` is what `pattern` says: the same, or of the same beginning if it ends in `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

fn nodes() -> HashMap<&'static PackageId, &'static cargo_metadata::Node> {
    let resolve = METADATA.resolve.as_ref().expect("cargo resolved");
    resolve.nodes.iter().map(|node| (&node.id, node)).collect()
}

/// For every crate that is linked into `package`, a shortest path there, by names.
fn paths_from(package: &'static Package) -> Vec<Vec<&'static str>> {
    let nodes = nodes();
    let mut paths = vec![vec![package.name.as_str()]];
    let mut ends = vec![&package.id];
    let mut seen = BTreeSet::from([&package.id]);
    let mut next = 0;
    while next < ends.len() {
        for dependency in &nodes[ends[next]].deps {
            let kinds = &dependency.dep_kinds;
            let is_linked = kinds.iter().any(|k| k.kind == DependencyKind::Normal);
            if is_linked && seen.insert(&dependency.pkg) {
                let mut path = paths[next].clone();
                path.push(METADATA[&dependency.pkg].name.as_str());
                paths.push(path);
                ends.push(&dependency.pkg);
            }
        }
        next += 1;
    }
    paths
}

/// File, number from 1 and text of every line of code in the house, comments left out. Tests,
/// examples and build scripts are no part of it.
fn source_lines() -> Vec<(PathBuf, usize, String)> {
    let mut lines = Vec::new();
    for package in METADATA.workspace_packages() {
        if TESTS.contains(&package.name.as_str()) {
            continue;
        }
        let crate_root = package.manifest_path.parent().expect("has a folder");
        let mut files = Vec::new();
        gather(crate_root.join("src").as_std_path(), &mut files);
        assert!(!files.is_empty(), "{} has no source", package.name);
        let (mut of_crate, mut tests) = (Vec::new(), Vec::new());
        for file in files {
            read(&file, &mut of_crate, &mut tests);
        }
        of_crate.retain(|(file, ..)| !tests.contains(&file.with_extension("")));
        lines.extend(of_crate);
    }
    lines
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("lists a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// Reads a file up to its module of tests. Where such modules are files, their paths without
/// ending go to `tests`.
fn read(file: &Path, lines: &mut Vec<(PathBuf, usize, String)>, tests: &mut Vec<PathBuf>) {
    let text = fs::read_to_string(file).expect("reads a source");
    let place = file.strip_prefix(root()).expect("is in the house");
    let is_root = ["lib", "main", "mod"].map(|stem| place.ends_with(format!("{stem}.rs")));
    let children = if is_root.contains(&true) {
        place.parent().expect("has a folder").to_owned()
    } else {
        place.with_extension("")
    };
    let mut is_for_tests = false;
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default().trim();
        if is_for_tests && code.ends_with('{') {
            return; // Tests stand last.
        }
        let module = code
            .strip_suffix(';')
            .and_then(|code| code.split("mod ").nth(1));
        if let (true, Some(module)) = (is_for_tests, module) {
            tests.push(children.join(module));
        }
        is_for_tests = code == "#[cfg(test)]";
        lines.push((place.to_owned(), index + 1, code.to_owned()));
    }
}

/// Whether `line` has `word` where no longer word ends in it: `tch::` is not in `dispatch::`.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

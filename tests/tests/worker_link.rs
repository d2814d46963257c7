//! What the executables are linked with, and what the worker says of itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use stylefleet_proto::Digest;
use stylefleet_tests::{Run, Scene, skip, stylefleet, worker};

/// The dynamic section of an executable.
struct Dynamic {
    needed: Vec<String>,
    folders: Vec<PathBuf>,
}

/// None, visibly, where there is no readelf.
fn dynamic(program: &Path) -> Option<Dynamic> {
    let Ok(output) = Command::new("readelf").arg("-dW").arg(program).output() else {
        skip("what is linked", "there is no readelf: install binutils");
        return None;
    };
    let text = String::from_utf8(output.stdout).expect("readelf writes text");
    let values = |tag: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains(tag));
        let value = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
        lines.filter_map(value).collect()
    };
    let paths = [values("(RUNPATH)"), values("(RPATH)")].concat();
    Some(Dynamic {
        needed: values("(NEEDED)"),
        folders: paths
            .iter()
            .flat_map(|path| path.split(':'))
            .map(PathBuf::from)
            .collect(),
    })
}

/// CUDA costs a worker on a CPU a quarter of a GB where it is linked.
#[test]
fn the_worker_loads_cuda_only_where_it_is_asked_for() {
    let Some(worker) = dynamic(&worker()) else {
        return;
    };
    let needs = |part: &str| worker.needed.iter().any(|needed| needed.contains(part));
    assert!(needs("libtorch_cpu"), "{:?}", worker.needed);
    assert!(!needs("cuda"), "{:?}", worker.needed);

    // That it is loaded then, and that libtorch knows of it: without it, libtorch would complain
    // that it lacks the operation, not the driver. Where CUDA's half is not installed, how to get it.
    let report = report("cuda:0");
    if report["nvidia_driver"] == true {
        skip("CUDA without a driver", "there is one here");
    } else if report["cuda"] == true {
        let failures = report["failures"].to_string();
        assert!(failures.contains("no NVIDIA driver"), "{failures}");
    } else {
        let failures = report["failures"].to_string();
        assert!(failures.contains("setup.sh --cuda"), "{failures}");
    }
}

#[test]
fn the_worker_has_cuda_where_its_libtorch_has_it() {
    let Some(worker) = dynamic(&worker()) else {
        return;
    };
    let library = |folder: &PathBuf| folder.join("libtorch_cuda.so").exists();
    let comes_with_it = worker.folders.iter().any(library);
    assert_eq!(report("cpu")["cuda"], comes_with_it);
}

/// What the doctor says.
fn report(device: &str) -> Value {
    let scene = Scene::new();
    let mut command = scene.command(worker());
    command.args(["doctor", "--json", "--device", device]);
    let report = Run::start(command).end().stdout.join("\n");
    serde_json::from_str(&report).expect("one JSON document")
}

#[test]
fn the_dispatcher_is_not_linked_with_libtorch() {
    let Some(dispatcher) = dynamic(&stylefleet()) else {
        return;
    };
    assert!(!dispatcher.needed.is_empty(), "readelf told nothing");
    for library in &dispatcher.needed {
        let foreign = ["torch", "c10", "cuda"]
            .iter()
            .any(|part| library.contains(part));
        assert!(!foreign, "the dispatcher needs {library}");
    }
}

#[test]
fn the_doctor_says_what_the_worker_computes_with() {
    let scene = Scene::new();
    let doctor = |option: Option<&str>| {
        let mut command = scene.command(worker());
        command.args(["doctor", "--device", "cpu", "--threads", "1"]);
        Run::start({
            command.args(option);
            command
        })
        .end()
        .expect_code(0)
    };
    let report: Value =
        serde_json::from_str(&doctor(Some("--json")).stdout.join("\n")).expect("one JSON document");
    let text = |field: &str| {
        let value = report[field].as_str();
        value
            .unwrap_or_else(|| panic!("no {field} in {report}"))
            .to_owned()
    };
    assert_eq!(text("device"), "cpu");
    assert_eq!(report["threads"], 1);
    assert!(text("libtorch").starts_with("2."), "{report}");
    assert!(!text("cpu_capability").is_empty());
    let weights = std::fs::read(text("weights")).expect("the weights are where it says");
    assert_eq!(text("weights_sha256"), Digest::of(&weights).to_string());
    assert!(
        report["evaluation_seconds"]
            .as_f64()
            .is_some_and(|s| s > 0.0),
        "{report}"
    );
    assert_eq!(report["failures"], serde_json::json!([]));
    let lines = doctor(None).stdout;
    for (fact, value) in [
        ("device", "cpu"),
        ("libtorch", &text("libtorch")),
        (
            "libtorch has cuda",
            if report["cuda"] == true { "yes" } else { "no" },
        ),
        ("threads", "1"),
        ("cpu capability", &text("cpu_capability")),
        ("network", "VGG19"),
        ("weights sha256", &text("weights_sha256")),
        ("one evaluation", " s at 256x256"),
    ] {
        let is_told = |line: &String| line.starts_with(fact) && line.ends_with(value);
        assert!(
            lines.iter().any(is_told),
            "{fact}: {value}, not in {lines:#?}"
        );
    }
}

#[test]
fn the_doctor_names_what_is_wrong_and_exits_1() {
    let scene = Scene::new();
    let mut command = scene.command(worker());
    command.args(["doctor", "--weights", "gone.safetensors"]);
    let ended = Run::start(command).end().expect_code(1);
    let failures: Vec<_> = ended
        .stdout
        .iter()
        .filter(|l| l.starts_with("FAILED"))
        .collect();
    assert_eq!(failures.len(), 1, "{}", ended.so_far());
    assert!(failures[0].contains("gone.safetensors"), "{failures:?}");
}

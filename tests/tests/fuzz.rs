//! The entries of tests/fuzz on a stable toolchain: the seeds, and thousands of mutations of them.
//! `make fuzz` has libFuzzer look for more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use prost::Message;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use stylefleet_model::apply::{Apply, Share};
use stylefleet_model::stylize::{Format, Init, KeepColors, Precision, Preset, Size, Stylize};
use stylefleet_model::train::{Photograph, Photographs, Train, Training};
use stylefleet_model::trained::{FORMAT, HEADER, Header, Layout, StyleName};
use stylefleet_proto::{
    Accepted, Asked, Delivery, Digest, Ended, Event, EventKind, Failure, Figures, Hello, Job,
    Labels, Manifest, ManifestEntry, Memory, Output, Progress, Pulse, Record, Role, Specification,
    Start, ToWorker, Update, Valid, testing, wire,
};

#[path = "../fuzz/entries.rs"]
mod entries;

/// Mutations of each kind of seed.
const CASES: u32 = 20_000;

/// What hits edges: of varints, of lengths, of UTF-8, of JSON.
const EDGES: [&[u8]; 12] = [
    &[0xff; 10],
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    &[0x80; 9],
    b"\x00\x00\x00\x00\x00\x00\xf8\x7f",
    b"\0\0\0\x02",
    b"\xed\xa0\x80",
    b"../",
    b"%2f@:/?#[]",
    b"1e999",
    b"-0.0",
    b"[[[[{\"\\ud800\":",
];

/// A change to a seed: where, and what.
type Edit = (Index, Change);

#[derive(Debug, Clone)]
enum Change {
    Set(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
    Cut,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let change = prop_oneof![
        4 => any::<u8>().prop_map(Change::Set),
        2 => vec(any::<u8>(), 1..5).prop_map(Change::Insert),
        2 => select(EDGES.to_vec()).prop_map(|edge| Change::Insert(edge.to_vec())),
        2 => (1..40_usize).prop_map(Change::Remove),
        1 => (1..40_usize).prop_map(Change::Repeat),
        1 => Just(Change::Cut),
    ];
    vec((any::<Index>(), change), 0..6)
}

/// A seed of an entry, changed, perhaps with another's end.
fn mutations(entry: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds: Vec<_> = read_seeds(entry).into_values().collect();
    let halves = (
        select(seeds.clone()),
        select(seeds),
        any::<Index>(),
        any::<bool>(),
    );
    (halves, edits()).prop_map(|((mut bytes, other, at, is_spliced), edits)| {
        if is_spliced {
            bytes.truncate(at.index(bytes.len() + 1));
            bytes.extend(&other[at.index(other.len() + 1)..]);
        }
        for (at, change) in edits {
            let at = at.index(bytes.len() + 1);
            let end = |length: usize| bytes.len().min(at + length);
            match change {
                Change::Set(byte) => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = byte),
                Change::Insert(inserted) => drop(bytes.splice(at..at, inserted)),
                Change::Remove(length) => drop(bytes.drain(at..end(length))),
                Change::Repeat(length) => bytes.extend_from_within(at..end(length)),
                Change::Cut => bytes.truncate(at),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn no_message_does_harm(bytes in mutations("messages")) {
        entries::messages(&bytes);
    }

    #[test]
    fn no_document_does_harm(bytes in mutations("documents")) {
        entries::documents(&bytes);
    }

    #[test]
    fn no_model_does_harm(bytes in mutations("models")) {
        entries::models(&bytes);
    }

    #[test]
    fn no_address_does_harm(bytes in mutations("addresses")) {
        entries::addresses(&String::from_utf8_lossy(&bytes));
    }
}

// The seeds.

fn folder(entry: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(entry)
}

fn read_seeds(entry: &str) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder(entry)).expect("has seeds");
    let seed = |file: std::io::Result<std::fs::DirEntry>| {
        let file = file.expect("an entry");
        let name = file.file_name().into_string().expect("a plain name");
        (name, std::fs::read(file.path()).expect("reads"))
    };
    files.map(seed).collect()
}

/// A job that sets whatever can be set.
fn job() -> Job {
    let mut parameters = Preset::Gatys.parameters();
    parameters.size = Size::Exact {
        width: 640,
        height: 480,
    };
    parameters.init = Init::Image;
    parameters.stop_below = Some(1.5);
    parameters.seed = u64::MAX;
    let weights = vec![0.5, 0.5];
    let specification = Valid::new(Stylize {
        weights,
        parameters,
    });
    let roles = [
        Stylize::content(),
        Stylize::style(0),
        Stylize::style(1),
        Stylize::mask(1),
        Stylize::start(),
    ];
    let input = |role: Role| testing::input(role.clone(), role.as_ref().as_bytes());
    let inputs = roles.map(input).into();
    let (batch, name) = ("b-1".parse(), "boat at sea".parse());
    let (batch, name) = (batch.expect("a batch"), name.expect("a name"));
    Job::new(batch, name, &specification.expect("is valid"), inputs).expect("a job")
}

fn style(name: &str) -> StyleName {
    name.parse().expect("a name")
}

fn train() -> Valid<Train> {
    let asked = Train {
        styles: vec![style("waves"), style("stars")],
        training: Training::default(),
        objective: Preset::Studio.parameters(),
    };
    Valid::new(asked).expect("is valid")
}

fn apply() -> Valid<Apply> {
    let share = |(name, weight)| Share {
        style: style(name),
        weight,
    };
    let asked = Apply {
        styles: [("waves", 0.25), ("stars", 0.75)].map(share).into(),
        size: Some(Size::Longest(640)),
        keep_colors: KeepColors::Luminance,
        format: Format::Jpeg,
        precision: Precision::Bf16,
    };
    Valid::new(asked).expect("is valid")
}

/// A job that asks for that, with all inputs that it may have.
fn job_of<S: Specification>(asked: &S) -> Job {
    let roles = asked.roles().into_iter().map(|rule| rule.role);
    let inputs = roles.map(|role| testing::input(role.clone(), role.as_ref().as_bytes()));
    let (batch, name) = ("b-1".parse(), "boat at sea".parse());
    let (batch, name) = (batch.expect("a batch"), name.expect("a name"));
    Job::new(batch, name, asked, inputs.collect()).expect("a job")
}

/// The beginning of a model file: a whole one is large.
fn model(metadata: Option<&str>) -> Vec<u8> {
    let bias = TensorView::new(Dtype::F32, vec![4], &[0; 16]).expect("has the bytes");
    let metadata = metadata.map(|header| [(HEADER.to_owned(), header.to_owned())].into());
    safetensors::serialize([("down.1.bias", bias)], metadata).expect("is written")
}

fn header() -> String {
    let header = Header {
        format: FORMAT,
        layout: Layout::Johnson,
        width: 4,
        styles: vec![style("waves"), style("stars")],
        objective: Some(Preset::Studio.parameters()),
        training: None,
        licence: "CC0-1.0".to_owned(),
    };
    json!(header).to_string()
}

fn progress() -> Progress {
    Progress {
        phase: "scale 2/2, 64x48".to_owned(),
        done: 3,
        total: 100,
        unit: "evaluations".to_owned(),
        steps: 103,
        figures: figures(),
        seconds_left: Some(2.5),
    }
}

fn figures() -> Figures {
    [("loss".to_owned(), 1e9), ("loss.tv".to_owned(), 1e-9)].into()
}

fn event_kinds() -> [(&'static str, EventKind); 8] {
    let text = || "a line".to_owned();
    let started = Update::Started {
        steps: 7,
        device: text(),
    };
    let finished = Ended::Finished {
        seconds: 1.5,
        steps: 9,
        figures: figures(),
    };
    let failed = Ended::Failed {
        retryable: true,
        reason: text(),
    };
    [
        ("started", started.into()),
        ("progress", Update::Progress(progress()).into()),
        ("note", Update::Note(text()).into()),
        ("previewed", Update::Previewed { steps: 50 }.into()),
        ("finished", finished.into()),
        ("failed", failed.into()),
        ("interrupted", Ended::Interrupted { steps: 5 }.into()),
        ("cancelled", Ended::Cancelled.into()),
    ]
}

/// What the contract says today, by entry and name.
fn contract() -> BTreeMap<(&'static str, String), Vec<u8>> {
    let job = job();
    let event = Event {
        job: job.id,
        worker: "worker".to_owned(),
        attempt: 2,
        unix_millis: 1_790_000_000_000,
        kind: progress(),
    };
    let pulse = Pulse {
        worker: "worker".to_owned(),
        device: "cpu".to_owned(),
        progress: Some(event.clone()),
        store: None,
        memory: Some(Memory {
            used: 1 << 30,
            size: 1 << 34,
        }),
    };
    let hello = Hello {
        worker: "worker".to_owned(),
        device: "cpu".to_owned(),
        cuda_devices: 2,
    };
    let delivery = ToWorker::Delivery(Box::new(Delivery {
        job: job.clone(),
        redelivered: true,
        abandoned: false,
    }));
    let delivery = wire::ToWorker::from(&delivery).encode_to_vec();
    let frame = |message: &[u8]| [&(message.len() as u32).to_be_bytes()[..], message].concat();
    let drain = wire::ToWorker::from(&ToWorker::Drain).encode_to_vec();
    let sent = |job: &Job| wire::Job::from(job).encode_to_vec();
    let mut seeds = vec![
        ("messages", "job", sent(&job)),
        ("messages", "job-train", sent(&job_of(&train()))),
        ("messages", "job-apply", sent(&job_of(&apply()))),
        ("messages", "asked-stylize", job.specification.clone()),
        ("messages", "asked-train", train().encode()),
        ("messages", "asked-apply", apply().encode()),
        ("models", "header", model(Some(&header()))),
        ("models", "no-header", model(None)),
        (
            "messages",
            "pulse",
            wire::Pulse::from(pulse).encode_to_vec(),
        ),
        (
            "messages",
            "hello",
            wire::Hello::from(hello).encode_to_vec(),
        ),
        (
            "messages",
            "frames",
            [frame(&delivery), frame(&drain)].concat(),
        ),
        ("messages", "delivery", delivery),
    ];
    for (name, kind) in event_kinds() {
        let event = event.clone().map(|_| kind);
        seeds.push(("messages", name, wire::Event::from(event).encode_to_vec()));
    }

    let entry = |name: &str| ManifestEntry {
        job: job.id,
        name: name.parse().expect("a name"),
        kind: Some(job.kind.clone()),
        labels: Labels::default().with("preset", "gatys"),
    };
    let manifest = Manifest {
        batch: job.batch.clone(),
        jobs: vec![entry("boat"), entry("boat-2")],
        unix_seconds: 1_790_000_000,
    };
    let accepted = Accepted {
        jobs: [job.id].into(),
    };
    let start = Start {
        job: job.id,
        worker: "worker".to_owned(),
        attempt: 2,
        steps: 3,
        deaths: 4,
        unix_millis: 1_790_000_000_000,
        asked: Some(Asked {
            kind: job.kind.clone(),
            inputs: job.inputs.clone(),
            specification: serde_json::json!({ "parameters": { "seed": 1 } }),
        }),
        exit_reason: Some("a line".to_owned()),
    };
    let failure = Failure {
        job: job.id,
        reason: "a line".to_owned(),
        attempts: 5,
    };
    let record = Record {
        job: job.id,
        kind: job.kind.clone(),
        inputs: job.inputs.clone(),
        specification: json!({"weights": [0.5, 0.5]}),
        outputs: vec![Output {
            role: "picture".parse().expect("a role"),
            key: "jobs/0/picture.0123456789abcdef.png".to_owned(),
            media_type: "image/png".to_owned(),
        }],
        seconds: 1.5,
        steps: 100,
        figures: figures(),
        attempt: 2,
        device: "cpu".to_owned(),
        notes: vec!["a note".to_owned()],
        made_with: [("stylefleet".to_owned(), "0.1.0".to_owned())].into(),
    };
    let photograph = |name: &str| Photograph {
        sha256: Digest::of(name.as_bytes()),
        name: name.parse().expect("a name"),
    };
    let photographs = Photographs {
        photographs: ["a", "b", "c", "d", "e", "f", "g", "h"]
            .map(photograph)
            .into(),
    };
    for (name, document) in [
        ("photographs", json!(photographs)),
        ("manifest", json!(manifest)),
        ("accepted", json!(accepted)),
        ("start", json!(start)),
        ("failure", json!(failure)),
        ("record", json!(record)),
    ] {
        seeds.push(("documents", name, document.to_string().into_bytes()));
    }
    let named = |(entry, name, bytes): (_, &str, _)| ((entry, name.to_owned()), bytes);
    seeds.into_iter().map(named).collect()
}

#[test]
fn the_seeds_are_what_the_contract_says_today() {
    for ((entry, name), bytes) in contract() {
        let written = std::fs::read(folder(entry).join(&name)).ok();
        assert!(
            written == Some(bytes),
            "seed {entry}/{name} is of an older contract: cargo test --release -p stylefleet-tests \
             --test fuzz -- --ignored"
        );
    }
}

#[test]
#[ignore = "writes the seeds anew"]
fn write_seeds() {
    for ((entry, name), bytes) in contract() {
        std::fs::create_dir_all(folder(entry)).expect("makes the folder");
        std::fs::write(folder(entry).join(name), bytes).expect("writes");
    }
}

//! What `--json` prints is a promise to programs that read it. Each document that this crate makes
//! has an example in `tests/schema`; a field that is renamed, removed or of another kind fails.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used)]

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stylefleet_fleet::activity::{Rates, WorkerStatus};
use stylefleet_fleet::cancel::Cancelled;
use stylefleet_fleet::dead::{Choice, DeadJobs, Decided};
use stylefleet_fleet::frames::VideoStatus;
use stylefleet_fleet::health::{Finding, Report, Subject, Verdict};
use stylefleet_fleet::queue::QueueStatus;
use stylefleet_fleet::state::State;
use stylefleet_fleet::status::{
    BatchList, BatchStatus, CheckpointStatus, Counts, DamagedBatch, JobStatus, OutputStatus,
    ResultStatus,
};
use stylefleet_proto::{Ended, Event, JobId, Output, Progress, Record, keys, testing};
use stylefleet_transport::broker::{Depths, DispatcherEnd, MemoryBroker, WorkerEnd};
use stylefleet_transport::store::{MemoryStore, Store};
use tokio_util::sync::CancellationToken;

/// A document's example.
fn example(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema");
    let text = std::fs::read_to_string(folder.join(name).with_extension("json"));
    serde_json::from_str(&text.expect("reads")).expect("JSON")
}

/// A part of an example that is a type of the contract.
fn part<T: DeserializeOwned>(example: &Value) -> T {
    serde_json::from_value(example.clone()).expect("is read")
}

/// Compares a document with its example, field by field.
fn compare(name: &str, document: &impl Serialize) {
    let document = serde_json::to_value(document).expect("is written");
    let mut differences = Vec::new();
    differ(name, &example(name), &document, &mut differences);
    assert!(
        differences.is_empty(),
        "{}\nwhat programs read has changed:\n{document:#}",
        differences.join("\n")
    );
}

/// Adds how `document` differs from `example` in the names and kinds of fields.
fn differ(place: &str, example: &Value, document: &Value, differences: &mut Vec<String>) {
    match (example, document) {
        (Value::Object(example), Value::Object(document)) => {
            for (field, value) in example {
                let place = format!("{place}.{field}");
                match document.get(field) {
                    Some(found) => differ(&place, value, found, differences),
                    None => differences.push(format!("{place} is gone")),
                }
            }
            let new = document
                .keys()
                .filter(|field| !example.contains_key(*field));
            differences.extend(new.map(|field| format!("{place}.{field} is not in the example")));
        }
        (Value::Array(example), Value::Array(document)) => {
            if example.len() != document.len() {
                differences.push(format!("{place} is of another length"));
            }
            for (index, (value, found)) in example.iter().zip(document).enumerate() {
                differ(&format!("{place}[{index}]"), value, found, differences);
            }
        }
        _ if kind(example) == kind(document) => {}
        _ => differences.push(format!(
            "{place} is {}, and was {}",
            kind(document),
            kind(example)
        )),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn job_id() -> JobId {
    "0123456789abcdef".repeat(4).parse().expect("an id")
}

fn batch_status() -> BatchStatus {
    BatchStatus {
        batch: "nightly".parse().expect("a batch"),
        unix_seconds: 1_790_000_000,
        results: 1,
        accepted: 1,
        states: Some(Counts::of(&[State::Done])),
        video: Some(VideoStatus {
            done: 96,
            total: 240,
            workers: 3,
            seconds_left: Some(840.5),
        }),
        jobs: Some(vec![ResultStatus {
            job: job_id(),
            name: "boat.wave".parse().expect("a name"),
            state: State::Done,
        }]),
        lost: Some(0),
    }
}

#[test]
fn status_of_batches() {
    let list = BatchList {
        batches: vec![BatchStatus {
            video: None,
            jobs: None,
            lost: None,
            ..batch_status()
        }],
        damaged: vec![DamagedBatch {
            batch: "damaged".parse().expect("a batch"),
            reason: "it is so".to_owned(),
        }],
    };
    compare("status-batches", &list);
}

#[test]
fn status_of_a_batch() {
    compare("status-batch", &batch_status());
}

#[test]
fn status_of_a_job() {
    let example = example("status-job");
    let record: Record = part(&example["record"]);
    record.check(&job_id()).expect("is valid");
    let output = |output: &Output| OutputStatus {
        role: output.role.clone(),
        location: output.key.clone(),
        media_type: output.media_type.clone(),
    };
    let status = JobStatus {
        job: job_id(),
        state: State::Done,
        batch: Some("nightly".parse().expect("a batch")),
        name: Some("boat.wave".parse().expect("a name")),
        outputs: record.outputs.iter().map(output).collect(),
        record: Some(record),
        failure: Some(part(&example["failure"])),
        started: Some(part(&example["started"])),
        checkpoint: Some(CheckpointStatus {
            bytes: 1,
            unix_seconds: 1_790_000_000,
        }),
    };
    compare("status-job", &status);
}

#[test]
fn words_of_states() {
    let words = [
        (State::Done, "done"),
        (State::Failed, "failed"),
        (State::Cancelled, "cancelled"),
        (State::Running, "running"),
        (State::Stopped, "stopped"),
        (State::Waiting, "waiting"),
        (State::NotAccepted, "not-accepted"),
        (State::Unknown, "unknown"),
    ];
    for (state, word) in words {
        assert_eq!(serde_json::to_value(state).expect("is written"), word);
    }
}

#[test]
fn queue() {
    let status = QueueStatus {
        waiting: Depths::default(),
        workers: vec![WorkerStatus {
            name: "worker-1".to_owned(),
            device: "cuda:0".to_owned(),
            job: Some(job_id()),
            progress: Some(Progress {
                phase: "scale 1/3, 512x341".to_owned(),
                unit: "evaluations".to_owned(),
                figures: [("loss".to_owned(), 1.0)].into(),
                seconds_left: Some(60.0),
                ..Progress::default()
            }),
            memory_bytes: Some(1),
            memory_size_bytes: Some(2),
        }],
        rates: Rates::default(),
        seconds_to_empty: Some(3600.0),
    };
    compare("queue", &status);
}

/// A dead job that was cancelled since, and a store that says so.
async fn dead_jobs() -> (DeadJobs, MemoryStore) {
    let job = testing::job("boat.wave", b"boat", b"wave");
    let (broker, store) = (MemoryBroker::default(), MemoryStore::default());
    let submitted = broker.submit(std::slice::from_ref(&job), &mut |_| {}).await;
    submitted.expect("submits");
    let claim = broker.claim(&CancellationToken::new()).await;
    let failed = Event {
        job: job.id,
        worker: "worker-1".to_owned(),
        attempt: 1,
        unix_millis: 1_790_000_000_000,
        kind: Ended::Failed {
            retryable: false,
            reason: "it is so".to_owned(),
        },
    };
    let settled = broker.settle(claim.expect("claims").expect("a job"), failed);
    settled.await.expect("settles");
    let marked = store.put(&keys::cancelled(&job.id), "".into()).await;
    marked.expect("writes");
    let dead = DeadJobs::take(&broker, &store).await;
    (dead.expect("takes"), store)
}

#[tokio::test]
async fn dead_list_and_dead_show() {
    let (dead, _) = dead_jobs().await;
    compare("dead-list", &dead.list());
    compare("dead-show", &dead.list().dead[0]);
}

#[tokio::test]
async fn dead_retry_and_drop() {
    let (mut dead, store) = dead_jobs().await;
    let chosen = dead.choose(&Choice::All).expect("chooses");
    let decided = dead.retry(&chosen, &store).await.expect("retries");
    let expected = Decided {
        retried: 1,
        ..Decided::default()
    };
    assert_eq!(decided, expected);
    compare("dead-retry", &decided);
}

#[test]
fn cancel() {
    compare("cancel", &Cancelled::default());
}

#[test]
fn doctor() {
    let finding = |of, verdict| Finding {
        of,
        verdict,
        text: "it is so".to_owned(),
    };
    let report = Report {
        findings: vec![
            finding(Subject::Store, Verdict::Ok),
            finding(Subject::Broker, Verdict::Remark),
            finding(Subject::Workers, Verdict::Problem),
            finding(Subject::Clocks, Verdict::Ok),
            finding(Subject::Ffmpeg, Verdict::Ok),
        ],
    };
    compare("doctor", &report);
    let words: Vec<_> = report.findings.iter().map(serde_json::to_value).collect();
    let words = words
        .into_iter()
        .map(|finding| finding.expect("is written"));
    let words: Vec<_> = words
        .map(|finding| format!("{} {}", finding["of"], finding["verdict"]))
        .collect();
    let expected = [
        r#""store" "ok""#,
        r#""broker" "remark""#,
        r#""workers" "problem""#,
        r#""clocks" "ok""#,
        r#""ffmpeg" "ok""#,
    ];
    assert_eq!(words, expected);
}

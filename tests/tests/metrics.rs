//! What real workers and a real dashboard tell Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use stylefleet_proto::metrics::{FLEET, Label, Metric, Reason, Shape, Stage, WORKER};
use stylefleet_proto::queues::JOBS;
use stylefleet_tests::amqp;
use stylefleet_tests::events::is;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::health::{Health, Metrics};
use stylefleet_tests::processes::wait_until;
use stylefleet_tests::services::{Services, root};
use stylefleet_tests::{Programs, Run, skip, stylefleet};
use tokio::runtime::Runtime;

/// A second of work.
const SHORT: &str = "--to 10 --pause 100";
/// Never over, unless somebody stops it.
const SLOW: &str = "--to 1000000 --pause 1000";

fn workshop() -> Workshop<'static> {
    let workshop = Workshop::of(Services::shared(), Programs::counting());
    for course in ["smooth", "fail"] {
        workshop.scene.write(course, course);
    }
    let flag = workshop.scene.path("stumbled");
    let stumble = format!("stumble {}", flag.display());
    workshop.scene.write("stumble", stumble);
    workshop
}

/// The metric that a series belongs to, if the table has it.
fn metric_of(table: &'static [Metric], series: &str) -> Option<&'static Metric> {
    let suffixes = ["", "_bucket", "_sum", "_count"];
    table.iter().find(|metric| {
        let rest = series.strip_prefix(metric.name);
        rest.is_some_and(|rest| match metric.shape {
            Shape::Histogram(_) => suffixes[1..].contains(&rest),
            _ => rest.is_empty(),
        })
    })
}

/// The labels of a series and their values.
fn labels_of(labels: &str) -> BTreeMap<&str, &str> {
    let labels = labels.trim_end_matches('}').split("\",");
    let labels = labels.filter(|label| !label.is_empty());
    let labels = labels.map(|label| label.split_once("=\"").expect("a value"));
    labels
        .map(|(name, value)| (name, value.trim_end_matches('"')))
        .collect()
}

/// Fails unless all that is told stands in the table: names, types, help, labels and their values.
fn expect_table(table: &'static [Metric], told: &Metrics) {
    for metric in table {
        let (name, word) = (metric.name, metric.shape.word());
        for line in [
            format!("# TYPE {name} {word}"),
            format!("# HELP {name} {}", metric.help),
        ] {
            assert!(
                told.text.lines().any(|there| there == line),
                "{line} is missing:\n{}",
                told.text
            );
        }
    }
    for (series, _) in told.samples() {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let metric =
            metric_of(table, name).unwrap_or_else(|| panic!("{series} is not in the table"));
        let mut labels = labels_of(labels);
        assert_eq!(labels.remove("le").is_some(), name.ends_with("_bucket"));
        let known: BTreeSet<_> = metric.labels.iter().map(|label| label.name).collect();
        assert_eq!(
            labels.keys().copied().collect::<BTreeSet<_>>(),
            known,
            "{series}"
        );
        for Label { name, values, .. } in metric.labels {
            let is_known =
                values.is_empty() || values.iter().any(|(word, _)| *word == labels[name]);
            assert!(is_known, "{series}: {name}");
        }
    }
}

/// Has Prometheus' own program look at them, if it is on this machine.
fn expect_conventions(told: &Metrics) {
    let script = root().join("deploy/check/promtool.sh");
    let found = Command::new(script).arg("--here").output().expect("runs");
    let promtool = String::from_utf8(found.stdout).expect("text");
    if promtool.is_empty() {
        return skip(
            "promtool check metrics",
            "`make deploy-check` brings promtool",
        );
    }
    let mut checking = Command::new(promtool.trim())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = checking.stdin.take().expect("is a pipe");
    let text = format!("{}\n", told.text);
    stdin.write_all(text.as_bytes()).expect("reads");
    drop(stdin);
    let checked = checking.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.is_empty(), "{said}{text}");
}

#[test]
fn a_worker_counts_what_it_does() {
    let workshop = workshop();
    let health = Health::at_a_free_address();
    let batch = workshop.submit(&["smooth stumble fail", SHORT]);
    let garbage = async {
        let channel = amqp::connect(&workshop.fleet.dispatcher).await;
        amqp::publish(&channel, JOBS, "high", b"no job").await
    };
    let sent = Runtime::new().expect("a runtime").block_on(garbage);
    sent.expect("is taken");
    let watch = workshop.watch(&batch);
    let _worker = workshop.start_worker(&[health.setting()]);
    watch.end().expect_code(1);
    // A job is settled a moment after people learn that it is over.
    let settled = r#"stylefleet_stage_seconds_count{kind="counting",stage="settle"}"#;
    health.wait_for_metrics("all attempts are settled", |told| {
        told.value(settled) == 4.0
    });

    let told = health.metrics();
    let mut wrong = Vec::new();
    let mut expect = |series: &str, value: f64| {
        let found = told.get(series);
        if found != Some(value) {
            wrong.push(format!("{series} is {found:?}, not {value}"));
        }
    };
    for (outcome, count) in [
        ("finished", 2.0),
        ("retried", 1.0),
        ("set_aside", 1.0),
        ("interrupted", 0.0),
        ("cancelled", 0.0),
    ] {
        let labels = format!(r#"{{kind="counting",outcome="{outcome}"}}"#);
        expect(&format!("stylefleet_jobs_total{labels}"), count);
    }
    for reason in Reason::ALL {
        let mut because = |metric, others: &[Reason]| {
            let series = format!(r#"{metric}{{reason="{}"}}"#, reason.word());
            expect(&series, if others.contains(reason) { 1.0 } else { 0.0 });
        };
        because("stylefleet_retries_total", &[Reason::Engine]);
        let dead = [Reason::Request, Reason::Message];
        because("stylefleet_dead_letters_total", &dead);
    }
    for stage in Stage::ALL {
        let labels = format!(r#"{{kind="counting",stage="{}"}}"#, stage.word());
        expect(&format!("stylefleet_stage_seconds_count{labels}"), 4.0);
    }
    // The second attempt at one job waited for other reasons.
    let waits = r#"stylefleet_queue_wait_seconds_count{priority="normal"}"#;
    expect(waits, 3.0);
    let version = env!("CARGO_PKG_VERSION");
    let build = format!(r#"version="{version}",commit="",libtorch="2.13.0",device="cpu""#);
    expect(&format!("stylefleet_build_info{{{build}}}"), 1.0);
    let kind = r#"kind="counting""#;
    expect(&format!("stylefleet_job_work_seconds_count{{{kind}}}"), 2.0);
    for role in ["sum", "table"] {
        expect(
            &format!(r#"stylefleet_outputs_total{{{kind},role="{role}"}}"#),
            2.0,
        );
    }
    expect(
        &format!(r#"stylefleet_steps_total{{{kind},unit="numbers"}}"#),
        20.0,
    );
    for to in ["broker", "store"] {
        expect(&format!(r#"stylefleet_connected{{to="{to}"}}"#), 1.0);
    }
    for idle in ["step", "checkpoint"] {
        expect(&format!("stylefleet_{idle}_age_seconds"), 0.0);
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", told.text);
    let memory = |what| told.value(&format!("stylefleet_device_memory_{what}_bytes"));
    assert!(0.0 < memory("used") && memory("used") < memory("size"));
    expect_table(WORKER, &told);
    expect_conventions(&told);
}

#[test]
fn a_dashboard_tells_how_the_fleet_stands() {
    let workshop = workshop();
    let mut command = workshop.scene.command(stylefleet());
    command
        .args(["dashboard", "--listen", "127.0.0.1:0"])
        .envs(workshop.fleet.environment(&workshop.fleet.dispatcher));
    let mut dashboard = Run::start(command);
    let url = format!("{}metrics", dashboard.wait_for_output());
    let wait_for = |series: &str, value: f64| {
        wait_until(&format!("{series} is {value}"), || {
            Metrics::at(&url).get(series) == Some(value)
        });
    };
    let batch = workshop.submit(&["smooth fail", SHORT]);
    workshop.submit(&["smooth", SLOW, "--batch slow"]);
    wait_for(r#"stylefleet_fleet_queue_jobs{queue="normal"}"#, 3.0);
    wait_for(r#"stylefleet_fleet_results{state="waiting"}"#, 3.0);
    wait_for(r#"stylefleet_fleet_batches{state="open"}"#, 2.0);
    let told = Metrics::at(&url);
    let workers = told.get(r#"stylefleet_fleet_workers{state="idle"}"#);
    assert_eq!(workers, Some(0.0), "that there is none is told");

    let _worker = workshop.start_worker(&[]);
    workshop.watch(&batch).end().expect_code(1);
    wait_for(r#"stylefleet_fleet_workers{state="busy"}"#, 1.0);
    wait_for(r#"stylefleet_fleet_results{state="running"}"#, 1.0);
    wait_for(r#"stylefleet_fleet_queue_jobs{queue="dead"}"#, 1.0);
    let told = Metrics::at(&url);
    let version = env!("CARGO_PKG_VERSION");
    let build = format!(r#"stylefleet_fleet_build_info{{version="{version}",commit=""#);
    let is_build = |(series, value): (&str, f64)| series.starts_with(&build) && value == 1.0;
    assert!(told.samples().any(is_build), "{}", told.text);
    for (series, value) in [
        (r#"connected{to="broker"}"#, 1.0),
        (r#"connected{to="store"}"#, 1.0),
        (r#"queue_jobs{queue="normal"}"#, 0.0),
        (r#"workers{state="idle"}"#, 0.0),
        (r#"batches{state="open"}"#, 1.0),
        (r#"batches{state="over"}"#, 1.0),
        (r#"batches{state="damaged"}"#, 0.0),
        (r#"results{state="done"}"#, 1.0),
        (r#"results{state="failed"}"#, 1.0),
        (r#"results{state="waiting"}"#, 0.0),
        ("stuck_jobs", 0.0),
    ] {
        let series = format!("stylefleet_fleet_{series}");
        assert_eq!(told.get(&series), Some(value), "{series}\n{}", told.text);
    }
    expect_table(FLEET, &told);
    expect_conventions(&told);
}

#[test]
fn a_worker_tells_how_long_ago_its_job_got_ahead() {
    let workshop = workshop();
    let health = Health::at_a_free_address();
    let batch = workshop.submit(&["smooth", SLOW]);
    let mut watch = workshop.watch(&batch);
    let worker = workshop.start_worker(&[health.setting()]);
    watch.wait_for("the start", is("started"));
    health.wait_for_metrics("the job is at a number", |told| {
        told.value("stylefleet_step_age_seconds") > 0.3
    });
    health.wait_for_metrics("steps and time are counted while it is at work", |told| {
        told.value(r#"stylefleet_steps_total{kind="counting",unit="numbers"}"#) >= 2.0
            && told.value("stylefleet_busy_seconds_total") >= 2.0
    });
    let stored = r#"stylefleet_checkpoint_bytes_count{kind="counting"}"#;
    health.wait_for_metrics("checkpoints are counted", |told| told.value(stored) >= 2.0);
    drop(worker);

    // It was killed, so another gets the job; it stores nothing for a day.
    let other = Health::at_a_free_address();
    let _other =
        workshop.start_worker(&[other.setting(), ("STYLEFLEET_CHECKPOINT_SECONDS", "86400")]);
    other.wait_for_metrics("what would be lost grows, though it gets ahead", |told| {
        let age = |what| told.value(&format!("stylefleet_{what}_age_seconds"));
        age("checkpoint") > age("step") + 1.5
    });
    let told = other.metrics();
    let waits = told.get(r#"stylefleet_queue_wait_seconds_count{priority="normal"}"#);
    assert_eq!(waits, None, "nobody knows how long it waited again");
    let steps = told.value(r#"stylefleet_steps_total{kind="counting",unit="numbers"}"#);
    let busy = told.value("stylefleet_busy_seconds_total");
    assert!(
        steps <= busy + 1.0,
        "steps of the worker before: {steps} in {busy} s"
    );
}

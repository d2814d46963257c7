//! A fleet whose broker or store is away for a while, and what a worker says of its health.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use serde_json::Value;
use stylefleet_proto::keys;
use stylefleet_tests::events::job;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::health::Health;
use stylefleet_tests::processes::wait_until_it_catches;
use stylefleet_tests::relay::Relay;
use stylefleet_tests::services::{Server, Services};
use stylefleet_tests::{PATIENCE, Run};

/// Some seconds of work.
const LONG: &str = "--style wave.png --size 48x40 --scales 1 --evaluations 80 --precision f32";
/// Over in a moment.
const SHORT: &str = "--style wave.png --size 16 --scales 1 --evaluations 2 --precision f32";
/// Never over, unless somebody cancels it.
const ENDLESS: &str = "--style wave.png --size 32 --scales 1 --evaluations 100000 --tolerance 0";

const INTERRUPT: u32 = 2;
const KILLED: i32 = 9;
const TERMINATE: u32 = 15;

/// What a command says of a store that does not answer.
const SILENCE: &str = "no answer for 10 s";

fn started(event: &Value) -> bool {
    event["event"] == "started"
}

/// Follows a batch to its end: all of it is done, at the first attempt.
fn expect_first_attempts(workshop: &Workshop<'_>, watch: Run, count: usize) {
    let ended = watch.end().expect_code(0);
    let finished = ended.events_of("finished");
    assert_eq!(finished.len(), count, "{}", ended.so_far());
    for event in &finished {
        let result = workshop
            .document(&keys::result(&job(event)))
            .expect("a result");
        assert_eq!(
            result["attempt"],
            1,
            "the outage cost an attempt\n{}",
            ended.so_far()
        );
    }
    workshop.expect_nothing_waits();
}

#[test]
fn a_broker_that_restarts_loses_nothing() {
    let services = Services::private();
    let workshop = Workshop::new(&services);
    let batch = workshop.submit(&["boat.png car.png wave.png", LONG]);
    let mut watch = workshop.watch(&batch);
    let mut worker = workshop.start_worker(&[]);
    watch.wait_for("the start", started);
    services.stop(Server::Broker);
    services.start(Server::Broker);
    worker.wait_for_line("connected again");
    expect_first_attempts(&workshop, watch, 3);
}

#[test]
fn a_picture_waits_for_a_store_that_is_away() {
    let services = Services::private();
    let workshop = Workshop::new(&services);
    let batch = workshop.submit(&["boat.png", LONG]);
    let mut watch = workshop.watch(&batch);
    let health = Health::at_a_free_address();
    let mut worker =
        workshop.start_worker(&[health.setting(), ("STYLEFLEET_CHECKPOINT_SECONDS", "86400")]);
    watch.wait_for("the start", started);
    services.stop(Server::Store);
    // Counted once the device is done with the job.
    let computed = r#"stylefleet_stage_seconds_count{kind="stylize",stage="compute"}"#;
    health.wait_for_metrics("the picture is computed", |told| {
        told.value(computed) == 1.0
    });
    worker.wait_for_line("trying again until it works");
    services.start(Server::Store);
    expect_first_attempts(&workshop, watch, 1);
}

#[test]
fn a_second_signal_ends_a_worker_at_once_and_its_job_goes_on_from_the_last_checkpoint() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let store = Relay::before(services.setting("STYLEFLEET_S3_ENDPOINT"));
    let batch = workshop.submit(&["boat.png", LONG]);
    let mut watch = workshop.watch(&batch);
    let health = Health::at_a_free_address();
    let worker = workshop.start_worker(&[
        ("STYLEFLEET_S3_ENDPOINT", &store.url),
        health.setting(),
        ("STYLEFLEET_GRACE_SECONDS", "3600"),
    ]);
    let job = job(&watch.wait_for("the start", started));
    workshop.wait_for_object(&keys::checkpoint(&job));
    // It cannot stop in good order: the store does not answer.
    store.hold();
    worker.signal("TERM");
    health.wait_until_ready("503", "draining");
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.status.signal(), Some(KILLED), "{}", ended.so_far());

    let _other = workshop.start_worker(&[]);
    let again = watch.wait_for("another start", started);
    let resumed = again["steps"].as_u64();
    assert!(resumed > Some(0), "it began afresh: {again}");
    expect_first_attempts(&workshop, watch, 1);
}

#[test]
fn a_worker_ends_within_its_grace_whatever_the_store_does() {
    let services = Services::shared();
    for is_silent in [true, false] {
        let workshop = Workshop::new(services);
        let store = Relay::before(services.setting("STYLEFLEET_S3_ENDPOINT"));
        let batch = workshop.submit(&["boat.png", LONG]);
        let mut watch = workshop.watch(&batch);
        let worker = workshop.start_worker(&[
            ("STYLEFLEET_S3_ENDPOINT", &store.url),
            ("STYLEFLEET_GRACE_SECONDS", "8"),
        ]);
        let job = job(&watch.wait_for("the start", started));
        workshop.wait_for_object(&keys::checkpoint(&job));
        if is_silent {
            store.hold()
        } else {
            store.block()
        }
        worker.signal("TERM");
        let told = Instant::now();
        let ended = worker.end();
        let took = told.elapsed();
        let (code, signal) = (ended.status.code(), ended.status.signal());
        if is_silent {
            assert_eq!(signal, Some(KILLED), "{}", ended.so_far());
            assert!(
                took > Duration::from_secs(7),
                "it did not even try: {took:?}"
            );
        } else {
            assert_eq!(code, Some(0), "{}", ended.so_far());
        }
        assert!(took < PATIENCE / 4, "it took {took:?}");
        let _other = workshop.start_worker(&[]);
        expect_first_attempts(&workshop, watch, 1);
    }
}

#[test]
fn a_worker_says_how_it_is() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let broker = Relay::before(&workshop.fleet.worker);
    let store = Relay::before(services.setting("STYLEFLEET_S3_ENDPOINT"));
    let health = Health::at_a_free_address();
    let worker = workshop.start_worker(&[
        ("STYLEFLEET_BROKER", &broker.url),
        ("STYLEFLEET_S3_ENDPOINT", &store.url),
        health.setting(),
    ]);
    health.wait_until_ready("200", "ready");
    broker.block();
    health.wait_until_ready("503", "the broker is away");
    assert_eq!(health.ask("/healthz").0, "200");
    let connected = |to| {
        let series = format!(r#"stylefleet_connected{{to="{to}"}}"#);
        health.metrics().get(&series)
    };
    assert_eq!(connected("broker"), Some(0.0));
    assert_eq!(connected("store"), Some(1.0));
    broker.open();
    health.wait_until_ready("200", "ready");
    // Neither refuses anything; they only say nothing any more.
    store.hold();
    health.wait_until_ready("503", "the store is away");
    assert_eq!(connected("broker"), Some(1.0));
    assert_eq!(connected("store"), Some(0.0));
    store.open();
    health.wait_until_ready("200", "ready");
    broker.hold();
    health.wait_until_ready("503", "the broker is away");
    broker.open();
    health.wait_until_ready("200", "ready");

    let batch = workshop.submit(&["boat.png", SHORT]);
    workshop.watch(&batch).end().expect_code(0);
    health.wait_for_metrics("the job is counted", |told| {
        let series = [
            (
                r#"stylefleet_jobs_total{kind="stylize",outcome="finished"}"#,
                1.0,
            ),
            (
                r#"stylefleet_outputs_total{kind="stylize",role="picture"}"#,
                1.0,
            ),
            (
                r#"stylefleet_steps_total{kind="stylize",unit="evaluations"}"#,
                2.0,
            ),
        ];
        series
            .iter()
            .all(|(series, value)| told.get(series) == Some(*value))
    });

    let batch = workshop.submit(&["boat.png", ENDLESS]);
    workshop.watch(&batch).wait_for("the start", started);
    store.hold();
    worker.signal("TERM");
    health.wait_until_ready("503", "draining");
    assert_eq!(health.ask("/healthz").0, "200");
    store.open();
    worker.end().expect_code(0);
}

#[test]
fn every_command_says_that_the_store_is_silent_and_heeds_a_signal() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let batch = workshop.submit(&["boat.png", SHORT]);
    let store = Relay::before(services.setting("STYLEFLEET_S3_ENDPOINT"));
    store.hold();
    let start = |args: &str| {
        let mut command = workshop.command(&[args]);
        command.env("STYLEFLEET_S3_ENDPOINT", &store.url);
        Run::start(command)
    };
    let commands = [
        "status".to_owned(),
        format!("status {batch} --jobs"),
        format!("fetch {batch} --out pictures"),
        format!("cancel {batch}"),
        format!("watch {batch}"),
        format!("submit car.png --wait {SHORT}"),
    ];
    let doctor = start("doctor");
    let mut runs: Vec<_> = commands.iter().map(|command| start(command)).collect();
    for (run, signal) in runs.iter_mut().zip(["INT", "TERM"].into_iter().cycle()) {
        run.wait_for_line(SILENCE);
        run.signal(signal);
    }
    for run in runs {
        let ended = run.end().expect_code(130);
        assert_eq!(ended.stderr.len(), 1, "{}", ended.so_far());
    }
    // The one that is to find out does not wait.
    let ended = doctor.end().expect_code(1);
    assert!(ended.so_far().contains(SILENCE), "{}", ended.so_far());
}

#[test]
fn every_command_heeds_a_signal_while_the_broker_is_silent() {
    let workshop = Workshop::new(Services::shared());
    let broker = Relay::before(&workshop.fleet.dispatcher);
    broker.hold();
    for args in [
        "queue",
        "dead list",
        "doctor",
        &format!("submit car.png {SHORT}"),
    ] {
        let mut command = workshop.command(&[args]);
        command.env("STYLEFLEET_BROKER", &broker.url);
        let run = Run::start(command);
        wait_until_it_catches(run.id(), INTERRUPT);
        run.signal("INT");
        run.end().expect_code(130);
    }
}

#[test]
fn a_command_goes_on_once_the_store_is_back() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let batch = workshop.submit(&["boat.png", SHORT]);
    let store = Relay::before(services.setting("STYLEFLEET_S3_ENDPOINT"));
    store.block();
    let mut command = workshop.command(&["cancel", &batch]);
    command.env("STYLEFLEET_S3_ENDPOINT", &store.url);
    let mut run = Run::start(command);
    run.wait_for_line("trying again for 300 s");
    store.open();
    let ended = run.end().expect_code(0);
    assert_eq!(ended.stdout, ["1 jobs cancelled, 0 were over"]);
    assert!(ended.so_far().contains("the store is back"));
}

#[test]
fn a_worker_that_begins_heeds_a_signal_and_says_that_the_store_is_silent() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let store = Relay::before(services.setting("STYLEFLEET_S3_ENDPOINT"));
    store.hold();
    let start = || {
        let mut command = workshop.worker();
        command.env("STYLEFLEET_S3_ENDPOINT", &store.url);
        Run::start(command)
    };
    let (told, left) = (start(), start());
    wait_until_it_catches(told.id(), TERMINATE);
    told.signal("TERM");
    told.end().expect_code(0);
    let ended = left.end().expect_code(2);
    assert!(ended.so_far().contains(SILENCE), "{}", ended.so_far());
}

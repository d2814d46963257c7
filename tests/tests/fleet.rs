//! A fleet with a real broker, a real store and real workers, some of which die, sleep or leave.
//!
//! Whatever happens to workers, a job has one result, and its picture is to the last bit what an
//! undisturbed run makes.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stylefleet_proto::{EventKind, JobId, Update, keys, lifecycle};
use stylefleet_tests::events::job;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::wait_until;
use stylefleet_tests::relay::Relay;
use stylefleet_tests::services::Services;
use stylefleet_tests::{PATIENCE, Run, Scene};
use stylefleet_transport::broker::{BrokerOptions, DispatcherEnd, Notification, RabbitDispatcher};

/// Two scales and some seconds: long enough to be caught in the middle.
const LONG: &str = "--style wave.png --size 48x40 --scales 2 --coarse-evaluations 20 \
                    --evaluations 80 --precision f32";
/// Over in a moment.
const SHORT: &str = "--style wave.png --size 16 --scales 1 --evaluations 2 --precision f32";
/// Never over, unless somebody cancels it.
const ENDLESS: &str = "--style wave.png --size 32 --scales 1 --evaluations 100000 --tolerance 0";

/// What undisturbed runs of [`LONG`] make of `boat.png` and `car.png`. Made once for all tests.
static UNDISTURBED: LazyLock<HashMap<&str, Vec<u8>>> = LazyLock::new(|| {
    let scene = Scene::with_pictures();
    scene.add_content("car.png", 2);
    let ended = scene.run_json(&["boat.png car.png", LONG]).expect_code(0);
    let starts = ended.events_of("started");
    assert!(starts.iter().all(|start| resumed(start) == 0));
    let picture = |name| (name, scene.read(format!("out/{name}.wave.png")));
    ["boat", "car"].map(picture).into()
});

fn started(event: &Value) -> bool {
    event["event"] == "started"
}

fn resumed(started: &Value) -> u64 {
    started["steps"].as_u64().expect("a number")
}

/// The job that an event tells of.
/// Waits until a worker has begun a job and kept a checkpoint.
fn wait_for_checkpoint(workshop: &Workshop<'_>, watch: &mut Run) -> JobId {
    let job = job(&watch.wait_for("the start", started));
    workshop.wait_for_object(&keys::checkpoint(&job));
    job
}

/// Follows a batch of LONG jobs to its end: each is done once, and as if undisturbed.
fn expect_undisturbed(workshop: &Workshop<'_>, batch: &str, watch: Run, contents: &[&str]) {
    let ended = watch.end().expect_code(0);
    // A watch that began after the job's end says kept.
    let finished = [ended.events_of("finished"), ended.events_of("kept")].concat();
    assert_eq!(finished.len(), contents.len(), "{}", ended.so_far());
    workshop.ask(&["fetch", batch, "--out pictures"]);
    for content in contents {
        let picture = workshop.scene.read(format!("pictures/{content}.wave.png"));
        assert!(picture == UNDISTURBED[content], "{content} differs");
    }
    for event in &finished {
        let job = job(event);
        let result = workshop.document(&keys::result(&job)).expect("a result");
        assert_eq!(
            result["attempt"], 1,
            "a trouble of the fleet's cost an attempt"
        );
        for left in [keys::checkpoint(&job), keys::failed(&job)] {
            assert!(workshop.object(&left).is_none(), "{left} was left behind");
        }
    }
    workshop.expect_nothing_waits();
}

#[test]
fn a_killed_workers_job_goes_on_elsewhere_to_the_same_picture() {
    let workshop = Workshop::new(Services::shared());
    let batch = workshop.submit(&["boat.png", LONG]);
    let mut watch = workshop.watch(&batch);
    let first = workshop.start_worker(&[]);
    wait_for_checkpoint(&workshop, &mut watch);
    first.signal("KILL");
    let _second = workshop.start_worker(&[]);
    let again = watch.wait_for("another start", started);
    assert!(resumed(&again) > 0, "it began afresh: {again}");
    expect_undisturbed(&workshop, &batch, watch, &["boat"]);
}

#[test]
fn a_worker_that_slept_through_its_job_changes_nothing_and_works_on() {
    let workshop = Workshop::new(Services::shared());
    let first = workshop.submit(&["boat.png", LONG]);
    let mut watch = workshop.watch(&first);
    // The broker takes it for dead after two seconds.
    let broker = format!("{}?heartbeat=1", workshop.fleet.worker);
    let mut sleeper = workshop.start_worker(&[("STYLEFLEET_BROKER", &broker)]);
    let boat = wait_for_checkpoint(&workshop, &mut watch);
    sleeper.signal("STOP");
    let other = workshop.start_worker(&[]);
    let again = watch.wait_for("another start", started);
    assert!(resumed(&again) > 0, "it began afresh: {again}");
    expect_undisturbed(&workshop, &first, watch, &["boat"]);
    other.signal("TERM");
    other.end().expect_code(0);

    let record = workshop.object(&keys::result(&boat));
    sleeper.signal("CONT");
    sleeper.wait_for_line("connected again");
    let second = workshop.submit(&["car.png", LONG]);
    expect_undisturbed(&workshop, &second, workshop.watch(&second), &["car"]);
    sleeper.signal("TERM");
    sleeper.end().expect_code(0);
    assert_eq!(workshop.object(&keys::result(&boat)), record);
    workshop.ask(&["fetch", &first, "--out again"]);
    assert!(workshop.scene.read("again/boat.wave.png") == UNDISTURBED["boat"]);
}

#[test]
fn a_cut_connection_costs_no_attempt_and_no_work() {
    let workshop = Workshop::new(Services::shared());
    let relay = Relay::before(&workshop.fleet.worker);
    let batch = workshop.submit(&["boat.png", LONG]);
    let mut watch = workshop.watch(&batch);
    let mut worker = workshop.start_worker(&[("STYLEFLEET_BROKER", &relay.url)]);
    wait_for_checkpoint(&workshop, &mut watch);
    relay.cut();
    worker.wait_for_line("connected again");
    let again = watch.wait_for("another start", started);
    assert!(resumed(&again) > 0, "it began afresh: {again}");
    expect_undisturbed(&workshop, &batch, watch, &["boat"]);
}

/// What may be wrong with a checkpoint is the engine's tests' to find; this is what comes of it.
#[test]
fn a_damaged_checkpoint_is_noted_and_its_job_begun_anew() {
    let workshop = Workshop::new(Services::shared());
    let batch = workshop.submit(&["boat.png", LONG]);
    let mut watch = workshop.watch(&batch);
    let first = workshop.start_worker(&[]);
    let job = wait_for_checkpoint(&workshop, &mut watch);
    first.signal("TERM");
    first.end().expect_code(0);
    let key = keys::checkpoint(&job);
    let mut checkpoint = workshop.object(&key).expect("was kept");
    *checkpoint.last_mut().expect("has some") ^= 1;
    workshop.scene.write("damaged", &checkpoint);
    workshop.put(&key, &workshop.scene.path("damaged"));

    let _second = workshop.start_worker(&[]);
    let note = watch.wait_for("a note", |event| event["event"] == "note");
    let text = note["text"].as_str().unwrap_or_default();
    assert!(
        text.contains("damaged") && text.contains("begun anew"),
        "{text}"
    );
    let again = watch.wait_for("another start", started);
    assert_eq!(resumed(&again), 0, "{again}");
    expect_undisturbed(&workshop, &batch, watch, &["boat"]);
}

#[test]
fn a_worker_told_to_stop_hands_its_job_on_with_a_checkpoint() {
    let workshop = Workshop::new(Services::shared());
    let batch = workshop.submit(&["boat.png", LONG]);
    let mut watch = workshop.watch(&batch);
    // So rare that the only checkpoint is the one that is kept because of the signal.
    let first = workshop.start_worker(&[("STYLEFLEET_CHECKPOINT_SECONDS", "86400")]);
    let job = job(&watch.wait_for("progress", |e| e["event"] == "progress"));
    first.signal("TERM");
    let ended = first.end().expect_code(0);
    assert!(
        workshop.object(&keys::checkpoint(&job)).is_some(),
        "{}",
        ended.so_far()
    );
    assert!(
        workshop.object(&keys::started(&job)).is_none(),
        "it looks as if it had died"
    );
    let log = ended.so_far();
    assert!(log.contains("told to stop"), "{log}");
    let given_back = log.lines().find(|line| line.contains("given back after "));
    let given_back = given_back.unwrap_or_else(|| panic!("{log}"));
    for said in [&batch, "boat.wave", &job.to_string()] {
        assert!(given_back.contains(said), "{given_back}");
    }
    assert_eq!(workshop.ask(&["queue"])["waiting"]["normal"], 1);

    let mut second = workshop.start_worker(&[]);
    let again = watch.wait_for("another start", started);
    assert!(resumed(&again) > 0, "it began afresh: {again}");
    expect_undisturbed(&workshop, &batch, watch, &["boat"]);
    second.wait_for_line(": done, ");
}

#[test]
fn a_job_that_kills_its_workers_is_set_aside_and_can_be_retried() {
    let workshop = Workshop::new(Services::shared());
    let batch = workshop.submit(&["boat.png", LONG]);
    let mut watch = workshop.watch(&batch);
    let start = || {
        let status = workshop.ask(&["status", &format!("{batch}/boat.wave")]);
        status["started"]["deaths"].as_u64()
    };
    for deaths in 0..lifecycle::DEATHS {
        let worker = workshop.start_worker(&[("STYLEFLEET_CHECKPOINT_SECONDS", "86400")]);
        let event = watch.wait_for("the start", started);
        assert_eq!((&event["attempt"], resumed(&event)), (&json!(1), 0));
        wait_until("the worker left its mark", || {
            start() == Some(deaths.into())
        });
        worker.signal("KILL");
    }
    let mut worker = workshop.start_worker(&[]);
    worker.wait_for_line(": set aside: ");
    let ended = watch.end().expect_code(1);
    let [failed] = &ended.events_of("failed")[..] else {
        panic!("not one failure\n{}", ended.so_far());
    };
    let reason = failed["reason"].as_str().expect("a reason");
    assert!(reason.contains("5 workers in a row"), "{reason}");
    let job = job(failed);
    let why = workshop
        .document(&keys::failed(&job))
        .expect("a record of it");
    assert_eq!(why["reason"], failed["reason"]);
    let dead = workshop.ask(&["dead list"]);
    let [letter] = &dead["dead"].as_array().expect("a list")[..] else {
        panic!("not one dead letter: {dead}");
    };
    assert_eq!(
        (&letter["id"], &letter["reason"]),
        (&failed["job"], &failed["reason"])
    );

    workshop.ask(&["dead retry", &job.to_string()]);
    expect_undisturbed(&workshop, &batch, workshop.watch(&batch), &["boat"]);
}

#[test]
fn high_priorities_go_first() {
    let workshop = Workshop::new(Services::shared());
    // A worker looks for its next job when the one at hand is about to end. This one never is.
    let busy = workshop.submit(&["boat.png", ENDLESS]);
    let worker = workshop.start_worker(&[]);
    workshop.watch(&busy).wait_for("the start", started);
    for (content, priority) in [("boat", "low"), ("car", "normal"), ("wave", "high")] {
        let content = format!("{content}.png");
        workshop.submit(&[&content, SHORT, "--batch turns --priority", priority]);
    }
    workshop.ask(&["cancel", &busy]);
    let ended = workshop.watch("turns").end().expect_code(0);
    let starts = ended.events_of("started");
    let order: Vec<_> = starts.iter().map(|start| start["name"].as_str()).collect();
    let expected = ["wave.wave", "car.wave", "boat.wave"].map(Some);
    assert_eq!(order, expected, "{}", ended.so_far());
    drop(worker);
}

/// The first starts, as workers tell them: (job, steps done before).
async fn follow_starts(broker: &RabbitDispatcher, count: usize) -> Vec<(JobId, u64)> {
    let since = SystemTime::now() - Duration::from_secs(3600);
    let mut notifications = broker.follow(since).await.expect("follows");
    let mut starts = Vec::new();
    let gather = async {
        while starts.len() < count {
            let notification = notifications.recv().await;
            if let Notification::Event(event) = notification.expect("the broker goes on")
                && let EventKind::Update(Update::Started { steps, .. }) = event.kind
            {
                starts.push((event.job, steps));
            }
        }
    };
    // Around it all: pulses come every second.
    let in_time = tokio::time::timeout(PATIENCE, gather).await.is_ok();
    assert!(in_time, "not {count} starts but {starts:?}");
    starts
}

#[tokio::test]
async fn long_jobs_take_turns_and_ask_for_their_inputs_once() {
    let workshop = Workshop::new(Services::shared());
    let batches = ["boat", "car"].map(|content| {
        let content = format!("{content}.png");
        workshop.submit(&[&content, LONG])
    });
    let _worker = workshop.start_worker(&[("STYLEFLEET_SLICE_SECONDS", "1")]);
    let options = BrokerOptions {
        url: workshop.fleet.dispatcher.parse().expect("a URL"),
        ca: None,
        name: "test".to_owned(),
    };
    let broker = RabbitDispatcher::connect(options).await.expect("connects");
    let both = follow_starts(&broker, 2).await;
    assert_ne!(
        both[0].0, both[1].0,
        "the second waits for the first to end"
    );
    workshop.remove("inputs/");

    let starts = follow_starts(&broker, 4).await;
    let jobs: Vec<_> = starts.iter().map(|(job, _)| *job).collect();
    // Who follows while a stream gets its first event may miss that one.
    assert_ne!(jobs[0], jobs[1], "they do not take turns");
    assert_eq!(jobs[..2], jobs[2..], "they do not take turns");
    assert!(
        starts[2].1 > 0 && starts[3].1 > 0,
        "begun afresh: {starts:?}"
    );
    for (batch, content) in batches.iter().zip(["boat", "car"]) {
        expect_undisturbed(&workshop, batch, workshop.watch(batch), &[content]);
    }
}

//! A kind of job that nothing knows but its own crate and the programs that register it
//! (`tests/counting`) goes through all that a fleet does with jobs: with a broker and a bucket, and
//! on one machine with pipes and a folder.

use std::fs;

use serde_json::{Value, json};
use stylefleet_proto::{Digest, JobId, keys};
use stylefleet_tests::events::{is, job, steps};
use stylefleet_tests::fleet::{Workshop, started};
use stylefleet_tests::processes::{signal, wait_for_end, wait_until};
use stylefleet_tests::services::Services;
use stylefleet_tests::{Programs, Run, Scene};

/// Long enough to be caught in the middle.
const LONG: &str = "--to 300 --pause 10";
/// Over in a moment.
const SHORT: &str = "--to 10 --pause 0";
/// Never over, unless somebody stops it.
const ENDLESS: &str = "--to 1000000 --pause 10";

/// A fleet that knows the kind, and a folder with courses.
fn workshop() -> Workshop<'static> {
    let workshop = Workshop::of(Services::shared(), Programs::counting());
    courses(&workshop.scene);
    workshop
}

fn courses(scene: &Scene) {
    scene.write("smooth", "smooth");
    scene.write("fail", "fail");
    scene.write("die", "die");
    let flag = scene.path("stumbled");
    scene.write("stumble", format!("stumble {}", flag.display()));
}

/// Waits until a worker has begun a job and kept a checkpoint.
fn wait_for_checkpoint(workshop: &Workshop<'_>, watch: &mut Run) -> JobId {
    let job = job(&watch.wait_for("the start", is("started")));
    workshop.wait_for_object(&keys::checkpoint(&job));
    job
}

/// Fails unless the folder has what a job that counted to `to` makes, under that name.
fn expect_result(scene: &Scene, folder: &str, name: &str, to: u64) {
    let file = |ending: &str| format!("{folder}/{name}.{ending}");
    let sum = format!("{}\n", to * (to + 1) / 2);
    assert_eq!(scene.read(file("txt")), sum.as_bytes());
    let table = format!("numbers,even\n{to},{}\n", to / 2);
    assert_eq!(scene.read(file("table.csv")), table.as_bytes());
    let story = scene.json(file("json"));
    assert_eq!(story["kind"], "counting");
    assert_eq!(story["specification"]["to"], to);
    assert_eq!(story["inputs"][0]["role"], "course");
    assert_eq!(story["steps"], to);
    assert_eq!(story["figures"]["sum"], (to * (to + 1) / 2) as f64);
    assert_eq!(story["made_with"]["method"], "fingers");
}

#[test]
fn a_worker_is_seen_at_it() {
    let workshop = workshop();
    workshop.submit(&["smooth --batch counts", ENDLESS]);
    let mut watch = workshop.watch("counts");
    let _worker = workshop.start_worker(&[]);
    let started = watch.wait_for("the start", is("started"));
    watch.wait_for("progress", is("progress"));
    let queue = workshop.ask(&["queue"]);
    let worker = &queue["workers"][0];
    assert_eq!(worker["job"], started["job"], "{queue}");
    assert_eq!(worker["progress"]["unit"], "numbers", "{queue}");
}

#[test]
fn it_is_submitted_watched_looked_at_and_fetched() {
    let workshop = workshop();
    let batch = workshop.submit(&["smooth --batch counts --preview-every 100", LONG]);
    assert_eq!(batch, "counts");
    let status = workshop.ask(&["status counts"]);
    assert_eq!(status["states"]["waiting"], 1, "{status}");
    let mut watch = workshop.watch("counts");
    let _worker = workshop.start_worker(&[]);
    let progress = watch.wait_for("progress", is("progress"));
    assert_eq!(progress["phase"], "counting");
    assert_eq!(
        (&progress["total"], &progress["unit"]),
        (&json!(300), &json!("numbers"))
    );
    let counted = steps(&progress);
    assert_eq!(progress["done"], counted);
    assert_eq!(
        progress["figures"]["sum"],
        (counted * (counted + 1) / 2) as f64
    );

    let ended = watch.end().expect_code(0);
    let finished = &ended.events_of("finished")[0];
    assert_eq!(steps(finished), 300);
    assert_eq!(finished["figures"]["sum"], 45150.0);
    let status = workshop.ask(&["status counts/smooth"]);
    assert_eq!(status["state"], "done");
    let roles = status["outputs"].as_array().expect("outputs").iter();
    let roles: Vec<_> = roles
        .map(|output| (&output["role"], &output["media_type"]))
        .collect();
    let sum = (&json!("sum"), &json!("text/plain"));
    assert_eq!(roles, [sum, (&json!("table"), &json!("text/csv"))]);

    for (fetched, kept) in [(1, 0), (0, 1)] {
        let answer = workshop.ask(&["fetch counts --out counted --previews --curve"]);
        assert_eq!(
            (&answer["fetched"], &answer["kept"]),
            (&json!(fetched), &json!(kept))
        );
        expect_result(&workshop.scene, "counted", "smooth", 300);
    }
    let previews = workshop.scene.files("counted/smooth.previews");
    assert_eq!(previews, ["000100.jpg", "000200.jpg", "000300.jpg"]);
    let files = [
        "smooth.json",
        "smooth.previews",
        "smooth.table.csv",
        "smooth.txt",
    ];
    assert_eq!(workshop.scene.files("counted"), files);
    // The same ask is the same job.
    let again = workshop.ask(&["submit smooth --batch counts", LONG]);
    assert_eq!((&again["accepted"], &again["done"]), (&json!(0), &json!(1)));
    workshop.expect_nothing_waits();
}

#[test]
fn workers_that_drain_are_killed_or_take_turns_lose_none_of_its_steps() {
    let workshop = workshop();
    let batch = workshop.submit(&["smooth", LONG]);
    let mut watch = workshop.watch(&batch);
    let drained = workshop.start_worker(&[]);
    wait_for_checkpoint(&workshop, &mut watch);
    drained.signal("TERM");
    let interrupted = steps(&watch.wait_for("the end of its turn", is("interrupted")));
    drained.end().expect_code(0);

    let killed = workshop.start_worker(&[]);
    let again = watch.wait_for("another start", is("started"));
    assert_eq!(
        steps(&again),
        interrupted,
        "it goes on where it was stopped"
    );
    let ahead = move |event: &Value| event["event"] == "progress" && steps(event) > interrupted;
    watch.wait_for("progress beyond", ahead);
    killed.signal("KILL");

    // Two jobs, and one worker: each has its turn.
    let other = workshop.submit(&["smooth --batch other --to 250 --pause 10"]);
    let _third = workshop.start_worker(&[("STYLEFLEET_SLICE_SECONDS", "1")]);
    let again = watch.wait_for("a third start", is("started"));
    assert!(steps(&again) >= interrupted, "{again}");
    assert_eq!(again["attempt"], 1, "a death is no failed attempt");
    let turn = watch.wait_for("the end of a slice", is("interrupted"));
    let next = watch.wait_for("the next slice", is("started"));
    assert_eq!(steps(&next), steps(&turn));

    for (batch, to) in [(&batch, 300), (&other, 250)] {
        workshop.watch(batch).end().expect_code(0);
        workshop.ask(&["fetch", batch, "--out counted"]);
        let name = if to == 300 { "smooth" } else { "smooth-2" };
        expect_result(&workshop.scene, "counted", name, to);
    }
    workshop.expect_nothing_waits();
}

#[test]
fn it_is_cancelled_and_goes_on_when_it_is_wanted_again() {
    let workshop = workshop();
    let batch = workshop.submit(&["smooth --batch b", ENDLESS]);
    let mut watch = workshop.watch(&batch);
    let _worker = workshop.start_worker(&[]);
    let job = wait_for_checkpoint(&workshop, &mut watch);
    workshop.ask(&["cancel b/smooth"]);
    let ended = watch.end().expect_code(1);
    assert_eq!(ended.events_of("cancelled").len(), 1, "{}", ended.so_far());
    assert_eq!(workshop.ask(&["status b/smooth"])["state"], "cancelled");
    assert!(workshop.object(&keys::checkpoint(&job)).is_some());

    workshop.submit(&["smooth --batch b", ENDLESS]);
    let mut watch = workshop.watch(&batch);
    let wanted = move |event: &Value| event["event"] == "started" && steps(event) > 0;
    watch.wait_for("a start from the checkpoint", wanted);
    workshop.ask(&["cancel b"]);
    watch.end().expect_code(1);
}

#[test]
fn its_failures_are_retried_or_set_aside() {
    let workshop = workshop();
    let contents = "smooth stumble fail die --batch b";
    workshop.submit(&[contents, SHORT]);
    let watch = workshop.watch("b");
    // One that dies leaves the job to the next, until it is known that all would.
    let workers = (0..8)
        .map(|_| workshop.start_worker(&[]))
        .collect::<Vec<_>>();
    let ended = watch.end().expect_code(1);
    drop(workers);
    let finished = ended.events_of("finished").into_iter();
    let mut done: Vec<_> = finished.map(|event| event["name"].clone()).collect();
    done.sort_by_key(Value::to_string);
    assert_eq!(done, ["smooth", "stumble"], "{}", ended.so_far());
    assert!(workshop.scene.path("stumbled").exists());
    let result = workshop.ask(&["status b/stumble"]);
    assert_eq!(result["record"]["attempt"], 2, "{result}");
    let reason = |name: &str| {
        let status = workshop.ask(&[&format!("status b/{name}")]);
        assert_eq!(status["state"], "failed", "{status}");
        status["failure"]["reason"]
            .as_str()
            .expect("a reason")
            .to_owned()
    };
    assert!(reason("fail").contains("the course says: fail"));
    assert!(reason("die").contains("5 workers in a row ended while at it"));

    let dead = workshop.ask(&["dead list"]);
    let dead = dead["dead"].as_array().expect("a list");
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert!(dead.iter().all(|dead| dead["inputs"]["course"].is_string()));
    let fails = dead
        .iter()
        .find(|dead| dead["name"] == "fail")
        .expect("it is there");
    let retried = workshop.ask(&["dead retry", fails["id"].as_str().expect("an id")]);
    assert_eq!(retried["retried"], 1);
    let _worker = workshop.start_worker(&[]);
    wait_until("it failed again", || {
        let letters = workshop.ask(&["dead list"]);
        letters["dead"]
            .as_array()
            .is_some_and(|dead| dead.len() == 2)
    });
    let dropped = workshop.ask(&["dead drop --all"]);
    assert_eq!(dropped["dropped"], 2);
}

/// In a fleet where not every worker is of the same release.
#[test]
fn a_worker_that_does_not_know_it_leaves_it_to_one_that_does() {
    let workshop = workshop();
    let batch = workshop.submit(&["smooth", SHORT]);
    let mut watch = workshop.watch(&batch);
    let older = started(workshop.worker_of(&Programs::standard().worker));
    let note = watch.wait_for("word of it", is("note"));
    let text = note["text"].as_str().expect("a text");
    assert!(
        text.contains("counting") && text.contains("stylize"),
        "{text}"
    );
    older.signal("TERM");
    older.end().expect_code(0);
    let _worker = workshop.start_worker(&[]);
    let ended = watch.end().expect_code(0);
    assert_eq!(ended.events_of("finished").len(), 1, "{}", ended.so_far());
}

/// `run` in a folder with courses.
fn start(scene: &Scene, args: &[&str]) -> Run {
    let Programs { dispatcher, worker } = Programs::counting();
    let mut command = scene.command(dispatcher);
    let args = args.iter().flat_map(|arg| arg.split(' '));
    command.arg("run").args(args).arg("--json");
    command.args(["--device", "cpu", "--threads", "1"]);
    command.env("STYLEFLEET_WORKER", worker);
    command.env("STYLEFLEET_CHECKPOINT_SECONDS", "0");
    Run::start(command)
}

#[test]
fn it_runs_on_one_machine_too() {
    let scene = Scene::new();
    courses(&scene);
    let command = ["smooth stumble fail --preview-every 100 --curve", LONG];
    let mut run = start(&scene, &command);
    let first = run.wait_for("the start", is("started"));
    let store = scene.path("out/.stylefleet");
    let checkpoint = store.join(keys::checkpoint(&job(&first)));
    wait_until("there is a checkpoint", || checkpoint.exists());
    let worker = run.worker();
    signal(worker, "KILL");
    let again = run.wait_for("another start", is("started"));
    assert_eq!(again["job"], first["job"]);
    assert!(steps(&again) > 0, "it began afresh: {again}");
    let worker = run.worker();
    run.signal("INT");
    // The next job, which is given back unbegun, may be told of first.
    let stopped = run.wait_for("the interruption", |event| {
        is("interrupted")(event) && event["job"] == first["job"]
    });
    let ended = run.end().expect_code(130);
    wait_for_end(worker, "the worker");
    assert_eq!(ended.events_of("summary")[0]["unfinished"], 3);

    let ended = start(&scene, &command).end().expect_code(1);
    let resumed = &ended.events_of("started")[0];
    assert_eq!(steps(resumed), steps(&stopped), "{}", ended.so_far());
    let failed = ended.events_of("failed");
    assert_eq!((failed.len(), &failed[0]["name"]), (1, &json!("fail")));
    for name in ["smooth", "stumble"] {
        expect_result(&scene, "out", name, 300);
        let previews = scene.files(&format!("out/{name}.previews"));
        assert_eq!(previews.last().map(String::as_str), Some("000300.jpg"));
    }
    let finished = ended.events_of("finished");
    let smooth = finished.iter().find(|event| event["name"] == "smooth");
    let smooth = smooth.expect("it is done");
    assert_eq!(smooth["file"], "out/smooth.txt");
    assert_eq!(
        smooth["files"],
        json!(["out/smooth.txt", "out/smooth.table.csv"])
    );

    // What is there is kept; what a person changed stays, and comes again beside it.
    fs::write(scene.path("out/smooth.table.csv"), "mine").expect("writes");
    let ended = start(&scene, &["smooth", LONG]).end().expect_code(0);
    assert_eq!(ended.events_of("kept").len(), 1, "{}", ended.so_far());
    assert_eq!(scene.read("out/smooth.table.csv"), b"mine");
    expect_result(&scene, "out", "smooth-2", 300);
}

/// So that a device that is done with a job finds the next one ready.
#[test]
fn the_next_job_is_prepared_before_the_last_has_ended() {
    let scene = Scene::new();
    scene.write("first", "smooth");
    scene.write("second", "smooth, too");
    // A worker is handed another job 15 seconds before it expects its own to end.
    let mut run = start(&scene, &["first second --to 1600 --pause 10"]);
    run.wait_for("the start", is("started"));
    let input = keys::input(&Digest::of(b"smooth, too"));
    fs::remove_file(scene.path("out/.stylefleet").join(input)).expect("removes");
    let failed = run.wait_for("the failure", is("failed"));
    assert_eq!(failed["name"], "second");
    run.signal("INT");
    let ended = run.end().expect_code(130);
    assert_eq!(ended.events_of("started").len(), 1, "{}", ended.so_far());
    let stopped = &ended.events_of("interrupted")[0];
    assert!((1..1600).contains(&steps(stopped)), "{stopped}");
}

#[test]
fn two_kinds_share_a_fleet_a_batch_and_a_folder() {
    let workshop = workshop();
    workshop.scene.write("boat.wave", "smooth");
    let picture = |batch: &str| {
        let mut submit = workshop.scene.command(Programs::standard().dispatcher);
        submit.envs(workshop.fleet.environment(&workshop.fleet.dispatcher));
        let options = "--size 16 --scales 1 --evaluations 2 --precision f32 --json";
        submit.args([
            "submit", "boat.png", "--style", "wave.png", "--batch", batch,
        ]);
        submit.args(options.split(' '));
        Run::start(submit).end()
    };
    workshop.submit(&["boat.wave --batch named", SHORT]);
    let refused = picture("named").expect_code(1);
    assert!(
        refused.so_far().contains("boat.wave"),
        "no two share a name"
    );
    workshop.submit(&["smooth --batch b", SHORT]);
    picture("b").expect_code(0);
    let _worker = workshop.start_worker(&[]);
    for (batch, results) in [("named", 1), ("b", 2)] {
        workshop.watch(batch).end().expect_code(0);
        let fetched = workshop.ask(&["fetch", batch, "--out both"]);
        assert_eq!(fetched["fetched"], results, "{fetched}");
    }
    expect_result(&workshop.scene, "both", "boat.wave", 10);
    expect_result(&workshop.scene, "both", "smooth", 10);
    let story = workshop.scene.json("both/boat.wave-2.json");
    assert_eq!(
        (&story["kind"], &story["file"]),
        (&json!("stylize"), &json!("boat.wave-2.png"))
    );
    workshop.expect_nothing_waits();
}

#[test]
fn an_output_that_was_damaged_is_not_fetched_and_can_be_made_again() {
    let workshop = workshop();
    let _worker = workshop.start_worker(&[]);
    workshop.submit(&["smooth --batch b", SHORT]);
    workshop.watch("b").end().expect_code(0);
    let status = workshop.ask(&["status b/smooth"]);
    let table = &status["record"]["outputs"][1]["key"];
    let table = table.as_str().expect("a key");
    workshop.scene.write("other", "other");
    workshop.put(table, &workshop.scene.path("other"));
    let fetched = workshop.start(&["fetch b --out counted"]).end();
    let fetched = fetched.expect_code(1).stdout.concat();
    assert!(fetched.contains(table), "{fetched}");
    assert_eq!(workshop.scene.files("counted"), ["smooth.json"]);

    workshop.remove(&keys::result(&job(&status)));
    workshop.submit(&["smooth --batch b", SHORT]);
    workshop.watch("b").end().expect_code(0);
    workshop.ask(&["fetch b --out counted"]);
    expect_result(&workshop.scene, "counted", "smooth", 10);
}

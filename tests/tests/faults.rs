//! Workers and dispatchers that die in the middle of their work, and people who stop them.
//!
//! What is interrupted goes on from its checkpoint, and the picture is the same to the last bit.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;
use stylefleet_proto::lifecycle::DEATHS;
use stylefleet_proto::{Start, keys};
use stylefleet_tests::processes::{children, signal, wait_for_end, wait_until};
use stylefleet_tests::{Run, Scene};

/// Long enough to be caught in the middle: two scales, some seconds.
const LONG: &str = "--size 48x40 --scales 2 --coarse-evaluations 20 --evaluations 60";

/// What undisturbed runs of [`LONG`] make of `boat.png`, by precision. Made once for all tests.
static UNDISTURBED: LazyLock<HashMap<&str, Vec<u8>>> = LazyLock::new(|| {
    let scene = Scene::with_pictures();
    let precisions = ["f32", "auto"];
    let job = |precision| {
        format!("[[job]]\ncontent = 'boat.png'\nname = '{precision}'\nprecision = '{precision}'\n")
    };
    let jobs = precisions.map(job).concat();
    scene.write(
        "batch.toml",
        format!("[defaults]\nstyle = 'wave.png'\n{jobs}"),
    );
    let ended = scene.run_json(&["--file batch.toml", LONG]).expect_code(0);
    assert!(
        ended
            .events_of("started")
            .iter()
            .all(|event| resumed(event) == 0)
    );
    let picture = |precision| (precision, scene.read(format!("out/{precision}.png")));
    precisions.map(picture).into()
});

/// Where the store keeps something of the job that an event tells of.
fn kept(scene: &Scene, event: &Value, key: fn(&stylefleet_proto::JobId) -> String) -> PathBuf {
    let job = event["job"]
        .as_str()
        .expect("a job")
        .parse()
        .expect("an id");
    scene.path("out/.stylefleet").join(key(&job))
}

fn started(event: &Value) -> bool {
    event["event"] == "started"
}

/// Progress at a scale, some evaluations into it, or at a later one: told a few times a second, a
/// fast machine may be past it.
fn at_scale(scale: u64) -> impl Fn(&Value) -> bool {
    move |event| {
        let number = |field: &str| event[field].as_u64().unwrap_or_default();
        let phase = event["phase"]
            .as_str()
            .and_then(|phase| phase.strip_prefix("scale "));
        let at = phase.and_then(|phase| phase.split_once('/')?.0.parse().ok());
        let at: u64 = at.unwrap_or_default();
        event["event"] == "progress" && at >= scale && number("done") > 3
    }
}

/// Waits until the job that `run` is at has come into a scale and has a checkpoint.
fn wait_for_checkpoint(scene: &Scene, run: &mut Run, scale: u64) {
    let event = run.wait_for("progress past a few evaluations", at_scale(scale));
    let checkpoint = kept(scene, &event, keys::checkpoint);
    wait_until("there is a checkpoint", || checkpoint.exists());
}

/// Waits for the note that a killed worker is replaced.
fn expect_note_of_death(run: &mut Run) {
    let note = run.wait_for("word of the death", |e| e["event"] == "note");
    let text = note["text"].as_str().unwrap_or_default();
    assert!(
        text.contains("SIGKILL") && text.contains("another worker"),
        "{text}"
    );
}

fn resumed(event: &Value) -> u64 {
    event["steps"].as_u64().expect("a number")
}

#[test]
fn a_killed_workers_jobs_go_on_from_their_checkpoints_to_the_same_pictures() {
    let scene = Scene::with_pictures();
    // The second has not begun when the worker dies, and is done all the same.
    let jobs = "[[job]]\ncontent = 'boat.png'\nname = 'first'\nprecision = 'f32'\n\
                [[job]]\ncontent = 'boat.png'\nname = 'second'\nprecision = 'auto'\n";
    scene.write(
        "batch.toml",
        format!("[defaults]\nstyle = 'wave.png'\n{jobs}"),
    );
    let mut run = scene.start(&["--file batch.toml", LONG]);

    // Once at the coarse scale, once at the fine one.
    for scale in [1, 2] {
        wait_for_checkpoint(&scene, &mut run, scale);
        signal(run.worker(), "KILL");
        expect_note_of_death(&mut run);
    }
    let ended = run.end().expect_code(0);

    let starts = ended.events_of("started");
    let again = starts.iter().filter(|start| resumed(start) > 0);
    assert_eq!(again.count(), 2, "{}", ended.so_far());
    // What a worker dies over is delivered again, and is no failed attempt.
    assert!(starts.iter().all(|start| start["attempt"] == 1));
    assert_eq!(starts.len(), 4, "{}", ended.so_far());
    let finished = ended.events_of("finished");
    assert_eq!(finished.len(), 2, "{}", ended.so_far());
    for event in &finished {
        assert!(
            !kept(&scene, event, keys::checkpoint).exists(),
            "a checkpoint was left behind"
        );
    }
    for (name, precision) in [("first", "f32"), ("second", "auto")] {
        let picture = scene.read(format!("out/{name}.png"));
        assert!(picture == UNDISTURBED[precision], "{name} differs");
    }
}

#[test]
fn ctrl_c_keeps_the_checkpoint_and_the_same_command_finishes_the_same_picture() {
    let scene = Scene::with_pictures();
    let command = ["boat.png --style wave.png --precision auto", LONG];
    let mut run = scene.start(&command);
    // Checkpoints may be as rare as they like: this one is written because of the signal.
    run.wait_for("progress", at_scale(1));
    run.signal("INT");
    run.wait_for("word of stopping", |e| e["event"] == "stopping");
    let ended = run.end().expect_code(130);
    let interrupted = &ended.events_of("interrupted")[0];
    let done = interrupted["steps"].as_u64().expect("a number");
    assert!(done > 0, "{}", ended.so_far());
    assert_eq!(ended.events_of("summary")[0]["unfinished"], 1);
    assert!(kept(&scene, interrupted, keys::checkpoint).exists());
    assert!(
        scene.files("out").is_empty(),
        "half a picture was handed over"
    );

    let again = scene.start(&command).end().expect_code(0);
    assert_eq!(resumed(&again.events_of("started")[0]), done);
    assert_eq!(
        again.events_of("started")[0]["attempt"],
        1,
        "stopping cost an attempt"
    );
    assert!(
        scene.read("out/boat.wave.png") == UNDISTURBED["auto"],
        "it differs"
    );
}

#[test]
fn a_second_ctrl_c_stops_at_once_and_leaves_no_worker() {
    let scene = Scene::with_pictures();
    let mut run = scene.start(&["boat.png --style wave.png --evaluations 100000 --size 256"]);
    run.wait_for("the start", started);
    let worker = run.worker();
    // A worker that cannot answer.
    signal(worker, "STOP");
    run.signal("INT");
    run.wait_for("word of stopping", |e| e["event"] == "stopping");
    run.signal("INT");
    run.end().expect_code(130);
    wait_for_end(worker, "the worker");
}

#[test]
fn workers_end_by_themselves_when_their_dispatcher_is_killed() {
    let scene = Scene::with_pictures();
    let command = ["boat.png --style wave.png --precision f32", LONG];
    let mut run = scene.start(&command);
    wait_for_checkpoint(&scene, &mut run, 1);
    let worker = run.worker();
    run.signal("KILL");
    assert_eq!(run.end().status.code(), None);
    wait_for_end(worker, "the worker");

    // Nothing is locked, nothing is lost.
    let again = scene.start(&command).end().expect_code(0);
    assert!(
        resumed(&again.events_of("started")[0]) > 0,
        "{}",
        again.so_far()
    );
    assert!(
        scene.read("out/boat.wave.png") == UNDISTURBED["f32"],
        "it differs"
    );
}

#[test]
fn a_job_that_ends_every_worker_is_set_aside_and_the_others_are_done() {
    let scene = Scene::with_pictures();
    scene.add_content("deadly.png", 2);
    let command = ["deadly.png boat.png --style wave.png --size 32 --evaluations 150 --json"];
    let is_deadly = |e: &Value| started(e) && e["name"] == "deadly.wave";
    // Checkpoints are as rare as usual: a job that gets ahead is not given up.
    let mut run = Run::start(scene.run_command(&command));
    for deaths in 0..DEATHS {
        let event = run.wait_for("a start of the deadly job", is_deadly);
        let mark = kept(&scene, &event, keys::started);
        wait_until("the worker has left its mark", || {
            let mark = std::fs::read(&mark).unwrap_or_default();
            serde_json::from_slice::<Start>(&mark).is_ok_and(|mark| mark.deaths == deaths)
        });
        signal(run.worker(), "KILL");
        expect_note_of_death(&mut run);
    }
    let ended = run.end().expect_code(1);

    let [failed] = &ended.events_of("failed")[..] else {
        panic!("not one failure\n{}", ended.so_far());
    };
    assert_eq!(
        (&failed["name"], &failed["attempts"]),
        (&"deadly.wave".into(), &1.into())
    );
    let reason = failed["reason"].as_str().unwrap_or_default();
    for part in ["5 workers in a row", "SIGKILL", "such as a smaller --size"] {
        assert!(reason.contains(part), "{reason}");
    }
    let why = kept(&scene, failed, keys::failed);
    let why: Value = serde_json::from_slice(&scene.read(&why)).expect("JSON");
    assert_eq!((&why["job"], &why["attempts"]), (&failed["job"], &1.into()));
    assert_eq!(why["reason"], failed["reason"]);
    assert_eq!(ended.events_of("finished")[0]["name"], "boat.wave");
    assert_eq!(scene.files("out"), ["boat.wave.json", "boat.wave.png"]);

    // It is given up, not banned: told to, the next run tries again.
    let again = scene.run(&command).expect_code(0);
    assert_eq!(again.events_of("kept").len(), 1);
    assert_eq!(again.events_of("finished").len(), 1);
    assert!(
        !kept(&scene, failed, keys::failed).exists(),
        "why it was given up was left behind"
    );
}

#[test]
fn a_worker_killed_while_it_starts_is_replaced() {
    let scene = Scene::with_pictures();
    let mut run = scene.start(&["boat.png --style wave.png --size 32 --evaluations 5"]);
    wait_until("there is a worker", || !children(run.id()).is_empty());
    // Loading libtorch takes it far longer than this.
    signal(run.worker(), "KILL");
    expect_note_of_death(&mut run);
    let event = run.wait_for("the start", started);
    assert_eq!(event["attempt"], 1);
    run.end().expect_code(0);
}

#[test]
fn a_damaged_checkpoint_costs_the_work_but_not_the_picture() {
    let scene = Scene::with_pictures();
    let command = ["boat.png --style wave.png --precision f32", LONG];
    let mut run = scene.start(&command);
    wait_for_checkpoint(&scene, &mut run, 1);
    run.signal("INT");
    let ended = run.end().expect_code(130);
    let checkpoint = kept(&scene, &ended.events_of("interrupted")[0], keys::checkpoint);
    let bytes = scene.read(&checkpoint);
    scene.write(
        checkpoint.to_str().expect("a plain path"),
        &bytes[..bytes.len() / 2],
    );

    let again = scene.run_json(&command).expect_code(0);
    assert_eq!(resumed(&again.events_of("started")[0]), 0);
    let note = &again.events_of("note")[0];
    assert!(
        note["text"]
            .as_str()
            .is_some_and(|t| t.contains("checkpoint")),
        "{note}"
    );
    assert!(
        scene.read("out/boat.wave.png") == UNDISTURBED["f32"],
        "it differs"
    );
}

#[test]
fn a_second_run_in_the_same_folder_says_so_and_disturbs_nothing() {
    let scene = Scene::with_pictures();
    let mut first = scene.start(&["boat.png --style wave.png", LONG]);
    first.wait_for("the start", started);
    let second = scene
        .run(&["boat.png --style wave.png --size 16"])
        .expect_code(1);
    second.expect_complaint(&["another stylefleet run", "out"]);
    assert!(second.stdout.is_empty(), "{}", second.so_far());
    assert!(
        children(first.id()).len() == 1,
        "the first one's worker is gone"
    );
    first.wait_for("the first one's picture", |e| e["event"] == "finished");
}

//! Videos that are redrawn, with real workers and the real ffmpeg: on one machine with a pipe and a
//! folder, and on a fleet with a broker and a bucket.

use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use serde_json::{Value, json};
use stylefleet_proto::keys;
use stylefleet_tests::events::{is, job, steps};
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::services::{Services, root};
use stylefleet_tests::{Ended, Run, Scene};

/// The optimiser's least: two chunks, which share a frame.
const SMALL: &str = "clip.mkv --style wave.png --chunk 3 --evaluations 4 --frame-evaluations 2 \
                     --scales 1 --precision f32 --crf 0";
/// A network for every frame.
const BY_NETWORK: &str = "clip.mkv --model samples.safetensors --style night --precision f32";

/// What undisturbed work on [`SMALL`] makes. Made once for all tests.
static UNDISTURBED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let scene = studio();
    video(&scene, &[SMALL, "--out styled.mkv"])
        .end()
        .expect_code(0);
    scene.read("styled.mkv")
});

/// A folder with a clip, a style, and a network.
fn studio() -> Scene {
    let scene = Scene::new();
    furnish(&scene);
    scene
}

fn furnish(scene: &Scene) {
    scene.add_style("wave.png", 1);
    let model = root().join("deploy/samples/models/samples.safetensors");
    std::fs::copy(model, scene.path("samples.safetensors")).expect("copies");
    scene.add_clip("clip.mkv");
}

/// When each frame is shown, in seconds.
fn times(probed: &Value) -> Vec<String> {
    let packets = probed["packets"].as_array().expect("packets").iter();
    let of_pictures = packets.filter(|packet| packet["stream_index"] == 0);
    let mut times: Vec<_> = of_pictures
        .map(|packet| packet["pts_time"].as_str().expect("a time").to_owned())
        .collect();
    times.sort();
    times
}

/// The kinds of the streams.
fn streams(probed: &Value) -> Vec<&str> {
    let streams = probed["streams"].as_array().expect("streams").iter();
    streams
        .map(|stream| stream["codec_type"].as_str().expect("a kind"))
        .collect()
}

fn video(scene: &Scene, args: &[&str]) -> Run {
    let mut command = scene.local_command("video", args);
    command.arg("--json");
    command.env("STYLEFLEET_CHECKPOINT_SECONDS", "0");
    Run::start(command)
}

/// Fails unless the video is to the last bit what undisturbed work makes.
fn expect_undisturbed(video: &[u8]) {
    assert!(video == *UNDISTURBED, "the video differs");
}

#[test]
fn every_frame_keeps_its_time_and_the_clip_its_sound() {
    let scene = studio();
    let ended = video(&scene, &[BY_NETWORK, "--out films/styled.mkv"])
        .end()
        .expect_code(0);
    let assembled = &ended.events_of("assembled")[0];
    let expected = json!({
        "event": "assembled", "file": "films/styled.mkv", "notes": [], "missing": 0,
    });
    assert_eq!(*assembled, expected);
    let finished = &ended.events_of("finished")[0];
    assert_eq!(finished["figures"]["frames"], 5.0, "{finished}");
    let (clip, styled) = (scene.probe("clip.mkv"), scene.probe("films/styled.mkv"));
    assert_eq!(streams(&styled), ["video", "audio", "subtitle"]);
    assert_eq!(times(&styled), times(&clip));
    assert_eq!(scene.files("films"), ["styled.mkv"]);

    // Done again, nothing is.
    let before = scene.read("films/styled.mkv");
    let again = video(&scene, &[BY_NETWORK, "--out films/styled.mkv"])
        .end()
        .expect_code(0);
    assert_eq!(again.events_of("kept").len(), 1, "{}", again.so_far());
    assert!(scene.read("films/styled.mkv") == before);
}

#[test]
fn a_part_of_a_clip_becomes_numbered_images_and_those_a_clip() {
    let scene = studio();
    std::fs::create_dir(scene.path("frames")).expect("makes a folder");
    let part = [
        BY_NETWORK,
        "--from 0.1 --to 0.4 --size 60x40 --out frames/%03d.png",
    ];
    let ended = video(&scene, &part).end().expect_code(0);
    let left_out = [
        "stream 1 of clip.mkv (sound, flac) is left out",
        "stream 2 of clip.mkv (subtitles, subrip) is left out",
    ];
    assert_eq!(ended.events_of("assembled")[0]["notes"], json!(left_out));
    assert_eq!(scene.files("frames"), ["001.png", "002.png", "003.png"]);
    let frame = image::open(scene.path("frames/002.png")).expect("is an image");
    assert_eq!((frame.width(), frame.height()), (60, 40));

    let images = "frames/%03d.png --model samples.safetensors --style wave --rate 5";
    video(&scene, &[images, "--codec ffv1 --out again.mkv"])
        .end()
        .expect_code(0);
    assert_eq!(
        times(&scene.probe("again.mkv")),
        ["0.000000", "0.200000", "0.400000"]
    );
}

#[test]
fn the_optimiser_goes_on_from_where_it_was_stopped() {
    let scene = studio();
    let out = [SMALL, "--out styled.mkv"];
    let mut stopped = video(&scene, &out);
    stopped.wait_for("the third evaluation", |event| {
        event["event"] == "progress" && steps(event) >= 3
    });
    stopped.signal("INT");
    let ended = stopped.end().expect_code(130);
    assert!(!scene.path("styled.mkv").exists());
    let kept = steps(&ended.events_of("interrupted")[0]);
    let mut killed = video(&scene, &out);
    let started = killed.wait_for("the start", is("started"));
    assert_eq!(steps(&started), kept);
    killed.wait_for("two steps more", |event| {
        event["event"] == "progress" && steps(event) >= kept + 2
    });
    killed.signal("KILL");
    drop(killed);
    let ended = video(&scene, &out).end().expect_code(0);
    let finished = ended.events_of("finished");
    assert!(
        finished
            .iter()
            .all(|event| event["figures"]["loss"].is_number()),
        "{finished:?}"
    );
    expect_undisturbed(&scene.read("styled.mkv"));
    assert_eq!(
        times(&scene.probe("styled.mkv")),
        times(&scene.probe("clip.mkv"))
    );
}

/// Optical flow between the frames that a video numbers so, to the right.
fn add_flow(scene: &Scene, [width, height]: [u32; 2], from: usize, to: usize, right: f32) {
    let way = if from < to { "forward" } else { "backward" };
    let sides = [width, height].map(u32::to_le_bytes).concat();
    let pixel = [right, 0.0].map(f32::to_le_bytes).concat();
    let pixels = pixel.repeat((width * height) as usize);
    let file = [b"PIEH".to_vec(), sides, pixels].concat();
    scene.write(&format!("flow/{way}_{from}_{to}.flo"), file);
}

#[test]
fn frames_are_held_together_by_the_flow_of_others() {
    let scene = studio();
    std::fs::create_dir(scene.path("flow")).expect("makes a folder");
    let made = |right: f32| {
        for frame in 1..5 {
            add_flow(&scene, [48, 32], frame, frame + 1, right);
            add_flow(&scene, [48, 32], frame + 1, frame, -right);
        }
        let asked = [SMALL, "--flow flow --out styled.mkv"];
        let ended = video(&scene, &asked).end().expect_code(0);
        // Of other flow, it is another video.
        assert_eq!(ended.events_of("finished").len(), 2, "{}", ended.so_far());
        scene.read("styled.mkv")
    };
    let (still, moving) = (made(0.0), made(4.0));
    assert!(still != moving && still != *UNDISTURBED);

    let refused = |flow: &str, parts: &[&str]| {
        let small = SMALL.replace("styled", "other");
        let ended = video(&scene, &[&small, flow, "--out other.mkv"]).end();
        ended.expect_code(2).expect_complaint(parts);
        assert!(!scene.path("other.mkv").exists());
    };
    let long = [
        "flow/forward_1_3.flo is missing",
        "says which files --flow takes",
    ];
    refused("--flow flow --long-term", &long);
    let file = scene.path("flow/backward_4_3.flo");
    let whole = std::fs::read(&file).expect("is there");
    std::fs::write(&file, &whole[..99]).expect("writes");
    refused("--flow flow", &["flow/backward_4_3.flo is cut off"]);
    add_flow(&scene, [47, 32], 4, 3, 0.0);
    refused("--flow flow", &["is of 47x32, not of 48x32"]);
    std::fs::remove_file(&file).expect("removes");
    refused("--flow flow", &["flow/backward_4_3.flo is missing"]);
}

#[test]
fn what_is_no_video_is_refused_in_one_line() {
    let scene = studio();
    scene.ffmpeg("-i clip.mkv -map 0:a -c copy sound.mka");
    scene.write("text.mp4", "no video");
    scene.write("list.mp4", "ffconcat version 1.0\nfile clip.mkv\n");
    let night = "--model samples.safetensors --style night";
    for (args, parts) in [
        ("gone.mp4 --style wave.png", &["gone.mp4"][..]),
        ("text.mp4 --style wave.png", &["text.mp4"]),
        ("list.mp4 --style wave.png", &["list.mp4"]),
        ("sound.mka --style wave.png", &["sound.mka", "sound only"]),
        (
            "clip.mkv --style wave.png --from 9",
            &["no frame", "from 9 s"],
        ),
        (
            "clip.mkv --style wave.png --from 2 --to 1",
            &["the start before the end"],
        ),
        (
            "clip.mkv --style wave.png --max-pixels 100",
            &["48x32", "100 pixels"],
        ),
        (
            "clip.mkv --style wave.png --crf 99",
            &["crf: is 99, must be 0 to 51"],
        ),
        ("clip.mkv --style wave.png --out a.txt", &["a.txt", ".mp4"]),
        (
            "clip.mkv --style wave.png --out a.webm --codec h264",
            &["a.webm cannot hold h264"],
        ),
        ("clip.mkv --style wave.png --passes 0", &["passes: is 0"]),
        (
            "clip.mkv --style wave.png --init boat.png",
            &["init: is a file"],
        ),
        (
            "clip.mkv --model samples.safetensors",
            &["style: the model has 3"],
        ),
        (
            &format!("clip.mkv {night} --passes 2"),
            &["--passes: has no meaning with --model"],
        ),
        (
            &format!("clip.mkv {night} --flow flow"),
            &["--flow: has no meaning with --model"],
        ),
        (
            "clip.mkv --style wave.png --flow s3://films/flow",
            &["--flow: is in a bucket"],
        ),
        ("none/%03d.png --style wave.png", &["none"]),
    ] {
        let ended = video(&scene, &[args]).end();
        let ended = ended.expect_code(2);
        ended.expect_complaint(parts);
    }
    // What the store has of a clip is there for the next.
    assert!(!scene.path("out/styled.mp4").exists());
}

#[test]
fn a_full_disk_leaves_a_chunk_to_another_worker() {
    let workshop = Workshop::new(Services::shared());
    furnish(&workshop.scene);
    workshop.ask(&["submit-video", SMALL, "--batch clip --out styled.mkv"]);
    let mut watch = workshop.watch("clip");
    // No file of this worker, or of its ffmpeg, may have more than 4 KiB.
    let script = workshop.scene.path("tight.sh");
    let worker = stylefleet_tests::worker();
    let text = format!(
        "#!/bin/sh\ntrap '' XFSZ\nulimit -f 8\nexec '{}' \"$@\"\n",
        worker.display()
    );
    std::fs::write(&script, text).expect("writes");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&script, executable).expect("is ours");
    let tight = stylefleet_tests::fleet::started(workshop.worker_of(&script));
    let note = watch.wait_for("the note", is("note"));
    let text = note["text"].to_string();
    assert!(
        text.contains("clip.mkv") && text.contains("it is tried again"),
        "{text}"
    );
    tight.signal("TERM");
    tight.end().expect_code(0);
    let _worker = workshop.start_worker(&[]);
    watch.end().expect_code(0);
    let fetched = workshop
        .start_plain(&["fetch-video clip --out styled.mkv"])
        .end();
    fetched.expect_code(0);
    expect_undisturbed(&workshop.scene.read("styled.mkv"));
}

#[test]
fn a_fleet_makes_the_same_across_deaths() {
    let workshop = Workshop::new(Services::shared());
    furnish(&workshop.scene);
    let submit = ["submit-video", SMALL, "--batch clip --out styled.mkv"];
    let submitted = workshop.ask(&submit);
    assert_eq!(
        (&submitted["batch"], &submitted["accepted"]),
        (&json!("clip"), &json!(2))
    );
    let fetch =
        |out: &str| -> Ended { workshop.start_plain(&["fetch-video clip --out", out]).end() };
    let status = workshop.ask(&["status clip"]);
    let nothing = json!({"done": 0, "total": 5, "workers": 0, "seconds_left": null});
    assert_eq!(status["video"], nothing);
    fetch("early.mkv")
        .expect_code(2)
        .expect_complaint(&["no chunk of it is done so far"]);

    let mut watch = workshop.watch("clip");
    let killed = workshop.start_worker(&[]);
    let job = job(&watch.wait_for("the start", is("started")));
    workshop.wait_for_object(&keys::checkpoint(&job));
    killed.signal("KILL");
    let drained = workshop.start_worker(&[]);
    watch.wait_for("another start", is("started"));
    watch.wait_for("progress", is("progress"));
    drained.signal("TERM");
    drained.end().expect_code(0);
    let _worker = workshop.start_worker(&[]);
    let watched = watch.end().expect_code(0);
    let told = watched.events_of("video");
    assert!(told.iter().any(|event| event["workers"] == 1), "{told:?}");
    let last = told.last().expect("it is told how far the video is");
    assert_eq!((&last["done"], &last["total"]), (&json!(5), &json!(5)));
    assert_eq!(workshop.ask(&["status clip"])["video"]["done"], 5);
    fetch("styled.mkv").expect_code(0);
    expect_undisturbed(&workshop.scene.read("styled.mkv"));
    workshop.expect_nothing_waits();

    // A batch of pictures is none of a video.
    let batch = workshop.submit(&["boat.png --style wave.png"]);
    let refused = workshop
        .start_plain(&["fetch-video", &batch, "--out a.mkv"])
        .end();
    refused
        .expect_code(2)
        .expect_complaint(&["is no batch of a video"]);
}

//! `stylefleet run`, with real workers and the real network, on tiny pictures.

use std::path::Path;

use image::imageops::FilterType;
use image::{ColorType, DynamicImage, GenericImageView};
use serde_json::{Value, json};
use stylefleet_tests::processes::limit_memory;
use stylefleet_tests::{Ended, Run, Scene, content, stylefleet};

fn open(scene: &Scene, file: &str) -> DynamicImage {
    image::open(scene.path(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Mean absolute difference of two pictures, in 0 to 1.
fn difference(one: &DynamicImage, other: &DynamicImage) -> f32 {
    assert_eq!(one.dimensions(), other.dimensions());
    let (one, other) = (one.to_rgb32f(), other.to_rgb32f());
    let sum: f32 = one
        .iter()
        .zip(other.iter())
        .map(|(a, b)| (a - b).abs())
        .sum();
    sum / one.as_raw().len() as f32
}

/// The input of that role in the record of a picture.
fn input(story: &Value, role: &str) -> Value {
    let inputs = story["inputs"].as_array().expect("a list");
    let input = inputs.iter().find(|input| input["role"] == role);
    input.cloned().unwrap_or_default()
}

/// Checks what the job that failed says of why.
fn expect_reason(ended: &Ended, parts: &[&str]) {
    let failed = ended.events_of("failed");
    let reason = failed[0]["reason"].as_str().expect("a reason");
    for part in parts {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn every_content_is_redrawn_in_every_style_with_its_story_beside_it() {
    let scene = Scene::new();
    std::fs::create_dir(scene.path("photos")).expect("makes a folder");
    scene.add_content("photos/boat.png", 1);
    scene.add_content("photos/car.png", 2);
    scene.add_style("wave.png", 1);
    scene.add_style("grid.png", 2);
    let command = "photos --style wave.png --style grid.png --size 32 --evaluations 5 --seed 3";
    let ended = scene.run(&[command]).expect_code(0);

    let names = ["boat.grid", "boat.wave", "car.grid", "car.wave"];
    let expected: Vec<_> = names
        .iter()
        .flat_map(|name| [format!("{name}.json"), format!("{name}.png")])
        .collect();
    assert_eq!(scene.files("out"), expected);
    assert_eq!(
        ended.stdout.len(),
        4,
        "a line a picture\n{}",
        ended.so_far()
    );

    for name in names {
        let picture = open(&scene, &format!("out/{name}.png"));
        assert_eq!(picture.dimensions(), (32, 24));
        let (content, _) = name.split_once('.').expect("content and style");
        let photo = open(&scene, &format!("photos/{content}.png"));
        assert!(difference(&picture, &photo) > 0.01, "{name} is the photo");

        let story = scene.json(format!("out/{name}.json"));
        assert_eq!(story["file"], format!("{name}.png"));
        assert_eq!(story["labels"], json!({"preset": "studio"}));
        assert_eq!(story["steps"], 5);
        let made = story["outputs"].as_array().expect("outputs").iter();
        let made: Vec<_> = made.map(|o| (&o["role"], &o["media_type"])).collect();
        let picture = (&json!("picture"), &json!("image/png"));
        assert_eq!(
            made,
            [picture, (&json!("curve"), &json!("application/json"))]
        );
        assert_eq!(
            story["specification"]["parameters"]["size"],
            json!({"longest": 32})
        );
        assert_eq!(story["specification"]["parameters"]["seed"], 3);
        let name = &input(&story, "content")["name"];
        assert_eq!(*name, format!("{content}.png"));
        assert!(
            story["seconds"].as_f64().is_some_and(|s| s > 0.0),
            "{story}"
        );
        let figures = story["figures"].as_object().expect("figures");
        let terms = figures.iter().filter(|(name, _)| name.starts_with("loss."));
        let sum: f64 = terms.filter_map(|(_, value)| value.as_f64()).sum();
        let loss = figures["loss"].as_f64().expect("a loss");
        assert!(
            (sum / loss - 1.0).abs() < 1e-3,
            "{sum} is not {loss}: {figures:?}"
        );
        for part in ["stylefleet", "libtorch", "network", "weights", "precision"] {
            assert!(story["made_with"][part].is_string(), "{story}");
        }
    }
}

#[test]
fn run_again_it_keeps_what_is_done_and_starts_nothing() {
    let scene = Scene::with_pictures();
    let command = ["boat.png --style wave.png --size 16 --evaluations 2"];
    let first = scene.run_json(&command).expect_code(0);
    assert_eq!(first.events_of("finished").len(), 1);
    let files = ["out/boat.wave.png", "out/boat.wave.json"];
    let before = files.map(|file| scene.read(file));

    let mut again = scene.run_command(&command);
    // Had it any work, it could not do it.
    again
        .arg("--json")
        .env("STYLEFLEET_WORKER", "/nowhere/worker");
    let again = Run::start(again).end().expect_code(0);
    let kinds: Vec<_> = again.events().iter().map(|e| e["event"].clone()).collect();
    assert_eq!(kinds, ["kept", "summary"]);
    assert_eq!(again.events_of("summary")[0]["kept"], 1);
    assert_eq!(files.map(|file| scene.read(file)), before);

    // What people took away comes back, without being made again.
    std::fs::remove_file(scene.path(files[0])).expect("removes");
    let mut again = scene.run_command(&command);
    again.env("STYLEFLEET_WORKER", "/nowhere/worker");
    Run::start(again).end().expect_code(0);
    assert_eq!(scene.read(files[0]), before[0]);

    // Another ask is other work.
    let other = scene.run_json(&["boat.png --style wave.png --size 16 --evaluations 3"]);
    assert_eq!(other.expect_code(0).events_of("finished").len(), 1);
}

#[test]
fn json_is_the_documented_events_and_nothing_else() {
    let scene = Scene::with_pictures();
    scene.write("broken.png", "no picture");
    let command = "boat.png broken.png --style wave.png --size 32 --evaluations 20";
    let ended = scene.run_json(&[command]).expect_code(1);
    assert!(ended.stderr.is_empty(), "{}", ended.so_far());

    let mut help = scene.command(stylefleet());
    help.args(["run", "--help"]);
    let help = Run::start(help).end().expect_code(0).stdout.join("\n");
    let (_, documented) = help.split_once("Events (--json)").expect("a section");
    let (documented, _) = documented
        .split_once("Environment:")
        .expect("the next section");

    let events = ended.events();
    for event in &events {
        let kind = event["event"].as_str().expect("a kind");
        assert!(documented.contains(kind), "{kind} is not in the help");
    }
    let of_boat = |kind: &str| {
        let mut places = events.iter().enumerate();
        let found = places.find(|(_, e)| e["event"] == kind && e["name"] == "boat.wave");
        let (place, event) = found.unwrap_or_else(|| panic!("no {kind}\n{}", ended.so_far()));
        (place, event.clone())
    };
    let (started, progress) = (of_boat("started"), of_boat("progress"));
    let finished = of_boat("finished");
    assert!(started.0 < progress.0 && progress.0 < finished.0);
    assert_eq!(started.1["device"], "cpu");
    assert_eq!(
        (&started.1["attempt"], &started.1["steps"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(progress.1["phase"], "scale 1/1, 32x24");
    assert_eq!(
        (&progress.1["total"], &progress.1["unit"]),
        (&json!(20), &json!("evaluations"))
    );
    assert!(progress.1["figures"]["loss"].is_number());
    assert_eq!(finished.1["file"], "out/boat.wave.png");
    assert_eq!(finished.1["steps"], 20);
    assert!(finished.1["figures"]["loss"].is_number());
    let summary = events.last().expect("events");
    assert_eq!(summary["event"], "summary");
    for (count, value) in [("done", 1), ("kept", 0), ("failed", 1), ("unfinished", 0)] {
        assert_eq!(summary[count], value, "{count} in {summary}");
    }
}

#[test]
fn pictures_that_would_share_a_name_are_kept_apart() {
    let scene = Scene::new();
    for (folder, seed) in [("east", 1), ("west", 2)] {
        std::fs::create_dir(scene.path(folder)).expect("makes a folder");
        scene.add_content(&format!("{folder}/boat.png"), seed);
    }
    scene.add_style("wave.png", 1);
    let command = "east/boat.png west/boat.png --style wave.png --size 16 --evaluations 2";
    scene.run(&[command]).expect_code(0);
    assert_eq!(
        scene.files("out"),
        [
            "boat.wave-2.json",
            "boat.wave-2.png",
            "boat.wave.json",
            "boat.wave.png"
        ]
    );
    assert_ne!(
        scene.read("out/boat.wave.png"),
        scene.read("out/boat.wave-2.png")
    );
    let hash = |file| input(&scene.json(file), "content")["sha256"].clone();
    assert_ne!(hash("out/boat.wave.json"), hash("out/boat.wave-2.json"));
}

#[test]
fn nothing_in_the_folder_is_written_over_whatever_the_order_of_runs() {
    let scene = Scene::new();
    for (folder, seed) in [("east", 1), ("west", 2)] {
        std::fs::create_dir(scene.path(folder)).expect("makes a folder");
        scene.add_content(&format!("{folder}/boat.png"), seed);
    }
    scene.add_style("wave.png", 1);
    let options = "--style wave.png --evaluations 2";
    let run = |contents: &str, size: &str| {
        let ended = scene.run_json(&[contents, options, "--size", size]);
        let mut files = Vec::new();
        for event in ended.expect_code(0).events() {
            if let (Value::String(kind), Value::String(file)) = (&event["event"], &event["file"]) {
                files.push(format!("{kind} {file}"));
            }
        }
        files
    };
    assert_eq!(run("west/boat.png", "16"), ["finished out/boat.wave.png"]);
    let (west, of_west) = (
        scene.read("out/boat.wave.png"),
        scene.read("out/boat.wave.json"),
    );
    // The name that it has counts, not the one that it would get in this run.
    let both = run("east/boat.png west/boat.png", "16");
    assert_eq!(
        both,
        ["kept out/boat.wave.png", "finished out/boat.wave-2.png"]
    );
    let east = scene.read("out/boat.wave-2.png");
    assert_eq!(run("east/boat.png", "16"), ["kept out/boat.wave-2.png"]);
    assert_eq!(run("west/boat.png", "16"), ["kept out/boat.wave.png"]);
    // With other options it is another picture.
    assert_eq!(run("west/boat.png", "20"), ["finished out/boat.wave-3.png"]);
    assert_eq!(run("west/boat.png", "16"), ["kept out/boat.wave.png"]);
    assert_eq!(scene.read("out/boat.wave.png"), west);
    assert_eq!(scene.read("out/boat.wave.json"), of_west);
    assert_eq!(scene.read("out/boat.wave-2.png"), east);

    // A person changes one, and puts a file of their own where the next would go.
    scene.write("out/boat.wave.png", "retouched");
    scene.write("out/boat.wave-4.png", "mine");
    let ended = scene.run_json(&["west/boat.png", options, "--size 16"]);
    let ended = ended.expect_code(0);
    let note = ended.events_of("note")[0]["text"].clone();
    let note = note.as_str().expect("a text");
    assert!(note.contains("out/boat.wave.png was changed"), "{note}");
    assert_eq!(ended.events_of("kept")[0]["file"], "out/boat.wave-5.png");
    assert_eq!(run("west/boat.png", "16"), ["kept out/boat.wave-5.png"]);
    assert_eq!(scene.read("out/boat.wave-5.png"), west);
    assert_eq!(scene.read("out/boat.wave.png"), b"retouched");
    assert_eq!(scene.read("out/boat.wave-4.png"), b"mine");
}

#[test]
fn a_folder_is_taken_with_whatever_else_is_in_it() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.path("photos/2024/[may] trip")).expect("makes folders");
    scene.add_content("photos/boat.png", 1);
    scene.add_content("photos/2024/boat.png", 2);
    scene.add_content("photos/2024/[may] trip/car.png", 3);
    scene.add_style("wave.png", 1);
    let copy = |from: &str, to: &str| scene.write(to, scene.read(from));
    copy("photos/boat.png", "photos/plain");
    for other in ["a.psd", "b.PSD", "notes.txt", ".hidden.png", "._boat.png"] {
        scene.write(&format!("photos/{other}"), "something else");
    }
    // Into the folder itself: what is made there is not taken up by the next run.
    let command = ["photos --style wave.png --size 16 --evaluations 2 --out photos"];
    let ended = scene.run(&command).expect_code(0);
    // One job under two names.
    for name in ["boat", "plain"] {
        let line = format!("finished  photos/{name}.wave.png: ");
        let is_it = |printed: &&String| printed.starts_with(&line);
        assert_eq!(
            ended.stdout.iter().filter(is_it).count(),
            1,
            "{}",
            ended.so_far()
        );
    }
    let passed_over = "note      photos: 3 files passed over: 2 .psd, 1 .txt";
    let is_it = |printed: &&String| *printed == passed_over;
    assert_eq!(
        ended.stderr.iter().filter(is_it).count(),
        1,
        "{}",
        ended.so_far()
    );

    let deep = scene.run_json(&[command[0], "--recursive"]).expect_code(0);
    assert_eq!(deep.events_of("kept").len(), 2, "{}", deep.so_far());
    let passed_over = &deep.events_of("passed-over")[0];
    assert_eq!(passed_over["content"], "photos");
    assert_eq!(passed_over["endings"], json!({".psd": 2, ".txt": 1}));
    let finished = deep.events_of("finished");
    let mut made: Vec<_> = finished
        .iter()
        .map(|e| (e["name"].clone(), e["file"].clone()))
        .collect();
    made.sort_by_key(|(name, _)| name.to_string());
    let expected = ["2024/[may] trip/car.wave", "2024/boat.wave"];
    assert_eq!(
        made,
        expected.map(|name| (json!(name), json!(format!("photos/{name}.png"))))
    );
    assert_eq!(
        scene.files("photos/2024"),
        ["[may] trip", "boat.png", "boat.wave.json", "boat.wave.png"]
    );
    let again = scene.run_json(&[command[0], "--recursive"]).expect_code(0);
    assert_eq!(again.events_of("kept").len(), 4, "{}", again.so_far());
    assert_eq!(again.events_of("summary")[0]["done"], 0);

    // From a batch file, to a folder of its own.
    scene.write(
        "batch.toml",
        "[defaults]\nstyle = 'wave.png'\nsize = 16\nevaluations = 2\n\
         [[job]]\ncontent = 'photos'\nrecursive = true\npreset = 'gatys'\nprecision = 'f32'\n",
    );
    scene.run(&["--file batch.toml"]).expect_code(0);
    assert_eq!(
        scene.files("out/2024/[may] trip"),
        ["car.wave.json", "car.wave.png"]
    );
}

#[test]
fn a_part_of_a_pattern_that_is_there_means_itself() {
    let scene = Scene::with_pictures();
    std::fs::create_dir(scene.path("[2024] trip")).expect("makes a folder");
    scene.add_content("[2024] trip/car.png", 2);
    scene.write(
        "batch.toml",
        "[[job]]\ncontent = '../[2024] trip/c*.png'\nstyle = '../wave.png'\n",
    );
    std::fs::create_dir(scene.path("*[b]")).expect("makes a folder");
    std::fs::rename(scene.path("batch.toml"), scene.path("*[b]/batch.toml")).expect("moves");
    let run = |args: &[&str]| {
        let mut command = scene.run_command(&["--size 16 --evaluations 2 --json --out out"]);
        command.args(args);
        Run::start(command).end()
    };
    let contents = ["[2024] trip/*.png", "--style", "wave.png"];
    assert_eq!(run(&contents).expect_code(0).events_of("finished").len(), 1);
    let file = ["--file", "*[b]/batch.toml"];
    assert_eq!(run(&file).expect_code(0).events_of("kept").len(), 1);
    // Mistaken names are not there, whatever they look like.
    for (mistaken, style, reason) in [
        (
            "[2024] tripp/*.png",
            "wave.png",
            "is not there, and as a pattern",
        ),
        ("boat[1].png", "wave.png", "is not there, and as a pattern"),
        ("baot.png", "wave.png", "baot.png: is not there"),
        (
            "boat.png",
            "w*.png",
            "w*.png: is not there: patterns are for contents",
        ),
    ] {
        let ended = run(&[mistaken, "--style", style]).expect_code(1);
        expect_reason(&ended, &[reason]);
    }
}

#[test]
fn weights_blend_styles_into_one_picture() {
    let scene = Scene::with_pictures();
    scene.add_style("grid.png", 2);
    let size = "--size 24 --evaluations 8 --precision f32";
    let command = "boat.png --style wave.png=1 --style grid.png=3";
    scene.run(&[command, size]).expect_code(0);
    assert_eq!(
        scene.files("out"),
        ["boat.wave+grid.json", "boat.wave+grid.png"]
    );
    let story = scene.json("out/boat.wave+grid.json");
    assert_eq!(input(&story, "style.1")["name"], "wave.png");
    assert_eq!(input(&story, "style.2")["name"], "grid.png");
    assert_eq!(story["specification"]["weights"], json!([1.0, 3.0]));

    // Both styles count: the blend is neither.
    let apart = "boat.png --style wave.png --style grid.png --out apart";
    scene.run(&[apart, size]).expect_code(0);
    let blend = open(&scene, "out/boat.wave+grid.png");
    for single in ["wave", "grid"] {
        let single = open(&scene, &format!("apart/boat.{single}.png"));
        assert!(difference(&blend, &single) > 0.001);
    }
}

#[test]
fn masks_strength_and_statistics_come_with_the_job() {
    let scene = Scene::with_pictures();
    scene.add_style("grid.png", 2);
    let white = |x: u32, _| image::Luma([if x < 12 { 255 } else { 0 }]);
    let mask = image::GrayImage::from_fn(24, 18, white);
    mask.save(scene.path("left.png")).expect("writes");
    let masked = "boat.png --style wave.png --mask left.png --style grid.png --mask none";
    let more = "--strength 0.6 --style-loss wasserstein --normalize-gradients --average 0.5 \
                --size 24 --evaluations 4";
    scene.run(&[masked, more]).expect_code(0);
    let story = scene.json("out/boat.wave+grid.json");
    assert_eq!(input(&story, "mask.1")["name"], "left.png");
    assert_eq!(input(&story, "mask.2"), Value::Null);
    let objective = &story["specification"]["parameters"];
    assert_eq!(objective["strength"], 0.6);
    assert_eq!(objective["style_loss"], "wasserstein");
    assert_eq!(objective["normalize_gradients"], true);
    assert_eq!(objective["content_weight"], 1.0);
    assert_eq!(story["specification"]["parameters"]["average"], 0.5);

    // The same from a batch file.
    scene.write(
        "batch.toml",
        "[defaults]\nstyle = ['wave.png', 'grid.png']\nmask = ['left.png', 'none']\n\
         strength = 0.6\nstyle-loss = 'wasserstein'\nnormalize-gradients = true\naverage = 0.5\n\
         size = 24\nevaluations = 4\n\
         [[job]]\ncontent = 'boat.png'\n",
    );
    let again = scene.run_json(&["--file batch.toml"]).expect_code(0);
    assert_eq!(again.events_of("kept").len(), 1, "{}", again.so_far());
}

#[test]
fn a_job_of_another_network_is_refused() {
    let scene = Scene::with_pictures();
    let job = "boat.png --style wave.png --size 24 --network vgg16";
    let ended = scene.run_json(&[job]).expect_code(1);
    expect_reason(&ended, &["asks for VGG16", "weights are of VGG19"]);
    // What no worker could do, no worker is asked for.
    let ended = scene.run(&[job, "--preset notebook"]).expect_code(2);
    ended.expect_complaint(&["conv3_4", "VGG16 does not have"]);
}

#[test]
fn a_worker_keeps_to_the_memory_that_it_may_take() {
    let scene = Scene::with_pictures();
    let little = "boat.png --style wave.png --size 32 --evaluations 1 --memory 300MB";
    let mut run = scene.start(&[little]);
    // Another worker of a fleet might have more, so it is tried again; nobody waits for that here.
    let note = run.wait_for("word of the failure", |event| event["event"] == "note");
    let note = note["text"].as_str().expect("a text");
    for part in ["32x24", "0.3 GiB", "--memory", "it is tried again"] {
        assert!(note.contains(part), "{note}");
    }
}

#[test]
fn progress_pictures_and_the_curve_of_the_loss_come_with_the_picture() {
    let scene = Scene::with_pictures();
    let command = "boat.png --style wave.png --size 48 --scales 2 --coarse-evaluations 12";
    let extras = "--evaluations 20 --preview-every 10 --curve";
    let ended = scene.run_json(&[command, extras]).expect_code(0);
    let previews = ended.events_of("previewed");
    let at: Vec<_> = previews.iter().map(|e| e["steps"].clone()).collect();
    assert_eq!(at, [10, 20, 30], "{}", ended.so_far());
    for (preview, width) in previews.iter().zip([24, 48, 48]) {
        let file = preview["file"].as_str().expect("a path");
        assert_eq!(open(&scene, file).width(), width);
    }
    let curve = String::from_utf8(scene.read("out/boat.wave.svg")).expect("text");
    assert!(curve.contains("</svg>"), "{curve}");
    // Another job of that name has its own.
    let other = "--evaluations 21 --preview-every 10 --curve";
    let ended = scene.run_json(&[command, other]).expect_code(0);
    for preview in ended.events_of("previewed") {
        let file = preview["file"].as_str().expect("a path");
        assert!(file.starts_with("out/boat.wave-2.previews/"), "{file}");
    }
    assert_eq!(scene.read("out/boat.wave.svg"), curve.as_bytes());
    assert!(scene.path("out/boat.wave-2.svg").exists());

    // They are no part of what is asked: the picture is kept.
    let again = scene
        .run_json(&[command, "--evaluations 20"])
        .expect_code(0);
    assert_eq!(again.events_of("kept").len(), 1, "{}", again.so_far());
}

/// Photographs of paintings are much larger than what is made of them: 25 megapixels have 300 MB as
/// 32-bit numbers, and no room for as much again.
#[test]
fn a_large_style_image_takes_little_memory() {
    let scene = Scene::with_pictures();
    let painting = open(&scene, "wave.png").resize_exact(5000, 5000, FilterType::Nearest);
    painting.save(scene.path("large.jpg")).expect("saves");
    let command = "boat.png --style wave.png --style large.jpg --size 32 --evaluations 20";
    let mut run = scene.start(&[command]);
    run.wait_for("the small style", |e| e["event"] == "progress");
    limit_memory(run.worker(), 700);
    let ended = run.end().expect_code(0);
    assert_eq!(ended.events_of("started").len(), 2, "{}", ended.so_far());
}

/// Believing in more memory than there is, the worker takes the large scale whole. What that needs
/// is 270 MB; that there is less turns out once the worker has done some of the small one, which
/// takes a quarter of it, and may have that at the moment or not.
#[test]
fn a_job_that_runs_out_of_memory_goes_on_in_smaller_tiles() {
    let scene = Scene::with_pictures();
    let command = "boat.png --style wave.png --size 512 --scales 2 --coarse-evaluations 20 \
                   --evaluations 2 --tolerance 0 --optimizer adam --precision f32 \
                   --style-layers conv1_1,conv2_1 --content-layers conv2_2 --memory 30GiB";
    let mut run = scene.start(&[command]);
    run.wait_for("some of the small scale", |e| {
        e["event"] == "progress" && e["steps"].as_u64() >= Some(5)
    });
    limit_memory(run.worker(), 160);
    let ended = run.end().expect_code(0);
    assert_eq!(ended.events_of("started").len(), 1, "{}", ended.so_far());
    let notes = ended.events_of("note");
    let is_smaller = |note: &Value| {
        let text = note["text"].as_str().unwrap_or_default();
        text.contains("out of memory: goes on in tiles of")
    };
    assert!(notes.iter().any(is_smaller), "{}", ended.so_far());

    let made = open(&scene, "out/boat.wave.png");
    std::fs::remove_dir_all(scene.path("out")).expect("removes");
    scene.run(&[command]).expect_code(0);
    let whole = open(&scene, "out/boat.wave.png");
    let difference = difference(&made, &whole);
    assert!(difference < 0.005, "{difference}");
}

#[test]
fn a_batch_file_has_defaults_and_overrides_and_every_format() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.path("batch/photos")).expect("makes folders");
    scene.add_content("batch/photos/boat.png", 1);
    scene.add_style("batch/wave.png", 1);
    scene.write(
        "batch/batch.toml",
        r#"
[defaults]
out = "pictures"
size = 20
style = "wave.png"
evaluations = 3
precision = "f32"

[[job]]
content = "photos"

[[job]]
content = "photos/boat.png"
name = "deep"
format = "tiff"

[[job]]
content = "photos/boat.png"
name = "light"
format = "jpeg"
seed = 8

[[job]]
content = "photos/boat.png"
name = "other"
size = "24x16"
preset = "notebook"
evaluations = 2
"#,
    );
    // From another folder: the file's paths are its own. The command line wins over [defaults].
    scene
        .run(&["--file batch/batch.toml --evaluations 4 --seed 5"])
        .expect_code(0);
    let story = |name: &str| scene.json(Path::new("batch/pictures").join(format!("{name}.json")));
    let picture = |name: &str| open(&scene, &format!("batch/pictures/{name}"));

    let png = picture("boat.wave.png");
    assert_eq!((png.dimensions(), png.color()), ((20, 16), ColorType::Rgb8));
    let tiff = picture("deep.tiff");
    assert_eq!(
        (tiff.dimensions(), tiff.color()),
        ((20, 16), ColorType::Rgb16)
    );
    assert!(
        difference(&png, &tiff) < 1.0 / 255.0,
        "{}",
        difference(&png, &tiff)
    );
    let sixteen = tiff.to_rgb16();
    let is_fine = sixteen.iter().any(|value| value % 257 != 0);
    assert!(is_fine, "the TIFF has only 8 bits in its 16");
    let jpeg = picture("light.jpg");
    assert_eq!(
        (jpeg.dimensions(), jpeg.color()),
        ((20, 16), ColorType::Rgb8)
    );
    let bytes = scene.read("batch/pictures/light.jpg");
    assert_eq!(
        image::guess_format(&bytes).ok(),
        Some(image::ImageFormat::Jpeg)
    );
    assert!(
        difference(&png, &jpeg) < 0.05,
        "{}",
        difference(&png, &jpeg)
    );
    assert_eq!(picture("other.png").dimensions(), (24, 16));

    let of = |name: &str| {
        let story = story(name);
        let parameters = &story["specification"]["parameters"];
        (
            story["labels"]["preset"].clone(),
            parameters["evaluations"].clone(),
            parameters["seed"].clone(),
        )
    };
    assert_eq!(of("boat.wave"), (json!("studio"), json!(4), json!(5)));
    assert_eq!(of("light"), (json!("studio"), json!(4), json!(8)));
    assert_eq!(of("other"), (json!("notebook"), json!(2), json!(5)));
    assert_eq!(
        story("other")["specification"]["parameters"]["means"],
        "swapped"
    );
}

#[test]
fn every_kind_of_image_is_taken() {
    let scene = Scene::new();
    std::fs::create_dir(scene.path("photos")).expect("makes a folder");
    let photo = DynamicImage::from(content(32, 24, 1));
    for (name, image) in [
        ("colour.png", photo.clone()),
        ("grey.png", photo.to_luma8().into()),
        ("deep.png", photo.to_rgb16().into()),
        ("clear.png", photo.to_rgba8().into()),
        ("photo.jpg", photo.clone()),
        ("photo.webp", photo.clone()),
        ("photo.tiff", photo.clone()),
    ] {
        image.save(scene.path("photos").join(name)).expect("saves");
    }
    scene.add_style("wave.png", 1);
    let command = "photos --style wave.png --size 16 --evaluations 2 --precision f32";
    let ended = scene.run_json(&[command]).expect_code(0);
    assert_eq!(ended.events_of("finished").len(), 7, "{}", ended.so_far());
    // The same picture, however it is written down.
    let reference = open(&scene, "out/colour.wave.png");
    for same in ["deep.wave", "clear.wave", "photo.wave-3"] {
        let other = open(&scene, &format!("out/{same}.png"));
        assert!(difference(&reference, &other) < 1.0 / 255.0, "{same}");
    }
}

#[test]
fn a_picture_ends_early_once_it_is_good_enough() {
    let scene = Scene::with_pictures();
    let command =
        "boat.png --style wave.png --size 16 --precision f32 --evaluations 50 --stop-below 1e30";
    let ended = scene.run_json(&[command]).expect_code(0);
    assert_eq!(ended.events_of("finished")[0]["steps"], 1);
}

#[test]
fn workers_log_to_standard_error_if_a_log_is_asked_for() {
    let scene = Scene::with_pictures();
    let command = "boat.png --style wave.png --size 16 --evaluations 2 --json";
    let mut logging = scene.run_command(&[command]);
    logging.env("STYLEFLEET_LOG", "stylefleet=info");
    let ended = Run::start(logging).end().expect_code(0);
    let is_of_worker = |line: &&String| {
        line.starts_with("cpu: ") && line.contains("boat.wave") && line.contains("2 steps")
    };
    let lines = ended.stderr.iter().filter(is_of_worker);
    assert_eq!(lines.count(), 1, "{}", ended.so_far());
    assert_eq!(ended.events_of("finished").len(), 1, "{}", ended.so_far());

    let silent = scene.run(&[command, "--seed 2"]).expect_code(0);
    assert!(silent.stderr.is_empty(), "{}", silent.so_far());
}

#[test]
fn wrong_usage_exits_2_and_does_nothing() {
    let scene = Scene::with_pictures();
    scene.write(
        "bad.toml",
        "[[job]]\ncontent = 'boat.png'\nstyle = 'wave.png'\nsiez = 3\n",
    );
    scene.write(
        "nan.toml",
        "[[job]]\ncontent = 'boat.png'\nstyle = 'wave.png'\ntv-weight = nan\n",
    );
    let usual = "boat.png --style wave.png";
    for (args, parts) in [
        (format!("{usual} --style-layers conv9_9"), &["conv9_9"][..]),
        (format!("{usual} --content-layers pool1"), &["pool1"]),
        (
            format!("{usual} --style-weight nan"),
            &["style-weight", "NaN"],
        ),
        (format!("{usual} --content-weight inf"), &["content-weight"]),
        (
            format!("{usual} --style-layers conv1_1=nan"),
            &["style-layers", "NaN"],
        ),
        (format!("{usual} --tv-weight -1"), &["tv-weight"]),
        ("boat.png --style wave.png=nan".to_owned(), &["NaN"]),
        (format!("{usual} --preset monet"), &["monet", "studio"]),
        (format!("{usual} --size big"), &["big"]),
        (format!("{usual} --size 8"), &["size", "16"]),
        (format!("{usual} --size 32x"), &["32x"]),
        (format!("{usual} --size 99999"), &["size", "16384"]),
        (format!("{usual} --evaluations 0"), &["evaluations"]),
        (format!("{usual} --init style:2"), &["style 2"]),
        (format!("{usual} --device gpu"), &["gpu"]),
        (format!("{usual} --threads 0"), &["--threads"]),
        (
            format!("{usual} --preset notebook --style-scale 2"),
            &["style-scale"],
        ),
        (format!("{usual} --format bmp"), &["bmp"]),
        (format!("{usual} --strength 2"), &["strength", "0 to 1"]),
        (format!("{usual} --average 1"), &["average", "0.9999"]),
        (format!("{usual} --style-loss l2"), &["l2", "wasserstein"]),
        (format!("{usual} --memory lots"), &["--memory", "lots"]),
        (
            format!("{usual} --mask a.png --mask b.png"),
            &["mask", "2 masks for 1", "none"],
        ),
        ("boat.png".to_owned(), &["--style"]),
        ("--style wave.png".to_owned(), &["CONTENT"]),
        ("--file bad.toml".to_owned(), &["bad.toml:4", "siez"]),
        ("--file nan.toml".to_owned(), &["nan.toml:1", "tv-weight"]),
        ("--file gone.toml".to_owned(), &["gone.toml"]),
    ] {
        let ended = scene.run(&[&args]);
        assert_eq!(ended.code(), 2, "{args}\n{}", ended.so_far());
        assert!(ended.stdout.is_empty(), "{args}\n{}", ended.so_far());
        let complaint = ended.stderr.join("\n");
        for part in parts {
            assert!(
                complaint.contains(part),
                "{args}: {part:?} is not in:\n{complaint}"
            );
        }
    }
    assert!(
        !scene.path("out").exists(),
        "a folder was made all the same"
    );
}

#[test]
fn the_help_teaches_every_option() {
    let scene = Scene::new();
    let mut help = scene.command(stylefleet());
    help.args(["run", "--help"]);
    let help = Run::start(help).end().expect_code(0).stdout.join("\n");
    for option in [
        "--style",
        "--out",
        "--preset",
        "--size",
        "--evaluations",
        "--stop-below",
        "--tolerance",
        "--init",
        "--style-weight",
        "--content-weight",
        "--tv-weight",
        "--keep-colors",
        "--mask",
        "--strength",
        "--style-loss",
        "--network",
        "--normalize-gradients",
        "--average",
        "--memory",
        "--precision",
        "--device",
        "--threads",
        "--seed",
        "--format",
        "--json",
        "--file",
        "notebook",
        "gatys",
        "[defaults]",
        "[[job]]",
        "Exit codes",
    ] {
        assert!(help.contains(option), "{option} is not in the help");
    }
}

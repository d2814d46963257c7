//! Networks that are trained and applied, with real workers: on one machine with a pipe and a
//! folder, and on a fleet with a broker and a bucket.

use std::sync::LazyLock;

use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use stylefleet_proto::keys;
use stylefleet_tests::events::{is, job, steps};
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::{limit_memory, signal, wait_for_end, wait_until};
use stylefleet_tests::services::Services;
use stylefleet_tests::{Ended, Run, Scene, content};

/// A network of two styles: as small as they come, and trained in a moment.
const TINY: &str = "--style wave.png --style grid.png=night --photos photos --width 4 --size 32 \
                    --batch 2 --steps 6 --precision f32";
/// The same, trained for long enough to be caught in the middle.
const LONG: &str = "--style wave.png --style grid.png=night --photos photos --width 4 --size 32 \
                    --batch 2 --steps 80 --precision f32";

/// What undisturbed training of [`LONG`] makes. Made once for all tests.
static UNDISTURBED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let scene = studio();
    let ended = train(&scene, &[LONG, "--out sea.safetensors"])
        .end()
        .expect_code(0);
    assert_eq!(steps(&ended.events_of("started")[0]), 0);
    scene.read("sea.safetensors")
});
/// What [`TINY`] makes. Made once for all tests.
static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let scene = studio();
    train(&scene, &[TINY, "--out sea.safetensors"])
        .end()
        .expect_code(0);
    scene.read("sea.safetensors")
});

/// A folder with photographs, two styles and two contents.
fn studio() -> Scene {
    let scene = Scene::with_pictures();
    furnish(&scene);
    scene
}

fn furnish(scene: &Scene) {
    scene.add_style("grid.png", 2);
    scene.add_content("car.png", 2);
    scene.add_photographs(9);
}

/// A folder with a trained network, `sea.safetensors`, and what is to be redrawn.
fn gallery() -> Scene {
    let scene = studio();
    scene.write("sea.safetensors", &*MODEL);
    scene
}

fn start(scene: &Scene, command: &str, args: &[&str]) -> Run {
    let mut command = scene.local_command(command, args);
    command.arg("--json");
    command.env("STYLEFLEET_CHECKPOINT_SECONDS", "0");
    Run::start(command)
}

fn train(scene: &Scene, args: &[&str]) -> Run {
    start(scene, "train", args)
}

fn apply(scene: &Scene, args: &[&str]) -> Ended {
    start(scene, "apply", args).end()
}

/// `stylefleet models`.
fn models(scene: &Scene, args: &str) -> Ended {
    let mut command = scene.command(stylefleet_tests::stylefleet());
    command.arg("models").args(args.split(' '));
    Run::start(command).end()
}

fn open(scene: &Scene, file: &str) -> DynamicImage {
    image::open(scene.path(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Mean absolute difference of two pictures, in grey levels.
fn difference(one: &DynamicImage, other: &DynamicImage) -> f32 {
    assert_eq!(one.dimensions(), other.dimensions());
    let (one, other) = (one.to_rgb8(), other.to_rgb8());
    let sum: u64 = one
        .iter()
        .zip(other.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f32 / one.as_raw().len() as f32
}

/// Fails unless a model is to the last bit what undisturbed training makes.
fn expect_undisturbed(model: &[u8]) {
    assert!(model == *UNDISTURBED, "the model differs");
}

#[test]
fn a_network_is_trained_with_its_record_and_its_samples_beside_it() {
    let scene = studio();
    scene.write("photos/03.png", "no image");
    std::fs::create_dir(scene.path("models")).expect("makes a folder");
    let command = [
        TINY,
        "--preview-every 3 --curve --out models/sea.safetensors",
    ];
    let ended = train(&scene, &command).end().expect_code(0);

    let left_out = &ended.events_of("left-out")[0];
    assert_eq!(left_out["input"], "photos/03.png");
    let progress = ended.events_of("progress");
    let progress = progress.first().expect("progress");
    assert_eq!(
        (&progress["total"], &progress["unit"]),
        (&json!(6), &json!("steps"))
    );
    assert!(progress["figures"]["loss"].is_number(), "{progress}");
    let finished = &ended.events_of("finished")[0];
    assert_eq!((&finished["name"], steps(finished)), (&json!("sea"), 6));
    assert_eq!(finished["file"], "models/sea.safetensors");
    let files = scene.files("models");
    let sample = files.iter().find(|file| file.starts_with("sea.sample."));
    let sample = sample.unwrap_or_else(|| panic!("no sample: {files:?}"));
    let expected = [
        "sea.json",
        "sea.previews",
        "sea.safetensors",
        sample,
        "sea.svg",
    ];
    let mut expected: Vec<_> = expected.map(str::to_owned).into();
    expected.sort();
    assert_eq!(files, expected);
    open(&scene, &format!("models/{sample}"));
    assert_eq!(
        scene.files("models/sea.previews"),
        ["000003.jpg", "000006.jpg"]
    );

    let story = scene.json("models/sea.json");
    assert_eq!(
        (&story["kind"], &story["steps"]),
        (&json!("train"), &json!(6))
    );
    assert_eq!(story["specification"]["styles"], json!(["wave", "night"]));
    assert_eq!(story["specification"]["training"]["width"], 4);
    assert_eq!(story["labels"], json!({"preset": "studio"}));
    assert!(story["figures"]["loss"].is_number() && story["figures"]["heldout.loss"].is_number());

    // The same again: it is there. With other options it gets a name of its own.
    let again = train(&scene, &command).end().expect_code(0);
    assert_eq!(again.events_of("kept")[0]["file"], "models/sea.safetensors");
    let model = scene.read("models/sea.safetensors");
    let other = train(&scene, &[&TINY.replace("steps 6", "steps 2"), command[1]]);
    let other = other.end().expect_code(0);
    assert_eq!(
        other.events_of("finished")[0]["file"],
        "models/sea-2.safetensors"
    );
    assert_eq!(scene.read("models/sea.safetensors"), model);
}

#[test]
fn stopped_and_killed_training_comes_to_the_same_bytes() {
    let scene = studio();
    let command = [LONG, "--out sea.safetensors"];
    let mut run = train(&scene, &command);
    let first = run.wait_for("the start", is("started"));
    let checkpoint = scene
        .path(".stylefleet")
        .join(keys::checkpoint(&job(&first)));
    wait_until("there is a checkpoint", || checkpoint.exists());
    signal(run.worker(), "KILL");
    let again = run.wait_for("another start", is("started"));
    assert!(steps(&again) > 0, "it began afresh: {again}");
    run.wait_for("progress", is("progress"));
    let worker = run.worker();
    run.signal("INT");
    let stopped = run.wait_for("the interruption", is("interrupted"));
    run.end().expect_code(130);
    wait_for_end(worker, "the worker");
    assert!(steps(&stopped) < 80, "it was not caught in the middle");

    // The whole run is killed, too.
    let mut run = train(&scene, &command);
    let resumed = run.wait_for("the start", is("started"));
    assert_eq!(steps(&resumed), steps(&stopped));
    let beyond = |event: &Value| event["event"] == "progress" && steps(event) > steps(&stopped);
    run.wait_for("progress beyond", beyond);
    let worker = run.worker();
    run.signal("KILL");
    drop(run);
    wait_for_end(worker, "the worker");

    let ended = train(&scene, &command).end().expect_code(0);
    assert!(steps(&ended.events_of("started")[0]) >= steps(&stopped));
    expect_undisturbed(&scene.read("sea.safetensors"));
}

#[test]
fn a_network_redraws_every_content_in_every_style() {
    let scene = gallery();
    let command = ["boat.png car.png --model sea.safetensors --precision f32"];
    let ended = apply(&scene, &command).expect_code(0);
    let names = ["boat.night", "boat.wave", "car.night", "car.wave"];
    let expected: Vec<_> = names
        .iter()
        .flat_map(|name| [format!("{name}.json"), format!("{name}.png")])
        .collect();
    assert_eq!(scene.files("out"), expected);
    assert_eq!(ended.events_of("finished").len(), 4);
    for name in names {
        let picture = open(&scene, &format!("out/{name}.png"));
        assert_eq!(picture.dimensions(), (32, 24));
        let story = scene.json(format!("out/{name}.json"));
        assert_eq!(story["kind"], "apply");
        let style = name.split_once('.').expect("content and style").1;
        assert_eq!(story["specification"]["styles"][0]["style"], style);
        assert_eq!(story["figures"]["picture.width"], 32.0);
    }
    let (wave, night) = (
        open(&scene, "out/boat.wave.png"),
        open(&scene, "out/boat.night.png"),
    );
    assert!(difference(&wave, &night) > 0.0, "the styles are one");
    let again = apply(&scene, &command).expect_code(0);
    assert_eq!(again.events_of("kept").len(), 4);

    // A blend is neither; a blend of one style alone is that style.
    let blended = "boat.png --model sea.safetensors --precision f32 --out blended";
    apply(&scene, &[blended, "--style wave=1 --style night=1e6"]).expect_code(0);
    let blend = open(&scene, "blended/boat.wave+night.png");
    assert!(
        difference(&blend, &night) < 1.0,
        "{}",
        difference(&blend, &night)
    );
    apply(&scene, &[blended, "--style wave --style night --blend"]).expect_code(0);
    let blend = open(&scene, "blended/boat.wave+night-2.png");
    assert!(difference(&blend, &night) > 0.0 && difference(&blend, &wave) > 0.0);
}

#[test]
fn masks_sizes_colours_and_formats_are_those_of_run() {
    let scene = gallery();
    let white = |x: u32, _| image::Luma([if x < 16 { 255 } else { 0 }]);
    let mask = image::GrayImage::from_fn(32, 24, white);
    mask.save(scene.path("left.png")).expect("writes");
    let model = "boat.png --model sea.safetensors --precision f32";
    apply(&scene, &[model]).expect_code(0);
    apply(
        &scene,
        &[
            model,
            "--style wave --style night --mask left.png --mask none",
        ],
    )
    .expect_code(0);
    let masked = open(&scene, "out/boat.wave+night.png");
    let night = open(&scene, "out/boat.night.png");
    let right = |picture: &DynamicImage| picture.crop_imm(20, 0, 12, 24);
    let left = |picture: &DynamicImage| picture.crop_imm(0, 0, 12, 24);
    assert!(
        difference(&right(&masked), &right(&night)) < 1.0,
        "only night counts there"
    );
    assert!(
        difference(&left(&masked), &left(&night)) > 0.0,
        "wave counts there too"
    );
    let story = scene.json("out/boat.wave+night.json");
    assert_eq!(story["inputs"].as_array().map(Vec::len), Some(3), "{story}");

    let options = "--style wave --size 48x36 --keep-colors luminance --format tiff --out other";
    apply(&scene, &[model, options]).expect_code(0);
    assert_eq!(open(&scene, "other/boat.wave.tiff").dimensions(), (48, 36));
}

/// Believing in more memory than there is, the worker takes a large content whole.
#[test]
fn a_content_for_which_memory_runs_out_is_redrawn_in_smaller_tiles() {
    let scene = gallery();
    let large = open(&scene, "boat.png").resize_exact(1536, 1152, FilterType::Nearest);
    large.save(scene.path("large.png")).expect("writes");
    let command = "boat.png large.png --style wave --model sea.safetensors --precision f32 \
                   --memory 30GiB";
    let mut run = start(&scene, "apply", &[command]);
    run.wait_for("the small content", |e| e["event"] == "started");
    limit_memory(run.worker(), 200);
    let ended = run.end().expect_code(0);
    let notes = ended.events_of("note");
    let is_smaller = |note: &Value| {
        let text = note["text"].as_str().unwrap_or_default();
        text == "out of memory: goes on in smaller tiles"
    };
    assert!(notes.iter().any(is_smaller), "{}", ended.so_far());
    assert_eq!(ended.events_of("started").len(), 2, "{}", ended.so_far());

    let made = open(&scene, "out/large.wave.png");
    apply(&scene, &[command, "--out whole"]).expect_code(0);
    let whole = open(&scene, "whole/large.wave.png");
    let difference = difference(&made, &whole);
    // Rounding, which depends on the processor: 0.09 with AVX2, less with AVX-512.
    assert!(difference < 0.2, "{difference}");
}

#[test]
fn what_is_no_model_or_no_use_is_one_line_and_nothing_else_is_lost() {
    let scene = gallery();
    scene.write("text.safetensors", "no model");
    scene.write("cut.safetensors", &MODEL[..MODEL.len() - 100]);
    scene.write("vgg.safetensors", saved(None, |_, values| values));
    let nan = |name: &str, mut values: Vec<f32>| {
        if name == "down.2.bias" {
            values[0] = f32::NAN;
        }
        values
    };
    scene.write("nan.safetensors", saved(Some(header()), nan));
    let mut header = header();
    header["width"] = json!(1_000_000_000);
    scene.write(
        "wide.safetensors",
        saved(Some(header.clone()), |_, values| values),
    );
    (header["width"], header["format"]) = (json!(4), json!(2));
    scene.write("later.safetensors", saved(Some(header), |_, values| values));
    for (model, parts) in [
        ("gone", &["is not there"][..]),
        (".", &["is no file"]),
        ("text.safetensors", &["safetensors"]),
        ("boat.png", &["safetensors"]),
        ("cut.safetensors", &["truncated"]),
        ("vgg.safetensors", &["no model", "deploy/setup/model.py"]),
        ("nan.safetensors", &["down.2.bias", "not finite"]),
        ("wide.safetensors", &["width", "must be 4 to 128"]),
        ("later.safetensors", &["format", "is 2"]),
    ] {
        let ended = apply(&scene, &["boat.png --model", model]).expect_code(2);
        ended.expect_complaint(&[&[model, ": "], parts].concat());
    }
    for (args, parts) in [
        ("--style day", &["style: ", "\"day\"", "wave, night"][..]),
        ("--style wave=0", &["weight", "greater than 0"]),
        ("--style wave=1 --style wave", &["wave twice"]),
        ("--mask boat.png", &["1 masks for 2 styles"]),
        (
            "--keep-colors match",
            &["keep-colors: is match", "luminance"],
        ),
    ] {
        let ended = apply(&scene, &["boat.png --model sea.safetensors", args]).expect_code(2);
        ended.expect_complaint(parts);
    }
    let ended = apply(
        &scene,
        &["boat.png --model sea.safetensors --evaluations 9"],
    );
    assert_eq!(ended.code(), 2, "networks have no such option");

    // A bad content fails alone. So does one that is too small for a network.
    scene.write("bad.png", "no image");
    content(8, 8, 1).save(scene.path("dot.png")).expect("saves");
    let contents = "bad.png boat.png dot.png --style wave --model sea.safetensors";
    let ended = apply(&scene, &[contents]).expect_code(1);
    let finished = ended.events_of("finished");
    assert_eq!(
        (finished.len(), &finished[0]["name"]),
        (1, &json!("boat.wave"))
    );
    assert_eq!(ended.events_of("failed").len(), 2, "{}", ended.so_far());
}

/// The header of [`MODEL`].
fn header() -> Value {
    let (_, metadata) = SafeTensors::read_metadata(&MODEL).expect("is a model");
    let metadata = metadata.metadata().clone().expect("has metadata");
    serde_json::from_str(&metadata["stylefleet"]).expect("JSON")
}

/// A file of the tensors of [`MODEL`], changed, with another header or none.
fn saved(header: Option<Value>, change: impl Fn(&str, Vec<f32>) -> Vec<f32>) -> Vec<u8> {
    let file = SafeTensors::deserialize(&MODEL).expect("is a model");
    let tensors = file.tensors();
    let changed = tensors.iter().map(|(name, tensor)| {
        let (values, _) = tensor.data().as_chunks();
        let values = values
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        let values = change(name, values).into_iter().flat_map(f32::to_le_bytes);
        (name, tensor, values.collect::<Vec<_>>())
    });
    let changed: Vec<_> = changed.collect();
    let views = changed.iter().map(|(name, tensor, values)| {
        let view = TensorView::new(tensor.dtype(), tensor.shape().to_vec(), values);
        (*name, view.expect("of the same size"))
    });
    let metadata = header.map(|header| [("stylefleet".to_owned(), header.to_string())].into());
    safetensors::serialize(views, metadata).expect("is written")
}

#[test]
fn what_training_cannot_do_is_one_line() {
    let scene = studio();
    for (args, parts) in [
        (
            "--out sea.pt",
            &["out: \"sea.pt\" is no NAME.safetensors", ".safetensors"][..],
        ),
        ("--size 30", &["size: is 30", "multiple of 4"]),
        ("--width 1000000000", &["width: is ", "4 to 128"]),
        ("--style x/wave.png", &["styles: name wave twice"]),
        ("--photos gone/*.jpg", &["photos: gone/*.jpg: is not there"]),
        ("--style boat.png=a+b", &["style: \"a+b\" is no name"]),
    ] {
        let photos = "--style wave.png --photos photos --steps 1";
        let ended = train(&scene, &[photos, args]).end().expect_code(2);
        ended.expect_complaint(parts);
    }
    let few = "--style wave.png --photos photos/00.png photos/01.png gone.png --steps 1";
    let ended = train(&scene, &[few]).end().expect_code(1);
    assert_eq!(ended.events_of("left-out")[0]["input"], "gone.png");
    let failed = &ended.events_of("failed")[0];
    let reason = failed["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("2 photographs") && reason.contains("8 "),
        "{reason}"
    );
    let style = "--style photos/none.png --photos photos --steps 1";
    let ended = train(&scene, &[style]).end().expect_code(1);
    let failed = &ended.events_of("failed")[0];
    let reason = failed["reason"].as_str().expect("a reason");
    assert!(reason.contains("photos/none.png: is not there"), "{reason}");
}

#[test]
fn training_that_diverges_ends_with_advice() {
    let scene = studio();
    let ended = train(&scene, &[TINY, "--learning-rate 1e30"])
        .end()
        .expect_code(1);
    let failed = &ended.events_of("failed")[0];
    let reason = failed["reason"].as_str().expect("a reason");
    assert!(reason.contains("--learning-rate"), "{reason}");
    assert_eq!(failed["attempts"], 1, "it would come to the same again");
}

#[test]
fn models_are_listed_shown_and_exported() {
    let scene = gallery();
    scene.write("other.safetensors", "no model");
    let listed = models(&scene, "list").expect_code(0);
    let row = &listed.stdout[1];
    for part in ["sea.safetensors", "wave, night", " 4 ", "johnson", " 6 "] {
        assert!(row.contains(part), "{part:?} is not in {row}");
    }
    assert!(
        listed.stderr[0].contains("other.safetensors"),
        "{}",
        listed.so_far()
    );
    let listed = models(&scene, "list --json sea.safetensors").expect_code(0);
    let listed: Value = serde_json::from_str(&listed.stdout.concat()).expect("JSON");
    assert_eq!(listed["models"][0]["styles"], json!(["wave", "night"]));
    models(&scene, "list other.safetensors").expect_code(1);
    models(&scene, "list gone").expect_code(1);

    let shown = models(&scene, "show sea.safetensors --json").expect_code(0);
    let shown: Value = serde_json::from_str(&shown.stdout.concat()).expect("JSON");
    assert_eq!(
        (&shown["width"], &shown["training"]["steps"]),
        (&json!(4), &json!(6))
    );
    assert_eq!(shown["training"]["photographs"], 8);
    assert_eq!(shown["bytes"], MODEL.len());
    let shown = models(&scene, "show sea.safetensors").expect_code(0);
    assert!(
        shown.stdout.iter().any(|line| line.starts_with("licence")),
        "{}",
        shown.so_far()
    );
    models(&scene, "show gone")
        .expect_code(1)
        .expect_complaint(&["gone: is not there"]);

    let export = "export sea.safetensors --onnx sea.onnx";
    models(&scene, export).expect_code(0);
    assert!(scene.read("sea.onnx").len() > 10_000);
    models(&scene, export)
        .expect_code(1)
        .expect_complaint(&["sea.onnx: is there already"]);
    let ended = models(&scene, "export sea.safetensors --onnx day.onnx --style day");
    ended
        .expect_code(1)
        .expect_complaint(&["day.onnx", "no style day", "wave, night"]);
    assert!(!scene.path("day.onnx").exists());
}

/// A fleet, and a folder with photographs, styles and contents.
fn workshop() -> Workshop<'static> {
    let workshop = Workshop::new(Services::shared());
    furnish(&workshop.scene);
    workshop
}

#[test]
fn a_fleet_trains_a_network_across_deaths_and_applies_it() {
    let workshop = workshop();
    let submit = [
        "submit-train",
        LONG,
        "--batch-name sea --out sea.safetensors",
    ];
    let submitted = workshop.ask(&submit);
    assert_eq!(
        (&submitted["batch"], &submitted["accepted"]),
        (&json!("sea"), &json!(1))
    );
    let mut watch = workshop.watch("sea");
    let killed = workshop.start_worker(&[]);
    let job = job(&watch.wait_for("the start", is("started")));
    workshop.wait_for_object(&keys::checkpoint(&job));
    killed.signal("KILL");
    let drained = workshop.start_worker(&[]);
    let again = watch.wait_for("another start", is("started"));
    assert!(steps(&again) > 0, "it began afresh: {again}");
    drained.signal("TERM");
    let stopped = watch.wait_for("the end of its turn", is("interrupted"));
    drained.end().expect_code(0);
    let _worker = workshop.start_worker(&[]);
    let resumed = watch.wait_for("a third start", is("started"));
    assert_eq!(steps(&resumed), steps(&stopped));
    watch.end().expect_code(0);
    workshop.ask(&["fetch sea --out models"]);
    expect_undisturbed(&workshop.scene.read("models/sea.safetensors"));
    let again = workshop.ask(&submit);
    assert_eq!((&again["accepted"], &again["done"]), (&json!(0), &json!(1)));

    // What a fleet makes with it is what one machine makes.
    let contents = "boat.png car.png --model models/sea.safetensors --precision f32";
    let batch = workshop.submit(&[contents]);
    workshop.watch(&batch).end().expect_code(0);
    let fetched = workshop.ask(&["fetch", &batch, "--out pictures"]);
    assert_eq!(fetched["fetched"], 4, "{fetched}");
    apply(&workshop.scene, &[contents]).expect_code(0);
    for name in ["boat.wave", "boat.night", "car.wave", "car.night"] {
        let picture = |folder: &str| workshop.scene.read(format!("{folder}/{name}.png"));
        assert!(picture("pictures") == picture("out"), "{name} differs");
    }
    workshop.expect_nothing_waits();
}

#[test]
fn a_fleet_refuses_what_networks_have_not() {
    let workshop = workshop();
    workshop.scene.write("sea.safetensors", &*MODEL);
    for (args, parts) in [
        (
            "--evaluations 9",
            &["--evaluations: has no meaning with --model"][..],
        ),
        ("--preset gatys", &["--preset: has no meaning with --model"]),
        ("--init style", &["--init: has no meaning with --model"]),
        ("--style day", &["\"day\"", "wave, night"]),
    ] {
        let mut submit = workshop.command(&["submit boat.png --model sea.safetensors", args]);
        submit.arg("--json");
        let ended = Run::start(submit).end().expect_code(2);
        ended.expect_complaint(parts);
    }
    let submit = "submit bad.png boat.png --model sea.safetensors --style wave --batch b";
    workshop.scene.write("bad.png", "no image");
    let ended = workshop.start(&[submit]).end().expect_code(1);
    let failed = &ended.events_of("failed")[0];
    assert_eq!(failed["name"], "bad.wave");
    // Before the worker, which is done with it in a moment.
    let watch = workshop.watch("b");
    let _worker = workshop.start_worker(&[]);
    let ended = watch.end().expect_code(0);
    assert_eq!(ended.events_of("finished").len(), 1, "{}", ended.so_far());
}

#[test]
fn photographs_models_and_contents_may_lie_in_a_bucket() {
    let workshop = workshop();
    let scene = &workshop.scene;
    for file in scene.files("photos") {
        let key = format!("album/photos/{file}");
        workshop.put(&key, &scene.path(format!("photos/{file}")));
    }
    for file in ["boat.png", "wave.png"] {
        workshop.put(&format!("album/{file}"), &scene.path(file));
    }
    let album = format!("{}/album", workshop.fleet.store);
    let local = |command: &str, args: &[&str]| {
        let mut command = scene.local_command(command, args);
        command.envs(workshop.fleet.environment(&workshop.fleet.dispatcher));
        command.arg("--json");
        Run::start(command).end()
    };
    let options = "--width 4 --size 32 --batch 2 --steps 2 --precision f32";
    let training = format!("--style {album}/wave.png --photos {album}/photos/ {options}");
    local("train", &[&training, "--out sea.safetensors"]).expect_code(0);
    let model = scene.read("sea.safetensors");

    // The same network as of files, and on a fleet.
    let of_files = format!("--style wave.png --photos photos {options}");
    train(scene, &[&of_files, "--out files/sea.safetensors"])
        .end()
        .expect_code(0);
    assert!(scene.read("files/sea.safetensors") == model);
    workshop.ask(&["submit-train", &training, "--batch-name sea"]);
    let _worker = workshop.start_worker(&[]);
    workshop.watch("sea").end().expect_code(0);
    workshop.ask(&["fetch sea --out fleet"]);
    assert!(scene.read("fleet/wave.safetensors") == model);

    workshop.put("album/sea.safetensors", &scene.path("sea.safetensors"));
    let applied = format!("{album}/boat.png --model {album}/sea.safetensors");
    local("apply", &[&applied]).expect_code(0);
    open(scene, "out/boat.wave.png");
    let gone = format!("{album}/boat.png --model {album}/gone.safetensors");
    let ended = local("apply", &[&gone]).expect_code(2);
    ended.expect_complaint(&["gone.safetensors: is not there"]);
}

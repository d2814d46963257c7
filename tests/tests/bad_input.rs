//! Bad input: one clear line that names the file and the reason, and the rest of the batch goes on.

use std::collections::HashMap;
use std::io::Cursor;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use image::{ImageFormat, RgbImage};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;
use stylefleet_tests::processes::{children, signal};
use stylefleet_tests::{Ended, Run, Scene, png_header, skip, style, worker};

fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

/// A folder of bad images, each with a part of the reason that is to be given for it.
fn bad_images(scene: &Scene) -> Vec<(&'static str, &'static str)> {
    std::fs::create_dir(scene.path("photos")).expect("makes a folder");
    // Noise, so that the coded picture is long.
    let noise = RgbImage::from_fn(64, 64, |x, y| {
        let grain = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503);
        image::Rgb([(grain >> 3) as u8, (grain >> 9) as u8, (grain >> 14) as u8])
    });
    let cut = |format| {
        let mut bytes = encoded(&noise, format);
        bytes.truncate(bytes.len() * 2 / 3);
        bytes
    };
    let files: [(&str, Vec<u8>, &str); 9] = [
        ("cut.jpg", cut(ImageFormat::Jpeg), "cut"),
        ("cut.png", cut(ImageFormat::Png), "cut"),
        ("cut.tiff", cut(ImageFormat::Tiff), "cut"),
        ("cut.webp", cut(ImageFormat::WebP), "cut"),
        ("empty.png", Vec::new(), "is empty"),
        ("pdf.png", b"%PDF-1.7\n".to_vec(), "is a PDF file"),
        ("huge.png", png_header(60_000, 60_000), "60000x60000"),
        ("nothing.png", png_header(0, 7), ""),
        ("text.jpg", b"hello, hello, hello".to_vec(), "no image"),
    ];
    let mut bad = Vec::new();
    for (name, bytes, reason) in files {
        scene.write(&format!("photos/{name}"), bytes);
        bad.push((name, reason));
    }
    symlink("/nowhere/at/all", scene.path("photos/gone.png")).expect("links");
    bad.push(("gone.png", "is not there"));
    bad
}

#[test]
fn bad_contents_fail_with_a_line_each_and_the_others_are_done() {
    let scene = Scene::new();
    let bad = bad_images(&scene);
    scene.add_content("photos/boat.png", 1);
    scene.add_content("photos/zebra.png", 2);
    scene.add_style("wave.png", 1);
    let command = ["photos missing.png --style wave.png --size 16 --evaluations 2"];

    // For people.
    let ended = scene.run(&command).expect_code(1);
    let done: Vec<_> = ended
        .stdout
        .iter()
        .filter(|line| line.starts_with("finished"))
        .collect();
    assert_eq!(
        (done.len(), ended.stdout.len()),
        (2, 2),
        "{}",
        ended.so_far()
    );
    let failed: Vec<_> = ended
        .stderr
        .iter()
        .filter(|line| line.starts_with("failed"))
        .collect();
    assert_eq!(failed.len(), bad.len() + 1, "{}", ended.so_far());
    for (file, reason) in bad.iter().chain(&[("missing.png", "is not there")]) {
        let of_file: Vec<_> = failed.iter().filter(|line| line.contains(file)).collect();
        let [line] = of_file[..] else {
            panic!("not one line on {file}\n{}", ended.so_far());
        };
        assert!(line.contains(reason), "{reason:?} is not in: {line}");
        assert!(line.len() < 400, "not a line that people read: {line}");
    }
    assert_eq!(scene.files("out").len(), 4);

    // For programs. What failed fails again, at once and without another attempt.
    let ended = scene.run_json(&command).expect_code(1);
    assert!(ended.stderr.is_empty(), "{}", ended.so_far());
    assert_eq!(ended.events_of("kept").len(), 2);
    assert_eq!(ended.events_of("failed").len(), bad.len() + 1);
    for event in ended.events_of("failed") {
        let attempts = event["attempts"].as_u64();
        assert!(attempts.is_some_and(|attempts| attempts <= 1), "{event}");
    }
}

#[test]
fn a_bad_style_fails_its_own_pictures_only() {
    let scene = Scene::with_pictures();
    let whole = encoded(&style(64, 64, 2), ImageFormat::Png);
    scene.write("cut.png", &whole[..whole.len() / 2]);
    scene.write("text.png", "hello");
    let command = "boat.png --style cut.png --style wave.png --style text.png";
    let ended = scene
        .run_json(&[command, "--size 16 --evaluations 2"])
        .expect_code(1);
    assert_eq!(scene.files("out"), ["boat.wave.json", "boat.wave.png"]);
    for name in ["cut", "text"] {
        let is_it = |e: &Value| e["event"] == "failed" && e["name"] == format!("boat.{name}");
        let event = ended.events().into_iter().find(is_it);
        let event = event.unwrap_or_else(|| panic!("{name} did not fail\n{}", ended.so_far()));
        let reason = event["reason"].as_str().expect("a reason");
        assert!(reason.contains(&format!("{name}.png")), "{reason}");
    }
}

#[test]
fn a_folder_or_glob_without_images_is_said_and_the_rest_goes_on() {
    let scene = Scene::with_pictures();
    std::fs::create_dir(scene.path("photos")).expect("makes a folder");
    let command = "photos *.gif boat.png --style wave.png --size 16 --evaluations 2";
    let ended = scene.run_json(&[command]).expect_code(1);
    let failed = ended.events_of("failed");
    let names: Vec<_> = failed
        .iter()
        .filter_map(|event| event["name"].as_str())
        .collect();
    assert_eq!(names, ["photos", "*.gif"]);
    assert_eq!(ended.events_of("finished").len(), 1);
}

#[test]
fn an_image_is_measured_before_it_is_decoded() {
    let scene = Scene::with_pictures();
    // There is next to nothing behind its header: decoding could only fail with another reason.
    scene.write("huge.png", png_header(60_000, 60_000));
    let command = "boat.png huge.png --style wave.png --size 16 --evaluations 2";
    let ended = scene
        .run_json(&[command, "--max-pixels 1024"])
        .expect_code(1);
    let failed = ended.events_of("failed");
    let reason = failed[0]["reason"].as_str().expect("a reason");
    assert_eq!(failed.len(), 1, "{}", ended.so_far());
    assert!(
        reason.contains("60000x60000") && reason.contains("1024"),
        "{reason}"
    );
    assert!(reason.contains("--max-pixels"), "{reason}");
    // 32 x 24 and 32 x 32 are within the limit, to the pixel.
    assert_eq!(ended.events_of("finished").len(), 1);
}

/// Runs `boat.png` with the weights file of that name.
fn with_weights(scene: &Scene, weights: &str) -> Ended {
    let mut command = scene.run_command(&["boat.png --style wave.png --size 16 --evaluations 2"]);
    command.env("STYLEFLEET_WEIGHTS", scene.path(weights));
    Run::start(command).end().expect_code(1)
}

/// A weights file, its tensors all zeros but for what `change` makes of them.
fn weights(change: impl Fn(&str, &mut Vec<usize>, &mut Vec<u8>)) -> Vec<u8> {
    let channels = [64, 128, 256, 512, 512];
    let mut inputs = 3;
    let mut tensors = HashMap::new();
    for (block, convolutions) in [2, 2, 4, 4, 4].into_iter().enumerate() {
        for convolution in 1..=convolutions {
            let name = format!("conv{}_{convolution}", block + 1);
            let outputs = channels[block];
            for (part, mut shape) in [
                ("weight", vec![outputs, inputs, 3, 3]),
                ("bias", vec![outputs]),
            ] {
                let name = format!("{name}.{part}");
                let mut bytes = vec![0; 4 * shape.iter().product::<usize>()];
                change(&name, &mut shape, &mut bytes);
                tensors.insert(name, (shape, bytes));
            }
            inputs = outputs;
        }
    }
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name.as_str(), view.expect("a tensor"))
    });
    safetensors::serialize(views, None).expect("serialises")
}

#[test]
fn weights_that_are_not_vgg19s_are_refused_at_the_start() {
    let scene = Scene::with_pictures();
    scene.write("text.safetensors", "no weights at all");
    let good = weights(|_, _, _| ());
    assert_eq!(SafeTensors::deserialize(&good).expect("reads").len(), 32);
    scene.write("cut.safetensors", &good[..good.len() / 2]);
    let shapes = weights(|name, shape, _| {
        if name == "conv3_1.weight" {
            shape.swap(0, 1);
        }
    });
    scene.write("shapes.safetensors", shapes);
    let nan = weights(|name, _, bytes| {
        if name == "conv2_2.bias" {
            bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
    });
    scene.write("nan.safetensors", nan);
    for (file, reason) in [
        ("text.safetensors", "is not a safetensors file"),
        ("cut.safetensors", "is not a safetensors file"),
        (
            "shapes.safetensors",
            "conv3_1.weight is F32 [128, 256, 3, 3], must be F32 [256, 128",
        ),
        (
            "nan.safetensors",
            "conv2_2.bias has values that are not finite",
        ),
        ("gone.safetensors", "make setup"),
    ] {
        let ended = with_weights(&scene, file);
        let complaint = ended.stderr.iter().find(|line| line.starts_with("error: "));
        let complaint = complaint.unwrap_or_else(|| panic!("{file}\n{}", ended.so_far()));
        assert!(
            complaint.contains(file) && complaint.contains(reason),
            "{complaint}"
        );
        assert!(ended.stdout.is_empty(), "{}", ended.so_far());
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error_at_the_start() {
    let scene = Scene::with_pictures();
    let usual = "boat.png --style wave.png --size 16 --evaluations 2";
    let refused = |device: &str| {
        let ended = scene.run(&[usual, "--device", device]).expect_code(1);
        let complaint = ended.stderr.iter().find(|line| line.starts_with("error: "));
        let complaint = complaint.unwrap_or_else(|| panic!("no error\n{}", ended.so_far()));
        assert!(
            complaint.contains(device) && complaint.contains("CUDA"),
            "{complaint}"
        );
        assert!(scene.files("out").is_empty(), "{}", ended.so_far());
    };
    refused("cuda:99");
    let mut doctor = scene.command(worker());
    doctor.args(["doctor", "--json", "--device", "cpu"]);
    let report = Run::start(doctor).end().stdout.join("\n");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    if report["cuda_devices"] == 0 {
        refused("cuda:0");
    } else {
        skip("cuda:0 where there is none", "there is one here");
    }
}

#[test]
fn a_missing_worker_is_named() {
    let scene = Scene::with_pictures();
    let mut command = scene.run_command(&["boat.png --style wave.png --size 16"]);
    command.env("STYLEFLEET_WORKER", "/nowhere/stylefleet-worker");
    let ended = Run::start(command).end().expect_code(1);
    let error = ended.stderr.iter().find(|line| line.starts_with("error: "));
    let error = error.unwrap_or_else(|| panic!("no error\n{}", ended.so_far()));
    for part in ["/nowhere/stylefleet-worker", "STYLEFLEET_WORKER"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_worker_without_its_libtorch_says_what_is_missing() {
    let scene = Scene::with_pictures();
    // A copy of the worker that looks for its libraries where there are none.
    let mut bytes = std::fs::read(worker()).expect("reads the worker");
    let folder = libtorch_of_the_worker();
    let elsewhere = format!("/nowhere{}", "/".repeat(folder.len() - "/nowhere".len()));
    let places: Vec<_> = bytes
        .windows(folder.len())
        .enumerate()
        .filter_map(|(at, window)| (window == folder.as_bytes()).then_some(at))
        .collect();
    assert!(!places.is_empty(), "{folder} is not in the worker");
    for at in places {
        bytes[at..at + folder.len()].copy_from_slice(elsewhere.as_bytes());
    }
    scene.write("worker", bytes);
    let worker = scene.path("worker");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&worker, permissions).expect("makes it executable");

    let mut command = scene.run_command(&["boat.png --style wave.png --size 16"]);
    command.env("STYLEFLEET_WORKER", worker);
    let ended = Run::start(command).end().expect_code(1);
    let error = ended.stderr.iter().find(|line| line.starts_with("error: "));
    let error = error.unwrap_or_else(|| panic!("no error\n{}", ended.so_far()));
    assert!(
        error.contains("libtorch") || error.contains("libc10"),
        "{error}"
    );
    assert!(error.contains("shared librar"), "{error}");
}

/// The folder of libtorch that the worker was linked with, as ldd finds it.
fn libtorch_of_the_worker() -> String {
    let output = Command::new("ldd").arg(worker()).output().expect("ldd");
    let text = String::from_utf8(output.stdout).expect("text");
    let library = text.lines().find_map(|line| {
        let path = line.trim().strip_prefix("libtorch_cpu.so => ")?;
        Some(PathBuf::from(path.split(" (").next()?))
    });
    let folder = library.expect("libtorch_cpu.so is found");
    folder
        .parent()
        .expect("a folder")
        .to_str()
        .expect("plain")
        .to_owned()
}

/// Starts a command on a disk of its own of `size`, mounted at `disk/` in the scene's folder for no
/// one else to see. None, visibly, where that is not allowed.
fn on_a_small_disk(scene: &Scene, size: &str, args: &[&str]) -> Option<Run> {
    let disk = scene.path("disk");
    std::fs::create_dir_all(&disk).expect("makes a folder");
    let mount = format!("mount -t tmpfs -o size={size} none '{}'", disk.display());
    let as_root = |script: &str| {
        let mut command = scene.command("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script]);
        command
    };
    if !as_root(&mount).output().is_ok_and(|o| o.status.success()) {
        skip("a full disk", "no disk can be mounted here");
        return None;
    }
    let inner = scene.run_command(args);
    // What is on the disk goes away with it: list it before.
    let script = format!("{mount} && {{ \"$@\"; code=$?; find disk >listing; exit $code; }}");
    let mut command = as_root(&script);
    command
        .arg("sh")
        .arg(inner.get_program())
        .args(inner.get_args());
    command.args(["--out", "disk/out"]);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("STYLEFLEET_CHECKPOINT_SECONDS", "0");
    Some(Run::start(command))
}

/// What was on the small disk when the command ended.
fn listing(scene: &Scene) -> Vec<String> {
    let listing = String::from_utf8(scene.read("listing")).expect("text");
    listing.lines().map(str::to_owned).collect()
}

#[test]
fn a_full_disk_is_named_before_any_work_is_done() {
    let scene = Scene::with_pictures();
    // Room for nothing: not even the content.
    let command = ["boat.png --style wave.png --size 16 --evaluations 2"];
    let noise = RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    noise.save(scene.path("boat.png")).expect("saves");
    let Some(run) = on_a_small_disk(&scene, "4k", &command) else {
        return;
    };
    let ended = run.end().expect_code(1);
    let error = ended.stderr.iter().find(|line| line.starts_with("error: "));
    let error = error.unwrap_or_else(|| panic!("no error\n{}", ended.so_far()));
    assert!(error.contains("disk/out/.stylefleet/inputs"), "{error}");
    assert!(error.contains("no space left"), "{error}");
}

#[test]
fn a_disk_too_full_for_checkpoints_is_noted_and_the_picture_is_made() {
    let scene = Scene::with_pictures();
    // Room for inputs and pictures, but not for the optimiser's memory.
    let command = ["boat.png --style wave.png --size 48 --evaluations 30 --json"];
    let Some(run) = on_a_small_disk(&scene, "64k", &command) else {
        return;
    };
    let ended = run.end().expect_code(0);
    let listing = listing(&scene);
    let notes = ended.events_of("note");
    let is_it = |e: &Value| {
        e["text"]
            .as_str()
            .is_some_and(|t| t.contains("no space left"))
    };
    assert!(notes.iter().any(is_it), "{}", ended.so_far());
    let litter: Vec<_> = listing
        .iter()
        .filter(|name| name.contains(".writing-"))
        .collect();
    assert!(litter.is_empty(), "half-written files: {litter:?}");
    assert!(
        listing.iter().any(|name| name.ends_with("boat.wave.png")),
        "{listing:?}"
    );
}

#[test]
fn a_disk_too_full_for_the_picture_is_named_and_nothing_half_is_left() {
    let scene = Scene::with_pictures();
    // 96 x 72 in 16 bits is more than 32 KiB; noise does not pack.
    let command =
        ["boat.png --style wave.png --size 96 --evaluations 2 --init noise --format tiff"];
    let Some(mut run) = on_a_small_disk(&scene, "32k", &command) else {
        return;
    };
    // Somebody may make room: it is tried again, which nobody waits for here.
    let note = run.wait_for_line("it is tried again");
    assert!(note.contains("no space left"), "{note}");
    assert!(note.contains("disk/out"), "{note}");
    let [stylefleet] = children(run.id())[..] else {
        panic!("the shell has one child");
    };
    signal(stylefleet, "INT");
    let ended = run.end().expect_code(130);
    assert!(
        ended.stderr.iter().all(|line| !line.contains("panicked")),
        "{}",
        ended.so_far()
    );
    let listing = listing(&scene);
    let whole = |name: &String| name.ends_with(".tiff") || name.contains(".writing-");
    let left: Vec<_> = listing.iter().filter(|name| whole(name)).collect();
    assert!(left.is_empty(), "{left:?}");
}

//! Whole jobs with small random networks.

use std::io::Cursor;

use ::image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbImage};
use stylefleet_model::apply::{Apply, Share};
use stylefleet_model::stylize::{Format, KeepColors, Precision, Size};
use stylefleet_model::{Digest, Progress, Valid};

use super::{Model, Request};
use crate::golden::{device_name, source};
use crate::image::pixels_of;
use crate::transform::PASSES;
use crate::transform::testing::model;
use crate::{Control, Engine, Error, Finished, Observer, Options, Outcome, Source, State, Task};

/// An engine without weights of VGG, whose jobs may take so many bytes.
fn engine_with(memory: Option<u64>) -> Engine {
    Engine::open(&Options {
        device: device_name(),
        threads: Some(1),
        weights: None,
        max_pixels: 1 << 20,
        memory,
    })
    .expect("opens")
}

fn engine() -> Engine {
    engine_with(None)
}

fn of(bytes: Vec<u8>) -> Model {
    Model {
        name: "test.safetensors".to_owned(),
        sha256: Digest::of(&bytes),
        bytes: bytes.into(),
    }
}

/// A job of that blend, with more changes.
fn request_with(styles: &[(&str, f64)], change: impl FnOnce(&mut Apply)) -> Request {
    let share = |(style, weight): &(&str, f64)| Share {
        style: style.parse().expect("a name"),
        weight: *weight,
    };
    let mut apply = Apply {
        styles: styles.iter().map(share).collect(),
        size: None,
        keep_colors: KeepColors::None,
        format: Format::Png,
        precision: Precision::F32,
    };
    change(&mut apply);
    Request {
        identity: "a job".to_owned(),
        content: source("shipwreck_96x72.png"),
        model: of(model(4, 7)),
        masks: vec![None; styles.len()],
        asked: Valid::new(apply).expect("is valid"),
    }
}

fn request(styles: &[(&str, f64)]) -> Request {
    request_with(styles, |_| ())
}

/// Keeps what it hears; interrupts at that many reports.
#[derive(Default)]
struct Watcher {
    interrupt_at: Option<usize>,
    seen: Vec<Progress>,
    notes: Vec<String>,
}

impl Observer for Watcher {
    fn noted(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    fn progressed(&mut self, progress: &Progress) -> Control {
        self.seen.push(progress.clone());
        if self.interrupt_at == Some(self.seen.len()) {
            Control::Interrupt
        } else {
            Control::Continue
        }
    }

    fn accepted(&mut self, _: &State<'_>) {}
}

fn run(engine: &mut Engine, request: &Request) -> Finished {
    match request.run(engine, None, &mut Watcher::default()) {
        Ok(Outcome::Finished(finished)) => finished,
        other => panic!("{other:?}"),
    }
}

/// The picture that a job makes.
fn made(engine: &mut Engine, request: &Request) -> RgbImage {
    let output = run(engine, request).outputs.remove(0);
    assert_eq!((output.role, output.media_type), ("picture", "image/png"));
    let file = (output.encode)().expect("encodes");
    ::image::load_from_memory(&file)
        .expect("is an image")
        .into_rgb8()
}

fn refused(request: &Request) -> String {
    let outcome = request.run(&mut engine(), None, &mut Watcher::default());
    outcome.expect_err("is refused").to_string()
}

/// White from one share of the width to another.
fn mask(from: f64, to: f64) -> Option<Source> {
    let level = |x: u32, _| {
        let place = f64::from(x) / 64.0;
        Luma([if (from..to).contains(&place) { 255 } else { 0 }])
    };
    let mask = DynamicImage::from(GrayImage::from_fn(64, 48, level));
    let mut file = Cursor::new(Vec::new());
    mask.write_to(&mut file, ImageFormat::Png).expect("encodes");
    Some(Source::new("mask.png", file.into_inner()))
}

/// Mean difference of two pictures' columns, in grey levels.
fn apart(a: &RgbImage, b: &RgbImage, columns: std::ops::Range<u32>) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.enumerate_pixels().zip(b.pixels());
    let pairs = pairs.filter(|((x, _, _), _)| columns.contains(x));
    let differences = pairs.flat_map(|((_, _, a), b)| {
        let channels = a.0.into_iter().zip(b.0);
        channels.map(|(a, b)| f64::from(a.abs_diff(b)))
    });
    let (sum, count) = differences.fold((0.0, 0.0), |(sum, count), d| (sum + d, count + 1.0));
    sum / count
}

#[test]
fn shares_blend_the_networks_styles() {
    let mut engine = engine();
    let waves = made(&mut engine, &request(&[("waves", 1.0)]));
    let stars = made(&mut engine, &request(&[("stars", 2.0)]));
    assert!(apart(&waves, &stars, 0..96) > 5.0);
    let nearly = made(&mut engine, &request(&[("stars", 1e-6), ("waves", 1e3)]));
    assert!(apart(&waves, &nearly, 0..96) < 0.01);
    let both = made(&mut engine, &request(&[("waves", 3.0), ("stars", 3.0)]));
    assert!(apart(&both, &waves, 0..96) > 1.0 && apart(&both, &stars, 0..96) > 1.0);
}

#[test]
fn says_what_it_made_of_what() {
    let mut watcher = Watcher::default();
    let request = request_with(&[("waves", 1.0)], |asked| {
        asked.size = Some(Size::Longest(48));
    });
    let outcome = request.run(&mut engine(), None, &mut watcher);
    let Ok(Outcome::Finished(finished)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(finished.steps, 1);
    assert_eq!(finished.figures["picture.width"], 48.0);
    assert_eq!(finished.figures["picture.height"], 36.0);
    let digest = request.model.sha256.to_string();
    assert_eq!(finished.made_with["model"], digest);
    assert_eq!(finished.made_with["precision"], "f32");
    let last = watcher.seen.last().expect("was reported");
    assert_eq!((last.done, last.total, last.steps), (1, 1, 1));
    assert_eq!(last.unit, "pictures");
    // So that the next job is prepared at once.
    assert_eq!(watcher.seen[0].seconds_left, Some(0.0));
}

#[test]
fn a_picture_has_the_size_asked_for_or_its_own() {
    let mut engine = engine();
    for (size, expected) in [
        (None, (96, 72)),
        (Some(Size::Longest(50)), (50, 38)),
        (Some(Size::Longest(131)), (131, 98)),
        (
            Some(Size::Exact {
                width: 17,
                height: 101,
            }),
            (17, 101),
        ),
    ] {
        let request = request_with(&[("waves", 1.0)], |asked| asked.size = size);
        assert_eq!(made(&mut engine, &request).dimensions(), expected);
    }
}

#[test]
fn a_content_that_is_too_small_is_refused() {
    let mut file = Cursor::new(Vec::new());
    let small = RgbImage::from_pixel(40, 9, ::image::Rgb([9; 3]));
    small
        .write_to(&mut file, ImageFormat::Png)
        .expect("encodes");
    let mut request = request(&[("waves", 1.0)]);
    request.content = Source::new("small.png", file.into_inner());
    let refused = refused(&request);
    assert!(
        refused.starts_with("small.png: is 40x9") && refused.contains("--size"),
        "{refused}"
    );
}

#[test]
fn the_contents_colors_are_kept() {
    let mut engine = engine();
    let plain = made(&mut engine, &request(&[("waves", 1.0)]));
    let kept = made(
        &mut engine,
        &request_with(&[("waves", 1.0)], |asked| {
            asked.keep_colors = KeepColors::Luminance;
        }),
    );
    let content = source("shipwreck_96x72.png").read(1 << 20).expect("reads");
    let content = pixels_of(&content.pixels).expect("copies");
    let content = content.into_iter().map(|v| (v * 255.0) as u8).collect();
    let content = RgbImage::from_raw(96, 72, content).expect("is whole");
    // Red less green, on average over the picture: how far its colours are from grey and from the
    // content's.
    let cast = |picture: &RgbImage| {
        let pairs = picture.pixels().zip(content.pixels());
        let unclipped = pairs.filter(|(p, _)| p.0.iter().all(|v| (1..255).contains(v)));
        let cast = |pixel: &::image::Rgb<u8>| f64::from(pixel.0[0]) - f64::from(pixel.0[1]);
        let differences = unclipped.map(|(p, c)| (cast(p) - cast(c)).abs());
        let (sum, count) = differences.fold((0.0, 0.0), |(sum, count), d| (sum + d, count + 1.0));
        sum / count
    };
    assert!(cast(&kept) < 1.5, "{}", cast(&kept));
    assert!(cast(&plain) > 3.0, "{}", cast(&plain));
}

#[test]
fn masks_say_where_styles_count() {
    let mut engine = engine();
    let alone = ["waves", "stars"].map(|style| made(&mut engine, &request(&[(style, 1.0)])));
    let masked = |styles: &[(&str, f64)], masks: &[Option<Source>]| Request {
        masks: masks.to_vec(),
        ..request(styles)
    };
    // Half and half, whatever the shares are.
    let halves = masked(
        &[("waves", 1.0), ("stars", 5.0)],
        &[mask(0.0, 0.5), mask(0.5, 1.0)],
    );
    let halves = made(&mut engine, &halves);
    assert!(apart(&halves, &alone[0], 0..44) < 0.01);
    assert!(apart(&halves, &alone[1], 52..96) < 0.01);
    // Where none counts, the content stays.
    let left = masked(&[("waves", 1.0)], &[mask(0.0, 0.5)]);
    let left = made(&mut engine, &left);
    let content = ::image::load_from_memory(&source("shipwreck_96x72.png").bytes);
    let content = content.expect("is an image").into_rgb8();
    assert!(apart(&left, &alone[0], 0..44) < 0.01);
    assert!(apart(&left, &content, 52..96) < 0.01);
    // A mask beside a style that counts everywhere.
    let beside = masked(&[("waves", 1.0), ("stars", 1.0)], &[None, mask(0.5, 1.0)]);
    let beside = made(&mut engine, &beside);
    assert!(apart(&beside, &alone[0], 0..44) < 0.01);
    assert!(apart(&beside, &alone[0], 52..96) > 1.0);
    assert!(apart(&beside, &alone[1], 52..96) > 1.0);
    // White everywhere is no mask.
    let white = made(&mut engine, &masked(&[("stars", 1.0)], &[mask(0.0, 1.0)]));
    assert!(apart(&white, &alone[1], 0..96) < 0.01);
}

#[test]
fn what_contradicts_itself_or_the_model_is_refused() {
    let unknown = refused(&request(&[("waves", 1.0), ("clouds", 1.0)]));
    assert_eq!(
        unknown,
        "test.safetensors: has no style clouds: it has waves, stars"
    );
    let black = refused(&Request {
        masks: vec![mask(2.0, 3.0)],
        ..request(&[("waves", 1.0)])
    });
    assert!(
        black.starts_with("mask.png: is black everywhere"),
        "{black}"
    );
    let masks = refused(&Request {
        masks: vec![None],
        ..request(&[("waves", 1.0), ("stars", 1.0)])
    });
    assert!(masks.contains("2 styles and places for 1 masks"), "{masks}");
    let no_model = Request {
        model: of(b"no model".to_vec()),
        ..request(&[("waves", 1.0)])
    };
    let outcome = no_model.run(&mut engine(), None, &mut Watcher::default());
    let error = outcome.expect_err("is refused");
    assert!(matches!(error, Error::Model { .. }) && !error.is_retryable());
    assert!(
        error.to_string().starts_with("test.safetensors: "),
        "{error}"
    );
}

#[test]
fn the_next_job_does_not_load_the_model_again() {
    let mut engine = engine();
    let first = request(&[("waves", 1.0)]);
    let picture = made(&mut engine, &first);
    let mut again = first.clone();
    again.model.bytes = [].into();
    assert_eq!(made(&mut engine, &again), picture);
    let other = Request {
        model: of(model(4, 8)),
        ..first
    };
    assert_ne!(made(&mut engine, &other), picture);
    let outcome = again.run(&mut engine, None, &mut Watcher::default());
    assert!(
        matches!(outcome, Err(Error::Model { .. })),
        "the other one is kept"
    );
}

/// Bytes of memory that a job is refused for.
fn needed(request: &Request) -> u64 {
    match request.run(&mut engine_with(Some(1)), None, &mut Watcher::default()) {
        Err(Error::Memory { needed, .. }) => needed,
        other => panic!("one byte was enough: {other:?}"),
    }
}

#[test]
fn little_memory_makes_the_same_picture_in_tiles() {
    let request = Request {
        masks: vec![None, mask(0.5, 1.0)],
        ..request_with(&[("waves", 1.0), ("stars", 1.0)], |asked| {
            asked.size = Some(Size::Exact {
                width: 301,
                height: 263,
            });
        })
    };
    let whole = made(&mut engine(), &request);
    let needed = needed(&request);
    let mut watcher = Watcher::default();
    let mut engine = engine_with(Some(needed));
    let outcome = request.run(&mut engine, None, &mut watcher).expect("fits");
    assert!(matches!(outcome, Outcome::Finished(_)));
    let passes = &watcher.seen[1..watcher.seen.len() - 1];
    let is_pass = |seen: &Progress| seen.unit == "passes" && seen.total == 2 * PASSES;
    assert!(passes.iter().all(is_pass), "{passes:?}");
    let counts: Vec<_> = passes.iter().map(|seen| seen.done).collect();
    assert!(counts.is_sorted() && counts.last() == Some(&(2 * PASSES - 1)));
    let tiled = made(&mut engine, &request);
    let differences = whole.as_raw().iter().zip(tiled.as_raw());
    let worst = differences.map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(1), "{worst:?}");

    let refused = request.run(&mut engine_with(Some(needed - 1)), None, &mut watcher);
    let refused = refused.expect_err("does not fit").to_string();
    assert!(
        refused.contains("301x263") && refused.contains("--memory"),
        "{refused}"
    );
}

#[test]
fn an_interrupted_job_begins_again() {
    let request = request_with(&[("waves", 1.0)], |asked| {
        asked.size = Some(Size::Longest(300));
    });
    // Before the picture, and between tiles.
    for (memory, interrupt_at) in [(None, 1), (Some(needed(&request)), 9)] {
        let mut watcher = Watcher {
            interrupt_at: Some(interrupt_at),
            ..Watcher::default()
        };
        let outcome = request.run(&mut engine_with(memory), None, &mut watcher);
        let Ok(Outcome::Interrupted { checkpoint, steps }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!((steps, watcher.seen.len()), (0, interrupt_at));
        let resumed = request.run(&mut engine(), Some(&checkpoint), &mut Watcher::default());
        assert!(matches!(resumed, Ok(Outcome::Finished(_))), "{resumed:?}");
        let other = Request {
            identity: "another job".to_owned(),
            ..request.clone()
        };
        let outcome = other.run(&mut engine(), Some(&checkpoint), &mut Watcher::default());
        assert!(matches!(outcome, Err(Error::Checkpoint(_))), "{outcome:?}");
    }
}

/// Peak of the process's memory so far, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    peak.expect("is reported").parse::<u64>().expect("a number") >> 10
}

/// Needs a process of its own, and minutes:
/// `cargo test --release -p stylefleet-engine -- --ignored megapixels_in_two_gibibytes`
#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes minutes, and the peak of the whole process"]
fn sixteen_megapixels_in_two_gibibytes() {
    crate::allocator::keep_what_is_freed();
    let plasma = |x: u32, y: u32| ::image::Rgb([(x / 16) as u8, (y / 16) as u8, (x ^ y) as u8]);
    for (side, most) in [(512, 700), (4096, 2048)] {
        let mut file = Cursor::new(Vec::new());
        let picture = RgbImage::from_fn(side, side, plasma);
        picture
            .write_to(&mut file, ImageFormat::Png)
            .expect("encodes");
        drop(picture);
        let request = Request {
            content: Source::new("content", file.into_inner()),
            model: of(model(32, 1)),
            ..request(&[("waves", 1.0)])
        };
        let mut engine = Engine::open(&Options {
            device: device_name(),
            threads: None,
            weights: None,
            max_pixels: u64::from(side * side),
            memory: Some(most << 20),
        })
        .expect("opens");
        let finished = run(&mut engine, &request);
        for output in finished.outputs {
            (output.encode)().expect("encodes");
        }
        eprintln!("{side}: {:.1} s, peak {} MiB", finished.seconds, peak());
        assert!(peak() < most, "{} MiB", peak());
    }
}

//! Whole jobs on the real network, at sizes that take a second.

use std::collections::BTreeSet;

use crate::golden::{engine, engine_of, engine_with, layers, objective, source, vgg16, weights};
use crate::{
    Colors, ContentLoss, Control, CurvePoint, Engine, Error, Format, Init, Means, Network,
    Objective, Observer, Optimizer, Options, Outcome, Picture, Pooling, Precision, Progress,
    Request, Size, Source, State, Style, StyleLoss, TotalVariation,
};

fn style(name: &str, share: f64) -> Style {
    Style {
        image: source(name),
        share,
        mask: None,
    }
}

/// A small job through two scales.
fn request() -> Request {
    Request {
        content: source("astronaut_64x64.png"),
        styles: vec![style("starry_night_64x64.png", 1.0)],
        init: Init::Content,
        size: Size::Longest(48),
        objective: Objective {
            network: Network::Vgg19,
            means: Means::Bgr,
            pooling: Pooling::Average,
            content_layers: layers(&[(4, 2)], |_| 1.0),
            content_loss: ContentLoss::Mean,
            content_weight: 0.5,
            style_layers: layers(&[(1, 1), (2, 1), (3, 1), (4, 1)], |n| 4.0 / (n * n)),
            style_loss: StyleLoss::PerPosition,
            style_weight: 10.0,
            total_variation: TotalVariation::L2,
            tv_weight: 1e-4,
            strength: None,
            normalize_gradients: false,
        },
        colors: Colors::Style,
        optimizer: Optimizer::Lbfgs,
        evaluations: 12,
        coarse_evaluations: 8,
        scales: 2,
        stop_below: None,
        tolerance: 0.0,
        style_scale: 1.0,
        stretch_style: false,
        precision: Precision::F32,
        seed: 0,
        average: 0.0,
    }
}

/// Interrupts at the evaluations told, counted over all scales, and keeps every progress.
#[derive(Default)]
struct Watcher {
    interrupt_at: BTreeSet<u32>,
    seen: Vec<Progress>,
    checkpoints: Vec<Vec<u8>>,
    /// The last picture on the way.
    preview: Vec<u8>,
}

impl Observer for Watcher {
    fn noted(&mut self, note: &str) {
        panic!("nothing is to be noted: {note}");
    }

    fn evaluated(&mut self, progress: &Progress) -> Control {
        self.seen.push(*progress);
        if self.interrupt_at.contains(&progress.total_evaluations) {
            Control::Interrupt
        } else {
            Control::Continue
        }
    }

    fn accepted(&mut self, state: &State<'_>) {
        let checkpoint = (state.checkpoint)();
        self.checkpoints.push(checkpoint.expect("encodes"));
        self.preview = (state.picture)().expect("encodes");
    }
}

fn finished(outcome: Result<Outcome, Error>) -> Picture {
    match outcome.expect("no error") {
        Outcome::Finished(picture) => picture,
        Outcome::Interrupted { .. } => panic!("was interrupted"),
    }
}

fn run(engine: &mut Engine, request: &Request) -> Picture {
    finished(engine.stylize(request, None, &mut Watcher::default()))
}

#[test]
fn an_interrupted_job_ends_with_the_same_bits() {
    let mut engine = engine();
    for precision in [Precision::F32, Precision::Bf16] {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let request = Request {
                precision,
                optimizer,
                average: if precision == Precision::F32 {
                    0.8
                } else {
                    0.0
                },
                ..request()
            };
            let whole = run(&mut engine, &request);
            // In the coarse scale, at its end, and twice in the fine one; each time another
            // engine goes on, which remembers nothing.
            let mut checkpoint: Option<Vec<u8>> = None;
            for at in [4, 8, 11, 17] {
                let mut watcher = Watcher {
                    interrupt_at: [at].into(),
                    ..Watcher::default()
                };
                engine = self::engine();
                match engine.stylize(&request, checkpoint.as_deref(), &mut watcher) {
                    Ok(Outcome::Interrupted {
                        checkpoint: kept,
                        evaluations,
                    }) => {
                        assert_eq!(Engine::evaluations_in(&kept).expect("reads"), evaluations);
                        assert!(evaluations <= at);
                        checkpoint = Some(kept);
                    }
                    other => panic!("{precision:?} {optimizer:?}: not interrupted: {other:?}"),
                }
            }
            let resumed = engine.stylize(&request, checkpoint.as_deref(), &mut Watcher::default());
            let resumed = finished(resumed);
            assert_eq!(whole.pixels, resumed.pixels, "{precision:?} {optimizer:?}");
            assert_eq!(whole.loss.to_bits(), resumed.loss.to_bits());
            assert_eq!(whole.evaluations, resumed.evaluations);
            assert_eq!(whole.curve, resumed.curve);
        }
    }
}

#[test]
fn shows_the_picture_on_the_way_and_how_the_loss_fell() {
    let mut engine = engine();
    let request = Request {
        colors: Colors::Luminance,
        ..request()
    };
    let mut watcher = Watcher {
        interrupt_at: [6].into(),
        ..Watcher::default()
    };
    let outcome = engine.stylize(&request, None, &mut watcher);
    assert!(matches!(outcome, Ok(Outcome::Interrupted { .. })));
    let preview = ::image::load_from_memory(&watcher.preview).expect("an image");
    assert_eq!((preview.width(), preview.height()), (24, 24));

    let mut watcher = Watcher::default();
    let picture = finished(engine.stylize(&request, None, &mut watcher));
    let preview = ::image::load_from_memory(&watcher.preview).expect("an image");
    let preview = preview.into_rgb32f();
    let away = preview.as_raw().iter().zip(&picture.pixels);
    let away: f32 = away.map(|(a, b)| (a - b).abs()).sum::<f32>() / picture.pixels.len() as f32;
    assert!(
        away < 0.02,
        "the last preview is {away} away from the picture"
    );

    let last = picture.curve.last().expect("a point");
    assert_eq!(last.evaluations, picture.evaluations);
    assert!((last.loss / picture.loss - 1.0).abs() < 1e-3, "{last:?}");
    for scale in picture.curve.chunk_by(|a, b| a.scale == b.scale) {
        let falls = |pair: &[CurvePoint]| pair[1].loss < pair[0].loss;
        assert!(scale.windows(2).all(falls), "{scale:?}");
    }
}

#[test]
fn goes_on_from_a_checkpoint_made_on_the_way() {
    let mut engine = engine();
    let mut watcher = Watcher::default();
    let whole = finished(engine.stylize(&request(), None, &mut watcher));
    assert!(watcher.checkpoints.len() > 8);
    for checkpoint in watcher.checkpoints.iter().step_by(3) {
        let resumed = engine.stylize(&request(), Some(checkpoint), &mut Watcher::default());
        assert_eq!(whole.pixels, finished(resumed).pixels);
    }
}

#[test]
fn keeps_to_its_budgets_and_gets_better() {
    let mut watcher = Watcher::default();
    let picture = finished(engine().stylize(&request(), None, &mut watcher));
    assert_eq!((picture.width, picture.height), (48, 48));
    assert_eq!(picture.pixels.len(), 48 * 48 * 3);
    assert_eq!(picture.evaluations, 20);
    let counted: Vec<_> = watcher
        .seen
        .iter()
        .map(|p| (p.scale, p.width, p.evaluation))
        .collect();
    let coarse = (1..=8).map(|i| (1, 24, i));
    let fine = (1..=12).map(|i| (2, 48, i));
    assert_eq!(counted, coarse.chain(fine).collect::<Vec<_>>());
    assert!(
        picture.loss < 0.5 * watcher.seen[8].loss,
        "{}",
        picture.loss
    );
    let sum: f64 = picture.terms.values().sum();
    assert!((picture.loss - sum).abs() < 1e-6 * sum);
}

/// What is told while optimising is what the saved picture has: nothing is lost in cutting it to
/// the valid range.
#[test]
fn the_saved_picture_has_the_loss_that_was_told() {
    let mut watcher = Watcher::default();
    let picture = finished(engine().stylize(&request(), None, &mut watcher));
    let told = watcher.seen.last().expect("some").loss;
    assert!(
        (picture.loss / told - 1.0).abs() < 1e-3,
        "{} was told as {told}",
        picture.loss
    );
}

#[test]
fn stops_where_it_is_told_to() {
    let mut engine = engine();
    let loss = run(&mut engine, &request()).loss;
    let enough = Request {
        stop_below: Some(2.0 * loss),
        ..request()
    };
    let picture = run(&mut engine, &enough);
    assert!(
        picture.evaluations < 20 && picture.loss < 2.1 * loss,
        "{}",
        picture.evaluations
    );
    let settled = Request {
        tolerance: 0.9999,
        coarse_evaluations: 30,
        ..request()
    };
    assert!(run(&mut engine, &settled).evaluations < 42);
}

/// A budget that ends within a line search keeps the best point that the search has seen.
#[test]
fn a_tiny_budget_still_gets_better() {
    let mut engine = engine();
    let mut loss = |evaluations| {
        run(
            &mut engine,
            &Request {
                evaluations,
                scales: 1,
                ..request()
            },
        )
        .loss
    };
    assert!(loss(2) < loss(1));
}

#[test]
fn a_checkpoint_of_the_other_optimizer_is_refused() {
    let mut engine = engine();
    let mut watcher = Watcher::default();
    finished(engine.stylize(&request(), None, &mut watcher));
    let adam = Request {
        optimizer: Optimizer::Adam,
        ..request()
    };
    let refused = engine.stylize(
        &adam,
        Some(&watcher.checkpoints[3]),
        &mut Watcher::default(),
    );
    assert!(matches!(refused, Err(Error::Checkpoint(_))), "{refused:?}");
}

#[test]
fn starts_from_what_it_is_told_to() {
    let mut engine = engine();
    let base = Request {
        evaluations: 1,
        scales: 1,
        ..request()
    };
    let mut pixels = |init| {
        run(
            &mut engine,
            &Request {
                init,
                ..base.clone()
            },
        )
        .pixels
    };
    let content = pixels(Init::Content);
    let style = pixels(Init::Style(0));
    assert_eq!(style, pixels(Init::Image(source("starry_night_64x64.png"))));
    let noise = pixels(Init::Noise);
    assert_eq!(noise, pixels(Init::Noise), "the seed decides");
    assert!(content != style && style != noise && noise != content);
    let mut other = base.clone();
    other.init = Init::Noise;
    other.seed = 1;
    assert_ne!(noise, run(&mut engine, &other).pixels);
}

#[test]
fn a_blend_of_one_style_with_itself_is_that_style() {
    let mut engine = engine();
    let alone = run(&mut engine, &request());
    let twice = Request {
        styles: [3.0, 1.0]
            .map(|share| style("starry_night_64x64.png", share))
            .into(),
        ..request()
    };
    let loss = run(&mut engine, &twice).loss;
    assert!(
        (alone.loss / loss - 1.0).abs() < 0.05,
        "{loss} is not {}",
        alone.loss
    );
    let other = vec![style("shipwreck_96x72.png", 1.0)];
    assert_ne!(
        run(
            &mut engine,
            &Request {
                styles: other,
                ..request()
            }
        )
        .pixels,
        alone.pixels
    );
}

/// Targets are kept from job to job, but only for jobs that ask the same of a style.
#[test]
fn what_an_engine_did_before_changes_nothing() {
    let fresh = run(&mut engine(), &request());
    let mut engine = engine();
    let mut without_style = request();
    without_style.objective.style_weight = 0.0;
    run(&mut engine, &without_style);
    let mut fewer_layers = request();
    fewer_layers.objective.style_layers[0].weight = 0.0;
    run(&mut engine, &fewer_layers);
    assert_eq!(run(&mut engine, &request()).pixels, fresh.pixels);
}

/// Mean colour differences, R - G and B - G, of a picture.
fn cast(pixels: &[f32]) -> [f32; 2] {
    let mean = |channel: usize| {
        let values = pixels.iter().skip(channel).step_by(3);
        values.sum::<f32>() * 3.0 / pixels.len() as f32
    };
    [mean(0) - mean(1), mean(2) - mean(1)]
}

#[test]
fn colours_are_kept_where_that_is_asked() {
    let mut engine = engine();
    let untouched = Request {
        evaluations: 1,
        scales: 1,
        ..request()
    };
    let content = cast(&run(&mut engine, &untouched).pixels);
    let mut distance = |colors| {
        let found = cast(
            &run(
                &mut engine,
                &Request {
                    colors,
                    ..request()
                },
            )
            .pixels,
        );
        (found[0] - content[0]).abs() + (found[1] - content[1]).abs()
    };
    let style = distance(Colors::Style);
    assert!(distance(Colors::Luminance) < 0.3 * style);
    assert!(distance(Colors::Match) < 0.5 * style);
    assert!(distance(Colors::Histogram) < 0.5 * style);
}

#[test]
fn a_checkpoint_of_no_use_is_refused() {
    let mut engine = engine();
    let mut watcher = Watcher {
        interrupt_at: [3].into(),
        ..Watcher::default()
    };
    let Ok(Outcome::Interrupted { checkpoint, .. }) =
        engine.stylize(&request(), None, &mut watcher)
    else {
        panic!("was not interrupted");
    };
    let larger = Request {
        size: Size::Longest(64),
        ..request()
    };
    let half = &checkpoint[..checkpoint.len() / 2];
    for (request, checkpoint) in [
        (&larger, &checkpoint[..]),
        (&request(), half),
        (&larger, b"{}"),
    ] {
        let refused = engine.stylize(request, Some(checkpoint), &mut Watcher::default());
        assert!(matches!(refused, Err(Error::Checkpoint(_))), "{refused:?}");
    }
}

#[test]
fn encodes_every_format() {
    let picture = run(
        &mut engine(),
        &Request {
            evaluations: 1,
            scales: 1,
            ..request()
        },
    );
    for format in [Format::Png, Format::Jpeg, Format::Tiff] {
        assert!(picture.encode(format).expect("encodes").len() > 1000);
    }
}

#[test]
fn little_memory_makes_the_same_picture_in_tiles() {
    let request = Request {
        size: Size::Exact {
            width: 272,
            height: 250,
        },
        scales: 1,
        evaluations: 4,
        ..request()
    };
    let whole = run(&mut engine(), &request);
    let mut engine = engine_with(Some(900 << 20));
    let tiled = run(&mut engine, &request);
    assert!(
        whole.pixels != tiled.pixels,
        "there was memory for all of it"
    );
    let pairs = whole.pixels.iter().zip(&tiled.pixels);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-3, "a pixel is off by {worst}");
    assert!((whole.loss / tiled.loss - 1.0).abs() < 1e-4);

    let too_little = engine_with(Some(700 << 20)).stylize(&request, None, &mut Watcher::default());
    let refused = too_little.expect_err("does not fit").to_string();
    assert!(
        refused.contains("272x250") && refused.contains("--memory"),
        "{refused}"
    );
}

/// Mean absolute difference of two pictures' columns.
fn apart(a: &Picture, b: &Picture, columns: std::ops::Range<usize>) -> f32 {
    let width = a.width as usize;
    let at = |index: usize| columns.contains(&(index / 3 % width));
    let pairs = a.pixels.iter().zip(&b.pixels).enumerate();
    let pairs = pairs.filter(|(index, _)| at(*index));
    let (sum, count) = pairs.fold((0.0, 0), |(sum, count), (_, (a, b))| {
        (sum + (a - b).abs(), count + 1)
    });
    sum / count as f32
}

/// A mask, white from `start` to `end` of its width and black elsewhere.
fn mask(start: f32, end: f32) -> Source {
    let size = 64;
    let white = |x: u32| (start..end).contains(&(x as f32 / size as f32));
    let pixel = |x: u32, _| ::image::Luma([if white(x) { 255 } else { 0 }]);
    let mask: ::image::GrayImage = ::image::ImageBuffer::from_fn(size, size, pixel);
    let mut file = std::io::Cursor::new(Vec::new());
    mask.write_to(&mut file, ::image::ImageFormat::Png)
        .expect("encodes");
    Source {
        name: "mask".into(),
        bytes: file.into_inner(),
    }
}

#[test]
fn a_mask_binds_its_style_to_a_region() {
    let request = Request {
        size: Size::Exact {
            width: 128,
            height: 64,
        },
        evaluations: 15,
        scales: 1,
        objective: Objective {
            // Deep layers see far beyond the edge of a mask.
            style_layers: layers(&[(1, 1), (2, 1)], |n| 4.0 / (n * n)),
            ..request().objective
        },
        ..request()
    };
    let names = ["starry_night_64x64.png", "shipwreck_96x72.png"];
    let mut engine = engine();
    let mut made = |styles: Vec<Style>| {
        run(
            &mut engine,
            &Request {
                styles,
                ..request.clone()
            },
        )
    };
    let [left, right] = names.map(|name| made(vec![style(name, 1.0)]));
    let halves = [mask(0.0, 0.5), mask(0.5, 1.0)];
    let styles = names.into_iter().zip(halves).map(|(name, mask)| Style {
        mask: Some(mask),
        ..style(name, 1.0)
    });
    let both = made(styles.collect());
    let of_left = [&left, &right].map(|alone| apart(&both, alone, 0..56));
    let of_right = [&left, &right].map(|alone| apart(&both, alone, 72..128));
    assert!(of_left[0] < of_left[1] / 1.5, "{of_left:?}");
    assert!(of_right[1] < of_right[0] / 1.5, "{of_right:?}");

    // White everywhere is no mask; black everywhere is a mistake.
    let masked = |mask| Style {
        mask: Some(mask),
        ..style(names[0], 1.0)
    };
    let white = made(vec![masked(mask(0.0, 1.0))]);
    assert!(apart(&white, &left, 0..128) < 1e-3);
    let black = Request {
        styles: vec![masked(mask(2.0, 3.0))],
        ..request
    };
    let refused = engine.stylize(&black, None, &mut Watcher::default());
    let refused = refused.expect_err("nothing is left").to_string();
    assert!(refused.contains("black everywhere"), "{refused}");
}

#[test]
fn strength_goes_from_the_content_to_the_style() {
    let mut engine = engine();
    let mut made = |strength: f64, scale: f64| {
        let mut request = request();
        request.objective.strength = Some(strength);
        request.objective.tv_weight = 0.0;
        request.objective.style_weight *= scale;
        run(&mut engine, &request)
    };
    let content = made(0.0, 1.0);
    let styled = [0.05, 0.2, 0.5, 1.0].map(|strength| made(strength, 1.0));
    let distances = styled
        .each_ref()
        .map(|picture| apart(picture, &content, 0..48));
    assert!(distances[..3].is_sorted(), "{distances:?}");
    assert!(distances[3] > 1.5 * distances[0], "{distances:?}");
    // As strong, whatever the weights.
    assert!(apart(&made(0.5, 1e3), &styled[2], 0..48) < 0.01);
}

#[test]
fn a_mean_of_places_is_a_picture_beside_the_best() {
    let mut engine = engine();
    for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
        let mut made = |average| {
            let request = Request {
                optimizer,
                evaluations: 40,
                average,
                ..request()
            };
            run(&mut engine, &request)
        };
        let (best, mean) = (made(0.0), made(0.9));
        assert!(best.pixels != mean.pixels, "{optimizer:?}");
        assert!(mean.loss < 1.2 * best.loss, "{} {}", mean.loss, best.loss);
    }
}

#[test]
fn normalized_layers_pull_alike_whatever_their_size() {
    let mut engine = engine();
    let mut made = |normalize_gradients, deep: f64, side| {
        let mut request = Request {
            size: Size::Longest(side),
            scales: 1,
            evaluations: 1,
            ..request()
        };
        let objective = &mut request.objective;
        objective.normalize_gradients = normalize_gradients;
        objective.style_layers = layers(&[(1, 1), (4, 1)], |_| 1.0);
        objective.style_layers[1].weight = deep;
        objective.tv_weight = 0.0;
        run(&mut engine, &request).terms
    };
    let plain = made(false, 1.0, 48);
    let ratio = plain["conv4_1"] / plain["conv1_1"];
    assert!(!(0.01..100.0).contains(&ratio), "{ratio} is even already");
    let even = made(true, 1.0, 48);
    let ratio = even["conv4_1"] / even["conv1_1"];
    assert!((0.01..100.0).contains(&ratio), "{even:?}");
    let double = made(true, 2.0, 48);
    let twice = double["conv4_1"] / even["conv4_1"];
    assert!((twice - 2.0).abs() < 1e-3, "{double:?}");
    assert!((double["conv1_1"] / even["conv1_1"] - 1.0).abs() < 1e-3);
    // As much for each of four times the pixels.
    let large = made(true, 1.0, 96);
    for (layer, term) in &large {
        let more = term / even[layer];
        assert!(
            layer == "content" || (2.0..8.0).contains(&more),
            "{layer}: {more}"
        );
    }
}

/// Coarse to fine, a large picture is a small one with more detail; at its own size alone, its
/// strokes are smaller.
#[test]
fn a_large_picture_looks_like_a_small_one() {
    let mut engine = engine();
    let mut made = |side, scales| {
        let mut request = Request {
            size: Size::Longest(side),
            coarse_evaluations: 30,
            evaluations: if side == 32 { 30 } else { 15 },
            scales,
            ..request()
        };
        request.objective.content_weight = 0.05;
        let picture = run(&mut engine, &request);
        let (width, height) = (picture.width, picture.height);
        let picture = ::image::Rgb32FImage::from_raw(width, height, picture.pixels);
        let picture = picture.expect("has all its pixels");
        ::image::imageops::thumbnail(&picture, 32, 32)
    };
    let away = |a: &::image::Rgb32FImage, b: &::image::Rgb32FImage| {
        let differences = a.as_raw().iter().zip(b.as_raw());
        differences.map(|(a, b)| (a - b).powi(2)).sum::<f32>()
    };
    let small = made(32, 1);
    let [like, unlike] = [3, 1].map(|scales| away(&made(128, scales), &small));
    assert!(like < 0.5 * unlike, "{like} and {unlike}");
}

#[test]
fn wasserstein_brings_mean_and_covariance_to_the_styles() {
    let mut request = request();
    request.objective.style_loss = StyleLoss::Wasserstein;
    request.objective.style_layers = layers(&[(1, 1), (2, 1), (3, 1)], |_| 1.0);
    request.objective.content_weight = 0.0;
    request.objective.tv_weight = 0.0;
    request.objective.style_weight = 1.0;
    request.evaluations = 60;
    let mut watcher = Watcher::default();
    let picture = finished(engine().stylize(&request, None, &mut watcher));
    let first = watcher.seen.iter().find(|progress| progress.scale == 1);
    let first = first.expect("was seen").loss;
    assert!(picture.loss < first / 5.0, "{first} to {}", picture.loss);

    // A picture in its own style is there already.
    request.styles = vec![style("astronaut_64x64.png", 1.0)];
    request.scales = 1;
    request.size = Size::Longest(64);
    request.evaluations = 1;
    let there = run(&mut engine(), &request);
    assert!(there.loss.abs() < 1e-3 * first, "{} of {first}", there.loss);
}

#[test]
fn vgg16_does_with_the_layers_that_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut engine = engine_of(vgg16(folder.path()), None);
    assert_eq!(engine.description().network, "VGG16");
    engine.time_evaluation(32).expect("runs");
    let deep = Request {
        objective: Objective {
            network: Network::Vgg16,
            pooling: Pooling::Average,
            ..objective("gatys")
        },
        ..request()
    };
    let mut watcher = Watcher::default();
    let picture = finished(engine.stylize(&deep, None, &mut watcher));
    assert!(
        picture.loss < 0.5 * watcher.seen[8].loss,
        "{}",
        picture.loss
    );

    let mut missing = request();
    missing.objective = Objective {
        network: Network::Vgg16,
        ..objective("notebook")
    };
    for (refused, why) in [
        (&missing, "conv3_4 is not a layer of VGG16"),
        (
            &request(),
            "asks for VGG19, and this worker's weights are of VGG16",
        ),
    ] {
        let refused = engine.stylize(refused, None, &mut Watcher::default());
        let refused = refused.expect_err(why);
        assert!(matches!(refused, Error::Request(_)), "{refused:?}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    // A layer that does not count is not looked at.
    let mut without = deep;
    without
        .objective
        .style_layers
        .extend(layers(&[(5, 4)], |_| 0.0));
    run(&mut engine, &without);
}

/// Along the gradient, the loss changes as fast as the gradient is long.
#[test]
fn vgg16s_gradient_is_the_slope_of_the_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine_of(vgg16(folder.path()), None);
    let objective = Objective {
        network: Network::Vgg16,
        pooling: Pooling::Average,
        ..objective("gatys")
    };
    let evaluate = |x: &[f32]| {
        let styles = [(source("starry_night_64x64.png"), 1.0)];
        let content = source("astronaut_64x64.png");
        let found = engine.evaluate(&objective, &content, &styles, x, u64::MAX);
        found.expect("evaluates")
    };
    let x: Vec<f32> = (0..3 * 64 * 64)
        .map(|i| (i * 37 % 101) as f32 - 50.0)
        .collect();
    let gradient = evaluate(&x).gradient;
    let length = gradient
        .iter()
        .map(|g| f64::from(*g).powi(2))
        .sum::<f64>()
        .sqrt();
    let loss = |step: f64| {
        let along = |(x, g): (&f32, &f32)| (f64::from(*x) + step * f64::from(*g) / length) as f32;
        let x: Vec<f32> = x.iter().zip(&gradient).map(along).collect();
        evaluate(&x).loss
    };
    let slope = (loss(1.0) - loss(-1.0)) / 2.0;
    assert!(
        (slope / length - 1.0).abs() < 0.01,
        "{slope} is not {length}"
    );
}

/// Needs a process of its own, and five minutes:
/// `cargo test --release -p stylefleet-engine -- --ignored --exact tests::sixteen_megapixels_in_four_gibibytes`
#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes minutes, and the peak of the whole process"]
fn sixteen_megapixels_in_four_gibibytes() {
    let side = 4096;
    let plasma = |x: u32, y: u32| ::image::Rgb([(x / 16) as u8, (y / 16) as u8, (x ^ y) as u8]);
    let mut content = std::io::Cursor::new(Vec::new());
    ::image::RgbImage::from_fn(side, side, plasma)
        .write_to(&mut content, ::image::ImageFormat::Png)
        .expect("encodes");
    let content = Source {
        name: "content".into(),
        bytes: content.into_inner(),
    };
    let x = vec![1.0; 3 * (side * side) as usize];
    let styles = [(source("starry_night_64x64.png"), 1.0)];
    let options = Options {
        device: "cpu".into(),
        threads: None,
        weights: weights(),
        max_pixels: u64::from(side * side),
        memory: None,
    };
    let engine = Engine::open(&options).expect("opens");
    let found = engine.evaluate(&objective("gatys"), &content, &styles, &x, 1 << 19);
    let found = found.expect("evaluates");
    assert!(found.gradient.iter().all(|slope| slope.is_finite()));
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    let peak: u64 = peak.expect("is told").parse().expect("a number");
    eprintln!("loss {:e}, peak {} MiB", found.loss, peak >> 10);
    assert!(peak < 4 << 20, "{peak} KiB");
}

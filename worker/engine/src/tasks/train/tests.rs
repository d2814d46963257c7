//! Whole trainings of tiny networks, against the real VGG19.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use ::image::{ImageFormat, Rgb, RgbImage};
use stylefleet_model::stylize::{Layers, Parameters, Precision, Preset, StyleLoss};
use stylefleet_model::train::{Train, Training, objective_of};
use stylefleet_model::trained::Trained;
use stylefleet_model::{Curve, Figures, Progress, Valid};
use tch::{Kind, Tensor};

use super::held_out::image_of;
use super::learner::Learner;
use super::loader::{Loader, Samples};
use super::losses::Losses;
use super::photographs::Album;
use super::{Photographs, Request};
use crate::arithmetic::Arithmetic;
use crate::golden::{device, engine, source};
use crate::objective::{Mode, statistics};
use crate::vgg::{Vgg, to_network};
use crate::{Control, Engine, Error, Finished, Observer, Outcome, Source, State, Task, checkpoint};

const SIZE: u32 = 32;

/// What a photograph is, if none.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bad {
    /// No picture.
    Damaged,
    /// In a store that does not answer.
    Unreachable,
    /// Of one colour.
    Flat,
    /// Of one colour but for a few points.
    Faint,
}

/// Colourful waves, but for the bad ones.
#[derive(Debug)]
struct Waves {
    count: usize,
    bad: BTreeMap<usize, Bad>,
}

impl Photographs for Waves {
    fn count(&self) -> usize {
        self.count
    }

    fn read(&self, index: usize) -> Result<Source, Error> {
        let name = format!("{index}.png");
        match self.bad.get(&index) {
            Some(Bad::Damaged) => Ok(Source::new(name, b"no picture".to_vec())),
            Some(Bad::Unreachable) => Err(Error::Input {
                name,
                reason: "no answer".into(),
            }),
            Some(Bad::Flat) => Ok(Source::new(name, file_of(|_, _| [90, 120, 200]))),
            Some(Bad::Faint) => Ok(Source::new(
                name,
                file_of(|x, y| [90, 120, 200 + u8::from((x + y) % 3 == 0) * 4]),
            )),
            None => Ok(Source::new(name, wave(index as f32))),
        }
    }
}

fn wave(number: f32) -> Vec<u8> {
    file_of(|x, y| {
        let (x, y) = (x as f32 / 60.0, y as f32 / 48.0);
        let wave = |phase: f32| {
            let place = x * (3.0 + number) + y * (11.0 - number) + phase + number;
            (127.5 + 120.0 * place.sin()) as u8
        };
        [wave(0.0), wave(1.0), wave(2.5)]
    })
}

fn file_of(color: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let picture = RgbImage::from_fn(60, 48, |x, y| Rgb(color(x, y)));
    let mut file = Cursor::new(Vec::new());
    picture
        .write_to(&mut file, ImageFormat::Png)
        .expect("encodes");
    file.into_inner()
}

fn waves(count: usize, bad: &[(usize, Bad)]) -> Arc<Waves> {
    let bad = bad.iter().copied().collect();
    Arc::new(Waves { count, bad })
}

fn objective() -> Parameters {
    let mut objective = objective_of(&Preset::Studio.parameters());
    objective.precision = Precision::F32;
    objective
}

/// A small job for one style.
fn request() -> Request {
    request_with(|_| ())
}

/// The small job with other parameters.
fn request_with(change: impl FnOnce(&mut Train)) -> Request {
    let mut asked = Train {
        styles: vec!["night".parse().expect("a name")],
        training: Training {
            steps: 6,
            size: SIZE,
            batch: 2,
            width: 4,
            ..Training::default()
        },
        objective: objective(),
    };
    change(&mut asked);
    let images = ["starry_night_64x64.png", "shipwreck_96x72.png"];
    Request {
        identity: "a small job".to_owned(),
        styles: images.map(source)[..asked.styles.len()].to_vec(),
        photographs: waves(9, &[]),
        asked: Valid::new(asked).expect("is valid"),
    }
}

fn add_style(train: &mut Train) {
    train.styles.push("wreck".parse().expect("a name"));
}

/// Interrupts at a step, and keeps what it sees.
#[derive(Default)]
struct Watcher {
    interrupt_at: Option<u64>,
    seen: Vec<Progress>,
    notes: Vec<String>,
    checkpoints: Vec<Vec<u8>>,
    /// Whether it wants to see pictures.
    looks: bool,
    preview: Vec<u8>,
}

impl Observer for Watcher {
    fn noted(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    fn progressed(&mut self, progress: &Progress) -> Control {
        self.seen.push(progress.clone());
        if self.interrupt_at == Some(progress.steps) {
            Control::Interrupt
        } else {
            Control::Continue
        }
    }

    fn accepted(&mut self, state: &State<'_>) {
        self.checkpoints
            .push((state.checkpoint)().expect("encodes"));
        if self.looks {
            self.preview = (state.preview)().expect("encodes");
        }
    }
}

fn run(request: &Request, checkpoint: Option<&[u8]>, watcher: &mut Watcher) -> Made {
    match request.run(&mut engine(), checkpoint, watcher) {
        Ok(Outcome::Finished(finished)) => Made::of(finished),
        other => panic!("not finished: {other:?}"),
    }
}

fn refused(request: &Request) -> Error {
    let outcome = request.run(&mut engine(), None, &mut Watcher::default());
    outcome.expect_err("is refused")
}

/// What a training made, but for its seconds.
#[derive(Debug, PartialEq)]
struct Made {
    model: Vec<u8>,
    sample: Vec<u8>,
    curve: Curve,
    figures: Figures,
    steps: u64,
}

impl Made {
    fn of(finished: Finished) -> Self {
        let files = finished.outputs.into_iter().map(|output| {
            let file = (output.encode)().expect("encodes");
            (output.role, output.media_type, output.ending, file)
        });
        let files: Vec<_> = files.collect();
        let [
            ("model", "application/octet-stream", "safetensors", model),
            ("sample", "image/jpeg", "jpg", sample),
            (Curve::ROLE, "application/json", "json", curve),
        ] = &files[..]
        else {
            panic!("{files:?}");
        };
        Self {
            model: model.clone(),
            sample: sample.clone(),
            curve: serde_json::from_slice(curve).expect("is a curve"),
            figures: finished.figures,
            steps: finished.steps,
        }
    }

    /// The values of a tensor of the network.
    fn values(&self, name: &str) -> Vec<f32> {
        Trained::read(&self.model).expect("is a model").values(name)
    }
}

#[test]
fn an_interrupted_training_ends_with_the_same_bits() {
    type Change = fn(&mut Train);
    let cases: [Change; 3] = [
        |_| (),
        |train| {
            add_style(train);
            train.objective.strength = Some(0.5);
            train.training.temporal_weight = 1.0;
        },
        |train| {
            train.training.batch = 3;
            train.objective.precision = Precision::Bf16;
            train.objective.normalize_gradients = true;
            (train.objective.style_weight, train.objective.content_weight) = (1.0, 1.0);
        },
    ];
    for change in cases {
        let mut request = request_with(change);
        // One lies in the samples, or is to be held out.
        request.photographs = waves(10, &[(4, Bad::Damaged)]);
        let whole = run(&request, None, &mut Watcher::default());
        let mut checkpoint: Option<Vec<u8>> = None;
        for at in [3, 4] {
            let mut watcher = Watcher {
                interrupt_at: Some(at),
                ..Watcher::default()
            };
            match request.run(&mut engine(), checkpoint.as_deref(), &mut watcher) {
                Ok(Outcome::Interrupted {
                    checkpoint: kept,
                    steps,
                }) => {
                    assert_eq!(steps, at);
                    let counted = checkpoint::steps(&kept, &request.identity);
                    assert_eq!(counted.expect("reads"), at);
                    checkpoint = Some(kept);
                }
                other => panic!("not interrupted: {other:?}"),
            }
        }
        let mut watcher = Watcher::default();
        let resumed = run(&request, checkpoint.as_deref(), &mut watcher);
        assert_eq!(watcher.seen.len(), 2);
        assert_eq!(whole, resumed);
        // And from a checkpoint that was made on the way.
        let made = run(
            &request,
            Some(&watcher.checkpoints[0]),
            &mut Watcher::default(),
        );
        assert_eq!(whole, made);
    }
}

#[test]
fn another_seed_and_other_photographs_give_another_network() {
    let made = |request: &Request| run(request, None, &mut Watcher::default());
    let weights = |request: &Request| made(request).values("residual.3.1.weight");
    let one = weights(&request());
    assert_ne!(one, weights(&request_with(|train| train.training.seed = 1)));
    let mut others = request();
    others.photographs = waves(12, &[]);
    assert_ne!(one, weights(&others));
}

#[test]
fn a_model_says_how_it_was_made() {
    let request = request_with(add_style);
    let made = run(&request, None, &mut Watcher::default());
    let header = Trained::read(&made.model).expect("is a model").header;
    let training = header.training.expect("is told");
    assert_eq!(header.styles, request.asked.styles);
    assert_eq!(header.objective.as_ref(), Some(&request.asked.objective));
    // One of the nine was held out.
    assert_eq!((training.steps, training.photographs), (6, 8));
    assert_eq!(training.loss, made.figures["loss"]);
    let made_with: Vec<_> = training.made_with.keys().map(String::as_str).collect();
    let parts = ["libtorch", "network", "precision", "stylefleet", "weights"];
    assert_eq!(made_with, parts);
}

#[test]
fn training_lowers_the_loss() {
    let request = request_with(|train| {
        add_style(train);
        train.training.steps = 80;
        train.training.width = 8;
        train.training.learning_rate = 1e-2;
    });
    let mut watcher = Watcher::default();
    let made = run(&request, None, &mut watcher);
    let first = watcher.seen[0].figures["loss"];
    let last = made.figures["loss"];
    assert!(last < 0.7 * first, "{first} became {last}");
    // Photographs that it has not seen do as well.
    let held_out = made.figures["heldout.loss"];
    assert!(held_out < 0.6 * first, "{first} became {held_out}");
    assert_eq!(made.steps, 80);
    assert_eq!(made.curve.steps.last(), Some(&80));
    let terms = made
        .figures
        .iter()
        .filter(|(name, _)| name.starts_with("loss."));
    let sum: f64 = terms.map(|(_, term)| term).sum();
    assert!((sum / last - 1.0).abs() < 1e-6, "{:?}", made.figures);
}

#[test]
fn a_network_can_be_taught_to_draw_moving_things_alike() {
    let trained = |weight| {
        let request = request_with(|train| {
            train.training.steps = 60;
            train.training.width = 8;
            train.training.learning_rate = 1e-2;
            train.training.temporal_weight = weight;
        });
        run(&request, None, &mut Watcher::default()).figures
    };
    let (apart, alike) = (trained(0.0), trained(3.0));
    assert!(!apart.contains_key("temporal.error") && alike["temporal.error"] > 0.0);
    let [apart, alike] = [apart, alike].map(|figures| figures["heldout.temporal.error"]);
    assert!(alike < 0.7 * apart, "{apart} became {alike}");
}

#[test]
fn shows_what_it_makes_of_photographs_held_out() {
    let mut watcher = Watcher {
        looks: true,
        ..Watcher::default()
    };
    let mut request = request_with(add_style);
    request.photographs = waves(17, &[]);
    let made = run(&request, None, &mut watcher);
    for sheet in [&watcher.preview, &made.sample] {
        let sheet = ::image::load_from_memory(sheet).expect("an image");
        // Two rows of the photograph and two pictures, each with a frame.
        assert_eq!((sheet.width(), sheet.height()), (3 * 36, 2 * 36));
    }
    assert_eq!(watcher.preview, made.sample, "of the same network");
    let last = watcher.seen.last().expect("some");
    assert_eq!(last.figures["heldout.loss"], made.figures["heldout.loss"]);
    let counted = watcher
        .seen
        .iter()
        .map(|p| (p.phase.as_str(), p.done, p.total, p.steps));
    let expected = (1..=6).map(|step| ("training", step, 6, step));
    assert_eq!(counted.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn photographs_that_cannot_be_read_are_left_out() {
    let mut request = request_with(|train| train.training.steps = 8);
    request.photographs = waves(12, &[(2, Bad::Damaged), (7, Bad::Damaged)]);
    let mut watcher = Watcher::default();
    run(&request, None, &mut watcher);
    watcher.notes.sort();
    let [total, first, second] = &watcher.notes[..] else {
        panic!("{:?}", watcher.notes);
    };
    assert_eq!(
        total,
        "2 of 12 photographs cannot be read: it was trained without them"
    );
    assert!(first.starts_with("2.png: ") && first.ends_with(": it is left out"));
    assert!(second.starts_with("7.png: "));
}

#[test]
fn too_few_photographs_are_refused() {
    for (count, bad, readable) in [(7, vec![], 7), (9, vec![0, 3, 5], 6), (0, vec![], 0)] {
        let mut request = request_with(|train| train.training.steps = 9);
        let bad: Vec<_> = bad.into_iter().map(|index| (index, Bad::Damaged)).collect();
        request.photographs = waves(count, &bad);
        let error = refused(&request);
        assert!(!error.is_retryable());
        assert!(
            matches!(error, Error::Photographs { readable: found, needed: 8 } if found == readable),
            "{error}"
        );
    }
}

#[test]
fn a_store_that_fails_is_tried_again() {
    for index in 0..9 {
        let mut request = request();
        request.photographs = waves(9, &[(index, Bad::Unreachable)]);
        let error = refused(&request);
        assert!(error.is_retryable());
        assert!(matches!(error, Error::Input { .. }), "{error}");
    }
}

#[test]
fn numbers_that_are_not_finite_end_it() {
    let request = request_with(|train| {
        train.training.steps = 100;
        train.training.learning_rate = 1e9;
    });
    let mut watcher = Watcher::default();
    let outcome = request.run(&mut engine(), None, &mut watcher);
    let error = outcome.expect_err("diverges");
    assert!(!error.is_retryable());
    let Error::Diverged { step } = error else {
        panic!("{error}");
    };
    assert!(
        error.to_string().contains("lower --learning-rate"),
        "{error}"
    );
    // The step before is kept.
    assert_eq!(step, watcher.checkpoints.len() as u64 + 1);
    let last = watcher.checkpoints.last().expect("some");
    let mut watcher = Watcher::default();
    let again = request.run(&mut engine(), Some(last), &mut watcher);
    assert!(matches!(again, Err(Error::Diverged { step: same }) if same == step));
}

/// As in a photograph of a clear sky, in which normalisation finds nothing to divide by.
#[test]
fn samples_with_nothing_in_them_do_no_harm() {
    let mut request = request_with(|train| train.training.steps = 12);
    let bad = [
        (0, Bad::Flat),
        (1, Bad::Flat),
        (2, Bad::Faint),
        (3, Bad::Faint),
    ];
    request.photographs = waves(12, &bad);
    let mut watcher = Watcher::default();
    run(&request, None, &mut watcher);
    let norms = watcher
        .seen
        .iter()
        .map(|seen| seen.figures["gradient.norm"]);
    let (least, most) = norms.fold((f64::MAX, 0.0_f64), |(least, most), norm| {
        (least.min(norm), most.max(norm))
    });
    assert!(most < 10.0 * least, "{least} to {most}");
    let all: Vec<_> = (0..12).map(|index| (index, Bad::Flat)).collect();
    request.photographs = waves(12, &all);
    assert!(!refused(&request).is_retryable());
}

#[test]
fn a_checkpoint_of_no_use_is_refused() {
    let mut watcher = Watcher::default();
    run(&request(), None, &mut watcher);
    let wider = request_with(|train| train.training.width = 8);
    let shorter = request_with(|train| train.training.steps = 3);
    let other = Request {
        identity: "another job".to_owned(),
        ..request()
    };
    for (request, why) in [
        (wider, "variables"),
        (shorter, "more steps"),
        (other, "not of another job"),
    ] {
        let checkpoint = watcher.checkpoints.last().map(Vec::as_slice);
        let refused = request.run(&mut engine(), checkpoint, &mut Watcher::default());
        let Err(Error::Checkpoint(reason)) = refused else {
            panic!("{why}: {refused:?}");
        };
        let reason = reason.to_string();
        assert!(reason.contains(why), "{why:?} is not in: {reason}");
    }
}

#[test]
fn a_style_without_an_image_is_refused() {
    let mut request = request_with(add_style);
    request.styles.pop();
    let error = refused(&request);
    assert_eq!(error.to_string(), "it has 1 images of 2 styles");
}

/// Samples of `count` photographs, all different.
fn samples(count: usize, bad: &[(usize, Bad)]) -> Arc<Samples> {
    Arc::new(Samples {
        album: Album::new(waves(count, bad), SIZE, 1 << 20),
        photographs: (0..count).rev().collect(),
        seed: 3,
        size: SIZE,
    })
}

#[test]
fn samples_begin_anywhere_in_their_order() {
    let samples = samples(5, &[(1, Bad::Damaged)]);
    let from = |first: u64| {
        let mut loader = Loader::start(&samples, first, 2).expect("starts");
        let next = |_| {
            let sample = loader.next().expect("is made");
            (sample.pixels, sample.left_out.len())
        };
        (first..20).map(next).collect::<Vec<_>>()
    };
    let all = from(0);
    for first in [1, 4, 9] {
        assert_eq!(from(first)[..], all[first as usize..]);
    }
    // In each epoch, another takes the place of the one that cannot be read.
    let left_out = all
        .chunks(5)
        .map(|epoch| epoch.iter().map(|(_, left_out)| left_out));
    let left_out: Vec<usize> = left_out.map(Iterator::sum).collect();
    assert_eq!(left_out, [1; 4]);
    // A photograph is not cut in the same way again.
    let mut pixels: Vec<_> = all.iter().map(|(pixels, _)| pixels).collect();
    pixels.sort();
    pixels.dedup();
    assert_eq!(pixels.len(), 20);
}

#[test]
fn a_failing_store_ends_the_samples() {
    let samples = samples(3, &[(0, Bad::Unreachable)]);
    let mut loader = Loader::start(&samples, 0, 2).expect("starts");
    let all: Vec<_> = (0..4).map(|_| loader.next()).collect();
    assert!(
        all.iter()
            .any(|sample| matches!(sample, Err(Error::Input { .. })))
    );
}

/// The losses of one style, to be taken at `contents`.
fn losses<'a>(engine: &'a Engine, objective: &'a Parameters, contents: &[Tensor]) -> Losses<'a> {
    let vgg: &Vgg = engine.vgg(objective.network).expect("is there");
    let mode = Mode {
        arithmetic: Arithmetic::F32,
        most_pixels: u64::MAX,
    };
    let style = source("starry_night_64x64.png")
        .read(1 << 20)
        .expect("reads");
    let style = to_network(&style.pixels, objective.means, vgg.device()).expect("converts");
    let of_style = statistics(objective, vgg, &style, mode).expect("runs");
    Losses::new(vgg, objective, &[of_style], contents, &[], mode).expect("is made")
}

fn content(number: usize) -> Tensor {
    let album = Album::new(waves(20, &[]), SIZE, 1 << 20);
    let super::photographs::Photograph::Readable(wave) = album.get(number).expect("reads") else {
        panic!("is readable");
    };
    let crop = super::order::Crop::middle(wave.dimensions().into());
    image_of(&album.sample(&wave, crop), SIZE, device()).expect("converts")
}

#[test]
fn the_style_counts_ever_more_and_its_loss_is_told_as_ever() {
    let training = Training {
        steps: 100,
        ..Training::default()
    };
    let parts = [0, 10, 20, 30, 99].map(|step| super::job::part_of_style(&training, step));
    assert_eq!((parts[0], &parts[3..]), (1e-3, &[1.0, 1.0][..]));
    assert!(parts.is_sorted() && parts[1] < parts[2], "{parts:?}");

    let _no_grad = tch::no_grad_guard();
    let engine = engine();
    let objective = objective();
    let contents = [content(0), content(1)];
    let losses = losses(&engine, &objective, &contents[..1]);
    let at = |part| {
        losses
            .at(0, &contents[0], &contents[1], part)
            .expect("runs")
    };
    let [all, half, quarter] = [1.0, 0.5, 0.25].map(at);
    for (name, term) in &all.terms {
        assert!((quarter.terms[name] / term - 1.0).abs() < 1e-4, "{name}");
    }
    assert!((quarter.loss / all.loss - 1.0).abs() < 1e-4);
    // The gradient follows the part: from a quarter to a half as much as half of the way to all.
    let [upper, lower] = [
        &all.gradient - &half.gradient,
        (&half.gradient - &quarter.gradient) * 2.0,
    ];
    let norm = |gradient: &Tensor| gradient.norm().double_value(&[]);
    assert!(norm(&(&upper - lower)) < 1e-3 * norm(&upper));
    assert!(norm(&upper) > 0.1 * norm(&all.gradient));
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    let _no_grad = tch::no_grad_guard();
    let engine = engine();
    let objective = Parameters {
        // Few, so that rounding is small.
        style_layers: Layers::of([(1, 1, 1e-3), (2, 1, 1e-3)]),
        content_layers: Layers::of([(3, 1, 1.0)]),
        ..objective()
    };
    let contents = [content(0)];
    let losses = losses(&engine, &objective, &contents);
    let request = request_with(add_style);
    let header = super::job::untrained(&request);
    let learner = Learner::new(&header, 5, device()).expect("is made");
    let loss = |learner: &Learner| {
        let picture = learner.draw(&contents[0], 1).expect("draws");
        losses
            .at(0, &contents[0], &picture, 1.0)
            .expect("runs")
            .loss
    };
    let picture = tch::with_grad(|| learner.draw(&contents[0], 1)).expect("draws");
    let found = losses
        .at(0, &contents[0], &picture.detach(), 1.0)
        .expect("runs");
    let along = tch::with_grad(|| (&picture * &found.gradient).sum(Kind::Float));
    let gradient = learner.gradient(&along).expect("runs");
    // How far each is moved: by less, and rounding shows; by more, and ReLUs begin or cease.
    let mut ways = BTreeMap::from([
        ("down.1.weight", 3e-5),
        ("residual.3.1.scale", 2e-3),
        ("up.2.shift", 1e-3),
        ("up.3.weight", 1e-2),
        ("up.3.bias", 1e-1),
    ]);
    let mut place = 0;
    for (name, tensor) in learner.network().tensors() {
        if !tensor.requires_grad() {
            assert!(name.ends_with(".bias"), "{name}");
            continue;
        }
        let values = tensor.numel() as i64;
        let slope = gradient.narrow(0, place, values).view_as(tensor);
        place += values;
        let Some(way) = ways.remove(name.as_str()) else {
            continue;
        };
        if name == "up.2.shift" {
            // The other style plays no part.
            assert_eq!(slope.get(0).count_nonzero(0).int64_value(&[]), 0);
        }
        let steepness = slope.norm().double_value(&[]);
        let step = &slope * (way / steepness);
        let mut moved = tensor.shallow_clone();
        let _ = moved.g_add_(&step);
        let above = loss(&learner);
        let _ = moved.g_add_(&(&step * -2.0));
        let below = loss(&learner);
        let _ = moved.g_add_(&step);
        let rise = (above - below) / (2.0 * way);
        assert!(
            (rise / steepness - 1.0).abs() < 0.02,
            "{name}: {steepness}, by differences {rise}"
        );
    }
    assert!(ways.is_empty(), "{ways:?}");
    assert_eq!(place, gradient.numel() as i64);
}

#[test]
fn styles_are_weighed_once_for_all_photographs() {
    let _no_grad = tch::no_grad_guard();
    let engine = engine();
    for change in [(|p| p.strength = Some(0.7)) as fn(&mut Parameters), |p| {
        p.normalize_gradients = true
    }] {
        let mut objective = objective();
        change(&mut objective);
        let weights = |contents: &[Tensor]| losses(&engine, &objective, contents).weights();
        let [one, other] = [1, 2].map(|number| weights(&[content(number)]));
        assert_ne!(one, other);
        let both = weights(&[content(1), content(2)]);
        let means = one[0].iter().zip(&other[0]).map(|(a, b)| (a * b).sqrt());
        for (mean, weight) in means.zip(&both[0]) {
            assert!((mean - weight).abs() <= 1e-9 * mean, "{mean} {weight}");
        }
    }
    // Given weights are what they are.
    let objective = objective();
    let found = losses(&engine, &objective, &[content(1)]).weights();
    assert_eq!(
        found[0][..2],
        [objective.style_weight, objective.content_weight]
    );
}

/// The loss that a network is trained for is the optimiser's own.
#[test]
fn a_picture_has_the_loss_that_the_optimiser_would_give_it() {
    let _no_grad = tch::no_grad_guard();
    let engine = engine();
    for style_loss in [StyleLoss::PerPosition, StyleLoss::Wasserstein] {
        let mut objective = objective();
        objective.style_loss = style_loss;
        let contents = [content(1), content(2)];
        let losses = losses(&engine, &objective, &contents[..1]);
        let picture = Tensor::rand([1, 3, 32, 32], (Kind::Float, device())) * 255.0;
        let ours = losses.at(0, &contents[1], &picture, 1.0).expect("runs");
        let taken = |image| to_network(image, objective.means, device());
        let x = taken(&picture).expect("converts");
        let x = Vec::<f32>::try_from(&x.reshape([-1])).expect("values");
        let theirs = engine.evaluate(
            &objective,
            &Source::new("content", encoded(&contents[1])),
            &[(source("starry_night_64x64.png"), 1.0)],
            &x,
            u64::MAX,
        );
        let theirs = theirs.expect("runs");
        assert!((ours.loss / theirs.loss - 1.0).abs() < 1e-5);
        // The channels are in the picture's order.
        let theirs = Tensor::from_slice(&theirs.gradient)
            .reshape([1, 3, 32, 32])
            .flip([1])
            .to_device(device());
        let off = (&ours.gradient - &theirs).norm() / theirs.norm();
        assert!(off.double_value(&[]) < 1e-4, "{off:?}");
    }
}

/// An image whose values are whole, as a PNG.
fn encoded(image: &Tensor) -> Vec<u8> {
    let pixels = image.permute([0, 2, 3, 1]).contiguous().reshape([-1]);
    let pixels = Vec::<f32>::try_from(&pixels).expect("values");
    let pixels = pixels.into_iter().map(|value| value as u8).collect();
    let picture = RgbImage::from_raw(SIZE, SIZE, pixels).expect("fits");
    let mut file = Cursor::new(Vec::new());
    picture
        .write_to(&mut file, ImageFormat::Png)
        .expect("encodes");
    file.into_inner()
}

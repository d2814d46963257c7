//! Whatever is asked, of whatever images: a picture, or an error that says why not.

use std::cell::{Cell, RefCell};
use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb32FImage, RgbImage};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use stylefleet_model::stylize::{
    ContentLoss, Init, KeepColors, Layer, LayerWeight, Layers, Means, Optimizer, Parameters,
    Pooling, Precision, Preset, Size, StyleLoss, TotalVariation,
};
use stylefleet_model::{Choice, Valid};

use super::{Request, Style};
use crate::golden::engine;
use crate::{Control, Error, Observer, Outcome, Progress, Source, State};

/// Evaluations that no request may exceed.
const PATIENCE: u32 = 100;

/// Counts evaluations, so that a minimiser that runs for ever is noticed.
#[derive(Default)]
struct Counter(u32);

impl Observer for Counter {
    fn noted(&mut self, _: &str) {}

    fn progressed(&mut self, progress: &Progress) -> Control {
        self.0 += 1;
        assert!(self.0 <= PATIENCE, "goes on for ever: {progress:?}");
        Control::Continue
    }

    fn accepted(&mut self, _: &State<'_>) {}
}

fn file(image: impl Into<DynamicImage>, format: ImageFormat) -> Source {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).expect("encodes");
    Source::new("an image", bytes.into_inner())
}

/// Flat, noisy, one pixel wide or high, or full of NaN.
fn images() -> impl Strategy<Value = Source> {
    let sides = prop_oneof![
        (1..40_u32, 1..40_u32),
        (Just(1), 1..80_u32),
        (1..80_u32, Just(1)),
    ];
    let kinds = (0..4, any::<u8>(), any::<u64>());
    (sides, kinds).prop_map(|((width, height), (kind, level, seed))| {
        let mut random = noise(seed);
        match kind {
            0 => file(
                RgbImage::from_pixel(width, height, image::Rgb([level; 3])),
                ImageFormat::Png,
            ),
            1 => {
                let pixel = |_, _| image::Rgb([random() as u8, random() as u8, random() as u8]);
                file(RgbImage::from_fn(width, height, pixel), ImageFormat::Png)
            }
            2 => {
                let step = |x: u32, _| image::Rgb([if x.is_multiple_of(2) { 0 } else { 255 }; 3]);
                file(RgbImage::from_fn(width, height, step), ImageFormat::Png)
            }
            _ => {
                let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1e30, 1e30, 0.5];
                let pixel = |_, _| image::Rgb([(); 3].map(|()| odd[random() as usize % odd.len()]));
                file(
                    Rgb32FImage::from_fn(width, height, pixel),
                    ImageFormat::Tiff,
                )
            }
        }
    })
}

/// Numbers that look random; images need no better.
fn noise(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed | 1;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u32
    }
}

fn weights() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(f64::MIN_POSITIVE),
        (-12.0..12.0).prop_map(|power| 10_f64.powf(power)),
    ]
}

fn layers() -> impl Strategy<Value = Layers> {
    let layer = (0..Layer::COUNT, prop_oneof![Just(0.0), 1e-6..1e6]);
    vec(layer, 0..4).prop_map(|entries| {
        let mut layers: Vec<_> = entries
            .into_iter()
            .filter_map(|(index, weight)| {
                let layer = Layer::all().nth(index)?;
                Some(LayerWeight { layer, weight })
            })
            .collect();
        layers.sort_by_key(|entry| entry.layer);
        layers.dedup_by_key(|entry| entry.layer);
        Layers(layers)
    })
}

fn any_of<T: Choice + std::fmt::Debug>() -> impl Strategy<Value = T> {
    proptest::sample::select(T::ALL)
}

/// Parameters, as far as they say what the picture is to be like.
fn objectives() -> impl Strategy<Value = Parameters> {
    let kinds = (
        any_of::<Means>(),
        any_of::<Pooling>(),
        any_of::<ContentLoss>(),
        any_of::<StyleLoss>(),
        any_of::<TotalVariation>(),
    );
    let strength = proptest::option::of(prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0]);
    let numbers = (weights(), weights(), weights(), strength, any::<bool>());
    (kinds, numbers, layers(), layers()).prop_map(|(kinds, numbers, content, style)| Parameters {
        means: kinds.0,
        pooling: kinds.1,
        content_loss: kinds.2,
        style_loss: kinds.3,
        total_variation: kinds.4,
        content_weight: numbers.0,
        style_weight: numbers.1,
        tv_weight: numbers.2,
        strength: numbers.3,
        normalize_gradients: numbers.4,
        content_layers: content,
        style_layers: style,
        ..Preset::Gatys.parameters()
    })
}

/// Requests with valid parameters; few random ones are invalid.
fn requests() -> impl Strategy<Value = Request> {
    let style = (images(), 1e-6..1e6, proptest::option::of(images()));
    let style = style.prop_map(|(image, share, mask)| Style { image, share, mask });
    let start = prop_oneof![
        Just((Init::Content, None)),
        Just((Init::Noise, None)),
        Just((Init::Style(0), None)),
        images().prop_map(|image| (Init::Image, Some(image))),
    ];
    let size = prop_oneof![
        (16..48_u32).prop_map(Size::Longest),
        (16..40_u32, 16..40_u32).prop_map(|(width, height)| Size::Exact { width, height }),
    ];
    let style_scale = prop_oneof![
        Just((true, 1.0)),
        (0.1..4.0).prop_map(|scale| (false, scale)),
    ];
    let looks = (
        any_of::<KeepColors>(),
        any_of::<Optimizer>(),
        any_of::<Precision>(),
        style_scale,
    );
    let average = prop_oneof![Just(0.0), 0.0..0.9999];
    let efforts = (1..6_u32, 1..4_u32, 0..3_u32, any::<u64>(), average);
    let inputs = (images(), vec(style, 1..3), start, size);
    let requests =
        (inputs, objectives(), looks, efforts).prop_map(|(inputs, objective, looks, efforts)| {
            let (init, start) = inputs.2;
            let parameters = Parameters {
                init,
                size: inputs.3,
                keep_colors: looks.0,
                optimizer: looks.1,
                precision: looks.2,
                stretch_style: looks.3.0,
                style_scale: looks.3.1,
                evaluations: efforts.0,
                coarse_evaluations: efforts.1,
                scales: efforts.2,
                seed: efforts.3,
                average: efforts.4,
                ..objective
            };
            let parameters = Valid::new(parameters).ok()?;
            Some(Request {
                identity: String::new(),
                content: inputs.0,
                styles: inputs.1,
                start,
                parameters,
            })
        });
    requests.prop_filter_map("its parameters are not valid", |request| request)
}

/// The same requests in every test run. STYLEFLEET_ROBUSTNESS_CASES asks for that many others.
#[test]
fn every_request_ends_in_a_picture_or_a_reason() {
    let asked = std::env::var("STYLEFLEET_ROBUSTNESS_CASES").ok();
    let config = |cases| ProptestConfig {
        max_shrink_iters: 50,
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let (cases, rng) = match asked {
        Some(cases) => (cases.parse().expect("a number"), None),
        None => (60, Some(TestRng::deterministic_rng(RngAlgorithm::ChaCha))),
    };
    let mut runner = match rng {
        Some(same) => TestRunner::new_with_rng(config(cases), same),
        None => TestRunner::new(config(cases)),
    };
    let (engine, pictures) = (RefCell::new(engine()), Cell::new(0));
    let outcome = runner.run(&requests(), |request| {
        let ended = request.redraw(&mut engine.borrow_mut(), None, &mut Counter::default());
        match ended {
            Ok(Outcome::Finished(picture)) => {
                pictures.set(pictures.get() + 1);
                let valid = |value: &f32| (0.0..=1.0).contains(value);
                prop_assert!(picture.pixels.iter().all(valid), "a pixel is no colour");
                prop_assert!(picture.loss.is_finite(), "the loss is {}", picture.loss);
            }
            Ok(Outcome::Interrupted { .. }) => prop_assert!(false, "was interrupted"),
            Err(Error::NotFinite(_) | Error::Request(_)) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let pictures = pictures.get();
    assert!(pictures > cases / 3, "only {pictures} pictures of {cases}");
}

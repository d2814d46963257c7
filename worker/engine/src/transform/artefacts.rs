//! What the model that ships must not draw: the grid of its own upsampling, or a frame.

use std::path::Path;

use stylefleet_model::trained::Trained;
use tch::{Kind, Tensor};

use super::Transform;
use crate::golden::device;

const SIDE: i64 = 256;

/// The model that ships, and how many styles it has.
fn shipped() -> (Transform, usize) {
    let path = "../../deploy/samples/models/samples.safetensors";
    let file = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("is there");
    let model = Trained::read(&file).expect("is a model");
    let network = Transform::load(&model, device()).expect("loads");
    (network, model.header.styles.len())
}

/// Pictures in which nothing repeats: flat, a slope, and clouds.
fn pictures() -> [(&'static str, Tensor); 3] {
    let options = (Kind::Float, device());
    // Aslant, so that its own energy lies in no one row of the spectrum.
    let along = Tensor::linspace(20.0, 105.0, SIDE, options);
    let slope = along.view([SIDE, 1]) + &along;
    let slope = slope.expand([1, 3, SIDE, SIDE], false);
    // Not by libtorch's generator, which the tests of a program share.
    let mut random = fastrand::Rng::with_seed(7);
    let coarse: Vec<f32> = (0..3 * 9 * 9).map(|_| 255.0 * random.f32()).collect();
    let coarse = Tensor::from_slice(&coarse)
        .to_device(device())
        .view([1, 3, 9, 9]);
    [
        ("flat", Tensor::full([1, 3, SIDE, SIDE], 128.0, options)),
        ("slope", slope),
        (
            "clouds",
            coarse
                .upsample_bicubic2d([SIDE, SIDE], true, None, None)
                .clamp(0.0, 255.0),
        ),
    ]
}

/// What the network makes of a picture in a style, as grey levels `[SIDE, SIDE]`.
struct Drawn {
    name: String,
    content: Tensor,
    picture: Tensor,
}

fn drawn() -> Vec<Drawn> {
    let _no_grad = tch::no_grad_guard();
    let (network, styles) = shipped();
    let mut all = Vec::new();
    for (name, picture) in pictures() {
        for style in 0..styles {
            let shares: Vec<f64> = (0..styles)
                .map(|s| f64::from(u8::from(s == style)))
                .collect();
            let drawn = network
                .forward(&picture, &shares, Kind::Float)
                .expect("runs");
            all.push(Drawn {
                name: format!("{name} in style {style}"),
                content: grey(&picture),
                picture: grey(&drawn),
            });
        }
    }
    all
}

fn grey(image: &Tensor) -> Tensor {
    let grey = image.clamp(0.0, 255.0);
    grey.mean_dim([0i64, 1].as_slice(), false, Kind::Double)
        .to_device(tch::Device::Cpu)
}

/// Energy of a picture at the frequencies of these periods in pixels, along either side or both,
/// and all other energy but that of its mean.
fn energies(grey: &Tensor, periods: &[i64]) -> [f64; 2] {
    let spectrum = grey
        .fft_fft2(None::<&[i64]>, [-2, -1], "ortho")
        .abs()
        .square();
    let at = |down: i64, right: i64| spectrum.double_value(&[down, right]);
    let mut regular = 0.0;
    for period in periods {
        // A real picture's spectrum is symmetric: -f stands beside f.
        let steps = SIDE / period;
        let mut frequencies = vec![0, steps, SIDE - steps];
        frequencies.dedup();
        for &down in &frequencies {
            for &right in &frequencies {
                regular += if down + right == 0 {
                    0.0
                } else {
                    at(down, right)
                };
            }
        }
    }
    let all = spectrum.sum(Kind::Double).double_value(&[]);
    [regular, all - at(0, 0) - regular]
}

#[test]
fn there_is_no_checkerboard() {
    for drawn in drawn() {
        let [regular, rest] = energies(&drawn.picture, &[2, 4, 8]);
        // What is flat to the last bit has neither.
        assert!(
            regular <= 0.01 * rest.max(1e-3),
            "{}: {regular} against {rest}",
            drawn.name
        );
    }
}

/// How much lighter a picture is along its border than beside it, in grey levels.
fn frame(grey: &Tensor) -> f64 {
    let ring = |from: i64, to: i64| {
        let weights = grey.zeros_like();
        let inner = |off: i64| {
            let side = SIDE - 2 * off;
            weights.narrow(0, off, side).narrow(1, off, side)
        };
        let _ones = inner(from).fill_(1.0);
        let _zeros = inner(to).fill_(0.0);
        let count = weights.sum(Kind::Double);
        (grey * &weights).sum(Kind::Double).double_value(&[]) / count.double_value(&[])
    };
    ring(0, 4) - ring(12, 32)
}

#[test]
fn there_is_no_frame() {
    // The optimiser's own picture of a photograph in `glass` is 21 darker there, as is the glass.
    const MOST: f64 = 20.0;
    for drawn in drawn() {
        let frames = [&drawn.content, &drawn.picture].map(frame);
        assert!(
            (frames[1] - frames[0]).abs() < MOST,
            "{}: {frames:?} in the content and in the picture",
            drawn.name
        );
    }
}

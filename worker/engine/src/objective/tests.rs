//! Tiles against the whole picture.

use tch::{Kind, Tensor};

use super::*;
use crate::golden::{device, objective, vgg16, weights};
use crate::vgg::to_network;
use stylefleet_model::stylize::StyleLoss;

fn noise(height: i64, width: i64) -> Tensor {
    Tensor::rand([1, 3, height, width], (Kind::Float, device())) * 255.0
}

fn evaluate(
    vgg: &Vgg,
    objective: &Parameters,
    most_pixels: u64,
    images: [&Tensor; 3],
) -> Evaluation {
    let mode = Mode {
        arithmetic: Arithmetic::F32,
        most_pixels,
    };
    let [content, style, picture] =
        images.map(|image| to_network(image, objective.means, device()).expect("converts"));
    let statistics = statistics(objective, vgg, &style, mode).expect("runs");
    let style = Style {
        statistics: &statistics,
        share: 1.0,
        mask: None,
    };
    let loss = Loss::new(objective, vgg, &content, &[style], mode).expect("runs");
    let found = loss.evaluate(vgg, &picture).expect("runs");
    let (scored, terms) = loss.score(vgg, &picture).expect("runs");
    assert!((scored / found.loss - 1.0).abs() < 1e-5);
    assert_eq!(terms.len(), found.terms.len());
    found
}

#[test]
fn tiles_give_the_whole_pictures_loss_and_gradient() {
    let folder = tempfile::tempdir().expect("a folder");
    let [vgg19, vgg16] = [weights(), vgg16(folder.path())]
        .map(|weights| Vgg::load(&weights, device()).expect("loads"));
    tch::manual_seed(1);
    // Sides that no pooling halves evenly.
    let [content, picture] = [(); 2].map(|()| noise(137, 203));
    let style = noise(140, 90);
    let wasserstein = Parameters {
        style_loss: StyleLoss::Wasserstein,
        strength: Some(0.7),
        ..objective("neural-style")
    };
    let normalized = Parameters {
        normalize_gradients: true,
        ..objective("gatys")
    };
    let cases = [
        ("notebook", &vgg19, objective("notebook")),
        ("neural-style", &vgg19, objective("neural-style")),
        ("wasserstein", &vgg19, wasserstein),
        ("normalized", &vgg19, normalized),
        ("VGG16", &vgg16, objective("neural-style")),
    ];
    for (name, vgg, objective) in cases {
        let images = [&content, &style, &picture];
        let whole = evaluate(vgg, &objective, u64::MAX, images);
        for most_pixels in [25_000, 0] {
            let tiled = evaluate(vgg, &objective, most_pixels, images);
            let off = (tiled.loss / whole.loss - 1.0).abs();
            assert!(off < 1e-5, "{name}: the loss is off by {off}");
            let difference = (&tiled.gradient - &whole.gradient).norm();
            let off = (difference / whole.gradient.norm()).double_value(&[]);
            assert!(off < 1e-4, "{name}: the gradient is off by {off}");
            for (term, value) in &whole.terms {
                let off = (tiled.terms[term] - value).abs();
                assert!(off <= 1e-4 * value, "{name}: {term} is off by {off}");
            }
        }
    }
}

#[test]
fn anchored_pixels_are_held_to_their_values() {
    let vgg = Vgg::load(&weights(), device()).expect("loads");
    let objective = objective("gatys");
    tch::manual_seed(2);
    let images = [(); 3].map(|()| noise(137, 203));
    let [content, target, picture] = images
        .each_ref()
        .map(|image| to_network(image, objective.means, device()).expect("converts"));
    let weights = Tensor::rand([1, 1, 137, 203], (Kind::Float, device()));
    let away = &picture - &target;
    let term = (&weights * away.square()).sum(Kind::Double);
    let slope = (&weights * &away * 2.0).reshape([-1]);
    let anchor = Anchor { target, weights };
    for most_pixels in [u64::MAX, 0] {
        let mode = Mode {
            arithmetic: Arithmetic::F32,
            most_pixels,
        };
        let statistics = statistics(&objective, &vgg, &content, mode).expect("runs");
        let style = Style {
            statistics: &statistics,
            share: 1.0,
            mask: None,
        };
        let loss = Loss::new(&objective, &vgg, &content, &[style], mode).expect("runs");
        let free = loss.evaluate(&vgg, &picture).expect("runs");
        let loss = loss.with_anchor(Some(anchor.shallow_clone()));
        let held = loss.evaluate(&vgg, &picture).expect("runs");
        let off = (held.terms["temporal"] / term.double_value(&[]) - 1.0).abs();
        assert!(off < 1e-5, "the term is off by {off}");
        let expected = &free.gradient + &slope;
        let off = ((&held.gradient - &expected).norm() / slope.norm()).double_value(&[]);
        assert!(off < 0.01, "the gradient is off by {off}");
    }
}

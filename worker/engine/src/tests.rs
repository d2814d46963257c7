//! Whole jobs on the real network, at sizes that take a second.

mod course;
mod looks;
mod networks;
mod sizes;

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
        identity: "a small job".to_owned(),
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

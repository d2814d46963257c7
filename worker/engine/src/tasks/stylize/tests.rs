//! Whole jobs on the real network, at sizes that take a second.

mod course;
mod looks;
mod networks;
mod sizes;

use std::collections::BTreeSet;

use stylefleet_model::stylize::{
    ContentLoss, Format, Init, KeepColors, Network, Optimizer, Parameters, Pooling, Precision,
    Preset, Size, StyleLoss,
};
use stylefleet_model::{Progress, Valid};

use super::picture::Picture;
use super::{Request, Style};
use crate::golden::{
    device_name, engine, engine_of, engine_with, layers, objective, source, vgg16, weights,
};
use crate::tasks::curve::CurvePoint;
use crate::{Control, Engine, Error, Observer, Options, Outcome, Source, State, Task, checkpoint};

fn style(name: &str, share: f64) -> Style {
    Style {
        image: source(name),
        share,
        mask: None,
    }
}

/// A small job through two scales.
fn request() -> Request {
    request_with(|_| ())
}

/// The small job with other parameters.
fn request_with(change: impl FnOnce(&mut Parameters)) -> Request {
    let mut parameters = Parameters {
        size: Size::Longest(48),
        pooling: Pooling::Average,
        content_loss: ContentLoss::Mean,
        content_weight: 0.5,
        style_layers: layers(&[(1, 1), (2, 1), (3, 1), (4, 1)], |n| 4.0 / (n * n)),
        style_weight: 10.0,
        tv_weight: 1e-4,
        evaluations: 12,
        coarse_evaluations: 8,
        scales: 2,
        precision: Precision::F32,
        ..Preset::Gatys.parameters()
    };
    change(&mut parameters);
    Request {
        identity: "a small job".to_owned(),
        content: source("astronaut_64x64.png"),
        styles: vec![style("starry_night_64x64.png", 1.0)],
        start: None,
        parameters: Valid::new(parameters).expect("is valid"),
    }
}

/// Interrupts at the given evaluations, counted over all scales, and keeps every progress.
#[derive(Default)]
struct Watcher {
    interrupt_at: BTreeSet<u64>,
    seen: Vec<Progress>,
    checkpoints: Vec<Vec<u8>>,
    /// The last picture on the way.
    preview: Vec<u8>,
}

impl Watcher {
    /// The losses seen.
    fn losses(&self) -> Vec<f64> {
        self.seen.iter().map(|seen| seen.figures["loss"]).collect()
    }
}

impl Observer for Watcher {
    fn noted(&mut self, note: &str) {
        panic!("nothing is to be noted: {note}");
    }

    fn progressed(&mut self, progress: &Progress) -> Control {
        self.seen.push(progress.clone());
        if self.interrupt_at.contains(&progress.steps) {
            Control::Interrupt
        } else {
            Control::Continue
        }
    }

    fn accepted(&mut self, state: &State<'_>) {
        let checkpoint = (state.checkpoint)();
        self.checkpoints.push(checkpoint.expect("encodes"));
        self.preview = (state.preview)().expect("encodes");
    }
}

fn finished(outcome: Result<Outcome<Picture>, Error>) -> Picture {
    match outcome.expect("no error") {
        Outcome::Finished(picture) => picture,
        Outcome::Interrupted { .. } => panic!("was interrupted"),
    }
}

fn run(engine: &mut Engine, request: &Request) -> Picture {
    finished(request.redraw(engine, None, &mut Watcher::default()))
}

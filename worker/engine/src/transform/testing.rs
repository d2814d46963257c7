//! Small networks with random weights, for tests.

use stylefleet_model::trained::{FORMAT, Header, Layout};
use tch::{Kind, Tensor};

use super::{Transform, output};
use crate::golden::device;

/// Of a network with the styles `waves` and `stars`.
pub(crate) fn header(width: u32) -> Header {
    Header {
        format: FORMAT,
        layout: Layout::Johnson,
        width,
        styles: ["waves", "stars"]
            .map(|name| name.parse().expect("a name"))
            .into(),
        objective: None,
        training: None,
        licence: "made for tests".to_owned(),
    }
}

/// A network whose styles differ.
pub(crate) fn network(width: u32, seed: u64) -> Transform {
    let network = Transform::new(&header(width), seed, device()).expect("begins");
    let changed = network.tensors().iter().map(|(name, tensor)| {
        let noise = Tensor::randn(tensor.size(), (Kind::Float, device())) * 0.5;
        let is_of_styles = name.ends_with("scale") || name.ends_with("shift");
        let changed = if is_of_styles {
            tensor + noise
        } else {
            tensor.copy()
        };
        (name.clone(), changed)
    });
    Transform::of(changed.collect())
}

/// A file of [`network`].
pub(crate) fn model(width: u32, seed: u64) -> Vec<u8> {
    let output = output(header(width), network(width, seed).tensors()).expect("is an output");
    (output.encode)().expect("encodes")
}

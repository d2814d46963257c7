//! The network against golden values, which an independent program computed in 64 bits:
//! `tests/networks/golden.py`.

use std::path::Path;

use safetensors::SafeTensors;
use stylefleet_model::trained::Trained;
use tch::{Kind, Tensor};

use super::*;
use crate::golden::device;

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/transform");
    std::fs::read(folder.join(name)).expect("is there")
}

/// The tensors of `golden/transform/values.safetensors` by name.
struct Values(BTreeMap<String, Tensor>);

impl Values {
    fn read() -> Self {
        let bytes = file("values.safetensors");
        let values = SafeTensors::deserialize(&bytes).expect("is safetensors");
        let tensor = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
            let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
            let tensor = Tensor::from_data_size(view.data(), &shape, Kind::Float);
            (name.to_owned(), tensor.to_device(device()))
        };
        Self(values.iter().map(tensor).collect())
    }

    /// Fails if `found` is further from the value of that name than `tolerance` of its norm.
    fn assert_near(&self, name: &str, found: &Tensor, tolerance: f64) {
        let value = &self.0[name];
        assert_eq!(found.size(), value.size(), "{name}");
        let off = ((found - value).norm() / value.norm()).double_value(&[]);
        assert!(off < tolerance, "{name} is off by {off}");
    }
}

fn network() -> Transform {
    let bytes = file("model.safetensors");
    let model = Trained::read(&bytes).expect("is a model");
    Transform::load(&model, device()).expect("loads")
}

#[test]
fn pictures_and_activations_are_the_golden_ones() {
    let (network, values) = (network(), Values::read());
    let image = &values.0["input"];
    for (blend, shares) in [("style", [1.0, 0.0]), ("blend", [0.3, 0.7])] {
        let x = channels_last(image).expect("is laid out");
        let down = DOWN.iter().fold(x, |x, &layer| {
            network.step(layer, &x, &shares).expect("runs")
        });
        values.assert_near(&format!("{blend}.down.3"), &down, 1e-4);
        let residual = RESIDUAL.iter().fold(down, |x, &pair| {
            network.residual(pair, &x, &shares).expect("runs")
        });
        values.assert_near(&format!("{blend}.residual.5"), &residual, 1e-4);
        let picture = network.forward(image, &shares, Kind::Float);
        values.assert_near(&format!("{blend}.picture"), &picture.expect("runs"), 1e-4);
    }
}

#[test]
fn gradients_are_the_golden_ones() {
    let (network, values) = (network(), Values::read());
    let names = ["down.1.weight", "residual.3.1.scale", "up.2.weight"];
    let variable = |tensor: &Tensor| tensor.copy().set_requires_grad(true);
    let tensors = network.tensors.iter();
    let tensors = tensors.map(|(name, tensor)| (name.clone(), variable(tensor)));
    let network = Transform::of(tensors.collect());
    let image = variable(&values.0["input"]);
    let picture = network.forward(&image, &[0.3, 0.7], Kind::Float);
    let sum = (picture.expect("runs") * &values.0["weights"]).sum(Kind::Float);
    let mut wanted = vec![image];
    wanted.extend(names.map(|name| network.tensors[name].shallow_clone()));
    let found = Tensor::run_backward(&[sum], &wanted, false, false);
    for (name, gradient) in ["input"].iter().chain(&names).zip(found) {
        values.assert_near(&format!("gradient.{name}"), &gradient, 1e-3);
    }
}

#[test]
fn a_model_file_holds_the_network() {
    let bytes = file("model.safetensors");
    let model = Trained::read(&bytes).expect("is a model");
    let network = Transform::load(&model, device()).expect("loads");
    let output = output(model.header.clone(), network.tensors()).expect("is an output");
    let saved = (output.encode)().expect("encodes");
    let again = Trained::read(&saved).expect("is a model");
    assert_eq!(again.header, model.header);
    let again = Transform::load(&again, device()).expect("loads");
    assert_eq!(again.tensors, network.tensors);
}

#[test]
fn a_fresh_network_is_that_of_its_seed_and_paints_about_grey() {
    let bytes = file("model.safetensors");
    let header = Trained::read(&bytes).expect("is a model").header;
    let begun = |seed| Transform::new(&header, seed, device()).expect("begins");
    assert_eq!(begun(1).tensors, begun(1).tensors);
    assert_ne!(begun(1).tensors, begun(2).tensors);
    let image = Tensor::rand([1, 3, 40, 40], (Kind::Float, device())) * 255.0;
    let picture = begun(1).forward(&image, &[1.0, 0.0], Kind::Float);
    let picture = picture.expect("runs");
    let mean = picture.mean(Kind::Float).double_value(&[]);
    assert!((mean - 127.5).abs() < 30.0, "{mean}");
    let deviation = picture.std(true).double_value(&[]);
    assert!((1.0..100.0).contains(&deviation), "{deviation}");
}

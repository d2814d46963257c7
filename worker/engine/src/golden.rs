//! The engine against golden values, which an independent program computed in 64 bits.
//!
//! `golden/*.safetensors` hold a picture `x`, the gradient there, and each layer's mean
//! activation by channel; their metadata holds the loss, its terms and the images' names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::{SafeTensors, serialize};
use stylefleet_model::stylize::{Layer, Layers, Parameters, Pooling, Preset};
use tch::Tensor;

use crate::arithmetic::Arithmetic;
use crate::vgg::{Kept, Vgg};
use crate::{Engine, Options, Source};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The device that tests compute on: the CPU if `STYLEFLEET_TEST_DEVICE` names no other.
pub(crate) fn device_name() -> String {
    std::env::var("STYLEFLEET_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned())
}

/// The device of [`device_name`].
pub(crate) fn device() -> tch::Device {
    crate::device::resolve(&device_name()).expect("is there")
}

/// The weights that set-up fetched.
pub(crate) fn weights() -> PathBuf {
    let path = std::env::var_os("STYLEFLEET_WEIGHTS");
    PathBuf::from(path.expect("STYLEFLEET_WEIGHTS names the weights: run the tests by `make test`"))
}

/// What VGG19 has and VGG16 does not.
pub(crate) const NOT_IN_VGG16: [&str; 3] = ["conv3_4", "conv4_4", "conv5_4"];

/// A file in `folder` with the weights that set-up fetched, except those whose names begin so.
pub(crate) fn weights_without(dropped: &[&str], folder: &Path) -> PathBuf {
    let bytes = std::fs::read(weights()).expect("is there");
    let file = SafeTensors::deserialize(&bytes).expect("is safetensors");
    let is_kept = |name: &str| !dropped.iter().any(|dropped| name.starts_with(dropped));
    let kept = file.iter().filter(|(name, _)| is_kept(name));
    let path = folder.join("weights.safetensors");
    let kept = serialize(kept, None).expect("serialises");
    std::fs::write(&path, kept).expect("writes");
    path
}

/// A file in `folder` that stands for VGG16's weights.
pub(crate) fn vgg16(folder: &Path) -> PathBuf {
    weights_without(&NOT_IN_VGG16, folder)
}

pub(crate) fn engine() -> Engine {
    engine_with(None)
}

/// An engine whose jobs may take so many bytes.
pub(crate) fn engine_with(memory: Option<u64>) -> Engine {
    engine_of(weights(), memory)
}

/// An engine with these weights.
pub(crate) fn engine_of(weights: PathBuf, memory: Option<u64>) -> Engine {
    let options = Options {
        device: device_name(),
        // Tests run side by side: more threads each would only get in each other's way.
        threads: Some(1),
        weights: Some(weights),
        max_pixels: 1 << 20,
        memory,
    };
    Engine::open(&options).expect("opens")
}

pub(crate) fn source(name: &str) -> Source {
    Source::new(name, std::fs::read(folder().join(name)).expect("is there"))
}

struct Golden {
    metadata: HashMap<String, String>,
    tensors: HashMap<String, (Vec<i64>, Vec<f64>)>,
}

fn golden(name: &str) -> Golden {
    let bytes = std::fs::read(folder().join(format!("{name}.safetensors"))).expect("is there");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("is safetensors");
    let file = SafeTensors::deserialize(&bytes).expect("is safetensors");
    let tensors = file.iter().map(|(name, view)| {
        let shape = view.shape().iter().map(|&n| n as i64).collect();
        let numbers = view.data().chunks_exact(8);
        let numbers = numbers.map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")));
        (name.to_owned(), (shape, numbers.collect()))
    });
    let metadata = header.metadata().clone().expect("has metadata");
    Golden {
        tensors: tensors.collect(),
        metadata: metadata.into_iter().collect(),
    }
}

fn all_names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("lists");
    let names = files.map(|f| f.expect("lists").path());
    let mut names: Vec<_> = names
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert!(names.len() >= 10, "golden files are missing: {names:?}");
    names
}

pub(crate) fn layers(places: &[(u8, u8)], weight: impl Fn(f64) -> f64) -> Layers {
    let channels = [64.0, 128.0, 256.0, 512.0, 512.0];
    let entry = |&(block, convolution): &(u8, u8)| {
        (block, convolution, weight(channels[usize::from(block) - 1]))
    };
    Layers::of(places.iter().map(entry))
}

/// The presets that the golden values are of.
pub(crate) fn objective(name: &str) -> Parameters {
    name.parse::<Preset>().expect("a preset").parameters()
}

#[test]
fn losses_and_gradients_are_the_golden_ones() {
    let engine = engine();
    for name in all_names() {
        let golden = golden(&name);
        let x: Vec<f32> = golden.tensors["x"].1.iter().map(|&v| v as f32).collect();
        let found = engine
            .evaluate(
                &objective(&golden.metadata["objective"]),
                &source(&golden.metadata["content"]),
                &[(source(&golden.metadata["style"]), 1.0)],
                &x,
                u64::MAX,
            )
            .expect("evaluates");
        let loss: f64 = golden.metadata["loss"].parse().expect("a number");
        assert!(
            (found.loss / loss - 1.0).abs() < 1e-5,
            "{name}: {} is not {loss}",
            found.loss
        );
        let gradient = &golden.tensors["grad"].1;
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
        let pairs = gradient.iter().zip(&found.gradient);
        let error =
            norm(&mut pairs.map(|(a, b)| a - f64::from(*b))) / norm(&mut gradient.iter().copied());
        assert!(error < 1e-4, "{name}: the gradient is off by {error}");
        let terms: HashMap<String, f64> =
            serde_json::from_str(&golden.metadata["terms"]).expect("JSON");
        for (term, value) in terms {
            let term = term.replace("block", "conv").replace("_conv", "_");
            let found = found.terms.get(&term).copied().unwrap_or(0.0);
            // A term near zero is a difference of large numbers: 32 bits leave less of it.
            let tolerance = 1e-3 * value + 1e-9 * loss;
            assert!(
                (found - value).abs() <= tolerance,
                "{name}: {term} {found}, not {value}"
            );
        }
    }
}

#[test]
fn every_layers_means_are_the_golden_ones() {
    let vgg = Vgg::load(&weights(), device()).expect("loads");
    let layers: Vec<Layer> = Layer::all().collect();
    for name in all_names() {
        let golden = golden(&name);
        let (shape, x) = &golden.tensors["x"];
        let x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
        let x = Tensor::from_slice(&x).reshape(shape).to_device(device());
        let features = vgg.features(&x, &layers, Kept::Wanted, Pooling::Max, Arithmetic::F32);
        for (layer, feature) in features.expect("runs") {
            let (block, convolution) = layer.place();
            let (_, means) = &golden.tensors[&format!("mean.block{block}_conv{convolution}")];
            let found = feature.mean_dim([0i64, 2, 3].as_slice(), false, tch::Kind::Double);
            let found = Vec::<f64>::try_from(&found).expect("flat");
            let scale = means.iter().fold(0.0, |most: f64, m| most.max(m.abs()));
            for (found, mean) in found.iter().zip(means) {
                assert!(
                    (found - mean).abs() < 1e-5 * scale,
                    "{name}: {layer}: {found}, not {mean}"
                );
            }
        }
    }
}

//! The convolutions of VGG19 or VGG16 (Simonyan and Zisserman, arXiv 1409.1556).

mod input;

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::arithmetic::{Arithmetic, channels_last};
use crate::weights::{self, Convolution, Weights};
use stylefleet_model::stylize::{Layer, Network, Pooling, Precision};

use crate::Error;
pub(crate) use input::{bounds, from_network, to_network};

/// Activations that are kept on the way through the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Of the layers wanted.
    Wanted,
    /// Of those between too: what [`Vgg::backward`] needs.
    All,
}

/// The network's convolutions on a device.
#[derive(Debug)]
pub(crate) struct Vgg {
    network: Network,
    f32: Vec<Convolution>,
    /// Made when first asked for.
    bf16: Option<Vec<Convolution>>,
    device: Device,
    automatic: Arithmetic,
    weights_sha256: String,
}

impl Vgg {
    /// Loads the weights to `device`.
    pub fn load(path: &Path, device: Device) -> Result<Self, Error> {
        let Weights {
            network,
            convolutions,
            sha256,
        } = weights::read(path)?;
        Ok(Self {
            network,
            f32: converted(&convolutions, Kind::Float, device)?,
            bf16: None,
            device,
            automatic: Arithmetic::automatic(device)?,
            weights_sha256: sha256,
        })
    }

    pub fn network(&self) -> Network {
        self.network
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// What automatic precision begins with.
    pub fn automatic(&self) -> Arithmetic {
        self.automatic
    }

    /// The arithmetic that a job of that precision begins with.
    pub fn arithmetic(&self, precision: Precision) -> Arithmetic {
        Arithmetic::asked(precision).unwrap_or(self.automatic)
    }

    /// SHA-256 of the weights file, in hexadecimal.
    pub fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    /// Refuses a request for another network than that of the weights.
    pub fn check_network(&self, wanted: Network) -> Result<(), Error> {
        let have = self.network;
        if wanted == have {
            return Ok(());
        }
        Err(Error::Request(format!(
            "it asks for {wanted}, and this worker's weights are of {have}: give the worker \
             weights of {wanted}, or ask for {have}"
        )))
    }

    /// Must be called before `features` in that arithmetic.
    pub fn prepare(&mut self, arithmetic: Arithmetic) -> Result<(), Error> {
        if arithmetic == Arithmetic::Bf16 && self.bf16.is_none() {
            self.bf16 = Some(converted(&self.f32, Kind::BFloat16, self.device)?);
        }
        Ok(())
    }

    /// Activations `[1, C, h, w]` after the ReLU of the layers that are `kept`, from the picture
    /// inwards, as `wanted` is. `image` is `[1, 3, H, W]`, 32-bit, B, G, R, means subtracted.
    /// Layers past the last one wanted do not run; one that the network does not have is an error.
    pub fn features(
        &self,
        image: &Tensor,
        wanted: &[Layer],
        kept: Kept,
        pooling: Pooling,
        arithmetic: Arithmetic,
    ) -> Result<Vec<(Layer, Tensor)>, Error> {
        let _no_grad = tch::no_grad_guard();
        self.check(wanted)?;
        let mut found = Vec::new();
        let mut x = image.shallow_clone();
        for convolution in self.convolutions(arithmetic) {
            let layer = convolution.layer;
            if wanted.last().is_none_or(|&deepest| deepest < layer) {
                break;
            }
            if layer.follows_pooling() {
                x = pool(&x, pooling)?;
            }
            x = convolve(&x, &convolution.weight, Some(&convolution.bias))?;
            // Of the first layer; before the ReLU, so that this is in place.
            x = x.f_to_kind(arithmetic.kind())?.f_relu_()?;
            if kept == Kept::All || wanted.contains(&layer) {
                found.push((layer, x.shallow_clone()));
            }
        }
        Ok(found)
    }

    /// The way back through [`Vgg::features`] that kept all: d loss / d image, 32-bit, laid out
    /// with the channels innermost. `pull` says what a layer's activations themselves do to the
    /// loss, if anything. None where nothing does.
    ///
    /// By hand, since libtorch would keep more than the activations: where each maximum was, in
    /// 64 bits, and what joins the layers' pulls.
    pub fn backward(
        &self,
        mut activations: Vec<(Layer, Tensor)>,
        pooling: Pooling,
        arithmetic: Arithmetic,
        mut pull: impl FnMut(Layer, &Tensor) -> Result<Option<Tensor>, Error>,
    ) -> Result<Option<Tensor>, Error> {
        let _no_grad = tch::no_grad_guard();
        let convolutions: Vec<_> = self.convolutions(arithmetic).collect();
        let mut gradient: Option<Tensor> = None;
        while let Some((layer, mut activation)) = activations.pop() {
            let convolution = convolutions[activations.len()];
            let mut change = match (gradient.take(), pull(layer, &activation)?) {
                (Some(mut gradient), Some(pulled)) => gradient.f_add_(&pulled)?,
                (Some(gradient), None) | (None, Some(gradient)) => gradient,
                (None, None) => continue,
            };
            // ReLU. The activation is not needed any more: a mask of its positive values takes its
            // place.
            change = change.f_mul_(&activation.f_gt_(0.0)?)?;
            drop(activation);
            let weight = &convolution.weight;
            change = convolve_back(&change.f_to_kind(weight.kind())?, weight)?;
            if let (true, Some((_, below))) = (layer.follows_pooling(), activations.last()) {
                change = pool_back(&change, below, pooling)?;
            }
            gradient = Some(change);
        }
        Ok(gradient)
    }

    /// The convolutions from the picture inwards. The first costs next to nothing and sees the
    /// picture itself, whose grey levels bf16 would round: it stays 32-bit.
    fn convolutions(&self, arithmetic: Arithmetic) -> impl Iterator<Item = &Convolution> {
        let deep = match (&self.bf16, arithmetic) {
            (Some(bf16), Arithmetic::Bf16) => bf16,
            _ => &self.f32,
        };
        self.f32.iter().take(1).chain(deep.iter().skip(1))
    }

    /// Refuses layers that the network does not have.
    fn check(&self, wanted: &[Layer]) -> Result<(), Error> {
        let network = self.network;
        match wanted.iter().find(|layer| !layer.is_of(network)) {
            None => Ok(()),
            Some(layer) => Err(Error::Request(format!(
                "{layer} is not a layer of {network}: take another layer, or VGG19"
            ))),
        }
    }
}

fn pool(x: &Tensor, pooling: Pooling) -> Result<Tensor, Error> {
    Ok(match pooling {
        Pooling::Max => x.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?,
        Pooling::Average => x.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?,
    })
}

/// d loss / d what was pooled, `below`, from d loss / d what came of it.
fn pool_back(change: &Tensor, below: &Tensor, pooling: Pooling) -> Result<Tensor, Error> {
    Ok(match pooling {
        Pooling::Max => {
            let (sides, none, one) = ([2, 2], [0, 0], [1, 1]);
            // Finding the maxima again is cheap; remembering them is not.
            let (_, places) = below.f_max_pool2d_with_indices(sides, sides, none, one, false)?;
            below.f_max_pool2d_with_indices_backward(
                change, sides, sides, none, one, false, &places,
            )?
        }
        Pooling::Average => {
            below.f_avg_pool2d_backward(change, [2, 2], [2, 2], [0, 0], false, true, None)?
        }
    })
}

fn converted(from: &[Convolution], kind: Kind, device: Device) -> Result<Vec<Convolution>, Error> {
    let _no_grad = tch::no_grad_guard();
    from.iter()
        .map(|convolution| {
            let weight = convolution.weight.f_to_device(device)?.f_to_kind(kind)?;
            Ok(Convolution {
                layer: convolution.layer,
                weight: channels_last(&weight)?,
                bias: convolution.bias.f_to_device(device)?.f_to_kind(kind)?,
            })
        })
        .collect()
}

/// A 3 x 3 convolution with a border of zeros, size kept.
fn convolve(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, Error> {
    Ok(input.f_conv2d(weight, bias, [1, 1], [1, 1], [1, 1], 1)?)
}

/// d loss / d input of [`convolve`], from d loss / d its output.
fn convolve_back(change: &Tensor, weight: &Tensor) -> Result<Tensor, Error> {
    Ok(change.f_conv_transpose2d(weight, None::<Tensor>, [1, 1], [1, 1], [0, 0], 1, [1, 1])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    /// After a ReLU a convolution with the identity changes nothing.
    fn identity(channels: i64) -> Tensor {
        let eye = Tensor::eye(channels, (Kind::Float, golden::device()));
        let centre = eye.reshape([channels, channels, 1, 1]);
        centre.constant_pad_nd([1, 1, 1, 1])
    }

    #[test]
    fn vgg16_is_vgg19_where_what_it_lacks_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let vgg16 = Vgg::load(&golden::vgg16(folder.path()), golden::device()).expect("loads");
        let mut vgg19 = Vgg::load(&golden::weights(), golden::device()).expect("loads");
        for convolution in &mut vgg19.f32 {
            if !convolution.layer.is_of(vgg16.network) {
                convolution.weight = identity(convolution.layer.channels());
                convolution.bias = convolution.bias.zeros_like();
            }
        }
        let layers: Vec<_> = Layer::all().filter(|l| l.is_of(vgg16.network)).collect();
        assert_eq!(layers.len(), 13);
        let picture = Tensor::rand([1, 3, 75, 52], (Kind::Float, golden::device())) * 255.0 - 120.0;
        for pooling in [Pooling::Max, Pooling::Average] {
            let [of_16, of_19] = [&vgg16, &vgg19].map(|vgg| {
                let features =
                    vgg.features(&picture, &layers, Kept::Wanted, pooling, Arithmetic::F32);
                features.expect("runs")
            });
            for ((layer, ours), (_, theirs)) in of_16.iter().zip(&of_19) {
                assert_eq!(ours.size(), theirs.size(), "{layer}");
                let off = ((ours - theirs).norm() / theirs.norm()).double_value(&[]);
                assert!(off < 1e-5, "{layer} is off by {off}");
            }
        }
    }
}

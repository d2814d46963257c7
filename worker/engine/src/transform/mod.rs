//! Feed-forward style networks, which redraw any picture in one pass: the layout of Johnson et al.
//! (arXiv 1603.08155, supplement) with nearest-neighbour upsampling before the convolutions that
//! enlarge, reflection padding, and instance normalisation (Ulyanov et al., arXiv 1607.08022) whose
//! scale and shift depend on the style (Dumoulin et al., arXiv 1610.07629).

mod convolutions;
mod file;
mod plan;
mod tiles;

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use stylefleet_model::trained::{Header, Trained};

use crate::Error;
use crate::arithmetic::channels_last;
pub(crate) use file::output;
pub(crate) use plan::Plan;
pub(crate) use tiles::PASSES;

/// Shortest side of a picture, in pixels: of a shorter one, reflection has nothing left to show.
pub(crate) const LEAST_SIDE: u32 = 16;
/// Added to variances, so that a flat channel is no division by zero.
const EPSILON: f64 = 1e-5;
/// Level that an untrained network's pictures lie around: the middle of 0 to 255.
const MIDDLE: f64 = 127.5;
/// How much larger than usual the last convolution's weights begin, for pictures reach from 0 to
/// 255 where activations reach from about -2 to 2.
const CONTRAST: f64 = 16.0;

/// A convolution, and what precedes and follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    /// What its tensors' names begin with.
    name: &'static str,
    /// Side of its kernel.
    kernel: i64,
    stride: i64,
    /// Whether rows and columns are doubled before.
    doubles: bool,
    /// Whether instance normalisation follows.
    normalizes: bool,
    /// Whether a ReLU follows.
    rectifies: bool,
}

impl Layer {
    const fn new(name: &'static str, kernel: i64) -> Self {
        Self {
            name,
            kernel,
            stride: 1,
            doubles: false,
            normalizes: true,
            rectifies: true,
        }
    }

    const fn halving(self) -> Self {
        Self { stride: 2, ..self }
    }

    const fn doubling(self) -> Self {
        Self {
            doubles: true,
            ..self
        }
    }

    const fn linear(self) -> Self {
        Self {
            rectifies: false,
            ..self
        }
    }

    /// Rows and columns that the convolution looks at beyond what its result stands for, on each
    /// side.
    fn around(self) -> i64 {
        // Of what is doubled afterwards, one is enough.
        if self.doubles { 1 } else { self.kernel / 2 }
    }

    /// With so many columns more on the left and right, and rows above and below: reflected, as
    /// the convolution is to see it.
    fn padded(self, x: &Tensor, sides: [i64; 4]) -> Result<Tensor, Error> {
        Ok(if sides == [0; 4] {
            x.shallow_clone()
        } else if self.doubles {
            // Before it is doubled, the next pixel of a reflection is the one at the border.
            x.f_replication_pad2d(sides)?
        } else {
            x.f_reflection_pad2d(sides)?
        })
    }
}

/// From the picture to a quarter of its rows and columns.
const DOWN: [Layer; 3] = [
    Layer::new("down.1", 9),
    Layer::new("down.2", 3).halving(),
    Layer::new("down.3", 3).halving(),
];

/// Pairs whose result is added to what goes in.
const RESIDUAL: [[Layer; 2]; 5] = [
    residual("residual.1.1", "residual.1.2"),
    residual("residual.2.1", "residual.2.2"),
    residual("residual.3.1", "residual.3.2"),
    residual("residual.4.1", "residual.4.2"),
    residual("residual.5.1", "residual.5.2"),
];

/// Back to all rows and columns.
const UP: [Layer; 2] = [
    Layer::new("up.1", 3).doubling(),
    Layer::new("up.2", 3).doubling(),
];

/// To the picture.
const LAST: Layer = Layer {
    normalizes: false,
    ..Layer::new("up.3", 9).linear()
};

const fn residual(first: &'static str, second: &'static str) -> [Layer; 2] {
    [Layer::new(first, 3), Layer::new(second, 3).linear()]
}

/// A style network on a device.
#[derive(Debug)]
pub(crate) struct Transform {
    /// By their names in a model file, 32-bit.
    tensors: BTreeMap<String, Tensor>,
}

impl Transform {
    /// A network that is not trained yet, of the form that `header` says. Its weights are those of
    /// `seed`, on all machines.
    pub fn new(header: &Header, seed: u64, device: Device) -> Result<Self, Error> {
        tch::manual_seed(seed as i64);
        let begun = |(name, shape): (String, Vec<usize>)| {
            let shape: Vec<i64> = shape.into_iter().map(|side| side as i64).collect();
            let tensor = begun(&name, &shape)?;
            Ok((name, tensor.f_to_device(device)?))
        };
        let tensors = header.shapes().into_iter().map(begun);
        let tensors = tensors.collect::<Result<_, Error>>()?;
        Ok(Self { tensors })
    }

    /// The network of a model file.
    pub fn load(model: &Trained<'_>, device: Device) -> Result<Self, Error> {
        let tensors = file::tensors(model)?.into_iter();
        let moved = |(name, tensor): (String, Tensor)| Ok((name, tensor.f_to_device(device)?));
        let tensors = tensors.map(moved).collect::<Result<_, Error>>()?;
        Ok(Self { tensors })
    }

    /// A network of these tensors, by their names in a model file.
    pub fn of(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors }
    }

    /// The network's tensors by their names in a model file.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// Redraws `image`, `[1, 3, H, W]`, R, G, B, 0 to 255, 32-bit, 16 rows and columns or more, in
    /// a blend of the network's styles by their `shares`, which sum to 1. The result has the same
    /// form; it may leave the range. `kind` is the arithmetic, 32-bit or bf16. Where gradients are
    /// recorded, they reach the tensors and the image.
    pub fn forward(&self, image: &Tensor, shares: &[f64], kind: Kind) -> Result<Tensor, Error> {
        let (_, _, height, width) = image.size4()?;
        let [first, down @ ..] = DOWN;
        // Grey levels, which bf16 would round.
        let mut x = self
            .step(first, &channels_last(image)?, shares)?
            .f_to_kind(kind)?;
        for layer in down {
            x = self.step(layer, &x, shares)?;
        }
        for pair in RESIDUAL {
            x = self.residual(pair, &x, shares)?;
        }
        for layer in UP {
            x = self.step(layer, &x, shares)?;
        }
        // Where 4 divides rows or columns unevenly, the way up ends beyond them.
        let x = self.step(LAST, &x, shares)?;
        Ok(x.f_narrow(2, 0, height)?.f_narrow(3, 0, width)?)
    }

    /// A pair of layers over a whole picture, and what goes in added.
    fn residual(
        &self,
        [first, second]: [Layer; 2],
        x: &Tensor,
        shares: &[f64],
    ) -> Result<Tensor, Error> {
        let inner = self.step(first, x, shares)?;
        Ok(self.step(second, &inner, shares)?.f_add_(x)?)
    }

    /// A layer over a whole picture.
    fn step(&self, layer: Layer, x: &Tensor, shares: &[f64]) -> Result<Tensor, Error> {
        let x = layer.padded(x, [layer.around(); 4])?;
        let x = self.convolve(layer, &x)?;
        if layer.normalizes {
            self.normalized(layer, &x, shares)
        } else {
            Ok(x)
        }
    }

    /// What follows a layer's convolution over a whole picture.
    fn normalized(&self, layer: Layer, x: &Tensor, shares: &[f64]) -> Result<Tensor, Error> {
        let (scale, shift) = self.affine(layer, shares)?;
        let none = None::<&Tensor>;
        // Of one picture, the statistics of a batch are those of the instance.
        let mut x = x.f_batch_norm(
            Some(&scale),
            Some(&shift),
            none,
            none,
            true,
            0.0,
            EPSILON,
            true,
        )?;
        Ok(if layer.rectifies { x.f_relu_()? } else { x })
    }

    /// The convolution of a layer, doubling included, of an input with [`Layer::around`] more on
    /// each side.
    fn convolve(&self, layer: Layer, x: &Tensor) -> Result<Tensor, Error> {
        let (weight, bias) = (self.tensor(layer, "weight")?, self.tensor(layer, "bias")?);
        if layer == LAST {
            // Its result is grey levels, which bf16 would round.
            convolutions::by_rows(&x.f_to_kind(Kind::Float)?, weight, bias)
        } else if layer.doubles {
            convolutions::doubling(x, weight, bias)
        } else {
            convolutions::plain(x, weight, bias, layer.stride)
        }
    }

    /// Scale and shift after a layer, `[C]` each, in a blend of the styles.
    fn affine(&self, layer: Layer, shares: &[f64]) -> Result<(Tensor, Tensor), Error> {
        let blend = |part| -> Result<Tensor, Error> {
            let of_styles = self.tensor(layer, part)?;
            let shares = Tensor::f_from_slice(shares)?
                .f_to_kind(of_styles.kind())?
                .f_to_device(of_styles.device())?;
            Ok(shares.f_matmul(of_styles)?)
        };
        Ok((blend("scale")?, blend("shift")?))
    }

    /// Channels that it has at the picture's full size.
    pub fn width(&self) -> Result<i64, Error> {
        self.channels(DOWN[0])
    }

    /// Channels that leave a layer.
    fn channels(&self, layer: Layer) -> Result<i64, Error> {
        Ok(self.tensor(layer, "bias")?.size1()?)
    }

    fn tensor(&self, layer: Layer, part: &str) -> Result<&Tensor, Error> {
        let name = format!("{}.{part}", layer.name);
        let missing = || Error::Torch(format!("a network without {name}").into());
        self.tensors.get(&name).ok_or_else(missing)
    }
}

/// A tensor of an untrained network. Weights and biases of convolutions are uniform within the
/// inverse root of the values that are summed; normalised channels are as they are.
fn begun(name: &str, shape: &[i64]) -> Result<Tensor, Error> {
    let options = (Kind::Float, Device::Cpu);
    let summed: i64 = shape.iter().skip(1).product();
    let bound = (summed as f64).sqrt().recip();
    let is_last = name.starts_with(LAST.name);
    Ok(match name.rsplit('.').next() {
        Some("scale") => Tensor::f_ones(shape, options)?,
        Some("bias") if is_last => Tensor::f_full(shape, MIDDLE, options)?,
        Some("weight") => {
            let contrast = if is_last { CONTRAST } else { 1.0 };
            let (low, high) = (-bound * contrast, bound * contrast);
            Tensor::f_empty(shape, options)?.f_uniform_(low, high)?
        }
        // What is added to all of a channel before it is normalised comes to nothing.
        _ => Tensor::f_zeros(shape, options)?,
    })
}

#[cfg(test)]
mod artefacts;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

//! For tests of the engine's users, which have no network at hand.

use stylefleet_model::stylize::Optimizer;
use tch::{Device, Kind, Tensor};

use crate::Error;
use crate::curve::Curve;
use crate::minimize::{Minimizer, Point};
use crate::position::Position;
use crate::vgg::Arithmetic;

/// A checkpoint of so many evaluations, of a request of that identity, for a picture of one pixel.
pub fn checkpoint(identity: &str, evaluations: u32) -> Result<Vec<u8>, Error> {
    let pixel = Tensor::f_zeros([3], (Kind::Float, Device::Cpu))?;
    let point = Point {
        gradient: pixel.f_zeros_like()?,
        loss: 1.0,
        x: pixel,
    };
    let minimizer = Minimizer::new(Optimizer::Lbfgs, &point, 0, None, 0.0)?;
    let position = Position {
        scale: 0,
        evaluation: evaluations,
        total: evaluations,
        recent: Vec::new(),
        curve: Curve::default(),
        arithmetic: Arithmetic::F32,
        seconds: 0.0,
    };
    position.save(identity, &minimizer)
}

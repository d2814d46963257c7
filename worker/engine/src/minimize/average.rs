//! The mean of the places that a minimiser came to, newest most: Kingma and Ba, arXiv 1412.6980,
//! section 7.2.

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::Error;

/// Under this name a checkpoint holds the tensor.
const NAME: &str = "average";

#[derive(Debug)]
pub(super) struct Average {
    scalars: AverageScalars,
    /// Each place times 1 - decay, and times the decay for each one after it.
    sum: Tensor,
}

/// The part of its state that is no tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AverageScalars {
    decay: f64,
    /// Places added.
    places: u32,
}

impl Average {
    /// Without any places yet, for places like `place`.
    pub fn new(decay: f64, place: &Tensor) -> Result<Self, Error> {
        Ok(Self {
            scalars: AverageScalars { decay, places: 0 },
            sum: place.f_zeros_like()?,
        })
    }

    pub fn add(&mut self, place: &Tensor) -> Result<(), Error> {
        let _no_grad = tch::no_grad_guard();
        let _sum = self.sum.f_lerp_(place, 1.0 - self.scalars.decay)?;
        self.scalars.places += 1;
        Ok(())
    }

    /// None where there are no places.
    pub fn mean(&self) -> Result<Option<Tensor>, Error> {
        let AverageScalars { decay, places } = self.scalars;
        // All of the places' weights.
        let all = 1.0 - decay.powf(places.into());
        let mean = (places > 0).then(|| self.sum.f_div_scalar(all));
        Ok(mean.transpose()?)
    }

    pub fn save(&self) -> (AverageScalars, (String, Tensor)) {
        let sum = self.sum.shallow_clone();
        (self.scalars.clone(), (NAME.to_owned(), sum))
    }

    pub fn restore(
        scalars: &AverageScalars,
        device: Device,
        take: &mut dyn FnMut(&str) -> Result<Tensor, Error>,
    ) -> Result<Self, Error> {
        Ok(Self {
            scalars: scalars.clone(),
            sum: take(NAME)?.f_to_device(device)?,
        })
    }
}

//! A network under training.

use std::collections::BTreeMap;

use stylefleet_model::trained::Header;
use tch::{Device, Kind, Tensor};

use crate::Error;
use crate::minimize::Moments;
use crate::transform::Transform;

/// Under this name a checkpoint has the parameters.
const PARAMETERS: &str = "parameters";

/// A network, and what Adam remembers of its gradients.
#[derive(Debug)]
pub(super) struct Learner {
    network: Transform,
    styles: usize,
    /// All that is trained, one after the other.
    parameters: Tensor,
    /// The network's tensors that are trained: views of `parameters`.
    leaves: Vec<Tensor>,
    moments: Moments,
}

impl Learner {
    /// With the weights of a `seed`. Whoever uses it records no gradients.
    pub fn new(header: &Header, seed: u64, device: Device) -> Result<Self, Error> {
        let untrained = Transform::new(header, seed, device)?;
        let all = untrained.tensors();
        let trained = all.iter().filter(|(name, _)| is_trained(name, all));
        let flat = trained.map(|(_, tensor)| tensor.f_reshape([-1]));
        let parameters = Tensor::f_cat(&flat.collect::<Result<Vec<_>, _>>()?, 0)?;
        let mut leaves = Vec::new();
        let mut tensors = BTreeMap::new();
        let mut place = 0;
        for (name, tensor) in all {
            let mut tensor = tensor.shallow_clone();
            if is_trained(name, all) {
                let values = tensor.numel() as i64;
                let part = parameters.f_narrow(0, place, values)?;
                tensor = part
                    .f_view_as(&tensor)?
                    .f_detach()?
                    .f_requires_grad_(true)?;
                leaves.push(tensor.shallow_clone());
                place += values;
            }
            tensors.insert(name.clone(), tensor);
        }
        Ok(Self {
            network: Transform::of(tensors),
            styles: header.styles.len(),
            moments: Moments::new(&parameters)?,
            parameters,
            leaves,
        })
    }

    /// Goes on where the one stood that [`Learner::save`] was called on, after so many `steps`.
    /// `take` gives a tensor of so many values by its name.
    pub fn restore(
        &mut self,
        steps: u32,
        take: impl Fn(&str, i64) -> Result<Tensor, Error>,
    ) -> Result<(), Error> {
        let values = self.parameters.numel() as i64;
        self.parameters.f_copy_(&take(PARAMETERS, values)?)?;
        let mut take = |name: &str| take(name, values);
        self.moments = Moments::restore(steps, self.parameters.device(), &mut take)?;
        Ok(())
    }

    /// All that changes, by name; the next step changes the tensors.
    pub fn save(&self) -> Vec<(String, Tensor)> {
        let parameters = (PARAMETERS, &self.parameters);
        let tensors = self.moments.tensors().into_iter().chain([parameters]);
        let saved = tensors.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
        saved.collect()
    }

    /// The network.
    pub fn network(&self) -> &Transform {
        &self.network
    }

    /// The picture of `content` in a style. Gradients are recorded if that is on.
    pub fn draw(&self, content: &Tensor, style: usize) -> Result<Tensor, Error> {
        let is_it = |other| f64::from(u8::from(other == style));
        let shares: Vec<f64> = (0..self.styles).map(is_it).collect();
        self.network.forward(content, &shares, Kind::Float)
    }

    /// d `loss` / d parameters. It is one number, from pictures drawn with gradients recorded.
    pub fn gradient(&self, loss: &Tensor) -> Result<Tensor, Error> {
        let parts = Tensor::f_run_backward(&[loss], &self.leaves, false, false)?;
        let flat = parts.iter().map(|part| part.f_reshape([-1]));
        Ok(Tensor::f_cat(&flat.collect::<Result<Vec<_>, _>>()?, 0)?)
    }

    /// A step against the gradient.
    pub fn learn(&mut self, gradient: &Tensor, rate: f64) -> Result<(), Error> {
        let (moments, step) = self.moments.after(gradient, rate)?;
        let _parameters = self.parameters.f_sub_(&step)?;
        self.moments = moments;
        Ok(())
    }
}

/// A bias before a normalisation comes to nothing: it stays as it is.
fn is_trained(name: &str, all: &BTreeMap<String, Tensor>) -> bool {
    let is_normalized = |convolution| all.contains_key(&format!("{convolution}.scale"));
    !name.strip_suffix(".bias").is_some_and(is_normalized)
}

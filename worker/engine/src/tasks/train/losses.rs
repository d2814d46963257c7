//! What a network is trained for: the optimiser's objective, once for each style.

use stylefleet_model::stylize::Parameters;
use tch::Tensor;

use crate::Error;
use crate::objective::{Evaluation, Loss, Mode, Statistics, Style};
use crate::vgg::{Vgg, to_network};

/// The objective of each style. Images are `[1, 3, H, W]` of one size, R, G, B, 0 to 255, 32-bit,
/// on the network's device.
#[derive(Debug)]
pub(super) struct Losses<'a> {
    vgg: &'a Vgg,
    objective: &'a Parameters,
    of_styles: Vec<Loss>,
}

/// The weights of an objective, one after the other.
pub(super) type Weights = Vec<f64>;

impl<'a> Losses<'a> {
    /// For styles of these `statistics`, whose weights are `given`, or found at the `contents`.
    pub fn new(
        vgg: &'a Vgg,
        objective: &'a Parameters,
        statistics: &[Statistics],
        contents: &[Tensor],
        given: &[Weights],
        mode: Mode,
    ) -> Result<Self, Error> {
        let taken = |image: &Tensor| to_network(image, objective.means, vgg.device());
        let contents = contents.iter().map(taken);
        let contents = contents.collect::<Result<Vec<_>, _>>()?;
        let missing = || Error::Request("there is nothing in its photographs".into());
        let first = contents.first().ok_or_else(missing)?;
        let loss = |(place, statistics): (usize, &Statistics)| {
            let styles = [Style {
                statistics,
                share: 1.0,
                mask: None,
            }];
            let weights = match given.get(place) {
                Some(weights) => weights.clone(),
                None => balanced(objective, || {
                    let at = |content| Loss::new(objective, vgg, content, &styles, mode);
                    contents.iter().map(at).collect()
                })?,
            };
            let weighed = with_weights(objective, &weights);
            Loss::new(&weighed, vgg, first, &styles, mode)
        };
        let of_styles = statistics.iter().enumerate().map(loss);
        Ok(Self {
            of_styles: of_styles.collect::<Result<_, _>>()?,
            vgg,
            objective,
        })
    }

    /// How many styles there are.
    pub fn count(&self) -> usize {
        self.of_styles.len()
    }

    /// The weights of each style's objective.
    pub fn weights(&self) -> Vec<Weights> {
        let of_style = |loss: &Loss| weights_of(loss.objective());
        self.of_styles.iter().map(of_style).collect()
    }

    /// The loss of a `picture` of `content`, in which the style counts only that `part`, from 0 to
    /// 1, and its gradient, laid out as the picture is.
    pub fn at(
        &self,
        style: usize,
        content: &Tensor,
        picture: &Tensor,
        part: f64,
    ) -> Result<Evaluation, Error> {
        let loss = self.of(style, content)?.with_less_style(part);
        let evaluation = loss.evaluate(self.vgg, &self.taken(picture)?)?;
        let gradient = evaluation.gradient.f_reshape(picture.size())?.f_flip([1])?;
        // What is told of the losses is the same all along.
        let mut terms = evaluation.terms;
        for (name, term) in &mut terms {
            if loss.is_of_style(name) {
                *term /= part;
            }
        }
        Ok(Evaluation {
            loss: terms.values().sum(),
            gradient,
            terms,
        })
    }

    /// The loss of a `picture` of `content`.
    pub fn score(&self, style: usize, content: &Tensor, picture: &Tensor) -> Result<f64, Error> {
        let loss = self.of(style, content)?;
        let (loss, _) = loss.score(self.vgg, &self.taken(picture)?)?;
        Ok(loss)
    }

    fn of(&self, style: usize, content: &Tensor) -> Result<Loss, Error> {
        let missing = || Error::Request(format!("there is no style {style}, counted from 0"));
        let loss = self.of_styles.get(style).ok_or_else(missing)?;
        loss.with_content(self.vgg, &self.taken(content)?)
    }

    fn taken(&self, image: &Tensor) -> Result<Tensor, Error> {
        to_network(image, self.objective.means, self.vgg.device())
    }
}

/// The weights that count. The optimiser balances style and content at each picture; of a network
/// that is to redraw all pictures, the geometric mean of the weights at some.
fn balanced(
    objective: &Parameters,
    losses: impl FnOnce() -> Result<Vec<Loss>, Error>,
) -> Result<Weights, Error> {
    if objective.strength.is_none() && !objective.normalize_gradients {
        return Ok(weights_of(objective));
    }
    let all: Vec<Weights> = losses()?
        .iter()
        .map(|loss| weights_of(loss.objective()))
        .collect();
    let mean = |place: usize| {
        let logarithms = all.iter().map(|weights| weights[place].ln());
        (logarithms.sum::<f64>() / all.len() as f64).exp()
    };
    let weights: Weights = (0..weights_of(objective).len()).map(mean).collect();
    match weights.iter().find(|weight| !weight.is_finite()) {
        Some(weight) => Err(Error::NotFinite(*weight)),
        None => Ok(weights),
    }
}

fn weights_of(objective: &Parameters) -> Weights {
    let mut objective = objective.clone();
    places(&mut objective).map(|weight| *weight).collect()
}

/// The objective with other weights, and nothing left to balance.
fn with_weights(objective: &Parameters, weights: &[f64]) -> Parameters {
    let mut objective = Parameters {
        strength: None,
        normalize_gradients: false,
        ..objective.clone()
    };
    for (place, weight) in places(&mut objective).zip(weights) {
        *place = *weight;
    }
    objective
}

/// Where the weights that may be balanced stand.
fn places(objective: &mut Parameters) -> impl Iterator<Item = &mut f64> {
    let kinds = [&mut objective.style_weight, &mut objective.content_weight];
    let layers = objective.style_layers.iter_mut();
    let layers = layers.chain(objective.content_layers.iter_mut());
    kinds
        .into_iter()
        .chain(layers.map(|entry| &mut entry.weight))
}

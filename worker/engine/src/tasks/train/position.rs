//! Where an unfinished training stands, and how that is saved. Where it stands in its data follows
//! from its steps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::learner::Learner;
use super::losses::Weights;
use crate::Error;
use crate::arithmetic::Arithmetic;
use crate::checkpoint::{self, Owner};
use crate::tasks::curve::LossCurve;

/// The kind in checkpoints of trainings.
const KIND: &str = "train";
/// How much of a running mean is left after a step: it is about that of the last 50.
const DECAY: f64 = 0.98;

/// Where a training stands, apart from its network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Steps done.
    pub steps: u32,
    pub means: Means,
    /// The loss so far.
    pub curve: LossCurve,
    /// The weights of each style's objective.
    pub weights: Vec<Weights>,
    /// Numbers of the photographs that cannot be read, as far as they were met.
    pub left_out: BTreeSet<usize>,
    /// Arithmetic of the network whose activations are compared.
    pub arithmetic: Arithmetic,
    /// Seconds of work.
    pub seconds: f64,
}

/// Running means of figures, newest most.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Means {
    sums: BTreeMap<String, f64>,
    /// What all steps' weights come to.
    all: f64,
}

impl Position {
    /// The start.
    pub fn new(arithmetic: Arithmetic) -> Self {
        Self {
            steps: 0,
            means: Means::default(),
            curve: LossCurve::default(),
            weights: Vec::new(),
            left_out: BTreeSet::new(),
            arithmetic,
            seconds: 0.0,
        }
    }

    /// A checkpoint of the request of that identity.
    pub fn save(&self, identity: &str, learner: &Learner) -> Result<Vec<u8>, Error> {
        checkpoint::save_with(owner(identity), self.steps.into(), self, learner.save())
    }

    /// Reads what [`Position::save`] made of a request.
    pub fn restore(bytes: &[u8], identity: &str, learner: &mut Learner) -> Result<Self, Error> {
        let saved = checkpoint::read(bytes, owner(identity))?;
        let position: Self = saved.state()?;
        learner.restore(position.steps, |name, values| saved.tensor(name, values))?;
        Ok(position)
    }
}

impl Means {
    /// Adds the figures of a step.
    pub fn add(&mut self, figures: &BTreeMap<String, f64>) {
        for sum in self.sums.values_mut() {
            *sum *= DECAY;
        }
        self.all = self.all * DECAY + 1.0;
        for (name, figure) in figures {
            *self.sums.entry(name.clone()).or_default() += figure;
        }
    }

    /// The mean of a figure, if it was ever added.
    pub fn of(&self, name: &str) -> Option<f64> {
        Some(self.sums.get(name)? / self.all)
    }

    /// The means, by name.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let mean = |(name, sum): (&String, &f64)| (name.clone(), sum / self.all);
        self.sums.iter().map(mean).collect()
    }
}

fn owner(identity: &str) -> Owner<'_> {
    Owner {
        kind: KIND,
        identity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_follow_what_they_are_of() {
        let mut means = Means::default();
        let figures = |loss| BTreeMap::from([("loss".to_owned(), loss)]);
        means.add(&figures(4.0));
        assert_eq!(means.figures(), figures(4.0));
        for _ in 0..200 {
            means.add(&figures(1.0));
        }
        let mean = means.figures()["loss"];
        assert!(mean > 1.0 && mean < 1.1, "{mean}");
    }
}

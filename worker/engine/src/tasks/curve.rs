//! How the loss of a job fell, thinned so that a long job's curve is no longer than a short one's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use stylefleet_model::{Curve, Figures};

use crate::{Error, Output};

/// Most points kept: more than a chart shows.
const MOST: usize = 512;

/// The loss after an iteration. Losses of different phases are those of different objectives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CurvePoint {
    /// The phase, from 1.
    pub phase: u32,
    /// Steps done by then.
    pub steps: u64,
    /// The loss.
    pub loss: f64,
    /// Its terms, by name.
    pub terms: Figures,
}

/// The loss after iterations: all of them, or every second, every fourth, ...
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LossCurve {
    points: Vec<CurvePoint>,
    /// Iterations from one point to the next.
    stride: u32,
    /// Iterations since the last point.
    since: u32,
}

impl Default for LossCurve {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            stride: 1,
            since: 0,
        }
    }
}

impl LossCurve {
    /// Adds an iteration.
    pub fn push(&mut self, point: CurvePoint) {
        self.since += 1;
        if self.since < self.stride {
            return;
        }
        self.since = 0;
        self.points.push(point);
        if self.points.len() > MOST {
            let mut is_second = true;
            self.points.retain(|_| {
                is_second = !is_second;
                !is_second
            });
            self.stride *= 2;
        }
    }

    /// The points, oldest first.
    pub fn points(&self) -> &[CurvePoint] {
        &self.points
    }
}

/// Terms of a loss as figures: parts of `loss`.
pub(super) fn figures_of(terms: impl IntoIterator<Item = (String, f64)>) -> Figures {
    let terms = terms.into_iter();
    terms
        .map(|(term, value)| (format!("loss.{term}"), value))
        .collect()
}

/// The terms of all points, by name. A term that some point lacks is left out.
fn terms_of(points: &[CurvePoint]) -> BTreeMap<String, Vec<f64>> {
    let names = points.first().map(|first| first.terms.keys());
    let values = |name: &String| {
        let values = points.iter().map(|point| point.terms.get(name).copied());
        Some((name.clone(), values.collect::<Option<Vec<_>>>()?))
    };
    names.into_iter().flatten().filter_map(values).collect()
}

/// A curve as an output of a job.
pub(super) fn output(points: &[CurvePoint]) -> Output {
    let curve = Curve {
        phase: points.iter().map(|point| point.phase).collect(),
        steps: points.iter().map(|point| point.steps).collect(),
        loss: points.iter().map(|point| point.loss).collect(),
        terms: terms_of(points),
    };
    Output {
        role: Curve::ROLE,
        media_type: "application/json",
        ending: "json",
        encode: Box::new(move || {
            serde_json::to_vec(&curve).map_err(|error| Error::Encoding {
                role: Curve::ROLE,
                source: error.into(),
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_is_thinned_evenly() {
        let mut curve = LossCurve::default();
        for steps in 1..=10_000 {
            curve.push(CurvePoint {
                phase: 1,
                steps,
                loss: 1.0,
                terms: Figures::new(),
            });
        }
        let at: Vec<u64> = curve.points().iter().map(|p| p.steps).collect();
        assert!((MOST / 2..=MOST).contains(&at.len()), "{}", at.len());
        assert_eq!(at[0], 1);
        let steps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let stride = u64::from(curve.stride);
        assert!(steps.iter().all(|step| *step == stride), "{steps:?}");
    }
}

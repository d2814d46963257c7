//! How far jobs are, whatever they do.

use std::collections::BTreeMap;

use serde::Serialize;

/// Named numbers that work came to, such as `loss`. What adds to a figure, or describes it, is
/// named after it, as in `loss.content`.
pub type Figures = BTreeMap<String, f64>;

/// The figures that are no part of another: those for a short line.
pub fn headline(figures: &Figures) -> impl Iterator<Item = (&str, f64)> {
    let figures = figures.iter().filter(|(name, _)| !name.contains('.'));
    figures.map(|(name, value)| (name.as_str(), *value))
}

/// Where a job stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Progress {
    /// What the job is at, in words: `scale 2/3, 512x384`. Other words mean another phase.
    pub phase: String,
    /// How much of this phase is done.
    pub done: u64,
    /// How much of it there is at most.
    pub total: u64,
    /// What is counted, in the plural: `evaluations`.
    pub unit: String,
    /// Steps done over all phases. What a step is, is the kind's to say; the number never falls,
    /// and a checkpoint with more of them is further.
    pub steps: u64,
    /// What it came to so far.
    pub figures: Figures,
    /// Estimated seconds until the job ends; none: no idea yet.
    pub seconds_left: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_figures_make_no_headline() {
        let figures = [("loss", 3.0), ("loss.tv", 1.0), ("images", 2.0)];
        let figures = figures.map(|(name, value)| (name.to_owned(), value)).into();
        let shown: Vec<_> = headline(&figures).collect();
        assert_eq!(shown, [("images", 2.0), ("loss", 3.0)]);
    }
}

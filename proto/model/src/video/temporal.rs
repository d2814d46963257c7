//! What follows from the table: how frames are held together.

use super::table::with_temporal_parameters;
use crate::define::define;
use crate::stylize::Preset;
use crate::{Invalid, Validate};

with_temporal_parameters!(
    define,
    /// How the optimiser holds the frames of a video together. The defaults depend on the
    /// evaluations of the first frame.
    Temporal(u32) beside {}
);

impl Default for Temporal {
    fn default() -> Self {
        Self::defaults(Preset::default().parameters().evaluations)
    }
}

/// What the evaluations of a frame are, in words: those of the first frame decide.
const PART: &str = "a third of --evaluations";

fn usual(value: impl Fn(&Temporal) -> String) -> Option<String> {
    let [few, many] = [1, 1000].map(|evaluations| value(&Temporal::defaults(evaluations)));
    Some(if few == many { few } else { PART.to_owned() })
}

/// How many frames before each one it is held to.
const NEAR: &[usize] = &[1];
/// The same with long-term consistency.
const FAR: &[usize] = &[1, 2, 4];

impl Temporal {
    /// How many frames before each one it is held to, the nearest first.
    pub fn steps(&self) -> &'static [usize] {
        if self.long_term { FAR } else { NEAR }
    }

    /// Which of so many frames are held to each other: their numbers from 0, the earlier one first,
    /// in rising order.
    pub fn pairs(&self, frames: usize) -> Vec<[usize; 2]> {
        let after = |from: usize| self.steps().iter().map(move |step| [from, from + step]);
        let pairs = (0..frames).flat_map(after);
        pairs.filter(|[_, to]| *to < frames).collect()
    }
}

impl Overrides {
    /// The defaults with all of these laid over them, where the first frame has so many
    /// `evaluations`. They are not checked yet.
    pub fn temporal(&self, evaluations: u32) -> Temporal {
        let mut temporal = Temporal::defaults(evaluations);
        self.lay_over(&mut temporal);
        temporal
    }
}

impl Validate for Temporal {
    fn validate(&self) -> Result<(), Invalid> {
        self.check_fields()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_can_be_written_out() {
        let mut overrides = Overrides::default();
        for (field, value) in Temporal::default().show() {
            assert_eq!(overrides.set(field, &value), Ok(true), "{field}");
        }
        assert_eq!(overrides.temporal(7), Temporal::default());
        Temporal::default().validate().expect("is valid");
    }

    #[test]
    fn frames_are_held_to_those_before() {
        let mut temporal = Temporal::default();
        assert_eq!(temporal.pairs(3), [[0, 1], [1, 2]]);
        temporal.long_term = true;
        assert_eq!(temporal.pairs(3), [[0, 1], [0, 2], [1, 2]]);
        assert!(temporal.pairs(6).contains(&[1, 5]));
        assert!(temporal.pairs(1).is_empty());
    }

    #[test]
    fn later_frames_have_a_third_of_the_evaluations() {
        assert_eq!(Overrides::default().temporal(100).frame_evaluations, 34);
        let depends = |row: &&crate::Parameter| row.default.as_deref() == Some(PART);
        let fields: Vec<_> = table()
            .iter()
            .filter(depends)
            .map(|row| row.field)
            .collect();
        assert_eq!(fields, ["frame_evaluations"]);
    }
}

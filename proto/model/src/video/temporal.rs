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

//! What follows from the table: how a network is trained.

use super::table::with_training_parameters;
use crate::define::define;
use crate::trained::WIDTHS;
use crate::{Invalid, Limits, Validate};

/// What the side of a sample is a multiple of: a network halves it twice.
const SIDES: u32 = 4;

with_training_parameters!(
    define,
    /// How a network is trained, apart from its styles and objective.
    Training(()) beside {}
);

impl Default for Training {
    fn default() -> Self {
        Self::defaults(())
    }
}

fn usual(value: impl Fn(&Training) -> String) -> Option<String> {
    Some(value(&Training::default()))
}

impl Overrides {
    /// The defaults with all of these laid over them. They are not checked yet.
    pub fn training(&self) -> Training {
        let mut training = Training::default();
        self.lay_over(&mut training);
        training
    }
}

impl Validate for Training {
    fn validate(&self) -> Result<(), Invalid> {
        self.check_fields()?;
        if !self.size.is_multiple_of(SIDES) {
            let reason = format!("is {}, must be a multiple of {SIDES}", self.size);
            return Err(Invalid::new("size", reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_can_be_written_out() {
        let mut overrides = Overrides::default();
        for (field, value) in Training::default().show() {
            assert_eq!(overrides.set(field, &value), Ok(true), "{field}");
        }
        assert_eq!(overrides.training(), Training::default());
        Training::default().validate().expect("is valid");
        let fields: Vec<_> = table().iter().map(|row| row.field).collect();
        let shown: Vec<_> = Training::default().show();
        assert_eq!(
            fields,
            shown.iter().map(|(field, _)| *field).collect::<Vec<_>>()
        );
    }

    #[test]
    fn help_says_what_is_allowed_and_what_is_usual() {
        let row = table().iter().find(|row| row.field == "learning_rate");
        assert_eq!(
            row.expect("exists").brief(),
            "Learning rate of Adam, greater than 0 [default: 0.004]"
        );
    }

    #[test]
    fn names_what_is_wrong() {
        for (field, written, expected) in [
            ("steps", "0", "steps: is 0, must be 1 to 1000000"),
            ("size", "255", "size: is 255, must be a multiple of 4"),
            ("size", "8", "size: is 8, must be 16 to 2048"),
            ("batch", "65", "batch: is 65, must be 1 to 64"),
            ("width", "1000000000", "width: is 1e9, must be 4 to 128"),
            (
                "learning-rate",
                "0",
                "learning_rate: is 0, must be greater than 0",
            ),
            (
                "learning-rate",
                "NaN",
                "learning_rate: is NaN, must be greater than 0",
            ),
        ] {
            let mut overrides = Overrides::default();
            assert_eq!(overrides.set(field, written), Ok(true), "{field}");
            let refused = overrides.training().validate().expect_err(expected);
            assert_eq!(refused.to_string(), expected);
        }
    }
}

//! What a job of this kind asks for, apart from its images.

use serde::{Deserialize, Serialize};

use super::Training;
use crate::stylize::{Overrides, Parameters, Preset, table};
use crate::trained::{StyleName, check_names};
use crate::{Heading, Invalid, Parameter, Role, RoleRule, Validate};

/// One network: its styles, what it is trained for, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// The names of its styles, 1 to 32, no two the same.
    pub styles: Vec<StyleName>,
    /// How it is trained.
    pub training: Training,
    /// What it is trained for: parameters of pictures, of which those in [`objective`] count.
    /// All others are as [`objective_of`] has them, so that the same ask is the same job.
    pub objective: Parameters,
}

/// The parameters of pictures that training has too, row by row.
pub fn objective() -> impl Iterator<Item = &'static Parameter> {
    table().iter().filter(|row| is_of_objective(row))
}

fn is_of_objective(row: &Parameter) -> bool {
    row.heading == Heading::Objective || row.field == "precision"
}

/// These parameters as far as training has them. All others become those of the preset studio.
pub fn objective_of(parameters: &Parameters) -> Parameters {
    let mut objective = Overrides::default();
    for (row, (field, value)) in table().iter().zip(parameters.show()) {
        if is_of_objective(row) {
            // What is shown can be read.
            let _ = objective.set(field, &value);
        }
    }
    objective.parameters()
}

impl Train {
    /// The role of the image of a style, from 0.
    pub fn style(index: usize) -> Role {
        Role::numbered("style", index)
    }

    /// The role of the list of photographs: [`Photographs`](super::Photographs).
    pub fn photographs() -> Role {
        Role::new("photographs")
    }

    /// The inputs that such a job has. The photographs are in the store as inputs are, by the
    /// hashes in their list.
    pub fn roles(&self) -> Vec<RoleRule> {
        let styles = (0..self.styles.len()).map(Self::style);
        let roles = styles.chain([Self::photographs()]);
        roles.map(RoleRule::required).collect()
    }

    /// Refuses values of parameters that training does not have.
    fn check_others(&self) -> Result<(), Invalid> {
        let usual = Preset::Studio.parameters().show();
        let given = self.objective.show();
        for ((row, (field, given)), (_, usual)) in table().iter().zip(given).zip(usual) {
            if !is_of_objective(row) && given != usual {
                let reason =
                    format!("is {given}, but training has no such parameter: leave it out");
                return Err(Invalid::new(field, reason).within("objective"));
            }
        }
        Ok(())
    }
}

impl Validate for Train {
    fn validate(&self) -> Result<(), Invalid> {
        check_names(&self.styles)?;
        self.training.validate()?;
        self.check_others()?;
        self.objective.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stylize::Init;
    use crate::{Choice, Valid};

    fn train(names: &[&str], change: impl FnOnce(&mut Train)) -> Result<Valid<Train>, Invalid> {
        let styles = names.iter().map(|name| name.parse().expect("a name"));
        let mut train = Train {
            styles: styles.collect(),
            training: Training::default(),
            objective: Preset::Studio.parameters(),
        };
        change(&mut train);
        Valid::new(train)
    }

    #[test]
    fn a_network_has_styles_of_different_names() {
        let names: Vec<_> = (0..33).map(|n: u32| n.to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        train(&names[..32], |_| ()).expect("is valid");
        for (names, expected) in [
            (&names[..], "styles: are 33, must be 1 to 32"),
            (&[], "styles: are 0, must be 1 to 32"),
            (&["a", "b", "a"], "styles: name a twice"),
        ] {
            let refused = train(names, |_| ()).expect_err(expected);
            assert_eq!(refused.to_string(), expected);
        }
    }

    #[test]
    fn any_objective_is_trained_for() {
        for &preset in Preset::ALL {
            let mut parameters = preset.parameters();
            parameters.evaluations = 7;
            let kept = objective_of(&parameters);
            let (kept_shown, shown) = (kept.show(), parameters.show());
            for row in objective() {
                let is_row = |(field, _): &&(&str, String)| *field == row.field;
                let of = kept_shown.iter().find(is_row);
                assert_eq!(of, shown.iter().find(is_row));
            }
            train(&["a"], |train| train.objective = kept).expect("is valid");
        }
        let refused = train(&["a"], |train| train.objective.style_scale = 0.0);
        let expected = "style_scale: is 0, must be 0.1 to 4";
        assert_eq!(refused.expect_err(expected).to_string(), expected);
        let refused = train(&["a"], |train| train.training.batch = 0);
        let expected = "batch: is 0, must be 1 to 64";
        assert_eq!(refused.expect_err(expected).to_string(), expected);
    }

    #[test]
    fn what_training_has_not_is_refused() {
        type Change = fn(&mut Parameters);
        let cases: [(Change, &str); 4] = [
            (
                |p| p.evaluations = 300,
                "objective.evaluations: is 300, but training has no such parameter: leave it out",
            ),
            (
                |p| p.init = Init::Noise,
                "objective.init: is noise, but training has no such parameter: leave it out",
            ),
            (
                |p| p.tolerance = f64::NAN,
                "objective.tolerance: is NaN, but training has no such parameter: leave it out",
            ),
            (
                |p| p.tolerance = -0.0,
                "objective.tolerance: is -0, but training has no such parameter: leave it out",
            ),
        ];
        for (change, expected) in cases {
            let refused = train(&["a"], |train| change(&mut train.objective));
            assert_eq!(refused.expect_err(expected).to_string(), expected);
        }
    }

    #[test]
    fn its_roles_follow_from_it() {
        let rules = train(&["a", "b"], |_| ()).expect("is valid").roles();
        assert!(rules.iter().all(|rule| rule.is_required));
        let roles: Vec<_> = rules.iter().map(|rule| rule.role.as_ref()).collect();
        assert_eq!(roles, ["style.1", "style.2", "photographs"]);
    }
}

//! What a job of this kind asks for, apart from its images.

use serde::{Deserialize, Serialize};

use super::{Init, MAX_SHARE, Parameters};
use crate::{Invalid, Limits, Role, RoleRule, Valid, Validate};

/// Most styles in one blend.
pub const MAX_STYLES: usize = 16;

/// One picture: the weights of its styles, and how to redraw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stylize {
    /// The share of each style in the blend, relative to the others: above 0, at most 1e6.
    pub weights: Vec<f64>,
    /// How to redraw the content.
    pub parameters: Parameters,
}

impl Stylize {
    /// The role of the picture to redraw.
    pub fn content() -> Role {
        Role::new("content")
    }

    /// The role of a style, from 0.
    pub fn style(index: usize) -> Role {
        Role::numbered("style", index)
    }

    /// The role of the image that says where a style, from 0, counts: white everything, black
    /// nothing, stretched to the picture. Where there is none, the style counts everywhere.
    pub fn mask(index: usize) -> Role {
        Role::numbered("mask", index)
    }

    /// The role of the image that the optimisation starts from, where that is one of the job's own.
    pub fn start() -> Role {
        Role::new("start")
    }

    /// The inputs that such a job has.
    pub fn roles(&self) -> Vec<RoleRule> {
        let mut rules = vec![RoleRule::required(Self::content())];
        for index in 0..self.weights.len() {
            rules.push(RoleRule::required(Self::style(index)));
            rules.push(RoleRule::optional(Self::mask(index)));
        }
        if self.parameters.init == Init::Image {
            rules.push(RoleRule::required(Self::start()));
        }
        rules
    }
}

impl Valid<Stylize> {
    /// How to redraw the content.
    pub fn parameters(&self) -> Valid<Parameters> {
        // They were checked with the rest.
        Valid(self.parameters.clone())
    }
}

impl Validate for Stylize {
    fn validate(&self) -> Result<(), Invalid> {
        let styles = self.weights.len();
        if styles == 0 || styles > MAX_STYLES {
            let reason = format!("are {styles}, must be 1 to {MAX_STYLES}");
            return Err(Invalid::new("styles", reason));
        }
        let limits = Limits::above(0.0, MAX_SHARE);
        for weight in &self.weights {
            limits.check("styles.weight", *weight)?;
        }
        self.parameters.validate()?;
        match self.parameters.init {
            Init::Style(index) if index as usize >= styles => {
                let place = index.saturating_add(1);
                let reason = format!("names style {place} of {styles}");
                Err(Invalid::new("init", reason))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stylize::Preset;

    fn stylize(weights: &[f64], init: Init) -> Result<Valid<Stylize>, Invalid> {
        let mut parameters = Preset::Studio.parameters();
        parameters.init = init;
        Valid::new(Stylize {
            weights: weights.to_vec(),
            parameters,
        })
    }

    #[test]
    fn a_blend_has_styles_and_each_a_weight() {
        assert!(stylize(&[1.0; 16], Init::Content).is_ok());
        for (weights, field) in [
            (&[][..], "styles"),
            (&[1.0; 17], "styles"),
            (&[1.0, 0.0], "styles.weight"),
            (&[f64::NAN], "styles.weight"),
            (&[f64::INFINITY], "styles.weight"),
            (&[-1.0], "styles.weight"),
        ] {
            let refused = stylize(weights, Init::Content).expect_err(field);
            assert_eq!(refused.field, field);
        }
        assert!(stylize(&[1.0, 1.0], Init::Style(1)).is_ok());
        let refused = stylize(&[1.0, 1.0], Init::Style(2)).expect_err("there are two");
        assert_eq!(refused.to_string(), "init: names style 3 of 2");
    }

    #[test]
    fn its_roles_follow_from_it() {
        let roles = |init| {
            let rules = stylize(&[1.0, 2.0], init).expect("is valid").roles();
            let shown = rules.iter().map(|rule| {
                let mark = if rule.is_required { "" } else { "?" };
                format!("{}{mark}", rule.role)
            });
            shown.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            roles(Init::Noise),
            "content style.1 mask.1? style.2 mask.2?"
        );
        assert_eq!(
            roles(Init::Image),
            "content style.1 mask.1? style.2 mask.2? start"
        );
    }
}

//! The kind of job that redraws one picture with a trained network, in one pass.

use serde::{Deserialize, Serialize};

use crate::stylize::{Format, KeepColors, MAX_SHARE, Precision, Size};
use crate::trained::{StyleName, check_names};
use crate::{Choice, Invalid, Limits, Role, RoleRule, Validate, Value};

/// One picture: which styles of the network it gets, and its form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apply {
    /// The styles to blend, 1 to 32, no two the same.
    pub styles: Vec<Share>,
    /// Its size; none: the content's own.
    pub size: Option<Size>,
    /// What of the content's colours it keeps: nothing, or all, [`KeepColors::Luminance`].
    pub keep_colors: KeepColors,
    /// File format.
    pub format: Format,
    /// Arithmetic of the network.
    pub precision: Precision,
}

/// A style of the network and its share in the blend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// What the network calls the style.
    pub style: StyleName,
    /// Its share relative to the others: above 0, at most 1e6.
    pub weight: f64,
}

impl Apply {
    /// The role of the picture to redraw.
    pub fn content() -> Role {
        Role::new("content")
    }

    /// The role of the model file.
    pub fn model() -> Role {
        Role::new("model")
    }

    /// The role of the image that says where a style, from 0 in the blend, counts: white
    /// everything, black nothing, stretched to the picture. Where there is none, the style counts
    /// everywhere.
    pub fn mask(index: usize) -> Role {
        Role::numbered("mask", index)
    }

    /// The inputs that such a job has.
    pub fn roles(&self) -> Vec<RoleRule> {
        let required = [Self::content(), Self::model()].map(RoleRule::required);
        let masks = (0..self.styles.len()).map(|index| RoleRule::optional(Self::mask(index)));
        required.into_iter().chain(masks).collect()
    }
}

impl Validate for Apply {
    fn validate(&self) -> Result<(), Invalid> {
        check_names(self.styles.iter().map(|share| &share.style))?;
        let limits = Limits::above(0.0, MAX_SHARE);
        for share in &self.styles {
            limits.check("styles.weight", share.weight)?;
        }
        if let Some(size) = &self.size {
            size.check("size")?;
        }
        if let KeepColors::Match | KeepColors::Histogram = self.keep_colors {
            let reason = format!(
                "is {}, which recolours images of styles, and a network has none: take none or \
                 luminance",
                self.keep_colors.word()
            );
            return Err(Invalid::new("keep_colors", reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Valid;

    fn apply(change: impl FnOnce(&mut Apply)) -> Result<Valid<Apply>, Invalid> {
        let share = |name: &str| Share {
            style: name.parse().expect("a name"),
            weight: 1.0,
        };
        let mut apply = Apply {
            styles: vec![share("waves"), share("stars")],
            size: None,
            keep_colors: KeepColors::None,
            format: Format::Png,
            precision: Precision::Auto,
        };
        change(&mut apply);
        Valid::new(apply)
    }

    #[test]
    fn names_what_is_wrong() {
        apply(|asked| asked.keep_colors = KeepColors::Luminance).expect("is valid");
        type Change = fn(&mut Apply);
        let cases: [(Change, &str); 8] = [
            (|a| a.styles.clear(), "styles: are 0, must be 1 to 32"),
            (
                |a| a.styles[1] = a.styles[0].clone(),
                "styles: name waves twice",
            ),
            (
                |a| a.styles[1].weight = 0.0,
                "styles.weight: is 0, must be greater than 0, at most 1000000",
            ),
            (
                |a| a.styles[1].weight = f64::NAN,
                "styles.weight: is NaN, must be greater than 0, at most 1000000",
            ),
            (
                |a| a.size = Some(Size::Longest(15)),
                "size: is 15, must be 16 to 16384",
            ),
            (
                |a| {
                    a.size = Some(Size::Exact {
                        width: 16,
                        height: 20_000,
                    })
                },
                "size.height: is 20000, must be 16 to 16384",
            ),
            (
                |a| a.keep_colors = KeepColors::Match,
                "keep_colors: is match, which recolours images of styles, and a network has none: \
                 take none or luminance",
            ),
            (
                |a| a.keep_colors = KeepColors::Histogram,
                "keep_colors: is histogram, which recolours images of styles, and a network has \
                 none: take none or luminance",
            ),
        ];
        for (change, expected) in cases {
            let refused = apply(change).expect_err(expected);
            assert_eq!(refused.to_string(), expected);
        }
    }

    #[test]
    fn its_roles_follow_from_it() {
        let rules = apply(|_| ()).expect("is valid").roles();
        let shown = rules.iter().map(|rule| {
            let mark = if rule.is_required { "" } else { "?" };
            format!("{}{mark}", rule.role)
        });
        let shown: Vec<_> = shown.collect();
        assert_eq!(shown, ["content", "model", "mask.1?", "mask.2?"]);
    }
}

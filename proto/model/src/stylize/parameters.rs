//! What follows from the table: the parameters themselves, and what people give of them.

use super::table::with_stylize_parameters;
use super::{
    ContentLoss, Format, Init, KeepColors, LayerWeight, Layers, Means, Network, Optimizer, Pooling,
    Precision, Preset, Size, StyleLoss, TotalVariation,
};
use crate::define::define;
use crate::{Choice, Invalid, Limits, Validate};

with_stylize_parameters!(
    define,
    /// Everything that decides how a picture looks, apart from the images.
    Parameters(Preset) beside {
        /// What they are laid over.
        preset: Preset,
    }
);

impl Preset {
    /// The preset spelled out.
    pub fn parameters(self) -> Parameters {
        Parameters::defaults(self)
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Preset::default().parameters()
    }
}

/// What a value is in all presets, if it is the same.
fn usual(value: impl Fn(&Parameters) -> String) -> Option<String> {
    let of = |preset: &Preset| value(&preset.parameters());
    let usual = of(&Preset::default());
    let same = Preset::ALL.iter().all(|preset| of(preset) == usual);
    same.then_some(usual)
}

impl Overrides {
    /// The preset with all of these laid over it. They are not checked yet.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = self.preset.unwrap_or_default().parameters();
        let p = &mut parameters;
        let even = |layers: &mut [LayerWeight]| layers.iter_mut().for_each(|l| l.weight = 1.0);
        // These measure in units of their own, in which the preset's weights mean nothing.
        if self.style_loss == Some(Some(StyleLoss::Wasserstein)) {
            p.style_weight = 1.0;
            even(&mut p.style_layers);
        }
        if self.normalize_gradients == Some(true) {
            (p.style_weight, p.content_weight) = (1.0, 1.0);
            even(&mut p.style_layers);
            even(&mut p.content_layers);
        }
        self.lay_over(p);
        parameters
    }
}

impl Validate for Parameters {
    fn validate(&self) -> Result<(), Invalid> {
        self.check_fields()?;
        self.check_network("content_layers", &self.content_layers)?;
        self.check_network("style_layers", &self.style_layers)?;
        if self.stretch_style && self.style_scale != 1.0 {
            let reason = format!(
                "is {}, must be 1 where styles are stretched to the picture's size, as the \
                 notebook preset does",
                self.style_scale
            );
            return Err(Invalid::new("style_scale", reason));
        }
        if !self.asks_for_something() {
            return Err(Invalid::new(
                "weights",
                "are all zero: nothing is asked for",
            ));
        }
        Ok(())
    }
}

impl Parameters {
    fn check_network(&self, field: &str, layers: &Layers) -> Result<(), Invalid> {
        let missing = layers.iter().find(|entry| !entry.layer.is_of(self.network));
        missing.map_or(Ok(()), |entry| {
            let (layer, network) = (entry.layer, self.network);
            let reason = format!(
                "names {layer}, which {network} does not have: take another layer, or VGG19"
            );
            Err(Invalid::new(field, reason))
        })
    }

    fn asks_for_something(&self) -> bool {
        let counts = |weight: f64, layers: &Layers| {
            weight > 0.0 && layers.iter().any(|entry| entry.weight > 0.0)
        };
        counts(self.content_weight, &self.content_layers)
            || counts(self.style_weight, &self.style_layers)
            || self.tv_weight > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Valid;

    #[test]
    fn every_preset_is_valid_and_can_be_written_out() {
        for &preset in Preset::ALL {
            let parameters = preset.parameters();
            let mut overrides = Overrides::default();
            for (field, value) in parameters.show() {
                assert_eq!(overrides.set(field, &value), Ok(true), "{field}");
                assert_eq!(overrides.given().last(), Some(&field));
            }
            assert_eq!(overrides.parameters(), parameters, "{preset:?}");
            Valid::new(parameters).expect("is valid");
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_field() {
        let fields: Vec<_> = table().iter().map(|row| row.field).collect();
        let shown = Preset::Studio.parameters().show();
        assert_eq!(
            fields,
            shown.iter().map(|(field, _)| *field).collect::<Vec<_>>()
        );
        let json = serde_json::to_value(Preset::Studio.parameters()).expect("serialises");
        assert_eq!(json.as_object().expect("an object").len(), fields.len());
    }

    #[test]
    fn help_says_what_is_allowed_and_what_is_usual() {
        let brief = |name: &str| {
            let row = table().iter().find(|row| row.name() == name);
            row.expect("exists").brief()
        };
        for (name, expected) in [
            (
                "evaluations",
                "Evaluations of loss and gradient at the full size, 1 to 100000 [default: 250]",
            ),
            (
                "tv-weight",
                "Weight of the total variation, which smooths the picture, 0 to 1e12 [default: \
                 preset's]",
            ),
            (
                "optimizer",
                "Method that minimises the objective: lbfgs, adam [default: lbfgs]",
            ),
            (
                "stop-below",
                "Stop once the loss at the full size is below this, greater than 0 (none: never) \
                 [default: none]",
            ),
        ] {
            assert_eq!(brief(name), expected);
        }
    }

    #[test]
    fn names_what_is_wrong() {
        type Change = fn(&mut Parameters);
        let cases: [(Change, &str); 7] = [
            (
                |p| p.style_weight = f64::NAN,
                "style_weight: is NaN, must be 0 to 1e12",
            ),
            (
                |p| p.evaluations = 0,
                "evaluations: is 0, must be 1 to 100000",
            ),
            (
                |p| p.size = Size::Longest(15),
                "size: is 15, must be 16 to 16384",
            ),
            (
                |p| p.stop_below = Some(0.0),
                "stop_below: is 0, must be greater than 0",
            ),
            (
                |p| (p.network, p.style_layers) = (Network::Vgg16, Layers::of([(3, 4, 1.0)])),
                "style_layers: names conv3_4, which VGG16 does not have: take another layer, or \
                 VGG19",
            ),
            (
                |p| (p.content_weight, p.style_weight, p.tv_weight) = (0.0, 0.0, 0.0),
                "weights: are all zero: nothing is asked for",
            ),
            (
                |p| p.style_layers = Layers::of([(1, 1, 1.0), (1, 1, 2.0)]),
                "style_layers: names conv1_1 twice",
            ),
        ];
        for (change, expected) in cases {
            let mut parameters = Preset::Studio.parameters();
            change(&mut parameters);
            let refused = Valid::new(parameters).expect_err(expected);
            assert_eq!(refused.to_string(), expected);
        }
    }

    #[test]
    fn other_measures_begin_with_even_weights() {
        let with = |name: &str, value: &str| {
            let mut overrides = Overrides::default();
            assert_eq!(overrides.set(name, value), Ok(true));
            overrides.parameters()
        };
        let even = |layers: &Layers| layers.iter().all(|entry| entry.weight == 1.0);
        let wasserstein = with("style-loss", "wasserstein");
        assert_eq!(
            (wasserstein.style_weight, wasserstein.content_weight),
            (1.0, 0.3)
        );
        assert!(even(&wasserstein.style_layers));
        let normalized = with("normalize-gradients", "true");
        assert_eq!(
            (normalized.style_weight, normalized.content_weight),
            (1.0, 1.0)
        );
        assert!(even(&normalized.style_layers) && even(&normalized.content_layers));
        assert_eq!(with("style-loss", "gram"), Preset::Studio.parameters());
    }
}

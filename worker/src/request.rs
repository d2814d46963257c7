//! What a job's parameters mean to the engine: the same words on both sides.

use stylefleet_engine::{self as engine, Request, Source};
use stylefleet_proto::{
    Colors, ContentLoss, Format, LayerWeight, Means, Network, Objective, Optimizer, Parameters,
    Pooling, Precision, Size, StyleLoss, TotalVariation, UnknownLayer,
};

/// The engine's request, known by `identity`.
pub fn request(
    identity: String,
    parameters: &Parameters,
    content: Source,
    styles: Vec<engine::Style>,
    init: engine::Init,
) -> Result<Request, UnknownLayer> {
    Ok(Request {
        identity,
        content,
        styles,
        init,
        size: match parameters.size {
            Size::Longest(side) => engine::Size::Longest(side),
            Size::Exact { width, height } => engine::Size::Exact { width, height },
        },
        objective: objective(&parameters.objective)?,
        colors: match parameters.colors {
            Colors::Style => engine::Colors::Style,
            Colors::Luminance => engine::Colors::Luminance,
            Colors::Match => engine::Colors::Match,
            Colors::Histogram => engine::Colors::Histogram,
        },
        optimizer: match parameters.optimizer {
            Optimizer::Lbfgs => engine::Optimizer::Lbfgs,
            Optimizer::Adam => engine::Optimizer::Adam,
        },
        evaluations: parameters.evaluations,
        coarse_evaluations: parameters.coarse_evaluations,
        scales: parameters.scales,
        stop_below: parameters.stop_below,
        tolerance: parameters.tolerance,
        style_scale: parameters.style_scale,
        stretch_style: parameters.stretch_style,
        precision: match parameters.precision {
            Precision::Auto => engine::Precision::Auto,
            Precision::F32 => engine::Precision::F32,
            Precision::Bf16 => engine::Precision::Bf16,
        },
        seed: parameters.seed,
        average: parameters.average,
    })
}

/// The engine's file format.
pub fn format(format: Format) -> engine::Format {
    match format {
        Format::Png => engine::Format::Png,
        Format::Jpeg => engine::Format::Jpeg,
        Format::Tiff => engine::Format::Tiff,
    }
}

fn objective(objective: &Objective) -> Result<engine::Objective, UnknownLayer> {
    Ok(engine::Objective {
        network: match objective.network {
            Network::Vgg19 => engine::Network::Vgg19,
            Network::Vgg16 => engine::Network::Vgg16,
        },
        means: match objective.means {
            Means::Bgr => engine::Means::Bgr,
            Means::Swapped => engine::Means::Swapped,
        },
        pooling: match objective.pooling {
            Pooling::Max => engine::Pooling::Max,
            Pooling::Average => engine::Pooling::Average,
        },
        content_layers: layers(&objective.content_layers)?,
        content_loss: match objective.content_loss {
            ContentLoss::HalfSum => engine::ContentLoss::HalfSum,
            ContentLoss::Mean => engine::ContentLoss::Mean,
        },
        content_weight: objective.content_weight,
        style_layers: layers(&objective.style_layers)?,
        style_loss: match objective.style_loss {
            StyleLoss::PerPosition => engine::StyleLoss::PerPosition,
            StyleLoss::Notebook => engine::StyleLoss::Notebook,
            StyleLoss::Wasserstein => engine::StyleLoss::Wasserstein,
        },
        style_weight: objective.style_weight,
        total_variation: match objective.total_variation {
            TotalVariation::Notebook => engine::TotalVariation::Notebook,
            TotalVariation::L1 => engine::TotalVariation::L1,
            TotalVariation::L2 => engine::TotalVariation::L2,
        },
        tv_weight: objective.tv_weight,
        strength: objective.strength,
        normalize_gradients: objective.normalize_gradients,
    })
}

fn layers(weights: &[LayerWeight]) -> Result<Vec<engine::LayerWeight>, UnknownLayer> {
    let layer = |entry: &LayerWeight| {
        let layer = engine::Layer::new(entry.layer.block(), entry.layer.convolution())
            .ok_or_else(|| UnknownLayer(entry.layer.to_string()))?;
        Ok(engine::LayerWeight {
            layer,
            weight: entry.weight,
        })
    };
    weights.iter().map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stylefleet_proto::Preset;

    /// Every name that both sides print must mean the same.
    fn assert_same<A: std::fmt::Debug, B: std::fmt::Debug>(ours: &[A], theirs: &[B]) {
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    fn of(parameters: &Parameters) -> Request {
        let source = || Source::new("a", vec![1]);
        let style = |share| engine::Style {
            image: source(),
            share,
            mask: None,
        };
        let styles = vec![style(0.5), style(2.0)];
        let init = engine::Init::Style(1);
        request(String::new(), parameters, source(), styles, init).expect("maps")
    }

    #[test]
    fn every_choice_keeps_its_name() {
        let mut parameters = Preset::default().parameters();
        for (size, other) in [
            (Size::Longest(300), engine::Size::Longest(300)),
            (
                Size::Exact {
                    width: 20,
                    height: 30,
                },
                engine::Size::Exact {
                    width: 20,
                    height: 30,
                },
            ),
        ] {
            parameters.size = size;
            assert_eq!(of(&parameters).size, other);
        }
        for i in 0..12 {
            parameters.colors = Colors::try_from(i % 4).expect("exists");
            let (two, three) = (i % 2, i % 3);
            parameters.precision = Precision::try_from(three).expect("exists");
            parameters.objective.total_variation = TotalVariation::try_from(three).expect("exists");
            parameters.objective.style_loss = StyleLoss::try_from(three).expect("exists");
            parameters.format = Format::try_from(three).expect("exists");
            parameters.optimizer = Optimizer::try_from(two).expect("exists");
            parameters.objective.network = Network::try_from(two).expect("exists");
            parameters.objective.means = Means::try_from(two).expect("exists");
            parameters.objective.pooling = Pooling::try_from(two).expect("exists");
            parameters.objective.content_loss = ContentLoss::try_from(two).expect("exists");
            let request = of(&parameters);
            assert_same(&[parameters.colors], &[request.colors]);
            assert_same(&[parameters.precision], &[request.precision]);
            assert_same(&[parameters.optimizer], &[request.optimizer]);
            assert_same(&[parameters.format], &[format(parameters.format)]);
            let (ours, theirs) = (&parameters.objective, &request.objective);
            assert_same(&[ours.means], &[theirs.means]);
            assert_same(&[ours.network], &[theirs.network]);
            assert_same(&[ours.pooling], &[theirs.pooling]);
            assert_same(&[ours.content_loss], &[theirs.content_loss]);
            assert_same(&[ours.style_loss], &[theirs.style_loss]);
            assert_same(&[ours.total_variation], &[theirs.total_variation]);
        }
    }

    #[test]
    fn every_number_arrives() {
        for preset in Preset::ALL {
            let mut parameters = Parameters {
                evaluations: 11,
                coarse_evaluations: 12,
                scales: 3,
                stop_below: Some(14.0),
                tolerance: 0.15,
                style_scale: 1.6,
                stretch_style: true,
                seed: 17,
                average: 0.9,
                ..preset.parameters()
            };
            parameters.objective.strength = Some(0.7);
            parameters.objective.normalize_gradients = true;
            let request = of(&parameters);
            assert_eq!(request.objective.strength, Some(0.7));
            assert!(request.objective.normalize_gradients);
            assert_eq!(request.average, 0.9);
            assert_eq!(request.evaluations, 11);
            assert_eq!(request.coarse_evaluations, 12);
            assert_eq!(request.scales, 3);
            assert_eq!(request.stop_below, Some(14.0));
            assert_eq!(request.tolerance, 0.15);
            assert_eq!(request.style_scale, 1.6);
            assert!(request.stretch_style);
            assert_eq!(request.seed, 17);
            assert_eq!(
                request.styles.iter().map(|s| s.share).collect::<Vec<_>>(),
                [0.5, 2.0]
            );
            let (ours, theirs) = (&parameters.objective, &request.objective);
            let named = |layers: &[LayerWeight]| -> Vec<_> {
                layers
                    .iter()
                    .map(|l| (l.layer.to_string(), l.weight))
                    .collect()
            };
            let renamed = |layers: &[engine::LayerWeight]| -> Vec<_> {
                layers
                    .iter()
                    .map(|l| (l.layer.to_string(), l.weight))
                    .collect()
            };
            assert_eq!(named(&ours.content_layers), renamed(&theirs.content_layers));
            assert_eq!(named(&ours.style_layers), renamed(&theirs.style_layers));
            assert_eq!(ours.content_weight, theirs.content_weight);
            assert_eq!(ours.style_weight, theirs.style_weight);
            assert_eq!(ours.tv_weight, theirs.tv_weight);
        }
    }
}

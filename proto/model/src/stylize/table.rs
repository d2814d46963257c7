//! The table of parameters: name, type, heading, range, default of each preset, and help.
//!
//! Everything else follows from it: the struct of parameters and its checks, the presets, the
//! options of the command line and their help, the keys of batch files, the reference page, and the
//! fields of the contract's message, whose numbers `stylefleet.proto` assigns. To add a parameter,
//! add a row here and a field there, and use it.

/// Passes the rows to the macro `$use`, after what else is given to it. In a row, the comment is
/// the help; `value` is the placeholder for the value in it; `alias`es are other names; `range` is
/// the range of a number; `special` explains a value with a special meaning; and `default` is the
/// value in a preset.
#[macro_export]
#[doc(hidden)]
macro_rules! with_stylize_parameters {
    ($use:ident, $($before:tt)*) => {
        $use! {
            $($before)*

            /// Longer side in pixels, or exact width and height, 16 to 16384
            size: Size {
                heading: Picture, value: "N|WxH", alias: ["image-size"],
                default: |_| Size::Longest(512),
            }

            /// Where to start: content, noise, style, style:INDEX (from 1), or a file
            init: Init {
                heading: Picture, value: "START", alias: [],
                default: |preset| match preset {
                    Preset::NeuralStyle => Init::Noise,
                    _ => Init::Content,
                },
            }

            /// Keep the content's colours
            ///
            /// luminance: the picture gives the brightness, the content the colours. match,
            /// histogram: before they are used, the styles are recoloured to the content's mean and
            /// covariance, or to its histograms.
            keep_colors: KeepColors {
                heading: Picture, value: "HOW", alias: ["original-colors"],
                default: |_| KeepColors::None,
            }

            /// Seed of the noise, 0 or more
            seed: u64 {
                heading: Picture, value: "N", alias: [],
                default: |_| 0,
            }

            /// File format
            ///
            /// png and tiff are lossless, tiff with 16 bits per channel; jpeg has quality 95.
            format: Format {
                heading: Picture, value: "F", alias: [],
                default: |_| Format::Png,
            }

            /// Strength of the style, the same at every size
            ///
            /// 0 is the content alone, 1 the style alone. Whatever their weights, the losses are
            /// balanced at the content: the style loss there against the content's own variation.
            /// 0.5 is about as strong as the studio preset.
            strength: Option<f64> {
                heading: Objective, value: "X", alias: [], range: 0.0..=1.0,
                special: "none: the weights decide",
                default: |_| None,
            }

            /// Statistics of the styles' activations that are compared
            ///
            /// gram: Gram matrices, in the preset's form. per-position, notebook: these two forms
            /// by name. wasserstein: means and covariances; --style-weight and style layer weights
            /// that are not given are then 1.
            style_loss: StyleLoss {
                heading: Objective, value: "HOW", alias: [],
                default: |preset| match preset {
                    Preset::Notebook => StyleLoss::Notebook,
                    _ => StyleLoss::PerPosition,
                },
            }

            /// Scale each layer so that its gradient is as large as its weight, at every size
            ///
            /// The gradient is measured as the sum of its magnitudes along the layer's activations,
            /// divided by the number of the picture's values, three per pixel. --style-weight,
            /// --content-weight and layer weights that are not given are then 1.
            normalize_gradients: bool {
                heading: Objective, value: "true|false", alias: [],
                default: |_| false,
            }

            /// Weight of the style loss
            style_weight: f64 {
                heading: Objective, value: "X", alias: [], range: 0.0..=1e12,
                default: |preset| match preset {
                    Preset::Studio | Preset::Pastiche => 10.0,
                    Preset::Notebook => 5.0,
                    Preset::Gatys => 1000.0,
                    Preset::NeuralStyle => 100.0,
                },
            }

            /// Weight of the content loss
            content_weight: f64 {
                heading: Objective, value: "X", alias: [], range: 0.0..=1e12,
                default: |preset| match preset {
                    Preset::Studio => 0.3,
                    Preset::Notebook => 0.0,
                    Preset::Gatys => 1.0,
                    Preset::Pastiche => 0.01,
                    Preset::NeuralStyle => 5.0,
                },
            }

            /// Weight of the total variation, which smooths the picture
            tv_weight: f64 {
                heading: Objective, value: "X", alias: [], range: 0.0..=1e12,
                default: |preset| match preset {
                    Preset::Studio => 2e-5,
                    Preset::Notebook => 0.2,
                    Preset::NeuralStyle => 1e-3,
                    Preset::Gatys | Preset::Pastiche => 0.0,
                },
            }

            /// Layers compared with the styles, as in conv1_1=0.5,conv2_1
            ///
            /// From conv1_1 (fine texture) to conv5_4 (large shapes), at most 16, each with a
            /// weight of 0 to 1e6. A layer without a weight gets the preset's for that layer, or 1
            /// if the preset has none.
            style_layers: Layers {
                heading: Objective, value: "LAYER[=W],...", alias: [],
                default: |preset| match preset {
                    Preset::Notebook => {
                        let last = [(1, 2), (2, 2), (3, 4), (4, 4), (5, 4)];
                        Layers::of(last.map(|(block, convolution)| (block, convolution, 0.2)))
                    }
                    Preset::Gatys => Layers::of((1..=5).map(|block| (block, 1, 0.2))),
                    _ => Layers::of((1..=5).zip([64.0, 128.0, 256.0, 512.0, 512.0]).map(
                        |(block, channels): (u8, f64)| (block, 1, 4.0 / (channels * channels)),
                    )),
                },
            }

            /// Layers compared with the content, written like --style-layers
            content_layers: Layers {
                heading: Objective, value: "LAYER[=W],...", alias: [],
                default: |preset| match preset {
                    Preset::Notebook => Layers::default(),
                    _ => Layers::of([(4, 2, 1.0)]),
                },
            }

            /// Form of the content loss
            ///
            /// half-sum: half the sum of the squared differences (Gatys et al.). mean: their mean,
            /// which does not grow with the picture.
            content_loss: ContentLoss {
                heading: Objective, value: "FORM", alias: [],
                default: |preset| match preset {
                    Preset::Notebook | Preset::Gatys => ContentLoss::HalfSum,
                    _ => ContentLoss::Mean,
                },
            }

            /// Form of the total variation
            ///
            /// notebook: the sum of (dx^2 + dy^2)^1.25. l1, l2: the sums of the absolute
            /// differences, or of their squares.
            total_variation: TotalVariation {
                heading: Objective, value: "FORM", alias: [],
                default: |preset| match preset {
                    Preset::Notebook => TotalVariation::Notebook,
                    Preset::NeuralStyle => TotalVariation::L1,
                    _ => TotalVariation::L2,
                },
            }

            /// Network whose activations are compared
            ///
            /// A worker has the weights of one network, and rejects jobs that ask for the other.
            /// VGG16 has no conv3_4, conv4_4 and conv5_4, which the notebook preset uses.
            network: Network {
                heading: Objective, value: "NET", alias: [],
                default: |_| Network::Vgg19,
            }

            /// Pooling in the network
            pooling: Pooling {
                heading: Objective, value: "HOW", alias: [],
                default: |preset| match preset {
                    Preset::Studio => Pooling::Average,
                    _ => Pooling::Max,
                },
            }

            /// Means subtracted from the channels
            ///
            /// bgr: those the network was trained with. swapped: the first and the last exchanged,
            /// as in the 2017 notebook.
            means: Means {
                heading: Objective, value: "WHICH", alias: [],
                default: |preset| match preset {
                    Preset::Notebook => Means::Swapped,
                    _ => Means::Bgr,
                },
            }

            /// Longer side of the styles relative to the picture's
            ///
            /// Larger values make larger brush strokes. It must be 1 if styles are stretched to the
            /// picture, as in the notebook preset.
            style_scale: f64 {
                heading: Objective, value: "X", alias: [], range: 0.1..=4.0,
                default: |_| 1.0,
            }

            /// Stretch the styles to the picture's exact size instead of keeping their shape
            stretch_style: bool {
                heading: Objective, value: "true|false", alias: [],
                default: |preset| preset == Preset::Notebook,
            }

            /// Evaluations of loss and gradient at the full size
            evaluations: u32 {
                heading: Effort, value: "N", alias: ["num-iterations", "num-steps"],
                range: 1..=100_000,
                default: |_| 250,
            }

            /// Evaluations at each coarser scale
            coarse_evaluations: u32 {
                heading: Effort, value: "N", alias: [], range: 1..=100_000,
                default: |_| 100,
            }

            /// Scales from coarse to fine, each twice the size of the one before
            scales: u32 {
                heading: Effort, value: "N", alias: [], range: 0..=10,
                special: "0: chosen by size",
                default: |_| 0,
            }

            /// Stop once the loss at the full size is below this
            stop_below: Option<f64> {
                heading: Effort, value: "LOSS", alias: [], range: Limits::POSITIVE,
                special: "none: never",
                default: |_| None,
            }

            /// Stop a scale once ten iterations improve the loss by less than this fraction
            tolerance: f64 {
                heading: Effort, value: "REL", alias: [], range: 0.0..=1.0,
                special: "0: never",
                default: |_| 0.0,
            }

            /// Method that minimises the objective
            optimizer: Optimizer {
                heading: Effort, value: "O", alias: [],
                default: |_| Optimizer::Lbfgs,
            }

            /// End each scale with an exponential average of its iterations, not with the best
            /// one: the average's decay
            ///
            /// 0.9 averages over about ten iterations.
            average: f64 {
                heading: Effort, value: "DECAY", alias: [], range: 0.0..=0.9999,
                special: "0: no average",
                default: |_| 0.0,
            }

            /// Arithmetic of the network
            ///
            /// auto is what is fastest on the device.
            precision: Precision {
                heading: Effort, value: "P", alias: [],
                default: |_| Precision::Auto,
            }
        }
    };
}

pub(super) use with_stylize_parameters;

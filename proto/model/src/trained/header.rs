//! What a model file says of itself.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::StyleName;
use crate::choice::choice;
use crate::stylize::Parameters;
use crate::{Invalid, Limits, Validate};

/// Under this name the metadata of a model file has its [`Header`].
pub const HEADER: &str = "stylefleet";
/// Version of model files that this program reads and writes.
pub const FORMAT: u32 = 1;
/// Channels that a network may have at the picture's full size.
pub const WIDTHS: RangeInclusive<u32> = 4..=128;
/// Most styles of a network.
pub const MAX_STYLES: usize = 32;

/// Longest text of a header, in bytes.
const MAX_WORDS: usize = 400;
/// Most entries of `made_with`.
const MAX_PARTS: usize = 64;
/// Pairs of convolutions whose result is added to what goes in.
const RESIDUALS: usize = 5;

/// What a model file says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the file: [`FORMAT`].
    pub format: u32,
    /// Which layers the network has.
    pub layout: Layout,
    /// Its channels at the picture's full size: 4 to 128. Inside it has up to four times as many.
    pub width: u32,
    /// Its styles, 1 to 32, no two of the same name.
    pub styles: Vec<StyleName>,
    /// The objective that it was trained for, if that is known.
    pub objective: Option<Parameters>,
    /// How it was trained, if that is known.
    pub training: Option<TrainingRecord>,
    /// Under which terms it may be used, in one line of 1 to 400 bytes.
    pub licence: String,
}

choice! {
    @choice
    /// The layers of a style network.
    Layout {
        /// Those of Johnson, Alahi and Fei-Fei (arXiv 1603.08155), with nearest-neighbour
        /// upsampling and instance normalisation, as in PyTorch's example `fast_neural_style`.
        Johnson = "johnson",
    }
}

/// How a network was trained. Trained again it has the same record, and so the same file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// Steps.
    pub steps: u64,
    /// Side of the samples, in pixels.
    pub size: u32,
    /// Samples of a step.
    pub batch: u32,
    /// Learning rate.
    pub learning_rate: f64,
    /// How strongly it was taught to draw moving things alike.
    #[serde(default)]
    pub temporal_weight: f64,
    /// Seed of the weights, and of the order of the photographs.
    pub seed: u64,
    /// Photographs it was trained on, without those held out.
    pub photographs: u64,
    /// The loss at the end.
    pub loss: f64,
    /// What made it, by name: program, libraries, weights.
    pub made_with: BTreeMap<String, String>,
}

/// A convolution of a network.
struct Convolution {
    name: String,
    outputs: usize,
    inputs: usize,
    kernel: usize,
}

impl Header {
    /// Reads and checks the JSON of a header.
    pub(super) fn read(json: &str) -> Result<Self, Invalid> {
        /// What a header of any version has.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let invalid = |error: serde_json::Error| Invalid::new("header", error.to_string());
        let Version { format } = serde_json::from_str(json).map_err(invalid)?;
        check_format(format)?;
        let header: Self = serde_json::from_str(json).map_err(invalid)?;
        header.validate()?;
        Ok(header)
    }

    /// The name and shape of every tensor of the network, in the order of its layers. A convolution
    /// has a weight, `[outputs, inputs, side, side]`, and a bias; but for the last, it is followed
    /// by a normalisation with a scale and a shift, `[styles, outputs]`.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut shapes = Vec::new();
        let convolutions = convolutions(self.width as usize);
        let last = convolutions.len() - 1;
        for (index, convolution) in convolutions.into_iter().enumerate() {
            let Convolution {
                name,
                outputs,
                inputs,
                kernel,
            } = convolution;
            let mut add = |part: &str, shape: &[usize]| {
                shapes.push((format!("{name}.{part}"), shape.to_vec()));
            };
            add("weight", &[outputs, inputs, kernel, kernel]);
            add("bias", &[outputs]);
            if index < last {
                add("scale", &[self.styles.len(), outputs]);
                add("shift", &[self.styles.len(), outputs]);
            }
        }
        shapes
    }

    /// The place of a style among the network's, from 0.
    pub fn style_index(&self, name: &StyleName) -> Option<usize> {
        self.styles.iter().position(|style| style == name)
    }
}

fn convolutions(width: usize) -> Vec<Convolution> {
    let convolution = |name: &str, outputs, inputs, kernel| Convolution {
        name: name.to_owned(),
        outputs,
        inputs,
        kernel,
    };
    let mut all = vec![
        convolution("down.1", width, 3, 9),
        convolution("down.2", 2 * width, width, 3),
        convolution("down.3", 4 * width, 2 * width, 3),
    ];
    for block in 1..=RESIDUALS {
        for part in 1..=2 {
            let name = format!("residual.{block}.{part}");
            all.push(convolution(&name, 4 * width, 4 * width, 3));
        }
    }
    all.extend([
        convolution("up.1", 2 * width, 4 * width, 3),
        convolution("up.2", width, 2 * width, 3),
        convolution("up.3", 3, width, 9),
    ]);
    all
}

fn check_format(format: u32) -> Result<(), Invalid> {
    if format == FORMAT {
        return Ok(());
    }
    let reason = format!(
        "is {format}, this program reads {FORMAT}: take the program that made it, or a later one"
    );
    Err(Invalid::new("format", reason))
}

impl Validate for Header {
    fn validate(&self) -> Result<(), Invalid> {
        check_format(self.format)?;
        Limits::from(WIDTHS).check("width", self.width.into())?;
        check_names(&self.styles)?;
        let objective = self.objective.as_ref().map(Validate::validate);
        objective
            .unwrap_or(Ok(()))
            .map_err(|invalid| invalid.within("objective"))?;
        check_words("licence", &self.licence)?;
        if self.licence.trim().is_empty() {
            return Err(Invalid::new("licence", "is empty: say what is known of it"));
        }
        let Some(TrainingRecord { made_with, .. }) = &self.training else {
            return Ok(());
        };
        if made_with.len() > MAX_PARTS {
            let reason = format!("has {} entries, at most {MAX_PARTS}", made_with.len());
            return Err(Invalid::new("made_with", reason));
        }
        let mut words = made_with.iter().flat_map(|(name, version)| [name, version]);
        words.try_for_each(|words| check_words("made_with", words))
    }
}

/// Refuses none, too many, or two of the same name.
pub(crate) fn check_names<'a>(
    names: impl IntoIterator<Item = &'a StyleName, IntoIter: ExactSizeIterator>,
) -> Result<(), Invalid> {
    let names = names.into_iter();
    if names.len() == 0 || names.len() > MAX_STYLES {
        let reason = format!("are {}, must be 1 to {MAX_STYLES}", names.len());
        return Err(Invalid::new("styles", reason));
    }
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Invalid::new("styles", format!("name {name} twice")));
        }
    }
    Ok(())
}

/// Refuses a text that is too long, or not on one line.
fn check_words(field: &str, text: &str) -> Result<(), Invalid> {
    if text.len() > MAX_WORDS || text.contains(char::is_control) {
        let reason = format!("has control characters, or more than {MAX_WORDS} bytes");
        return Err(Invalid::new(field, reason));
    }
    Ok(())
}

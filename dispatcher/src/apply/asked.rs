//! What can be asked of a network, with `apply` and with `submit --model` alike.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use stylefleet_model::stylize::{self, Overrides};

use super::ApplyPlan;
use super::options::PARAMETERS;
use crate::images::buckets::Buckets;
use crate::models::file::ModelFile;
use crate::order::{BadOption, OrderError};
use crate::stylize::options::Options;

/// What was typed, apart from the model.
#[derive(Debug, Default)]
pub struct Asked {
    /// The pictures to redraw.
    pub contents: Vec<PathBuf>,
    /// Whether folders are taken with their subfolders.
    pub recursive: bool,
    /// Styles as `NAME` or `NAME=WEIGHT`; none: all that the model has.
    pub styles: Vec<String>,
    /// Where they count, if that was said.
    pub masks: Option<Vec<PathBuf>>,
    /// Whether they blend, if that was said.
    pub blend: Option<bool>,
    /// The [`PARAMETERS`].
    pub parameters: Overrides,
    /// Largest image accepted, in pixels.
    pub max_pixels: Option<NonZero<u64>>,
}

impl Asked {
    /// What the options of pictures ask of a network. Those that networks do not have are refused.
    pub fn of_pictures(options: Options) -> Result<Self, OrderError> {
        let given = &options.parameters;
        let preset = given.preset.map(|_| "preset".to_owned());
        let is_unknown = |field: &&str| !PARAMETERS.contains(field);
        let fields = given.given().into_iter().filter(is_unknown);
        let names = fields.map(|field| field.replace('_', "-"));
        if let Some(name) = preset.into_iter().chain(names).next() {
            let option = format!("--{name}");
            return Err(BadOption::new(option, "has no meaning with --model").into());
        }
        let styles = options.style.into_iter().flatten();
        Ok(Self {
            contents: options.content.unwrap_or_default(),
            recursive: options.recursive.unwrap_or(false),
            styles: styles.map(|s| s.to_string_lossy().into_owned()).collect(),
            masks: options.mask,
            blend: options.blend,
            parameters: options.parameters.0,
            max_pixels: options.max_pixels,
        })
    }

    /// Resolves it. The contents are found, but not opened; the model is read.
    pub async fn plan(self, model: &Path, buckets: &Buckets) -> Result<ApplyPlan, OrderError> {
        let model = ModelFile::open(model, buckets).await?;
        let contents = self.contents.iter().map(PathBuf::as_path);
        let listings = buckets.list(contents).await?;
        Ok(ApplyPlan::new(self, model, &listings)?)
    }

    /// How the pictures are made, but for the styles.
    pub fn parameters(&self) -> stylize::Parameters {
        self.parameters.parameters()
    }
}

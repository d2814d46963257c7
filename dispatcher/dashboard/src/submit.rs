//! Submitting jobs from the page. Which kinds there are, and what may be asked of them, is not this
//! crate's to know: whoever opens a dashboard brings it as [`Orders`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stylefleet_fleet::live::Live;

/// Takes what people ask for.
#[async_trait]
pub trait Orders: Send + Sync {
    /// What may be asked for.
    fn offer(&self) -> Offer;

    /// The image of a style that is offered.
    fn style(&self, name: &str) -> Option<Bytes>;

    /// Checks a picture, and brings it into the store.
    async fn image(&self, name: &str, bytes: Bytes) -> Result<ImageDocument, Refused>;

    /// Submits jobs to a fleet.
    async fn submit(&self, wish: Wish, fleet: &Live) -> Result<Ordered, Refused>;
}

/// What may be asked for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Offer {
    /// Named sets of parameters, the usual one first.
    pub presets: Vec<PresetOffer>,
    /// Parameters that may be given beside them.
    pub parameters: Vec<ParameterOffer>,
    /// Styles that are at hand.
    pub styles: Vec<StyleOffer>,
}

/// A named set of parameters.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PresetOffer {
    /// Its name.
    pub name: String,
    /// What it is.
    pub help: String,
}

/// A parameter.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ParameterOffer {
    /// Its name in `parameters` of a request.
    pub field: String,
    /// What it does.
    pub help: String,
    /// What its values look like, as in `N`.
    pub value: String,
    /// Under which heading the command line has it.
    pub heading: String,
    /// The words that are allowed; empty, where it is no word.
    pub choices: Vec<String>,
    /// Its value in each preset, by the preset's name.
    pub defaults: BTreeMap<String, String>,
}

/// A style that is at hand.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct StyleOffer {
    /// What it is called.
    pub name: String,
}

/// A picture in the store, as an input of jobs.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ImageDocument {
    /// Hash of the file.
    pub sha256: String,
    /// What it is called.
    pub name: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// A picture that a request names.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct Picked {
    /// Hash of the file, which is in the store.
    pub sha256: String,
    /// What it is called.
    pub name: String,
}

/// What somebody asks for: each content in each style.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct Wish {
    /// The batch's name; null: derived from what is asked.
    #[serde(default)]
    pub name: Option<String>,
    /// The pictures to redraw.
    pub contents: Vec<Picked>,
    /// The pictures in whose style.
    pub styles: Vec<Picked>,
    /// All styles together, instead of one after the other.
    #[serde(default)]
    pub blend: bool,
    /// The preset; null: the usual one.
    #[serde(default)]
    pub preset: Option<String>,
    /// Parameters beside it, by field.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// high, normal or low; null: normal.
    #[serde(default)]
    pub priority: Option<String>,
    /// Keeps a progress picture after every so many steps; null: none.
    #[serde(default)]
    pub preview_every: Option<u32>,
}

/// What was submitted.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Ordered {
    /// The batch.
    pub batch: String,
    /// Results that it was asked for now.
    pub results: usize,
    /// Jobs that the broker took.
    pub accepted: usize,
    /// Jobs that it had taken before.
    pub pending: usize,
    /// Jobs that were done before.
    pub done: usize,
}

/// Why something cannot be submitted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What was asked for is invalid.
    #[error("{0}")]
    Invalid(String),
    /// Store or broker are in the way.
    #[error("{0}")]
    Away(String),
}

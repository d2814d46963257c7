//! What the engine is asked to do.

use stylefleet_model::Valid;
use stylefleet_model::stylize::Parameters;

use crate::Source;

/// One picture to make.
#[derive(Debug, Clone)]
pub struct Request {
    /// What the request is known by: a checkpoint is taken by one of the same identity alone.
    pub identity: String,
    /// The picture to redraw.
    pub content: Source,
    /// The styles to blend, at least one.
    pub styles: Vec<Style>,
    /// The image to start from, where the parameters say that it is one of the request's own.
    pub start: Option<Source>,
    /// How to redraw it.
    pub parameters: Valid<Parameters>,
}

/// A style of the blend.
#[derive(Debug, Clone)]
pub struct Style {
    /// The painting.
    pub image: Source,
    /// How much it counts relative to the others.
    pub share: f64,
    /// Where in the picture it counts: white everything, black nothing; stretched to the picture.
    /// None: everywhere.
    pub mask: Option<Source>,
}

//! The kind of job that redraws one picture in the style of others, by optimising its pixels
//! (Gatys, Ecker and Bethge, arXiv 1508.06576).

mod choices;
mod layer;
mod parameters;
mod preset;
mod specification;
mod table;
mod values;

pub use choices::{
    ContentLoss, Format, KeepColors, Means, Network, Optimizer, Pooling, Precision, StyleLoss,
    TotalVariation,
};
pub use layer::{Layer, UnknownLayer};
pub use parameters::{Overrides, Parameters, table};
pub use preset::Preset;
pub use specification::{MAX_STYLES, Stylize};
pub use values::{
    Init, LayerWeight, Layers, MAX_SHARE, MAX_SIDE, MIN_SIDE, Size, Start, WrittenLayers, fitted,
};

//! The options of `apply`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Arg;
use stylefleet_model::Parameter;
use stylefleet_model::stylize::{self, Overrides};

use super::{ApplyPlan, Asked};
use crate::images::buckets::Buckets;
use crate::local::WHOLE;
use crate::order::{Order, OrderError};
use crate::table::{self, Table, TableArgs};

/// The parameters of pictures that networks have too.
pub const PARAMETERS: [&str; 4] = ["size", "keep_colors", "format", "precision"];

/// The options of `apply`.
#[derive(Debug, clap::Args)]
pub struct ApplyOptions {
    /// Pictures to redraw: files, folders (the images in them), patterns, as in 'photos/*.jpg', or
    /// s3://...
    #[arg(required = true)]
    content: Vec<PathBuf>,

    /// The model to redraw them with
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Style of the model to redraw them in; give it several times for several styles [default: all
    /// that the model has]
    ///
    /// Without weights, every content is redrawn in every style. With a weight on any style, or
    /// with --blend, every content is redrawn once, in a blend of all styles. WEIGHT: share in
    /// the blend relative to the others, greater than 0, at most 1e6, 1 where there is none.
    #[arg(long, value_name = "NAME[=WEIGHT]")]
    style: Vec<String>,

    /// Where in the picture a style counts: an image, white for everywhere, black for nowhere,
    /// greys between; as many as styles, in their order, none for a style that counts everywhere
    ///
    /// Masks are stretched to the picture, and styles that have any blend. Where no style counts,
    /// the content stays as it is.
    #[arg(long, value_name = "IMAGE")]
    mask: Option<Vec<PathBuf>>,

    /// Blend all styles into one picture per content [default: only if a style has a weight]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    blend: Option<bool>,

    /// Take the images in subfolders of a folder too; the pictures land in subfolders of the same
    /// names
    #[arg(long)]
    recursive: bool,

    #[command(flatten)]
    parameters: TableArgs<Shared>,

    /// Largest image accepted, in pixels, 1 or more [default: 100 million]
    #[arg(long, value_name = "N", help_heading = WHOLE)]
    max_pixels: Option<NonZero<u64>>,
}

/// The [`PARAMETERS`].
#[derive(Debug, Clone, Default)]
struct Shared(Overrides);

impl Table for Shared {
    fn options() -> Vec<Arg> {
        let rows = stylize::table().iter();
        let rows = rows.filter(|row| PARAMETERS.contains(&row.field));
        rows.map(|row| table::option::<Self>(&of_networks(row)))
            .collect()
    }

    fn give(&mut self, name: &str, written: &str) -> Result<bool, String> {
        self.0.give(name, written)
    }
}

/// The row as it is for networks: the content's size is usual, and there are no images of styles
/// that could be recoloured.
fn of_networks(row: &Parameter) -> Parameter {
    let row = row.clone();
    match row.field {
        "size" => Parameter {
            default: Some("the content's own".to_owned()),
            ..row
        },
        "keep_colors" => Parameter {
            about: &[
                "Keep the content's colours",
                "",
                "luminance: the picture gives the brightness, the content the colours.",
            ],
            choices: Some("none, luminance".to_owned()),
            ..row
        },
        _ => row,
    }
}

impl Order for ApplyOptions {
    type Plan = ApplyPlan;

    async fn plan(self, buckets: &Buckets) -> Result<ApplyPlan, OrderError> {
        let asked = Asked {
            contents: self.content,
            recursive: self.recursive,
            styles: self.style,
            masks: self.mask,
            blend: self.blend,
            parameters: self.parameters.0.0,
            max_pixels: self.max_pixels,
        };
        asked.plan(&self.model, buckets).await
    }
}

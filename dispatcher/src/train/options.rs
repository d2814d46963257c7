//! The options of `train` and `submit-train`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Arg;
use stylefleet_model::stylize::Overrides;
use stylefleet_model::train::{self, objective};

use super::plan::TrainPlan;
use crate::images::buckets::Buckets;
use crate::local::WHOLE;
use crate::order::{Order, OrderError};
use crate::stylize::parameters;
use crate::table::{self, Table, TableArgs};

/// The options of `train` and `submit-train`.
#[derive(Debug, clap::Args)]
pub struct TrainOptions {
    /// Style to train the network for: an image, and what the style is called in the model; give it
    /// several times for several styles, at most 32
    ///
    /// Without NAME it is called as the file is, without its ending.
    #[arg(long, value_name = "IMAGE[=NAME]", required = true)]
    pub style: Vec<PathBuf>,

    /// Photographs to train it on: files, folders (the images in them), patterns, as in
    /// 'photos/*.jpg', or s3://...; may be given several times
    #[arg(long, value_name = "PHOTOS", num_args = 1.., required = true)]
    pub photos: Vec<PathBuf>,

    /// Take the images in subfolders of a folder too
    #[arg(long)]
    pub recursive: bool,

    #[command(flatten)]
    pub training: TableArgs<train::Overrides>,

    #[command(flatten)]
    pub objective: TableArgs<Objective>,

    /// Largest image accepted, in pixels, 1 or more [default: 100 million]
    #[arg(long, value_name = "N", help_heading = WHOLE)]
    pub max_pixels: Option<NonZero<u64>>,
}

impl Table for train::Overrides {
    fn options() -> Vec<Arg> {
        train::table().iter().map(table::option::<Self>).collect()
    }

    fn give(&mut self, name: &str, written: &str) -> Result<bool, String> {
        self.set(name, written).map_err(|invalid| invalid.reason)
    }
}

/// The parameters of pictures that networks are trained for.
#[derive(Debug, Clone, Default)]
pub struct Objective(pub Overrides);

impl Table for Objective {
    fn options() -> Vec<Arg> {
        parameters::options::<Self>("the objective's parameters", objective())
    }

    fn give(&mut self, name: &str, written: &str) -> Result<bool, String> {
        self.0.give(name, written)
    }
}

impl Order for TrainOptions {
    type Plan = TrainPlan;

    async fn plan(self, buckets: &Buckets) -> Result<TrainPlan, OrderError> {
        let photos = self.photos.iter().map(PathBuf::as_path);
        let listings = buckets.list(photos).await?;
        Ok(TrainPlan::new(self, &listings)?)
    }
}

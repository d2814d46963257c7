//! Jobs of the kind `stylize`: pictures in the style of others. Options and batch files are read,
//! every content is found and every picture named, and a job comes of each.

pub mod batch_file;
mod jobs;
pub mod manual;
pub mod options;
mod orders;
pub mod parameters;
pub mod plan;
pub mod styles;

use std::path::{Path, PathBuf};

use crate::images::buckets::Buckets;
use crate::order::{Order, OrderError};

use options::Options;
pub use orders::PictureOrders;
use plan::{Asked, PicturePlan, PlanError};

/// The options of `run` for pictures in the style of others.
#[derive(Debug, clap::Args)]
pub struct RunOptions {
    #[command(flatten)]
    pub(crate) options: Options,

    /// Take contents, styles and options from a batch file, described below
    ///
    /// Options on the command line win over the file's defaults, a job's own win over both.
    #[arg(long, value_name = "batch.toml")]
    file: Option<PathBuf>,
}

impl Order for RunOptions {
    type Plan = PicturePlan;

    async fn plan(self, buckets: &Buckets) -> Result<PicturePlan, OrderError> {
        plan(self.options, self.file.as_deref(), buckets).await
    }
}

/// What these options come to, over those of a batch file if there is one.
pub async fn plan(
    options: Options,
    file: Option<&Path>,
    buckets: &Buckets,
) -> Result<PicturePlan, OrderError> {
    let mut asked = Asked::read(options, file)?;
    let listings = buckets
        .list(asked.contents().map(|content| content.as_path()))
        .await?;
    Ok(PicturePlan::new(asked, &listings)?)
}

impl From<PlanError> for OrderError {
    fn from(error: PlanError) -> Self {
        Self::Usage(error.into())
    }
}

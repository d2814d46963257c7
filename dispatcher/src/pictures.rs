//! The two ways to a picture: its pixels are optimised, or, with `--model`, a trained network
//! redraws it.

use std::path::PathBuf;

use crate::apply::{ApplyPlan, Asked};
use crate::images::buckets::Buckets;
use crate::local::Machine;
use crate::order::{Order, OrderError, Plan, Request, Uploader};
use crate::reporter::Reporter;
use crate::stylize::options::Options;
use crate::stylize::plan;
use crate::stylize::plan::PicturePlan;

/// The options of `submit`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("style", |style| style.required_unless_present("model")))]
pub struct SubmitOptions {
    #[command(flatten)]
    options: Options,

    /// Redraw the contents with this model, as `apply` does; its styles go by their names
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    model: Option<PathBuf>,

    /// Take contents, styles and options from a batch file, as `run` does
    ///
    /// Its out, device, threads and memory are for `run` alone, and passed over.
    #[arg(long, value_name = "batch.toml")]
    file: Option<PathBuf>,
}

/// What they come to.
pub enum Pictures {
    /// Pixels are optimised.
    Optimised(PicturePlan),
    /// A network redraws.
    Applied(Box<ApplyPlan>),
}

impl Order for SubmitOptions {
    type Plan = Pictures;

    async fn plan(self, buckets: &Buckets) -> Result<Pictures, OrderError> {
        Ok(match self.model {
            Some(model) => {
                let asked = Asked::of_pictures(self.options)?;
                let plan = asked.plan(&model, buckets).await?;
                Pictures::Applied(plan.into())
            }
            None => {
                let plan = plan(self.options, self.file.as_deref(), buckets).await?;
                Pictures::Optimised(plan)
            }
        })
    }
}

impl Plan for Pictures {
    fn machine(&self) -> Machine {
        match self {
            Self::Optimised(plan) => plan.machine(),
            Self::Applied(plan) => plan.machine(),
        }
    }

    fn results(&self) -> usize {
        match self {
            Self::Optimised(plan) => plan.results(),
            Self::Applied(plan) => plan.results(),
        }
    }

    async fn requests(
        self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Vec<Request>, OrderError> {
        match self {
            Self::Optimised(plan) => plan.requests(uploader, reporter).await,
            Self::Applied(plan) => plan.requests(uploader, reporter).await,
        }
    }
}

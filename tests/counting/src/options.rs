//! How such jobs are asked for.

use std::path::PathBuf;

use stylefleet_dispatcher::{Buckets, Order, OrderError, Plan, Reporter, Request, Uploader};
use stylefleet_model::{Name, Valid};
use stylefleet_proto::Input;

use crate::{Asked, Counting};

/// The options of `run` and `submit`.
#[derive(Debug, clap::Args)]
pub struct CountingOptions {
    /// Files that say how the counting goes: a job each
    #[arg(required = true)]
    courses: Vec<PathBuf>,

    /// The last number
    #[arg(long)]
    to: u64,

    /// Milliseconds of rest after each number
    #[arg(long, default_value_t = 0)]
    pause: u64,
}

/// What they come to.
#[derive(Debug)]
pub struct CountingPlan {
    courses: Vec<PathBuf>,
    asked: Asked,
}

impl Order for CountingOptions {
    type Plan = CountingPlan;

    async fn plan(self, _: &Buckets) -> Result<CountingPlan, OrderError> {
        let counting = Counting {
            to: self.to,
            pause: self.pause,
        };
        Ok(CountingPlan {
            courses: self.courses,
            asked: Asked(Valid::new(counting).map_err(|e| OrderError::Usage(e.into()))?),
        })
    }
}

impl Plan for CountingPlan {
    fn results(&self) -> usize {
        self.courses.len()
    }

    async fn requests(
        self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Vec<Request>, OrderError> {
        let mut requests = Vec::new();
        for path in self.courses {
            let name: Name = path.display().to_string().parse()?;
            let course = match std::fs::read(&path) {
                Ok(course) => course,
                Err(error) => {
                    reporter.refuse(name.as_ref(), &error.to_string());
                    continue;
                }
            };
            let course = Input {
                role: Counting::course()?,
                sha256: uploader.upload(course.into()).await?,
                name: name.clone(),
            };
            requests.push(Request::new(name, &self.asked, vec![course])?);
        }
        Ok(requests)
    }
}

//! Pictures redrawn in the style of others.

use async_trait::async_trait;
use stylefleet_engine::tasks::stylize::{Request, Style};
use stylefleet_model::{Valid, stylize};
use stylefleet_proto::{Job, Specification};

use super::{Assignment, Kind, source, source_if_any};
use crate::failure::Failure;
use crate::inputs::Inputs;

/// The kind `stylize`.
pub struct Stylize;

/// What such a job asks for.
type Asked = Valid<stylize::Stylize>;

#[async_trait]
impl Kind for Stylize {
    fn name(&self) -> &'static str {
        Asked::KIND
    }

    async fn prepare(&self, job: &Job, inputs: &Inputs) -> Result<Assignment, Failure> {
        let asked: Asked = job.specification()?;
        let request = Request {
            identity: job.id.to_string(),
            content: source(job, inputs, stylize::Stylize::content()).await?,
            styles: styles(job, inputs, &asked).await?,
            start: source_if_any(job, inputs, &stylize::Stylize::start()).await?,
            parameters: asked.parameters(),
        };
        Assignment::new(request, &*asked)
    }
}

/// The styles of a blend, which frames of videos have too.
pub(super) async fn styles(
    job: &Job,
    inputs: &Inputs,
    asked: &stylize::Stylize,
) -> Result<Vec<Style>, Failure> {
    let mut styles = Vec::with_capacity(asked.weights.len());
    for (index, weight) in asked.weights.iter().enumerate() {
        styles.push(Style {
            image: source(job, inputs, stylize::Stylize::style(index)).await?,
            share: *weight,
            mask: source_if_any(job, inputs, &stylize::Stylize::mask(index)).await?,
        });
    }
    Ok(styles)
}

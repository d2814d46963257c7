//! Pictures redrawn in the style of others.

use std::sync::Arc;

use async_trait::async_trait;
use stylefleet_engine::Source;
use stylefleet_engine::tasks::stylize::{Request, Style};
use stylefleet_model::{Valid, stylize};
use stylefleet_proto::{Job, Role, Specification};

use super::{Assignment, Kind};
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
        let specification = serde_json::to_value(&*asked);
        let specification = specification.map_err(|source| Failure::Document {
            what: "what was asked".to_owned(),
            source,
        })?;
        let task = Arc::new(request(&asked, job, inputs).await?);
        Ok(Assignment {
            task,
            specification,
        })
    }
}

/// The request, with the images that the job names.
async fn request(asked: &Asked, job: &Job, inputs: &Inputs) -> Result<Request, Failure> {
    let mut styles = Vec::with_capacity(asked.weights.len());
    for (index, weight) in asked.weights.iter().enumerate() {
        styles.push(Style {
            image: image(job, inputs, stylize::Stylize::style(index)).await?,
            share: *weight,
            mask: image_if_any(job, inputs, stylize::Stylize::mask(index)).await?,
        });
    }
    Ok(Request {
        identity: job.id.to_string(),
        content: image(job, inputs, stylize::Stylize::content()).await?,
        styles,
        start: image_if_any(job, inputs, stylize::Stylize::start()).await?,
        parameters: asked.parameters(),
    })
}

async fn image(job: &Job, inputs: &Inputs, role: Role) -> Result<Source, Failure> {
    let image = image_if_any(job, inputs, role.clone()).await?;
    image.ok_or(Failure::NoInput(role))
}

async fn image_if_any(job: &Job, inputs: &Inputs, role: Role) -> Result<Option<Source>, Failure> {
    let Some(input) = job.input(&role) else {
        return Ok(None);
    };
    let bytes = inputs.get(input).await?;
    Ok(Some(Source::new(input.name.clone(), bytes.into())))
}

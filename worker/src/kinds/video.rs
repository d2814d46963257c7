//! Chunks of videos, redrawn frame by frame.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stylefleet_engine::tasks::video::{ClipFile, FlowFile, Inputs as Redrawn, Request};
use stylefleet_engine::{Cause, Error, Tools};
use stylefleet_model::apply::Apply;
use stylefleet_model::video::{self, Way};
use stylefleet_model::{Digest, Valid};
use stylefleet_proto::{Input, Job, Specification};

use super::apply::{LastModel, masks};
use super::stylize::styles;
use super::{Assignment, Kind};
use crate::failure::Failure;
use crate::inputs::Inputs;

/// The kind `video`.
#[derive(Default)]
pub struct Video {
    /// The clip of the last job: the chunks of a video share one.
    last: Mutex<Option<(Digest, ClipFile)>>,
    model: LastModel,
    /// The programs, once they were found.
    tools: Mutex<Option<Tools>>,
}

/// What such a job asks for.
type Asked = Valid<video::Video>;

#[async_trait]
impl Kind for Video {
    fn name(&self) -> &'static str {
        Asked::KIND
    }

    async fn prepare(&self, job: &Job, inputs: &Inputs) -> Result<Assignment, Failure> {
        let asked: Asked = job.specification()?;
        let tools = self.tools().await?;
        let role = video::Video::clip();
        let clip = job.input(&role).ok_or(Failure::NoInput(role))?;
        let request = Request {
            identity: job.id.to_string(),
            clip: self.clip(clip, inputs).await?,
            tools,
            inputs: match &asked.way {
                Way::Optimize { picture, .. } => {
                    let flow = flow(job, inputs).await?;
                    Redrawn::Styles(styles(job, inputs, picture).await?, flow)
                }
                Way::Apply(apply) => self.network(job, inputs, apply).await?,
            },
            asked: asked.clone(),
        };
        Assignment::new(request, &*asked)
    }
}

impl Video {
    /// A network, and where its styles count.
    async fn network(&self, job: &Job, inputs: &Inputs, apply: &Apply) -> Result<Redrawn, Failure> {
        let role = Apply::model();
        let input = job.input(&role).ok_or(Failure::NoInput(role))?;
        let model = self.model.model(input, inputs).await?;
        Ok(Redrawn::Model(model, masks(job, inputs, apply).await?))
    }

    /// The programs that read and write videos.
    async fn tools(&self) -> Result<Tools, Failure> {
        let known = || self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tools) = known().clone() {
            return Ok(tools);
        }
        let found = tokio::task::spawn_blocking(|| Tools::find(None)).await?;
        let found = found.map_err(|error| Error::Ffmpeg(Cause::of(error)))?;
        known().replace(found.clone());
        Ok(found)
    }

    /// The clip, fetched unless it is there already. The one before is removed first.
    async fn clip(&self, input: &Input, inputs: &Inputs) -> Result<ClipFile, Failure> {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = last().take().filter(|(sha256, _)| *sha256 == input.sha256);
        let (path, held) = match kept {
            Some((_, kept)) => (kept.path, kept.held),
            None => {
                let file = inputs.file(input).await?;
                // What is started by this process finds it there.
                let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
                (path.into(), Some(Arc::new(file)))
            }
        };
        let clip = ClipFile {
            name: input.name.to_string(),
            path,
            held,
        };
        last().replace((input.sha256, clip.clone()));
        Ok(clip)
    }
}

/// The optical flow that others have computed, if it is given.
async fn flow(job: &Job, inputs: &Inputs) -> Result<Option<FlowFile>, Failure> {
    match job.input(&video::Video::flow()) {
        None => Ok(None),
        Some(input) => Ok(Some(FlowFile(Arc::new(inputs.file(input).await?)))),
    }
}

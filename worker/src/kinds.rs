//! The kinds of jobs that a worker does.

mod apply;
mod stylize;
mod train;
mod video;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use stylefleet_engine::{Source, Task};
use stylefleet_proto::{Job, Role};

use crate::failure::Failure;
use crate::inputs::Inputs;
use apply::Apply;
use stylize::Stylize;
use train::Train;
use video::Video;

/// A kind of job: turns jobs into tasks for the engine.
#[async_trait]
pub trait Kind: Send + Sync {
    /// Its name in jobs.
    fn name(&self) -> &'static str;

    /// Reads the specification of `job`, and fetches its inputs.
    async fn prepare(&self, job: &Job, inputs: &Inputs) -> Result<Assignment, Failure>;
}

/// A job that is ready for the engine.
#[derive(Debug)]
pub struct Assignment {
    /// What the engine has to do.
    pub task: Arc<dyn Task>,
    /// The specification, as the job's record will show it.
    pub specification: serde_json::Value,
}

impl Assignment {
    /// A task for what was `asked`.
    fn new(task: impl Task + 'static, asked: &impl Serialize) -> Result<Self, Failure> {
        let specification = serde_json::to_value(asked);
        let specification = specification.map_err(|source| Failure::Document {
            what: "what was asked".to_owned(),
            source,
        })?;
        Ok(Self {
            task: Arc::new(task),
            specification,
        })
    }
}

/// The input of that role, which the job must have.
async fn source(job: &Job, inputs: &Inputs, role: Role) -> Result<Source, Failure> {
    let source = source_if_any(job, inputs, &role).await?;
    source.ok_or(Failure::NoInput(role))
}

/// The input of that role, if the job has it.
async fn source_if_any(job: &Job, inputs: &Inputs, role: &Role) -> Result<Option<Source>, Failure> {
    let Some(input) = job.input(role) else {
        return Ok(None);
    };
    let bytes = inputs.get(input).await?;
    Ok(Some(Source::new(input.name.clone(), bytes.into())))
}

/// The kinds that a worker knows, by their names.
#[derive(Default)]
pub struct Kinds(BTreeMap<&'static str, Box<dyn Kind>>);

impl Kinds {
    /// Those that every worker knows.
    pub fn standard() -> Self {
        Self::default()
            .with(Apply::default())
            .with(Stylize)
            .with(Train)
            .with(Video::default())
    }

    /// These and `kind`.
    pub fn with(mut self, kind: impl Kind + 'static) -> Self {
        self.0.insert(kind.name(), Box::new(kind));
        self
    }

    /// The label of the kind in metrics. A name that comes from outside could be anything.
    pub(crate) fn label(&self, name: &Role) -> &'static str {
        let known = self.0.get_key_value(name.as_ref());
        known.map_or("unknown", |(name, _)| name)
    }

    /// All their labels.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The kind of that name.
    pub(crate) fn get(&self, name: &Role) -> Result<&dyn Kind, Failure> {
        let kind = self.0.get(name.as_ref());
        kind.map(|kind| &**kind)
            .ok_or_else(|| Failure::UnknownKind {
                kind: name.clone(),
                known: self.0.keys().copied().collect(),
            })
    }
}

#[cfg(test)]
mod tests;

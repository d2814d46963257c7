//! The kinds of jobs that a worker does.

mod stylize;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use stylefleet_engine::Task;
use stylefleet_proto::{Job, Role};

use crate::failure::Failure;
use crate::inputs::Inputs;
use stylize::Stylize;

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

/// The kinds that a worker knows, by their names.
#[derive(Default)]
pub struct Kinds(BTreeMap<&'static str, Box<dyn Kind>>);

impl Kinds {
    /// Those that every worker knows.
    pub fn standard() -> Self {
        Self::default().with(Stylize)
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
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_is_for_workers_that_know_it() {
        let kinds = Kinds::standard();
        let name = |name: &str| name.parse::<Role>().expect("a name");
        assert!(kinds.get(&name("stylize")).is_ok());
        let refused = kinds.get(&name("train")).err().expect("is unknown");
        assert!(refused.is_retryable());
        let refused = refused.to_string();
        for part in ["train", "stylize"] {
            assert!(refused.contains(part), "{refused}");
        }
    }
}

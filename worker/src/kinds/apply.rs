//! Pictures redrawn by a trained network.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use stylefleet_engine::Source;
use stylefleet_engine::tasks::apply::{Model, Request};
use stylefleet_model::{Valid, apply};
use stylefleet_proto::{Input, Job, Specification};

use super::{Assignment, Kind, source, source_if_any};
use crate::failure::Failure;
use crate::inputs::Inputs;

/// The kind `apply`.
#[derive(Default)]
pub struct Apply {
    last: LastModel,
}

/// The model of the last job: the pictures of a batch share one, and so do the chunks of a video,
/// and to read it again takes longer than to apply it.
#[derive(Default)]
pub(super) struct LastModel(Mutex<Option<Model>>);

/// What such a job asks for.
type Asked = Valid<apply::Apply>;

#[async_trait]
impl Kind for Apply {
    fn name(&self) -> &'static str {
        Asked::KIND
    }

    async fn prepare(&self, job: &Job, inputs: &Inputs) -> Result<Assignment, Failure> {
        let asked: Asked = job.specification()?;
        let role = apply::Apply::model();
        let model = job.input(&role).ok_or(Failure::NoInput(role))?;
        let request = Request {
            identity: job.id.to_string(),
            content: source(job, inputs, apply::Apply::content()).await?,
            model: self.last.model(model, inputs).await?,
            masks: masks(job, inputs, &asked).await?,
            asked: asked.clone(),
        };
        Assignment::new(request, &*asked)
    }
}

impl LastModel {
    /// The model as it is in its file: the engine reads it, unless it has it already.
    pub(super) async fn model(&self, input: &Input, inputs: &Inputs) -> Result<Model, Failure> {
        let last = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = last().clone().filter(|last| last.sha256 == input.sha256);
        let bytes = match kept {
            Some(kept) => kept.bytes,
            None => inputs.get(input).await?.to_vec().into(),
        };
        let model = Model {
            name: input.name.to_string(),
            sha256: input.sha256,
            bytes,
        };
        last().replace(model.clone());
        Ok(model)
    }
}

/// Where each style counts, in pictures and in frames of videos.
pub(super) async fn masks(
    job: &Job,
    inputs: &Inputs,
    asked: &apply::Apply,
) -> Result<Vec<Option<Source>>, Failure> {
    let mut masks = Vec::with_capacity(asked.styles.len());
    for index in 0..asked.styles.len() {
        masks.push(source_if_any(job, inputs, &apply::Apply::mask(index)).await?);
    }
    Ok(masks)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stylefleet_proto::testing::input;
    use stylefleet_proto::{Digest, keys};
    use stylefleet_transport::store::{MemoryStore, Store};

    use super::*;

    #[tokio::test]
    async fn the_pictures_of_a_batch_share_a_model() {
        let store = Arc::new(MemoryStore::default());
        let (inputs, last) = (Inputs::new(store.clone(), None), LastModel::default());
        let [one, two] = [&b"one"[..], b"two"].map(|file| input(apply::Apply::model(), file));
        let key = keys::input(&Digest::of(b"one"));
        store.put(&key, "one".into()).await.expect("writes");
        let read = last.model(&one, &inputs).await.expect("is there");
        store.delete(&key).await.expect("removes");
        let named = Input {
            name: "other.safetensors".parse().expect("a name"),
            ..one.clone()
        };
        let kept = last.model(&named, &inputs).await.expect("is kept");
        assert!(Arc::ptr_eq(&kept.bytes, &read.bytes));
        assert_eq!(kept.name, "other.safetensors");

        let missing = last.model(&two, &inputs).await;
        assert!(matches!(missing, Err(Failure::Missing { .. })));
        let key = keys::input(&Digest::of(b"two"));
        store.put(&key, "two".into()).await.expect("writes");
        let other = last.model(&two, &inputs).await.expect("is there");
        assert_eq!(other.bytes[..], b"two"[..]);
        let gone = last.model(&one, &inputs).await;
        assert!(
            matches!(gone, Err(Failure::Missing { .. })),
            "only the last one is kept"
        );
    }
}

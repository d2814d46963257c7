//! From planned pictures to jobs: images pass the door and lie in the store, the manifest is
//! written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use stylefleet_proto::{
    BatchId, Digest, Image, Init, Invalid, Job, JobId, Manifest, ManifestEntry, Name, Parameters,
    Preset, Style, keys,
};
use stylefleet_transport::store::{Store, StoreError};

use crate::door::{self, Refusal};
use crate::names;
use crate::plan::Picture;

/// A picture that a job is to make.
#[derive(Debug)]
pub struct Commission {
    /// Its file name without ending.
    pub name: Name,
    /// What its parameters are based on.
    pub preset: Preset,
}

/// What came of the planned pictures.
#[derive(Debug, Default)]
pub struct Intake {
    /// The jobs, each once, in the order given.
    pub jobs: Vec<Job>,
    /// The pictures that each job makes: one job may be wanted under several names.
    pub commissions: HashMap<JobId, Vec<Commission>>,
    /// Pictures that cannot be made, and why.
    pub refused: Vec<(Name, Arc<Refusal>)>,
}

/// Why a picture, or all of them, cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// An image of one picture was not let in.
    #[error(transparent)]
    Refused(#[from] Arc<Refusal>),
    /// The store did not do as it was told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The contract does not allow it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The manifest cannot be written as JSON.
    #[error("manifest.json: {0}")]
    Json(#[from] serde_json::Error),
}

/// Takes the pictures in. One with a bad image stays out alone; any other error ends it all.
pub async fn take_in(
    pictures: Vec<Picture>,
    max_pixels: u64,
    store: &dyn Store,
) -> Result<Intake, IntakeError> {
    let mut porter = Porter {
        store,
        max_pixels,
        seen: HashMap::new(),
    };
    let mut asks = Vec::new();
    let mut refused = Vec::new();
    for picture in pictures {
        let name = picture.name.clone();
        match porter.ask(picture).await {
            Ok(ask) => asks.push(ask),
            Err(IntakeError::Refused(refusal)) => refused.push((name, refusal)),
            Err(error) => return Err(error),
        }
    }
    let mut intake = submit(asks, store).await?;
    intake.refused = refused;
    Ok(intake)
}

/// Makes jobs of what is asked, and writes the manifest.
async fn submit(asks: Vec<Ask>, store: &dyn Store) -> Result<Intake, IntakeError> {
    // Named after what is asked, so that the same command is the same batch.
    let digest = Digest::of(&serde_json::to_vec(&asks)?).to_string();
    let batch: BatchId = format!("run-{}", &digest[..16]).parse()?;
    let mut intake = Intake::default();
    let mut entries = Vec::new();
    for ask in asks {
        let commission = Commission {
            name: ask.name.clone(),
            preset: ask.preset,
        };
        let job = Job::new(
            batch.clone(),
            ask.name,
            ask.content,
            ask.styles,
            ask.parameters,
        )?;
        entries.push(ManifestEntry::from(&job));
        let commissions = intake.commissions.entry(job.id).or_default();
        commissions.push(commission);
        if commissions.len() == 1 {
            intake.jobs.push(job);
        }
    }
    let key = keys::manifest(&batch);
    let manifest = Manifest {
        batch,
        jobs: entries,
    };
    let json = serde_json::to_vec_pretty(&manifest)?;
    store.put(&key, json.into()).await?;
    Ok(intake)
}

/// A picture whose images are all in the store.
#[derive(Serialize)]
struct Ask {
    name: Name,
    content: Image,
    styles: Vec<Style>,
    parameters: Parameters,
    #[serde(skip)]
    preset: Preset,
}

/// Brings images into the store, each file once.
struct Porter<'a> {
    store: &'a dyn Store,
    max_pixels: u64,
    seen: HashMap<PathBuf, Result<Image, Arc<Refusal>>>,
}

impl Porter<'_> {
    async fn ask(&mut self, picture: Picture) -> Result<Ask, IntakeError> {
        let content = self.image(&picture.content).await?;
        let mut styles = Vec::new();
        for (path, weight) in picture.styles {
            let image = self.image(&path).await?;
            styles.push(Style { image, weight });
        }
        let mut parameters = picture.parameters;
        if let Some(path) = picture.start {
            parameters.init = Init::Image(self.image(&path).await?);
        }
        Ok(Ask {
            name: picture.name,
            content,
            styles,
            parameters,
            preset: picture.preset,
        })
    }

    async fn image(&mut self, path: &Path) -> Result<Image, IntakeError> {
        if let Some(known) = self.seen.get(path) {
            return Ok(known.clone()?);
        }
        let outcome = match door::admit(path, self.max_pixels) {
            Ok(bytes) => {
                let sha256 = Digest::of(&bytes);
                let key = keys::input(&sha256);
                // Compared, not just looked for: what a full disk or a stray hand damaged is mended.
                if self.store.get(&key).await?.as_ref() != Some(&bytes) {
                    self.store.put(&key, bytes).await?;
                }
                let name = names::of_file(path)?;
                Ok(Image { sha256, name })
            }
            Err(refusal) => Err(Arc::new(refusal)),
        };
        self.seen.insert(path.to_owned(), outcome.clone());
        Ok(outcome?)
    }
}

#[cfg(test)]
mod tests {
    use stylefleet_transport::store::FolderStore;

    use super::*;
    use crate::options::Options;
    use crate::plan::Plan;

    #[tokio::test]
    async fn the_same_ask_under_two_names_is_one_job() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        image::GrayImage::new(4, 4)
            .save(path("a.png"))
            .expect("saves");
        std::fs::copy(path("a.png"), path("b.png")).expect("copies");
        std::fs::write(path("c.png"), "no image").expect("writes");
        let options = Options {
            content: Some(vec![path("a.png"), path("b.png"), path("c.png")]),
            style: Some(vec![path("a.png")]),
            ..Options::default()
        };
        let plan = Plan::new(options, None).expect("a plan");
        let store = FolderStore::new(path("store"));
        let intake = take_in(plan.pictures, 16, &store).await.expect("takes in");

        let [job] = intake.jobs.as_slice() else {
            panic!("one job, not {:?}", intake.jobs);
        };
        let names = intake.commissions[&job.id].iter().map(|c| c.name.as_ref());
        assert_eq!(names.collect::<Vec<_>>(), ["a.a", "b.a"]);
        assert_eq!(intake.refused.len(), 1);
        assert_eq!(intake.refused[0].0.as_ref(), "c.a");
        let input = keys::input(&job.content.sha256);
        assert!(store.contains(&input).await.expect("looks"));
        let manifest = store.get(&keys::manifest(&job.batch)).await.expect("reads");
        let manifest: Manifest =
            serde_json::from_slice(&manifest.expect("is there")).expect("a manifest");
        assert_eq!(manifest.jobs.len(), 2);
    }
}

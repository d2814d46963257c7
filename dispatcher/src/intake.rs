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
    let mut door = Door {
        store,
        max_pixels,
        seen: HashMap::new(),
    };
    let mut asks = Vec::new();
    let mut refused = Vec::new();
    for picture in pictures {
        let name = picture.name.clone();
        match door.ask(picture).await {
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
struct Door<'a> {
    store: &'a dyn Store,
    max_pixels: u64,
    seen: HashMap<PathBuf, Result<Image, Arc<Refusal>>>,
}

impl Door<'_> {
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
                self.store.put_new(&keys::input(&sha256), bytes).await?;
                let name = names::of_file(path)?;
                Ok(Image { sha256, name })
            }
            Err(refusal) => Err(Arc::new(refusal)),
        };
        self.seen.insert(path.to_owned(), outcome.clone());
        Ok(outcome?)
    }
}

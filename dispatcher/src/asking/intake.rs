//! From planned pictures to jobs: images pass the door and lie in the store.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_fleet::clock::millis;
use stylefleet_model::Choice;
use stylefleet_model::stylize::Stylize;
use stylefleet_proto::{
    BatchId, Digest, Input, Invalid, Job, Manifest, ManifestEntry, Name, Role, keys,
};
use stylefleet_transport::store::{Store, StoreError};

use crate::asking::door::{self, Refusal};
use crate::asking::names;
use crate::asking::plan::Picture;
use crate::asking::remote::{Remotes, is_remote};

/// Images that are read and written at once.
const AT_ONCE: usize = 8;

/// What came of the planned pictures.
#[derive(Debug)]
pub struct Intake {
    /// The jobs, each once, in the order given.
    pub jobs: Vec<Job>,
    /// The pictures that they make: one job may be wanted under several names.
    pub manifest: Manifest,
    /// Pictures that cannot be made, and why.
    pub refused: Vec<(Name, Arc<Refusal>)>,
}

/// What a batch is called.
#[derive(Debug, Clone)]
pub enum Title {
    /// This.
    Given(BatchId),
    /// This, and the hash of what is asked, so that the same command is the same batch.
    Derived(&'static str),
}

/// Why pictures cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The store did not do as it was told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The contract does not allow it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Brings images into the store.
pub struct Porter {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Where images in buckets come from; none: they are turned down.
    pub remotes: Option<Remotes>,
    /// Largest image accepted, in pixels.
    pub max_pixels: u64,
    /// Whether an image that is in the store is read and compared, which mends what a stray hand
    /// damaged; or else only its size is.
    pub compare: bool,
}

/// An image of the store, or why it is not there.
type Admitted = Result<Image, Arc<Refusal>>;

/// An image of the store.
#[derive(Debug, Clone)]
struct Image {
    sha256: Digest,
    name: Name,
}

impl Image {
    /// The image as what it is to a job.
    fn input(self, role: Role) -> Input {
        let Self { sha256, name } = self;
        Input { role, sha256, name }
    }
}

impl Porter {
    /// Takes the pictures in. One with a bad image stays out alone; any other error ends it all.
    pub async fn take_in(
        &self,
        pictures: Vec<Picture>,
        title: Title,
    ) -> Result<Intake, IntakeError> {
        let images = self.images(&pictures).await?;
        // Until all that is asked is known.
        let nameless: BatchId = "nameless".parse()?;
        let mut asks = Vec::new();
        let mut refused = Vec::new();
        for picture in pictures {
            let (name, preset) = (picture.name.clone(), picture.preset);
            match job(picture, &nameless, &images)? {
                Ok(job) => asks.push((job, preset)),
                Err(refusal) => refused.push((name, refusal)),
            }
        }

        let batch = match title {
            Title::Given(batch) => batch,
            Title::Derived(prefix) => {
                let mut text = String::new();
                for (job, _) in &asks {
                    // Writing into a string never fails.
                    let _ = writeln!(text, "{} {}", job.id, job.name);
                }
                let digest = Digest::of(text.as_bytes()).to_string();
                format!("{prefix}-{}", &digest[..16]).parse()?
            }
        };
        let mut manifest = Manifest {
            batch: batch.clone(),
            jobs: Vec::with_capacity(asks.len()),
            unix_seconds: millis(SystemTime::now()) / 1000,
        };
        let mut jobs = Vec::with_capacity(asks.len());
        let mut seen = HashSet::new();
        for (mut job, preset) in asks {
            manifest.jobs.push(ManifestEntry {
                job: job.id,
                name: job.name.clone(),
                labels: [("preset".to_owned(), preset.word().to_owned())].into(),
            });
            if seen.insert(job.id) {
                job.batch = batch.clone();
                jobs.push(job);
            }
        }
        Ok(Intake {
            jobs,
            manifest,
            refused,
        })
    }

    /// Brings all images of the pictures into the store, each once.
    async fn images(
        &self,
        pictures: &[Picture],
    ) -> Result<HashMap<PathBuf, Admitted>, IntakeError> {
        let mut paths = HashSet::new();
        for picture in pictures {
            paths.insert(&picture.content);
            for style in &picture.styles {
                paths.insert(&style.path);
                paths.extend(&style.mask);
            }
            paths.extend(&picture.start);
        }
        stream::iter(paths)
            .map(|path| async move { Ok((path.clone(), self.image(path).await?)) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn image(&self, path: &Path) -> Result<Admitted, IntakeError> {
        let bytes = match (&self.remotes, is_remote(path)) {
            (Some(remotes), true) => {
                door::admit_object(path, remotes.get(path).await?, self.max_pixels)
            }
            (None, true) => Err(door::refuse_object(path)),
            (_, false) => door::admit(path, self.max_pixels),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(refusal) => return Ok(Err(Arc::new(refusal))),
        };
        let sha256 = Digest::of(&bytes);
        self.bring(&keys::input(&sha256), bytes).await?;
        let name = names::of_file(path)?;
        Ok(Ok(Image { sha256, name }))
    }

    /// Writes an image unless it is there.
    async fn bring(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let is_there = match self.compare {
            true => self.store.get(key).await?.as_ref() == Some(&bytes),
            false => {
                let stat = self.store.stat(key).await?;
                stat.is_some_and(|stat| stat.size == bytes.len() as u64)
            }
        };
        match is_there {
            true => Ok(()),
            false => self.store.put(key, bytes).await,
        }
    }
}

/// The job that makes a picture.
fn job(
    picture: Picture,
    batch: &BatchId,
    images: &HashMap<PathBuf, Admitted>,
) -> Result<Result<Job, Arc<Refusal>>, Invalid> {
    let input = |role, path: &PathBuf| images[path].clone().map(|image| image.input(role));
    let gather = || {
        let mut inputs = vec![input(Stylize::content(), &picture.content)?];
        for (index, style) in picture.styles.iter().enumerate() {
            inputs.push(input(Stylize::style(index), &style.path)?);
            if let Some(mask) = &style.mask {
                inputs.push(input(Stylize::mask(index), mask)?);
            }
        }
        if let Some(start) = &picture.start {
            inputs.push(input(Stylize::start(), start)?);
        }
        Ok::<_, Arc<Refusal>>(inputs)
    };
    let inputs = match gather() {
        Ok(inputs) => inputs,
        Err(refusal) => return Ok(Err(refusal)),
    };
    Job::new(batch.clone(), picture.name, &picture.specification, inputs).map(Ok)
}

#[cfg(test)]
mod tests {
    use stylefleet_transport::store::FolderStore;

    use super::*;
    use crate::asking::expand::Listings;
    use crate::asking::options::Options;
    use crate::asking::plan::{Asked, Plan};

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
        let asked = Asked::read(options, None).expect("is read");
        let plan = Plan::new(asked, &Listings::new()).expect("a plan");
        let store = Arc::new(FolderStore::new(path("store")));
        let porter = Porter {
            store: store.clone(),
            remotes: None,
            max_pixels: 16,
            compare: true,
        };
        let title = Title::Derived("run");
        let intake = porter
            .take_in(plan.pictures, title)
            .await
            .expect("takes in");

        let [job] = intake.jobs.as_slice() else {
            panic!("one job, not {:?}", intake.jobs);
        };
        let names = intake.manifest.jobs.iter().map(|entry| {
            assert_eq!(entry.job, job.id);
            entry.name.as_ref()
        });
        assert_eq!(names.collect::<Vec<_>>(), ["a.a", "b.a"]);
        assert_eq!(intake.refused.len(), 1);
        assert_eq!(intake.refused[0].0.as_ref(), "c.a");
        let input = keys::input(&job.input(&Stylize::content()).expect("has one").sha256);
        assert!(store.contains(&input).await.expect("looks"));
        assert_eq!(intake.manifest.batch, job.batch);
        assert!(job.batch.as_ref().starts_with("run-"), "{}", job.batch);
    }
}

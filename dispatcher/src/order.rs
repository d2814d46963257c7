//! What a kind of job adds to `run` and `submit`: options of the command line, and how jobs come of
//! them. Whatever else the two commands do knows no kind.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write};
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use stylefleet_fleet::clock::millis;
use stylefleet_proto::{
    BatchId, Digest, Input, Invalid, Job, Manifest, ManifestEntry, Name, Specification, keys,
};
use stylefleet_transport::store::{Store, StoreError};

use crate::images::buckets::Buckets;
use crate::local::Machine;
use crate::reporter::Reporter;

/// The options with which jobs of a kind are ordered, for `run` or `submit`.
pub trait Order: clap::Args + fmt::Debug {
    /// What they come to.
    type Plan: Plan;

    /// Resolves what was typed. Nothing is uploaded yet. `buckets` has the inputs that lie there;
    /// none: only files are read.
    fn plan(
        self,
        buckets: Option<Arc<Buckets>>,
    ) -> impl Future<Output = Result<Self::Plan, OrderError>>;
}

/// What is to be done.
pub trait Plan {
    /// How to use this machine, where that was said beside the command line's own options, which
    /// win over it. It is for `run` alone.
    fn machine(&self) -> Machine {
        Machine::default()
    }

    /// How many results are asked for, those included that will be refused.
    fn results(&self) -> usize;

    /// Uploads the inputs, and puts the jobs together. What does not come to a job is told to the
    /// reporter; an error is what concerns all jobs.
    fn requests(
        self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> impl Future<Output = Result<Vec<Request>, OrderError>>;
}

/// Why jobs cannot be ordered.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// What was typed is invalid.
    #[error(transparent)]
    Usage(Box<dyn std::error::Error + Send + Sync>),
    /// The store did not do as it was told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The contract does not allow it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// A result that is asked for: the job that makes it, under the name that it is to have.
#[derive(Debug)]
pub struct Request {
    job: Job,
    labels: BTreeMap<String, String>,
}

impl Request {
    /// Asks for what `specification` says, made of `inputs`, which are in the store.
    pub fn new<S: Specification>(
        name: Name,
        specification: &S,
        inputs: Vec<Input>,
    ) -> Result<Self, Invalid> {
        // Until all that is asked is known.
        let nameless = "nameless".parse()?;
        Ok(Self {
            job: Job::new(nameless, name, specification, inputs)?,
            labels: BTreeMap::new(),
        })
    }

    /// The same, with something that is worth knowing of how it was asked for.
    pub fn labelled(mut self, label: &str, value: &str) -> Self {
        self.labels.insert(label.to_owned(), value.to_owned());
        self
    }
}

/// Brings inputs into the store.
pub struct Uploader {
    store: Arc<dyn Store>,
    compares: bool,
}

impl Uploader {
    /// Brings them into `store`. `compares`: what is there already is read and compared, which
    /// mends what a stray hand damaged; or else only its size is.
    pub(crate) fn new(store: Arc<dyn Store>, compares: bool) -> Self {
        Self { store, compares }
    }

    /// Writes an input unless it is there. Returns what it goes by.
    pub async fn upload(&self, input: Bytes) -> Result<Digest, StoreError> {
        let digest = Digest::of(&input);
        let key = keys::input(&digest);
        let is_there = if self.compares {
            self.store.get(&key).await?.as_ref() == Some(&input)
        } else {
            let stat = self.store.stat(&key).await?;
            stat.is_some_and(|stat| stat.size == input.len() as u64)
        };
        if !is_there {
            self.store.put(&key, input).await?;
        }
        Ok(digest)
    }
}

/// What a batch is called.
#[derive(Debug, Clone)]
pub enum Title {
    /// This.
    Given(BatchId),
    /// This, and the hash of what is asked, so that the same command is the same batch.
    Derived(&'static str),
}

/// Results that are asked for together.
#[derive(Debug)]
pub struct Ordered {
    /// The jobs, each once, in the order given.
    pub jobs: Vec<Job>,
    /// The results that they make: one job may be wanted under several names.
    pub manifest: Manifest,
}

impl Ordered {
    /// Puts requests together.
    pub fn new(requests: Vec<Request>, title: Title) -> Result<Self, Invalid> {
        let batch = title.batch(&requests)?;
        let mut manifest = Manifest {
            batch: batch.clone(),
            jobs: Vec::with_capacity(requests.len()),
            unix_seconds: millis(SystemTime::now()) / 1000,
        };
        let mut jobs = Vec::with_capacity(requests.len());
        let mut seen = HashSet::new();
        for Request { mut job, labels } in requests {
            manifest.jobs.push(ManifestEntry {
                job: job.id,
                name: job.name.clone(),
                labels,
            });
            if seen.insert(job.id) {
                job.batch = batch.clone();
                jobs.push(job);
            }
        }
        Ok(Self { jobs, manifest })
    }
}

impl Title {
    /// The title of a batch of these requests.
    fn batch(self, requests: &[Request]) -> Result<BatchId, Invalid> {
        let prefix = match self {
            Self::Given(batch) => return Ok(batch),
            Self::Derived(prefix) => prefix,
        };
        let mut text = String::new();
        for Request { job, .. } in requests {
            // Writing into a string never fails.
            let _ = writeln!(text, "{} {}", job.id, job.name);
        }
        let digest = Digest::of(text.as_bytes()).to_string();
        format!("{prefix}-{}", &digest[..16]).parse()
    }
}

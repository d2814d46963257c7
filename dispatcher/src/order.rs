//! What a kind of job adds to `run` and `submit`: options of the command line, and how jobs come of
//! them. Whatever else the two commands do knows no kind.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use stylefleet_fleet::clock::millis;
use stylefleet_model::Hasher;
use stylefleet_proto::{
    BatchId, Digest, Input, Invalid, Job, Labels, Manifest, ManifestEntry, Name, Priority,
    Specification, keys,
};
use stylefleet_transport::store::{Store, StoreError};

use crate::images::buckets::{Buckets, is_remote};
use crate::local::Machine;
use crate::output::News;
use crate::reporter::Reporter;

/// The options with which jobs of a kind are ordered, for `run` or `submit`.
pub trait Order: clap::Args + fmt::Debug {
    /// What they come to.
    type Plan: Plan;

    /// Resolves what was typed. Nothing is uploaded yet. `buckets` has the inputs that lie there.
    fn plan(self, buckets: &Buckets) -> impl Future<Output = Result<Self::Plan, OrderError>>;
}

/// What is to be done.
pub trait Plan {
    /// How to use this machine, where that was said beside the command line's own options, which
    /// win over it. It is for `run` alone.
    fn machine(&self) -> Machine {
        Machine::default()
    }

    /// The folder for the results, where `out` is what `--out` names. For a plan of one result that
    /// may be its file.
    fn folder(&mut self, out: PathBuf) -> Result<PathBuf, OrderError> {
        Ok(out)
    }

    /// How many results are asked for, those included that will be refused.
    fn results(&self) -> usize;

    /// What makes one file of all results, if anything does. Then they do not land in the folder by
    /// themselves.
    fn assembly(&self) -> Option<Assembly> {
        None
    }

    /// Uploads the inputs, and puts the jobs together. What does not come to a job is refused with
    /// the reporter; an error is what concerns all jobs.
    fn requests(
        self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> impl Future<Output = Result<Vec<Request>, OrderError>>;
}

/// Makes one file of the results of a plan.
pub struct Assembly(Box<Assemble>);

type Assembling = BoxFuture<'static, Result<Assembled, OrderError>>;

type Assemble = dyn Fn(Arc<dyn Store>, Vec<ManifestEntry>) -> Assembling + Send + Sync;

/// A file that was made of results.
#[derive(Debug)]
pub struct Assembled {
    /// Where it is.
    pub path: PathBuf,
    /// What people should know of it, a line each.
    pub notes: Vec<String>,
    /// Results that it lacks.
    pub missing: usize,
}

impl Assembled {
    /// As news.
    pub(crate) fn news(&self) -> News<'_> {
        News::Assembled {
            file: &self.path,
            notes: &self.notes,
            missing: self.missing,
        }
    }
}

impl Assembly {
    /// What makes a file of the results in a store that are in the manifest.
    pub fn new(
        assemble: impl Fn(Arc<dyn Store>, Vec<ManifestEntry>) -> Assembling + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(assemble))
    }

    /// Makes the file.
    pub async fn assemble(
        &self,
        store: Arc<dyn Store>,
        entries: Vec<ManifestEntry>,
    ) -> Result<Assembled, OrderError> {
        (self.0)(store, entries).await
    }
}

/// Why jobs cannot be ordered.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// What was typed is invalid.
    #[error(transparent)]
    Usage(Box<dyn std::error::Error + Send + Sync>),
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The contract does not allow it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// An option that is out of its range, or has no meaning with the others.
#[derive(Debug, thiserror::Error)]
#[error("{option}: {reason}")]
pub struct BadOption {
    option: String,
    reason: String,
}

impl BadOption {
    pub fn new(option: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            option: option.into(),
            reason: reason.into(),
        }
    }
}

impl From<Invalid> for BadOption {
    /// Names the option that sets the field, as in `style-layers.conv1_1`.
    fn from(invalid: Invalid) -> Self {
        let field = invalid.field.as_str();
        let (option, part) = field.split_at(field.find('.').unwrap_or(field.len()));
        Self::new(option.replace('_', "-") + part, invalid.reason)
    }
}

impl From<BadOption> for OrderError {
    fn from(option: BadOption) -> Self {
        Self::Usage(option.into())
    }
}

/// `out`, where `--out` names a place on this machine: results land nowhere else.
pub fn on_this_machine(out: PathBuf) -> Result<PathBuf, OrderError> {
    if is_remote(&out) {
        let reason = format!(
            "{} is a bucket, and results land in a folder on this machine: name one, and copy them \
             from there",
            out.display()
        );
        return Err(BadOption::new("out", reason).into());
    }
    Ok(out)
}

/// A result that is asked for: the job that makes it, under the name that it is to have.
#[derive(Debug)]
pub struct Request {
    job: Job,
    labels: Labels,
}

impl Request {
    /// Asks for what `specification` says, made of `inputs`, which are in the store.
    pub fn new<S: Specification>(
        name: Name,
        specification: &S,
        inputs: Vec<Input>,
    ) -> Result<Self, Invalid> {
        if !name.is_plain() {
            let reason = format!("\"{name}\" is no name for a file in a folder of outputs");
            return Err(Invalid::new("name", reason));
        }
        // Until all that is asked is known.
        let nameless = "nameless".parse()?;
        Ok(Self {
            job: Job::new(nameless, name, specification, inputs)?,
            labels: Labels::default(),
        })
    }

    /// The same, with something that is worth knowing of how it was asked for.
    pub fn labelled(self, label: &str, value: &str) -> Self {
        Self {
            labels: self.labels.with(label, value),
            ..self
        }
    }
}

/// Brings inputs into the store.
pub struct Uploader {
    store: Arc<dyn Store>,
    buckets: Buckets,
    compares: bool,
}

impl Uploader {
    /// Brings them into `store`, those that lie in `buckets` too. `compares`: what is there already
    /// is read and compared, which repairs what was damaged there; or else only its size is.
    pub(crate) fn new(store: Arc<dyn Store>, buckets: Buckets, compares: bool) -> Self {
        Self {
            store,
            buckets,
            compares,
        }
    }

    /// Where inputs may lie.
    pub(crate) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Writes the input in a file unless it is there, without having it in memory. Returns its
    /// digest.
    pub async fn upload_file(&self, path: &Path) -> Result<Digest, OrderError> {
        let (file, size) = (
            path.to_owned(),
            std::fs::metadata(path).map(|file| file.len()),
        );
        let unread = |error: std::io::Error| {
            OrderError::Usage(format!("{} cannot be read: {error}", path.display()).into())
        };
        let hashing = tokio::task::spawn_blocking(move || digest_of(&file));
        let digest = hashing
            .await
            .map_err(std::io::Error::other)
            .and_then(|hashed| hashed);
        let digest = digest.map_err(unread)?;
        let key = keys::input(&digest);
        let size = size.map_err(unread)?;
        let stat = self.store.stat(&key).await?;
        if self.compares || stat.is_none_or(|stat| stat.size != size) {
            self.store.put_file(&key, path, &digest).await?;
        }
        Ok(digest)
    }

    /// Writes an input unless it is there. Returns its digest.
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

fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let (mut hasher, mut file) = (Hasher::default(), File::open(path)?);
    let mut part = vec![0; 1 << 20];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hasher.digest()),
            read => hasher.update(&part[..read]),
        }
    }
}

/// The priority of that name.
pub fn priority_of(word: &str) -> Option<Priority> {
    let mut known = Priority::ORDER.into_iter();
    known.find(|priority| priority.word() == word)
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
                kind: Some(job.kind.clone()),
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use stylefleet_proto::{Role, testing};
    use stylefleet_transport::store::MemoryStore;

    use super::*;
    use crate::commands::{FleetCommand, RunArgs, SubmitArgs};
    use crate::output;

    /// A kind that joins files, whatever they are.
    #[derive(Debug)]
    struct Join {
        backwards: bool,
    }

    impl Specification for Join {
        const KIND: &'static str = "join";

        fn encode(&self) -> Vec<u8> {
            vec![self.backwards.into()]
        }

        fn decode(message: &[u8]) -> Result<Self, Invalid> {
            let backwards = message == [1];
            Ok(Self { backwards })
        }

        fn roles(&self) -> Vec<stylefleet_model::RoleRule> {
            vec![stylefleet_model::RoleRule::required(file())]
        }
    }

    fn file() -> Role {
        "file".parse().expect("a role")
    }

    /// Its options, which are its plan too.
    #[derive(Debug, clap::Args)]
    struct JoinOptions {
        /// Files to join
        files: Vec<PathBuf>,
        /// From the last to the first
        #[arg(long)]
        backwards: bool,
    }

    impl Order for JoinOptions {
        type Plan = Self;

        async fn plan(self, _: &Buckets) -> Result<Self, OrderError> {
            if self.files.is_empty() {
                return Err(OrderError::Usage("files: are missing".into()));
            }
            Ok(self)
        }
    }

    impl Plan for JoinOptions {
        fn results(&self) -> usize {
            self.files.len()
        }

        async fn requests(
            self,
            uploader: &Uploader,
            reporter: &mut Reporter,
        ) -> Result<Vec<Request>, OrderError> {
            let mut requests = Vec::new();
            for path in self.files {
                let name = path.display().to_string();
                let Ok(bytes) = std::fs::read(&path) else {
                    reporter.refuse(&name, "cannot be read");
                    continue;
                };
                let name = crate::names::of_file(&path)?;
                let input = Input {
                    role: file(),
                    sha256: uploader.upload(bytes.into()).await?,
                    name: name.clone(),
                };
                let join = Join {
                    backwards: self.backwards,
                };
                let request = Request::new(name, &join, vec![input])?;
                requests.push(request.labelled("way", "plain"));
            }
            Ok(requests)
        }
    }

    /// A program that orders them.
    #[derive(Debug, Parser)]
    enum Program {
        Run(Box<RunArgs<JoinOptions>>),
        Submit(Box<SubmitArgs<JoinOptions>>),
        #[command(flatten)]
        Fleet(FleetCommand),
    }

    fn parse(args: &[&str]) -> Program {
        Program::try_parse_from([&["program"], args].concat()).expect("parses")
    }

    #[test]
    fn programs_of_another_kind_have_its_options_and_the_commands_of_any_fleet() {
        let submit = parse(&["submit", "a", "--backwards", "--batch", "b"]);
        assert!(matches!(submit, Program::Submit(_)));
        assert!(matches!(parse(&["status"]), Program::Fleet(_)));
        let Program::Run(run) = parse(&["run", "a", "b", "--out", "c", "--json"]) else {
            panic!("not run");
        };
        assert_eq!(run.order.files, [PathBuf::from("a"), PathBuf::from("b")]);
    }

    #[tokio::test]
    async fn jobs_of_another_kind_are_ordered() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "bytes").expect("writes");
        std::fs::write(path("b"), "bytes").expect("writes");
        let options = JoinOptions {
            files: vec![path("a"), path("b"), path("gone")],
            backwards: true,
        };
        let store = Arc::new(MemoryStore::default());
        let buckets = Buckets::new(Default::default());
        let plan = options.plan(&buckets).await.expect("a plan");
        let uploader = Uploader::new(store.clone(), buckets, false);
        let mut reporter = Reporter::new(plan.results(), output::lines(false));
        let requests = plan.requests(&uploader, &mut reporter).await;
        let title = Title::Given("together".parse().expect("a batch"));
        let ordered = Ordered::new(requests.expect("requests"), title).expect("is valid");

        assert_eq!(reporter.tally().failed, 1, "one is gone");
        let [job] = &ordered.jobs[..] else {
            panic!("not one job: {:?}", ordered.jobs);
        };
        assert_eq!(
            (job.kind.as_ref(), job.batch.as_ref()),
            ("join", "together")
        );
        assert!(job.specification::<Join>().expect("is a join").backwards);
        let expected = testing::input(file(), b"bytes").sha256;
        assert_eq!(job.inputs[0].sha256, expected);
        let uploaded = store.get(&keys::input(&expected)).await.expect("reads");
        assert_eq!(uploaded.as_deref(), Some(&b"bytes"[..]));
        let entries = &ordered.manifest.jobs;
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_ref()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(entries[0].labels["way"], *"plain");
    }

    #[test]
    fn results_whose_names_lead_out_of_the_folder_are_refused() {
        let request = |name: &str| {
            let name = name.parse().expect("a name");
            let inputs = vec![testing::input(file(), b"bytes")];
            Request::new(name, &Join { backwards: false }, inputs)
        };
        request("a/b").expect("lies in a folder");
        for name in ["../a", "/a", ".stylefleet/a", "a/", &"a".repeat(300)] {
            assert_eq!(request(name).expect_err(name).field, "name");
        }
    }

    #[tokio::test]
    async fn only_who_compares_repairs_what_was_damaged() {
        let store = Arc::new(MemoryStore::default());
        let input = Bytes::from_static(b"bytes");
        let key = keys::input(&Digest::of(&input));
        let damaged = Bytes::from_static(b"bytez");
        for (compares, expected) in [(false, &damaged), (true, &input)] {
            store.put(&key, damaged.clone()).await.expect("writes");
            let buckets = Buckets::new(Default::default());
            let uploader = Uploader::new(store.clone(), buckets, compares);
            uploader.upload(input.clone()).await.expect("uploads");
            let there = store.get(&key).await.expect("reads");
            assert_eq!(there.as_ref(), Some(expected));
        }
    }

    #[test]
    fn results_land_on_this_machine() {
        let here = on_this_machine("out".into()).expect("is here");
        assert_eq!(here, Path::new("out"));
        let refused = on_this_machine("s3://bucket/out".into()).expect_err("is elsewhere");
        let message = refused.to_string();
        assert!(
            message.starts_with("out: s3://bucket/out is a bucket"),
            "{message}"
        );
    }
}

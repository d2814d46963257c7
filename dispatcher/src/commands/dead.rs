//! `stylefleet dead`: jobs that were set aside, and what people decide about them.

use std::collections::HashMap;

use serde::Serialize;
use stylefleet_proto::{BatchId, JobId};
use stylefleet_transport::broker::{DeadLetter, DeadLetters};
use stylefleet_transport::store::Store;

use crate::commands::{CommandError, Ending, connect, open_store};
use crate::config::Settings;
use crate::output::{self, Line, ago, short};
use crate::state::{self, Over};

/// Digits of an id that name it at least.
const SHORTEST: usize = 6;

/// Arguments of `stylefleet dead`.
#[derive(Debug, clap::Args)]
pub struct DeadArgs {
    #[command(subcommand)]
    action: Action,

    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the jobs that were set aside
    List,
    /// Show all that is known of one of them
    Show {
        /// Its id, or the first digits of it
        id: String,
    },
    /// Hand jobs in again, as first attempts; those that are done since are removed
    Retry(Choice),
    /// Remove jobs for good; they stay as they are, failed or done since
    Drop(Discard),
}

#[derive(Debug, clap::Args)]
struct Discard {
    #[command(flatten)]
    choice: Choice,

    /// Of these, only the jobs that are done since
    #[arg(long, conflicts_with = "ids")]
    done: bool,
}

/// Which dead letters are meant.
#[derive(Debug, clap::Args)]
struct Choice {
    /// Their ids, or the first digits of them
    #[arg(required_unless_present_any = ["all", "batch"], value_name = "ID")]
    ids: Vec<String>,

    /// All of them
    #[arg(long, conflicts_with = "ids")]
    all: bool,

    /// All of one batch
    #[arg(long, value_name = "BATCH", conflicts_with = "ids")]
    batch: Option<BatchId>,
}

/// Why a dead letter cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// None has that id.
    #[error("no job with id {0} was set aside: `stylefleet dead list` shows those that were")]
    None(String),
    /// More than one has it.
    #[error("{0} is the beginning of several ids: give more of its digits")]
    Several(String),
    /// It says too little.
    #[error("\"{0}\" is no id: give at least its first {SHORTEST} digits")]
    Short(String),
}

/// Letters of one id: the same job may have been set aside more than once.
#[derive(Debug, Serialize)]
struct Dead {
    id: String,
    /// Absent where the message is no job; such a one can only be dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    styles: Option<Vec<String>>,
    /// The attempt after which it was set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// Why, the last time.
    reason: String,
    /// What became of it since; absent: nothing, it waits for a decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
    /// The worker that set it aside.
    worker: Option<String>,
    /// When, the last time: seconds since 1970-01-01 UTC; 0: unknown.
    unix_seconds: u64,
    /// Bytes of the message.
    bytes: usize,
    /// How many messages there are.
    letters: usize,
    /// Where they are among all.
    #[serde(skip)]
    places: Vec<usize>,
    #[serde(skip)]
    job: Option<JobId>,
}

/// What became of a job after it was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Since {
    Done,
    Cancelled,
    /// Its failure was forgotten, and it is with the broker once more.
    HandedInAgain,
}

#[derive(Serialize)]
struct List<'a> {
    dead: &'a [Dead],
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Done {
    retried: usize,
    dropped: usize,
    /// Messages that are no jobs, and so were not retried.
    passed_over: usize,
}

/// Does what is asked.
pub async fn run(args: DeadArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let broker = connect(settings).await?;
    let mut letters = broker.dead_letters().await?;
    let mut dead = gather(letters.letters());
    look_up(&*store, &mut dead).await?;
    match args.action {
        Action::List => list(&dead, args.json),
        Action::Show { id } => {
            let one = find(&dead, &id)?;
            match args.json {
                true => output::document(one),
                false => one.print(),
            }
        }
        Action::Retry(choice) => {
            let chosen = choice.of(&dead)?;
            let done = retry(&mut *letters, &chosen, &*store).await?;
            done.show(args.json);
        }
        Action::Drop(Discard { choice, done: only }) => {
            let mut done = Done::default();
            let mut chosen = choice.of(&dead)?;
            chosen.retain(|dead| !only || dead.since == Some(Since::Done));
            for dead in chosen {
                discard(&mut *letters, &dead.places).await?;
                done.dropped += 1;
            }
            done.show(args.json);
        }
    }
    drop(letters);
    broker.close().await;
    Ok(Ending::AllDone)
}

/// Hands jobs in again that are not done. The mark that one failed goes first: whatever happens
/// next, the letter is still there, and the job can be retried once more.
async fn retry(
    letters: &mut dyn DeadLetters,
    chosen: &[&Dead],
    store: &dyn Store,
) -> Result<Done, CommandError> {
    let mut done = Done::default();
    for dead in chosen {
        let (Some(job), Some((first, others))) = (dead.job, dead.places.split_first()) else {
            done.passed_over += 1;
            continue;
        };
        if dead.since == Some(Since::Done) {
            discard(letters, &dead.places).await?;
            done.dropped += 1;
            continue;
        }
        state::revive(store, &job).await?;
        letters.retry(*first).await?;
        discard(letters, others).await?;
        done.retried += 1;
    }
    Ok(done)
}

async fn discard(letters: &mut dyn DeadLetters, places: &[usize]) -> Result<(), CommandError> {
    for place in places {
        letters.discard(*place).await?;
    }
    Ok(())
}

/// Asks the store what became of the jobs since.
async fn look_up(store: &dyn Store, dead: &mut [Dead]) -> Result<(), CommandError> {
    let jobs: Vec<_> = dead.iter().filter_map(|dead| dead.job).collect();
    let ends = state::ends(store, &jobs).await?;
    for dead in dead {
        let Some(job) = dead.job else { continue };
        dead.since = match ends.get(&job) {
            Some(Over::Done) => Some(Since::Done),
            Some(Over::Cancelled) => Some(Since::Cancelled),
            None => Some(Since::HandedInAgain),
            Some(Over::Failed) => None,
        };
    }
    Ok(())
}

/// The letters by id, in the order in which they first came.
fn gather(letters: &[DeadLetter]) -> Vec<Dead> {
    let mut dead: Vec<Dead> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (place, letter) in letters.iter().enumerate() {
        let index = *known.entry(&letter.id).or_insert(dead.len());
        let mut places = match dead.get_mut(index) {
            Some(earlier) => std::mem::take(&mut earlier.places),
            None => Vec::new(),
        };
        places.push(place);
        let latest = Dead::new(letter, places);
        match dead.get_mut(index) {
            Some(earlier) => *earlier = latest,
            None => dead.push(latest),
        }
    }
    dead
}

fn find<'a>(dead: &'a [Dead], id: &str) -> Result<&'a Dead, DeadError> {
    if id.len() < SHORTEST {
        return Err(DeadError::Short(id.to_owned()));
    }
    let mut found = dead.iter().filter(|dead| dead.id.starts_with(id));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(DeadError::None(id.to_owned())),
        (Some(_), Some(_)) => Err(DeadError::Several(id.to_owned())),
    }
}

impl Choice {
    fn of<'a>(&self, dead: &'a [Dead]) -> Result<Vec<&'a Dead>, DeadError> {
        if self.all || self.batch.is_some() {
            let is_meant = |dead: &&Dead| self.batch.is_none() || dead.batch == self.batch;
            return Ok(dead.iter().filter(is_meant).collect());
        }
        let mut chosen: Vec<&Dead> = Vec::new();
        for id in &self.ids {
            let one = find(dead, id)?;
            if !chosen.iter().any(|other| other.id == one.id) {
                chosen.push(one);
            }
        }
        Ok(chosen)
    }
}

impl Dead {
    fn new(letter: &DeadLetter, places: Vec<usize>) -> Self {
        let job = letter.job.as_ref();
        Self {
            id: letter.id.clone(),
            batch: job.map(|job| job.batch.clone()),
            name: job.map(|job| job.name.to_string()),
            content: job.map(|job| job.content.name.to_string()),
            styles: job.map(|job| {
                let styles = job.styles.iter();
                styles.map(|style| style.image.name.to_string()).collect()
            }),
            attempt: job.map(|job| job.attempt),
            reason: letter.reason.clone(),
            since: None,
            worker: letter.worker.clone(),
            unix_seconds: letter.unix_seconds,
            bytes: letter.bytes,
            letters: places.len(),
            places,
            job: job.map(|job| job.id),
        }
    }

    fn what(&self) -> String {
        match (&self.batch, &self.name) {
            (Some(batch), Some(name)) => format!("{batch}/{name}"),
            _ => "(no job)".to_owned(),
        }
    }

    fn print(&self) {
        let mut lines = vec![format!("id        {}", self.id)];
        lines.push(format!("picture   {}", self.what()));
        if let (Some(content), Some(styles)) = (&self.content, &self.styles) {
            lines.push(format!("images    {content} in {}", styles.join(", ")));
        }
        lines.push(format!("reason    {}", self.reason));
        if let Some(since) = self.since {
            lines.push(format!("since     {}", since.word()));
        }
        if let Some(attempt) = self.attempt {
            lines.push(format!("attempt   {attempt}"));
        }
        let by = self.worker.as_deref().unwrap_or("an unknown worker");
        lines.push(format!("set aside {} by {by}", ago(self.unix_seconds)));
        let Self { letters, bytes, .. } = self;
        lines.push(format!("messages  {letters}, the last of {bytes} bytes"));
        for line in lines {
            Line::Result(line).print();
        }
    }
}

fn list(dead: &[Dead], json: bool) {
    if json {
        output::document(&List { dead });
        return;
    }
    let row = |dead: &Dead| {
        let when = ago(dead.unix_seconds);
        let why = match dead.since {
            Some(since) => format!("{} since (was: {})", since.word(), dead.reason),
            None => dead.reason.clone(),
        };
        [short(&dead.id), when, dead.what(), why]
    };
    output::table(&dead.iter().map(row).collect::<Vec<_>>());
}

impl Since {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::HandedInAgain => "handed in again",
        }
    }
}

impl Done {
    fn show(&self, json: bool) {
        if json {
            output::document(self);
            return;
        }
        let mut text = format!("{} retried, {} dropped", self.retried, self.dropped);
        if self.passed_over > 0 {
            text += &format!(", {} are no jobs and can only be dropped", self.passed_over);
        }
        Line::Result(text).print();
    }
}

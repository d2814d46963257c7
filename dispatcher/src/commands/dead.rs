//! `stylefleet dead`: jobs that were set aside, and what people decide about them.

use stylefleet_fleet::dead::{Choice, DeadJob, DeadJobs, DeadList, Decided, Since};
use stylefleet_proto::BatchId;

use crate::commands::{CommandError, Ending, connect, open_store};
use crate::config::Settings;
use crate::output::{self, Line, ago, short};

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
    Retry(ChoiceArgs),
    /// Remove jobs for good; they stay as they are, failed or done since
    Drop(DropArgs),
}

#[derive(Debug, clap::Args)]
struct DropArgs {
    #[command(flatten)]
    choice: ChoiceArgs,

    /// Of these, only the jobs that are done since
    #[arg(long, conflicts_with = "ids")]
    done: bool,
}

/// Which dead jobs are meant.
#[derive(Debug, clap::Args)]
struct ChoiceArgs {
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

/// Runs the command.
pub async fn run(args: DeadArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let store = open_store(settings).await?;
    let broker = connect(settings).await?;
    let mut dead = DeadJobs::take(&*broker, &*store).await?;
    match args.action {
        Action::List => output::answer(&dead.list(), args.json, print_list),
        Action::Show { id } => output::answer(dead.find(&id)?, args.json, print_one),
        Action::Retry(choice) => {
            let chosen = dead.choose(&choice.into())?;
            let decided = dead.retry(&chosen, &*store).await?;
            output::answer(&decided, args.json, print_decided);
        }
        Action::Drop(DropArgs { choice, done }) => {
            let mut chosen = dead.choose(&choice.into())?;
            chosen.retain(|dead| !done || dead.since == Some(Since::Done));
            let decided = dead.discard(&chosen).await?;
            output::answer(&decided, args.json, print_decided);
        }
    }
    dead.close().await?;
    broker.close().await;
    Ok(Ending::AllDone)
}

impl From<ChoiceArgs> for Choice {
    fn from(args: ChoiceArgs) -> Self {
        match args.batch {
            Some(batch) => Self::Batch(batch),
            None if args.all => Self::All,
            None => Self::Ids(args.ids),
        }
    }
}

fn print_list(list: &DeadList<'_>) {
    let row = |dead: &DeadJob| {
        let when = ago(dead.unix_seconds);
        let why = match dead.since {
            Some(since) => format!("{} since (was: {})", since.word(), dead.reason),
            None => dead.reason.clone(),
        };
        [short(&dead.id), when, title(dead), why]
    };
    output::table(&list.dead.iter().map(row).collect::<Vec<_>>());
}

fn print_one(dead: &DeadJob) {
    let mut lines = vec![format!("id        {}", dead.id)];
    lines.push(format!("job       {}", title(dead)));
    if let Some(inputs) = &dead.inputs {
        let inputs = inputs.iter().map(|(role, name)| format!("{role} {name}"));
        let inputs: Vec<_> = inputs.collect();
        lines.push(format!("inputs    {}", inputs.join(", ")));
    }
    lines.push(format!("reason    {}", dead.reason));
    if let Some(since) = dead.since {
        lines.push(format!("since     {}", since.word()));
    }
    if let Some(attempt) = dead.attempt {
        lines.push(format!("attempt   {attempt}"));
    }
    let by = dead.worker.as_deref().unwrap_or("an unknown worker");
    lines.push(format!("set aside {} by {by}", ago(dead.unix_seconds)));
    let DeadJob { letters, bytes, .. } = dead;
    lines.push(format!("messages  {letters}, the last of {bytes} bytes"));
    for line in lines {
        Line::Result(line).print();
    }
}

fn print_decided(decided: &Decided) {
    let mut text = format!("{} retried, {} dropped", decided.retried, decided.dropped);
    if decided.passed_over > 0 {
        text += &format!(
            ", {} are no jobs and can only be dropped",
            decided.passed_over
        );
    }
    Line::Result(text).print();
}

/// What people know a dead job by.
fn title(dead: &DeadJob) -> String {
    match (&dead.batch, &dead.name) {
        (Some(batch), Some(name)) => format!("{batch}/{name}"),
        _ => "(no job)".to_owned(),
    }
}

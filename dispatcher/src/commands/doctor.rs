//! `stylefleet doctor`: whether a dispatcher can work from here, and if not, what to do.

use std::collections::HashSet;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use stylefleet_proto::{Digest, JobId, keys};
use stylefleet_transport::store::{self, Store};

use crate::asking::intake::IntakeError;
use crate::batch;
use crate::commands::queue::{self, Activity};
use crate::commands::{CommandError, Ending, connect, open_store};
use crate::config::Settings;
use crate::leftovers;
use crate::output::{self, Line};
use crate::state::{self, State};

/// Seconds that clocks may differ.
const SKEW: u64 = 30;

/// Arguments of `stylefleet doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Make the broker's exchanges and queues where they are missing, and look at nothing else
    ///
    /// For an administrator of the broker, once; others need no right to make queues.
    #[arg(long)]
    declare: bool,

    /// Remove from the store what jobs that are over left there, and look at nothing else
    ///
    /// Workers remove it themselves, unless they are killed or lose the store just then. For an
    /// owner of the store, now and then; others need no right to remove it.
    #[arg(long, conflicts_with = "declare")]
    collect: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at: store, broker, workers, clocks.
    of: &'static str,
    verdict: Verdict,
    /// What was found; of a problem, also what to do.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Ok,
    Remark,
    Problem,
}

/// Does what is asked.
pub async fn run(args: DoctorArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let mut report = Report::default();
    if args.declare {
        connect(settings).await?.close().await;
        report.ok("broker", "its exchanges and queues are there");
    } else if args.collect {
        let store = open_store(settings).await?;
        let removed = leftovers::remove(&*store).await?;
        report.ok(
            "store",
            &format!("{removed} leftovers of jobs that are over were removed"),
        );
    } else {
        let looked = look_at_store(&mut report, settings).await;
        let ours = report.complain("store", looked);
        let looked = look_at_broker(&mut report, settings, ours).await;
        report.complain("broker", looked);
    }
    match args.json {
        true => output::document(&report),
        false => report.print(),
    }
    Ok(report.ending())
}

/// What the store says of the fleet.
struct Ours {
    /// Which store it is.
    identity: Digest,
    /// Jobs that wait for a worker, as far as the store knows.
    idle: usize,
}

async fn look_at_store(report: &mut Report, settings: &Settings) -> Result<Ours, CommandError> {
    let place = settings.store()?;
    // Not patient: what is wrong is to be said.
    let store = store::open(&place, &settings.s3()).await?;
    let found = store::check(&*store, &keys::cancelled(&nobody()?)).await?;
    report.ok(
        "store",
        &format!("{place} can be written, read and removed from"),
    );
    match found.one_writer {
        true => report.ok(
            "store",
            "of several writers at once, one is told that it wrote",
        ),
        false => report.remark(
            "store",
            "of several writers at once, more than one is told that it wrote: two workers may \
             both write a result; a CPU's are the same bytes",
        ),
    }
    // Named by its bytes, none, it is what it should be whoever wrote it.
    store
        .put(&keys::input(&Digest::of(&[])), Bytes::new())
        .await?;
    let identity = store::establish_identity(&*store).await?;
    let batches = batch::all(&*store).await?;
    report.ok(
        "store",
        &format!(
            "images can be written, and batches listed: {}",
            batches.len()
        ),
    );
    report.clock("the store", found.skew);
    let mut accepted = HashSet::new();
    for (_, batch) in batches {
        match batch {
            Ok(batch) => accepted.extend(batch.accepted.jobs),
            Err(error) => report.add("store", Verdict::Problem, &error.to_string()),
        }
    }
    Ok(Ours {
        identity,
        idle: idle(&*store, accepted).await?,
    })
}

/// How many of the jobs that the broker took wait for a worker.
async fn idle(store: &dyn Store, accepted: HashSet<JobId>) -> Result<usize, CommandError> {
    let jobs: Vec<_> = accepted.into_iter().map(|job| (job, Some(true))).collect();
    let states = state::of_all(store, &jobs).await?;
    let is_idle = |state: &&State| matches!(state, State::Waiting | State::Stopped);
    Ok(states.iter().filter(is_idle).count())
}

/// The id of a job that nobody asked for.
fn nobody() -> Result<JobId, IntakeError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let text = format!("{now:?} {}", std::process::id());
    Ok(Digest::of(text.as_bytes()).to_string().parse()?)
}

async fn look_at_broker(
    report: &mut Report,
    settings: &Settings,
    ours: Option<Ours>,
) -> Result<(), CommandError> {
    let url = settings.broker()?.url;
    let broker = connect(settings).await?;
    report.ok(
        "broker",
        &format!("{url} lets us in, and its queues are there"),
    );
    broker.try_to_publish().await?;
    report.ok("broker", "it takes messages");
    let depths = broker.depths().await?;
    report.ok("broker", &format!("{} jobs wait", depths.waiting()));
    match depths.dead {
        0 => {}
        n => report.remark(
            "broker",
            &format!("{n} jobs were set aside: see `stylefleet dead list`"),
        ),
    }
    let idle = ours.as_ref().map_or(0, |ours| ours.idle);
    let lost = idle.saturating_sub(depths.held() as usize);
    if lost > 0 {
        let text = format!(
            "{lost} jobs are lost: they wait, and the broker does not have them, perhaps because \
             its queues were purged: run their submits again"
        );
        report.add("broker", Verdict::Problem, &text);
    }
    let Activity {
        workers,
        skews,
        stores,
        ..
    } = queue::listen(&*broker).await?;
    broker.close().await;
    report.ok("broker", "events can be followed");
    match workers.len() {
        0 => report.remark(
            "workers",
            "none was heard of: start `stylefleet-worker serve` with the same broker and store",
        ),
        n => report.ok("workers", &format!("{n} live")),
    }
    let others = stores
        .into_iter()
        .filter(|(_, store)| ours.as_ref().is_some_and(|ours| ours.identity != *store));
    for (worker, _) in others {
        let text = format!(
            "{worker} has another store than this machine, and takes none of its jobs: give both \
             the same STYLEFLEET_STORE"
        );
        report.add("workers", Verdict::Problem, &text);
    }
    for (worker, skew) in skews {
        report.clock(&format!("worker {worker}"), skew);
    }
    Ok(())
}

impl Report {
    fn add(&mut self, of: &'static str, verdict: Verdict, text: &str) {
        let text = text.to_owned();
        self.findings.push(Finding { of, verdict, text });
    }

    fn ok(&mut self, of: &'static str, text: &str) {
        self.add(of, Verdict::Ok, text);
    }

    fn remark(&mut self, of: &'static str, text: &str) {
        self.add(of, Verdict::Remark, text);
    }

    /// What came of the look at something, unless that is what ended it.
    fn complain<T>(&mut self, of: &'static str, looked: Result<T, CommandError>) -> Option<T> {
        looked
            .map_err(|error| self.add(of, Verdict::Problem, &error.to_string()))
            .ok()
    }

    /// Whether a clock that is so many seconds ahead of ours will do.
    fn clock(&mut self, whose: &str, ahead: i64) {
        let seconds = ahead.unsigned_abs();
        match seconds <= SKEW {
            true => self.ok("clocks", &format!("{whose} agrees with this machine")),
            false => {
                let way = if ahead > 0 { "ahead of" } else { "behind" };
                let text =
                    format!("{whose} is {seconds} s {way} this machine: have both set by NTP");
                self.add("clocks", Verdict::Problem, &text);
            }
        }
    }

    fn print(&self) {
        let row = |finding: &Finding| {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Remark => "remark",
                Verdict::Problem => "problem",
            };
            let of = finding.of.to_owned();
            [verdict.to_owned(), of, finding.text.clone()]
        };
        let rows: Vec<_> = self.findings.iter().map(row).collect();
        output::table(&rows);
        if self.ending() == Ending::AllDone {
            Line::Remark("no problem found".to_owned()).print();
        }
    }

    fn ending(&self) -> Ending {
        let is_problem = |finding: &Finding| finding.verdict == Verdict::Problem;
        match self.findings.iter().any(is_problem) {
            true => Ending::SomeFailed,
            false => Ending::AllDone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_a_problem() {
        let mut report = Report::default();
        report.clock("the store", 30);
        assert_eq!(report.ending(), Ending::AllDone);
        report.clock("the store", -31);
        assert_eq!(report.ending(), Ending::SomeFailed);
        assert!(report.findings[1].text.contains("31 s behind this machine"));
    }
}

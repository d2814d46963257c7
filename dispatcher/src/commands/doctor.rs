//! `stylefleet doctor`: whether a dispatcher can work from here, and if not, what to do.

use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use stylefleet_proto::{Digest, JobId, keys};
use stylefleet_transport::store;

use crate::asking::intake::IntakeError;
use crate::batch;
use crate::commands::queue::{self, Heard};
use crate::commands::{CommandError, Ending, connect, open_store};
use crate::config::Settings;
use crate::output::{self, Line};

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
    } else {
        let looked = look_at_store(&mut report, settings).await;
        report.complain("store", looked);
        let looked = look_at_broker(&mut report, settings).await;
        report.complain("broker", looked);
    }
    match args.json {
        true => output::document(&report),
        false => report.print(),
    }
    Ok(report.ending())
}

async fn look_at_store(report: &mut Report, settings: &Settings) -> Result<(), CommandError> {
    let place = settings.store()?;
    let store = open_store(settings).await?;
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
    let batches = batch::all(&*store).await?.len();
    report.ok(
        "store",
        &format!("images can be written, and batches listed: {batches}"),
    );
    report.clock("the store", found.skew);
    Ok(())
}

/// The id of a job that nobody asked for.
fn nobody() -> Result<JobId, IntakeError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let text = format!("{now:?} {}", std::process::id());
    Ok(Digest::of(text.as_bytes()).to_string().parse()?)
}

async fn look_at_broker(report: &mut Report, settings: &Settings) -> Result<(), CommandError> {
    let url = settings.broker()?.url;
    let broker = connect(settings).await?;
    report.ok(
        "broker",
        &format!("{url} lets us in, and its queues are there"),
    );
    broker.try_to_publish().await?;
    report.ok("broker", "it takes messages");
    let depths = broker.depths().await?;
    let waiting = depths.high + depths.normal + depths.low + depths.retrying;
    report.ok("broker", &format!("{waiting} jobs wait"));
    match depths.dead {
        0 => {}
        n => report.remark(
            "broker",
            &format!("{n} jobs were set aside: see `stylefleet dead list`"),
        ),
    }
    let Heard { workers, skews, .. } = queue::listen(&broker).await?;
    broker.close().await;
    report.ok("broker", "events can be followed");
    match workers.len() {
        0 => report.remark(
            "workers",
            "none was heard of: start `stylefleet-worker serve` with the same broker and store",
        ),
        n => report.ok("workers", &format!("{n} live")),
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

    /// What ended the look at something.
    fn complain(&mut self, of: &'static str, looked: Result<(), CommandError>) {
        if let Err(error) = looked {
            self.add(of, Verdict::Problem, &error.to_string());
        }
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

//! `stylefleet doctor`: whether a dispatcher can work from here, and if not, what to do.

use stylefleet_fleet::health::{Finding, Report, StoreFacts, Subject, Verdict};
use stylefleet_fleet::leftovers;
use stylefleet_transport::store;
use stylefleet_video::Tools;

use crate::commands::{CommandError, Ending, connect, open_store};
use crate::config::Settings;
use crate::output::{self, Line};

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

/// Runs the command.
pub async fn run(args: DoctorArgs, settings: &Settings) -> Result<Ending, CommandError> {
    let mut report = Report::default();
    if args.declare {
        connect(settings).await?.close().await;
        report.ok(Subject::Broker, "its exchanges and queues are there");
    } else if args.collect {
        let store = open_store(settings).await?;
        let removed = leftovers::remove(&*store).await?;
        let text = format!("{removed} leftovers of jobs that are over were removed");
        report.ok(Subject::Store, &text);
    } else {
        let checked = check_store(&mut report, settings).await;
        let facts = checked
            .map_err(|error| report.problem(Subject::Store, &error.to_string()))
            .ok();
        if let Err(error) = check_broker(&mut report, settings, facts).await {
            report.problem(Subject::Broker, &error.to_string());
        }
        check_ffmpeg(&mut report);
    }
    output::answer(&report, args.json, print);
    if report.has_problem() {
        Ok(Ending::SomeFailed)
    } else {
        Ok(Ending::AllDone)
    }
}

async fn check_store(report: &mut Report, settings: &Settings) -> Result<StoreFacts, CommandError> {
    let place = settings.store()?;
    // Not patient: what is wrong is to be said.
    let store = store::open(&place, &settings.s3()).await?;
    Ok(report.check_store(&*store, &place).await?)
}

async fn check_broker(
    report: &mut Report,
    settings: &Settings,
    store: Option<StoreFacts>,
) -> Result<(), CommandError> {
    let url = settings.broker()?.url;
    let broker = connect(settings).await?;
    let text = format!("{url} lets us in, and its queues are there");
    report.ok(Subject::Broker, &text);
    let checked = report.check_broker(&*broker, store).await;
    broker.close().await;
    Ok(checked?)
}

/// Pictures need none of it.
fn check_ffmpeg(report: &mut Report) {
    match Tools::find(None) {
        Ok(tools) => {
            let text = format!("version {} reads and writes videos", tools.version());
            report.ok(Subject::Ffmpeg, &text);
        }
        Err(error) => {
            let text = format!("no videos from here: {error}");
            report.remark(Subject::Ffmpeg, &text);
        }
    }
}

fn print(report: &Report) {
    let row = |finding: &Finding| {
        let of = match finding.of {
            Subject::Store => "store",
            Subject::Broker => "broker",
            Subject::Workers => "workers",
            Subject::Clocks => "clocks",
            Subject::Ffmpeg => "ffmpeg",
        };
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Remark => "remark",
            Verdict::Problem => "problem",
        };
        [verdict.to_owned(), of.to_owned(), finding.text.clone()]
    };
    let rows: Vec<_> = report.findings.iter().map(row).collect();
    output::table(&rows);
    if !report.has_problem() {
        Line::Remark("no problem found".to_owned()).print();
    }
}

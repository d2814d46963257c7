//! The ledger: many small jobs, many faults, and an account of what became of every job.
//!
//! A RabbitMQ, a SeaweedFS and workers of this test's own, which a supervisor replaces when they
//! end, go through a schedule of faults: workers killed, stopped and sent away, connections cut
//! and servers down, dispatchers killed while they submit. The faults are drawn from a seed; what
//! they meet depends on the machine. In the end the books must balance, see [`ledger`]. So they
//! must with a broker of three nodes, each of which is lost in turn.
//!
//! `make chaos` shows the ledger. STYLEFLEET_CHAOS_JOBS, _FAULTS, _WORKERS and _SEED size it.

mod asked;
mod bucket;
mod events;
mod faults;
mod ledger;
mod log;
mod storm;
mod workers;

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use stylefleet_tests::cluster::{self, Cluster};
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::services::Services;

use crate::asked::Asked;
use crate::bucket::Watched;
use crate::events::Events;
use crate::faults::Fault;
use crate::storm::Storm;
use crate::workers::Workers;

/// Longer than the fleet may go without getting anything done once the faults are over.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much of everything.
#[derive(Debug)]
struct Size {
    jobs: usize,
    faults: usize,
    workers: usize,
    seed: u64,
}

impl Size {
    /// The short form, where the environment asks for no other.
    fn from_environment() -> Self {
        Self {
            jobs: variable("JOBS").unwrap_or(24),
            faults: variable("FAULTS").unwrap_or(16),
            workers: variable("WORKERS").unwrap_or(2),
            seed: variable("SEED").unwrap_or_else(|| fastrand::u64(..1_000_000)),
        }
    }

    fn random(&self) -> Rng {
        Rng::with_seed(self.seed)
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let name = format!("STYLEFLEET_CHAOS_{name}");
    let text = std::env::var(&name).ok().filter(|text| !text.is_empty())?;
    let value = text.parse().ok();
    Some(value.unwrap_or_else(|| panic!("{name}={text} is no number")))
}

#[test]
fn every_job_is_accounted_for_whatever_fails() {
    let size = Size::from_environment();
    let faults = faults::schedule(size.faults, &mut size.random());
    account_for_every_job(&size, &faults, &Services::private(), None);
}

#[test]
#[ignore = "takes minutes: `make chaos` runs it"]
fn every_job_is_accounted_for_whichever_node_of_the_broker_fails() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let size = Size::from_environment();
    let faults = faults::of_nodes(cluster::NODES, &mut size.random());
    account_for_every_job(&size, &faults, &cluster.services, Some(&cluster));
}

fn account_for_every_job(
    size: &Size,
    faults: &[Fault],
    services: &Services,
    cluster: Option<&Cluster>,
) {
    let began = Instant::now();
    let Size {
        jobs,
        workers,
        seed,
        ..
    } = *size;
    let count = faults.len();
    println!("chaos: {jobs} jobs, {count} faults, {workers} workers, seed {seed}");
    let workshop = Workshop::new(services);
    let asked = Asked::new(&workshop, jobs, faults::submits(faults));
    let a_submit = asked.submit_what_lacks_inputs(&workshop);

    let events = Events::follow(&workshop.fleet.dispatcher);
    let watched = Watched::default();
    let workers = Workers::new(&workshop, services, workers);
    let storm = Storm {
        services,
        cluster,
        workshop: &workshop,
        asked: &asked,
        events: &events,
        watched: &watched,
        a_submit,
    };
    let (tally, workers) = thread::scope(|scope| {
        let watching = watched.keep_looking(scope, &workshop.fleet, services);
        let done = storm.run(scope, faults, workers);
        drop(watching);
        done
    });
    let ledger = ledger::balance(&storm, tally, &workers);
    println!("{ledger}took        {:.0} s", began.elapsed().as_secs_f64());
    assert!(
        ledger.complaints.is_empty(),
        "seed {seed}: the books do not balance:\n{}",
        ledger.complaints.join("\n")
    );
}

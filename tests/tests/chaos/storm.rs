//! Faults, one after the other, and then the calm.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::thread::{Scope, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant};

use stylefleet_tests::cluster::Cluster;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::signal;
use stylefleet_tests::services::{Server, Services};

use crate::PATIENCE;
use crate::asked::Asked;
use crate::bucket::Watched;
use crate::events::Events;
use crate::faults::{Fault, Kind};
use crate::workers::{Stage, Workers};

/// Longest time between two faults, where jobs do not get done.
const LULL: Duration = Duration::from_secs(3);
/// When workers are struck, by lot: while they may still be starting, while they are at work, or
/// at the moment that matters most.
const STAGES: [Stage; 8] = {
    use Stage::{AtWork, Finishing, Hired};
    [
        Hired, AtWork, AtWork, AtWork, AtWork, Finishing, Finishing, Finishing,
    ]
};

/// How often what happened.
pub type Tally = BTreeMap<Kind, usize>;

/// A fleet, and everybody who watches it.
#[derive(Debug, Clone, Copy)]
pub struct Storm<'env> {
    pub services: &'env Services,
    /// The broker's nodes, where there are several.
    pub cluster: Option<&'env Cluster>,
    pub workshop: &'env Workshop<'env>,
    pub asked: &'env Asked,
    pub events: &'env Events,
    pub watched: &'env Watched,
    /// How long a dispatcher takes to submit, at least.
    pub a_submit: Duration,
}

impl<'env> Storm<'env> {
    /// Has the workers work while the faults strike, and until all jobs are over or nothing gets
    /// done any more. Then the workers are dismissed.
    pub fn run<'scope>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        faults: &[Fault],
        mut workers: Workers,
    ) -> (Tally, Workers)
    where
        'env: 'scope,
    {
        let mut tally = Tally::new();
        let mut aside = Vec::new();
        let mut submitted = 0;
        let began = Instant::now();
        let mut diary = File::create(workers.logs.path().join("storm.txt")).expect("a file");
        for (number, fault) in faults.iter().enumerate() {
            self.await_turn(&mut workers, number * self.asked.good / faults.len());
            let (time, finished) = (began.elapsed(), self.events.finished());
            let _ = writeln!(diary, "{time:.1?} {finished} {fault:?}");
            match fault.kind {
                Kind::KillSubmit => {
                    let (batch, after) = (submitted, self.a_submit.mul_f64(fault.far));
                    aside.push(scope.spawn(move || {
                        self.asked.submit(self.workshop, batch, after);
                    }));
                    submitted += 1;
                }
                Kind::CrashNode | Kind::UnplugNode | Kind::PartNode => {
                    let fault = *fault;
                    let losing = scope.spawn(move || self.lose_node(fault));
                    while !losing.is_finished() {
                        workers.tick();
                    }
                }
                kind => match server(kind) {
                    Some(server) => aside.push(self.disturb(scope, server, *fault)),
                    None => self.strike(&mut workers, fault),
                },
            }
            *tally.entry(fault.kind).or_default() += 1;
        }
        while !workers.is_calm() || !aside.iter().all(ScopedJoinHandle::is_finished) {
            workers.tick();
        }
        self.await_the_end(&mut workers);
        workers.dismiss();
        (tally, workers)
    }

    /// Waits until so many jobs are finished, or a while.
    fn await_turn(&self, workers: &mut Workers, finished: usize) {
        let latest = Instant::now() + LULL;
        while self.events.finished() < finished && Instant::now() < latest {
            workers.tick();
        }
    }

    /// Strikes a worker.
    fn strike(&self, workers: &mut Workers, fault: &Fault) {
        let place = await_victim(workers, fault);
        let victim = workers.place(place);
        match fault.kind {
            Kind::Kill => victim.kill(),
            Kind::Drain => victim.drain(),
            Kind::Hurry => victim.hurry(fault.lasts),
            Kind::Nap | Kind::Coma => victim.freeze(fault.lasts),
            Kind::CutBroker => victim.cut_broker(),
            Kind::CutStore => victim.cut_store(),
            Kind::Away => victim.block(fault.lasts),
            Kind::Silence => victim.silence(fault.lasts),
            _ => {}
        }
    }

    /// Takes a server away for a while, when it is back from the last time.
    fn disturb<'scope>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        server: Server,
        fault: Fault,
    ) -> ScopedJoinHandle<'scope, ()>
    where
        'env: 'scope,
    {
        static ONE_AT_A_TIME: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];
        scope.spawn(move || {
            let turn = &ONE_AT_A_TIME[server as usize];
            let _turn = turn.lock().expect("no thread panicked");
            match fault.kind {
                Kind::StopBroker | Kind::StopStore => self.services.stop(server),
                Kind::CrashBroker | Kind::CrashStore => self.services.kill(server),
                _ => {
                    let process = self.process(server);
                    signal(process, "STOP");
                    sleep(fault.lasts);
                    signal(process, "CONT");
                    return;
                }
            }
            sleep(fault.lasts);
            self.services.start(server);
        })
    }

    /// Takes a node of the broker away for a while, and waits until all are there again.
    fn lose_node(self, fault: Fault) {
        let (cluster, node) = (self.cluster.expect("has nodes"), fault.lot);
        let (lose, give_back): (fn(_, _), fn(_, _)) = match fault.kind {
            Kind::CrashNode => (Cluster::crash, Cluster::start),
            Kind::UnplugNode => (Cluster::unplug, Cluster::plug),
            _ => (Cluster::part, Cluster::unite),
        };
        lose(cluster, node);
        sleep(fault.lasts);
        give_back(cluster, node);
        cluster.await_return(node);
        cluster.await_all();
    }

    fn process(&self, server: Server) -> u32 {
        let folder = Path::new(self.services.setting("STYLEFLEET_TEST_SERVICES"));
        let name = match server {
            Server::Broker => "broker.pid",
            Server::Store => "store.pid",
        };
        let text = fs::read_to_string(folder.join(name)).expect("the server runs");
        let process = text.split(' ').next().unwrap_or_default();
        process.parse().expect("a process")
    }

    /// Until all jobs are over and the queues are empty, or nothing changes any more.
    fn await_the_end(&self, workers: &mut Workers) {
        let mut last = (self.standing(), Instant::now());
        let mut asked = Instant::now();
        while last.1.elapsed() < PATIENCE {
            workers.tick();
            let over = self.watched.over();
            // The broker is asked seldom: it costs a third of a second.
            if asked.elapsed() < Duration::from_secs(1) {
                continue;
            }
            asked = Instant::now();
            let standing = self.standing();
            if over == self.asked.jobs() && standing.1.is_empty() {
                return;
            }
            if standing != last.0 {
                last = (standing, Instant::now());
            }
        }
    }

    /// Jobs that are over, and what is in the queues.
    fn standing(&self) -> (usize, BTreeMap<String, u64>) {
        (self.watched.over(), self.queued())
    }

    /// Messages that are in the queues, be they with workers or not, but for dead letters.
    pub fn queued(&self) -> BTreeMap<String, u64> {
        let columns = [
            "list_queues",
            "name",
            "messages_ready",
            "messages_unacknowledged",
        ];
        let answer = self.workshop.fleet.rabbitmqctl(&columns);
        let row = |line: &str| {
            let mut fields = line.split_whitespace();
            let name = fields.next()?.strip_prefix("stylefleet.v2.")?;
            let count = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
            let is_work = ["jobs", "retry", "abandoned"]
                .iter()
                .any(|kind| name.starts_with(kind));
            (is_work && count > 0).then(|| (name.to_owned(), count))
        };
        answer.lines().filter_map(row).collect()
    }
}

/// The place of a worker to be struck, which is at work if there is such a one soon.
fn await_victim(workers: &mut Workers, fault: &Fault) -> usize {
    use Kind::{Away, CutBroker, CutStore, Silence};
    let is_far = matches!(fault.kind, CutBroker | CutStore | Away | Silence);
    let began = Instant::now();
    let wanted = STAGES[fault.lot % STAGES.len()];
    let stage = || {
        if began.elapsed() < LULL {
            wanted
        } else {
            wanted.min(Stage::Ready)
        }
    };
    // At any moment of its work, not always at the first that is noticed.
    let late = match wanted {
        Stage::Finishing => fault.late / 10,
        _ => fault.late,
    };
    loop {
        assert!(began.elapsed() < PATIENCE, "no worker takes jobs");
        workers.tick();
        if let Some(place) = workers.victim(fault.lot, stage(), is_far) {
            let end = Instant::now() + late;
            while Instant::now() < end {
                workers.tick();
            }
            if workers.is_free(place) {
                return place;
            }
        }
    }
}

fn server(kind: Kind) -> Option<Server> {
    match kind {
        Kind::StopBroker | Kind::CrashBroker | Kind::HangBroker => Some(Server::Broker),
        Kind::StopStore | Kind::CrashStore | Kind::HangStore => Some(Server::Store),
        _ => None,
    }
}

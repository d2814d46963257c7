//! What goes wrong, and in which order.

use std::time::Duration;

use fastrand::Rng;

/// Seconds after which a connection whose other end is silent counts as lost: two of these.
pub const HEARTBEAT: u64 = 2;

/// Ways to disturb a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A worker is killed.
    Kill,
    /// A worker is told to stop.
    Drain,
    /// A worker is told to stop, and soon told again.
    Hurry,
    /// A worker stands still, for less time than the broker would mind.
    Nap,
    /// A worker stands still until its jobs are others'.
    Coma,
    /// A worker's connections to the broker are cut.
    CutBroker,
    /// A worker's connections to the store are cut.
    CutStore,
    /// A worker can reach nothing for a while.
    Away,
    /// Nothing comes through to a worker for a while, though its connections seem to stand.
    Silence,
    /// The broker is stopped in good order.
    StopBroker,
    /// The broker crashes.
    CrashBroker,
    /// The broker stands still.
    HangBroker,
    /// The store is stopped in good order.
    StopStore,
    /// The store crashes.
    CrashStore,
    /// The store stands still.
    HangStore,
    /// A node of the broker crashes.
    CrashNode,
    /// A node of the broker is cut off from everybody.
    UnplugNode,
    /// A node of the broker is cut off from its peers, and not from clients.
    PartNode,
    /// A dispatcher is killed while it submits, and what it did is done again.
    KillSubmit,
}

/// The kinds that strike at random, and how often each among a thousand.
const SHARES: [(Kind, usize); 15] = [
    (Kind::Kill, 130),
    (Kind::Drain, 100),
    (Kind::Hurry, 60),
    (Kind::Nap, 120),
    (Kind::Coma, 120),
    (Kind::CutBroker, 170),
    (Kind::CutStore, 100),
    (Kind::Away, 60),
    (Kind::Silence, 60),
    (Kind::StopBroker, 10),
    (Kind::CrashBroker, 15),
    (Kind::HangBroker, 10),
    (Kind::StopStore, 10),
    (Kind::CrashStore, 20),
    (Kind::HangStore, 15),
];
/// Of so many faults, one is a killed submit.
const FAULTS_A_SUBMIT: usize = 100;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// How.
    pub kind: Kind,
    /// For how long, where it lasts.
    pub lasts: Duration,
    /// How far into what it interrupts, from 0 to 1.
    pub far: f64,
    /// How long after it could be.
    pub late: Duration,
    /// Whom it strikes.
    pub lot: usize,
}

/// So many faults. Every kind is there if there is room for it; the submits are in the first half,
/// so that there is work while the others strike.
pub fn schedule(count: usize, random: &mut Rng) -> Vec<Fault> {
    let submits = count.div_ceil(FAULTS_A_SUBMIT);
    let mut kinds: Vec<_> = SHARES.map(|(kind, _)| kind).into();
    random.shuffle(&mut kinds);
    kinds.resize_with(count - submits, || draw(random));
    random.shuffle(&mut kinds);
    for submit in 0..submits {
        kinds.insert(submit * count / submits / 2, Kind::KillSubmit);
    }
    kinds.into_iter().map(|kind| fault(kind, random)).collect()
}

/// The loss of each node of a broker in turn, and the two ways in which networks part them; each
/// with a submit, so that there is work.
pub fn of_nodes(nodes: usize, random: &mut Rng) -> Vec<Fault> {
    let mut lost: Vec<_> = (0..nodes).map(|node| (Kind::CrashNode, node)).collect();
    for kind in [Kind::UnplugNode, Kind::PartNode] {
        lost.push((kind, random.usize(..nodes)));
    }
    random.shuffle(&mut lost);
    let mut faults = Vec::new();
    for (kind, lot) in lost {
        faults.push(fault(Kind::KillSubmit, random));
        faults.push(Fault {
            lot,
            ..fault(kind, random)
        });
    }
    faults
}

/// How many of the faults are killed submits.
pub fn submits(faults: &[Fault]) -> usize {
    let submits = faults.iter().filter(|f| f.kind == Kind::KillSubmit);
    submits.count()
}

fn draw(random: &mut Rng) -> Kind {
    let all: usize = SHARES.iter().map(|(_, share)| share).sum();
    let mut lot = random.usize(..all);
    let mut drawn = SHARES.iter().skip_while(|(_, share)| {
        let passed = lot >= *share;
        lot = lot.saturating_sub(*share);
        passed
    });
    drawn.next().expect("lots are less than all").0
}

fn fault(kind: Kind, random: &mut Rng) -> Fault {
    let heartbeat = HEARTBEAT * 1000;
    let millis = match kind {
        Kind::Nap => 50..heartbeat,
        Kind::Coma => heartbeat * 5 / 2..heartbeat * 4,
        Kind::Hurry => 0..200,
        Kind::Silence => 500..heartbeat * 4,
        // Until the nodes have noticed.
        Kind::UnplugNode | Kind::PartNode => 20_000..25_000,
        _ => 100..4000,
    };
    Fault {
        kind,
        lasts: Duration::from_millis(random.u64(millis)),
        far: random.f64(),
        late: Duration::from_millis(random.u64(..400)),
        lot: random.usize(..1000),
    }
}

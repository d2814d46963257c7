//! A fleet as it stands, kept current, for programs that show it for hours. As in
//! [`follow`](crate::follow), the store says what has become of jobs, and workers what goes on:
//! what only workers said is corrected by the next look into the store.

mod board;
mod diary;
mod documents;
#[cfg(test)]
mod tests;
pub(crate) mod work;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use stylefleet_proto::{BatchId, JobId, keys};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd, MemoryBroker};
use stylefleet_transport::store::{Store, StoreError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::batch::{self, Batch};
use crate::clock::millis;
use crate::documents::DocumentError;
use crate::state;

pub use board::{Board, Filter};
pub use diary::{Entry, What};
pub use documents::{
    BatchSummary, Depth, FleetSummary, LiveCurve, ResultSummary, Window, WorkerSummary,
};

/// How often at most the store is looked at.
const PAUSE: Duration = Duration::from_secs(15);
/// How often at most it is looked at where there is a reason to.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);
/// A store that takes long to answer rests so many times as long.
const REST: u32 = 10;
/// Jobs whose states are read at once, which bounds the memory that takes.
const TOGETHER: usize = 5000;
/// The past that is read from the broker, for rates and for what happened to jobs.
const PAST: Duration = Duration::from_secs(3600);
/// Time between two looks at the depths of the queues.
const DEPTHS_EVERY: Duration = Duration::from_secs(10);
/// Time before the broker is tried again.
const RECONNECT: Duration = Duration::from_secs(5);
/// How long is waited for another change after one: changes are told together.
const GATHER: Duration = Duration::from_millis(250);

/// Connects to a fleet's broker.
pub type Connect =
    Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn DispatcherEnd>, BrokerError>> + Send + Sync>;

/// A broker of this process is there already.
fn to(broker: MemoryBroker) -> Connect {
    Box::new(move || {
        let broker: Arc<dyn DispatcherEnd> = Arc::new(broker.clone());
        Box::pin(async move { Ok(broker) })
    })
}

/// A fleet as it stands.
pub struct Live {
    store: Arc<dyn Store>,
    connect: Connect,
    is_local: bool,
    broker: Mutex<Option<Arc<dyn DispatcherEnd>>>,
    board: Mutex<Board>,
    /// Told when the store is to be looked at at once.
    wake: Notify,
    version: watch::Sender<u64>,
}

impl Live {
    /// The fleet of a store and a broker. Nothing is known of it before [`Live::keep_current`].
    pub fn new(store: Arc<dyn Store>, connect: Connect) -> Self {
        Self {
            store,
            connect,
            is_local: false,
            broker: Mutex::new(None),
            board: Mutex::new(Board::new(millis(SystemTime::now()))),
            wake: Notify::new(),
            version: watch::Sender::new(0),
        }
    }

    /// What is done on one machine, in one process: there, what is asked for waits from the
    /// start, and no broker has to accept it.
    pub fn local(store: Arc<dyn Store>, broker: MemoryBroker) -> Self {
        Self {
            is_local: true,
            ..Self::new(store, to(broker))
        }
    }

    /// Keeps it current for as long as this is polled. Never returns.
    pub async fn keep_current(&self) {
        tokio::join!(self.watch_store(), self.watch_broker(), self.watch_clock());
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The broker, connected to anew if need be.
    pub async fn broker(&self) -> Result<Arc<dyn DispatcherEnd>, BrokerError> {
        let connected = locked(&self.broker).clone();
        match connected {
            Some(broker) => Ok(broker),
            None => (self.connect)().await,
        }
    }

    /// Has the store looked at now: something was just changed there.
    pub fn look(&self) {
        self.wake.notify_one();
    }

    /// Makes a batch known that was submitted just now, if it is not.
    pub async fn learn(&self, batch: &BatchId) -> Result<(), DocumentError> {
        if self.read(|board| board.has(batch)) {
            return Ok(());
        }
        let keys = self.store.list(&keys::batch(batch)).await?;
        if !keys.is_empty() {
            let read = self.read_batch(batch.clone(), keys.clone()).await?;
            self.update(|board| board.add(&read, keys));
            // For the states of its jobs.
            self.look();
        }
        Ok(())
    }

    /// Reads what is known. Must be short: everybody else waits.
    pub fn read<T>(&self, read: impl FnOnce(&Board) -> T) -> T {
        read(&locked(&self.board))
    }

    /// Notes what an action did to jobs, before the store is looked at again.
    pub fn set(&self, jobs: &[JobId], state: state::State) {
        self.update(|board| {
            jobs.iter().for_each(|job| board.set(job, state));
        });
    }

    /// Waits until something has changed since `version`, and a moment longer. Returns the version
    /// of now. Versions begin at 0 and grow.
    pub async fn changed(&self, version: u64) -> u64 {
        let mut versions = self.version.subscribe();
        // It is closed when this is dropped, which nobody sees who holds it.
        let _ = versions.wait_for(|now| *now > version).await;
        sleep(GATHER).await;
        *versions.borrow()
    }

    fn update(&self, update: impl FnOnce(&mut Board)) {
        let version = {
            let mut board = locked(&self.board);
            update(&mut board);
            board.version()
        };
        self.version.send_if_modified(|now| {
            let is_new = *now != version;
            *now = version;
            is_new
        });
    }

    async fn watch_store(&self) {
        loop {
            let begun = Instant::now();
            let looked = self.look_at_store().await;
            self.update(|board| board.store_answered(looked.map_err(|error| error.to_string())));
            let rest = PAUSE.max(begun.elapsed() * REST);
            sleep(SHORTEST_PAUSE).await;
            // Woken or not, it is looked at again.
            let _ = timeout(rest, self.wake.notified()).await;
        }
    }

    /// Reads which batches there are, and the states of jobs that are not done.
    async fn look_at_store(&self) -> Result<(), StoreError> {
        let listed = batch::listing(&*self.store).await?;
        self.update(|board| board.keep_batches(|batch| listed.contains_key(batch)));
        for (name, keys) in listed {
            if self.read(|board| board.knows(&name, &keys)) {
                continue;
            }
            match self.read_batch(name.clone(), keys.clone()).await {
                Ok(batch) => self.update(|board| board.add(&batch, keys)),
                Err(DocumentError::Store(error)) => return Err(error),
                Err(damaged) => {
                    let reason = damaged.to_string();
                    self.update(|board| board.add_damaged(name, reason));
                }
            }
        }
        let open = self.read(Board::open);
        for jobs in open.chunks(TOGETHER) {
            let states = state::of_all(&*self.store, jobs).await?;
            self.update(|board| {
                let jobs = jobs.iter().zip(states);
                jobs.for_each(|((job, _), state)| board.set(job, state));
            });
        }
        Ok(())
    }

    /// Reads the documents under these keys.
    async fn read_batch(&self, name: BatchId, keys: Vec<String>) -> Result<Batch, DocumentError> {
        let mut batch = batch::read(&*self.store, name, keys).await?;
        if self.is_local {
            let asked = batch.manifest.jobs.iter().map(|entry| entry.job);
            batch.accepted.jobs = asked.collect();
        }
        Ok(batch)
    }

    async fn watch_broker(&self) {
        loop {
            let trouble = match self.follow_broker().await {
                Ok(()) => "the connection ended".to_owned(),
                Err(error) => error.to_string(),
            };
            *locked(&self.broker) = None;
            self.update(|board| board.broker_is_away(trouble));
            sleep(RECONNECT).await;
        }
    }

    /// Follows what workers publish until the connection ends.
    async fn follow_broker(&self) -> Result<(), BrokerError> {
        let broker = (self.connect)().await?;
        let mut notifications = broker.follow(SystemTime::now() - PAST).await?;
        *locked(&self.broker) = Some(broker.clone());
        let mut depths = interval(DEPTHS_EVERY);
        depths.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notification = notifications.recv() => {
                    let Some(first) = notification else { return Ok(()) };
                    self.update(|board| {
                        board.take(first);
                        take_waiting(board, &mut notifications);
                    });
                    if self.read(Board::has_news_of_strangers) {
                        self.look();
                    }
                }
                _ = depths.tick() => {
                    let depths = broker.depths().await?;
                    self.update(|board| board.depths(depths, millis(SystemTime::now())));
                    if self.read(Board::has_more_waiting) {
                        self.look();
                    }
                }
            }
        }
    }

    /// Forgets workers that are heard of no more.
    async fn watch_clock(&self) {
        let mut seconds = interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            self.update(|board| board.tick(millis(SystemTime::now())));
        }
    }
}

/// Takes what has come meanwhile too, so that the board is locked once for all of it.
fn take_waiting(
    board: &mut Board,
    notifications: &mut mpsc::Receiver<stylefleet_transport::broker::Notification>,
) {
    while let Ok(next) = notifications.try_recv() {
        board.take(next);
    }
}

/// What panicked while it held the lock left nothing half done that the next look would not mend.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

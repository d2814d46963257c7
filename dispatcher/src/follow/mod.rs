//! Follows jobs until they are over, and shows people how they get on: `watch` does so with the
//! jobs of a fleet, `run` with those of its own workers. The broker notifies of what goes on; what
//! has become of a job is for the store to say.

mod look;
mod show;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::LocalBoxFuture;
use stylefleet_fleet::clock::millis;
use stylefleet_fleet::lost;
use stylefleet_proto::{JobId, ManifestEntry, Update};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd, Notification};
use stylefleet_transport::store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::board::Board;
use crate::picture_folder::{FolderError, PictureFolder};

use look::Look;

/// How often at most the store of a fleet is asked about all jobs that are not over.
pub const PAUSE: Duration = Duration::from_secs(15);
/// A store that takes long to answer is asked less often: it rests this many times as long,
const REST: u32 = 10;
/// but no longer than this: it may have been away meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(120);
/// How much the clocks of brokers and dispatchers may differ.
const SKEW: Duration = Duration::from_secs(60);
/// Answers of the store that may wait to be read.
const ROOM: usize = 256;

/// Connects to a fleet's broker.
pub type Connect<'a> =
    Box<dyn Fn() -> LocalBoxFuture<'a, Result<Arc<dyn DispatcherEnd>, BrokerError>> + 'a>;

/// Follows jobs.
pub struct Follower<'a> {
    /// What people are shown.
    pub board: Board,
    /// Jobs that are not known to be over.
    open: HashSet<JobId>,
    store: Arc<dyn Store>,
    /// Where pictures are saved as they are made; none: they stay in the store.
    folder: Option<PictureFolder>,
    /// Whose workers are at the jobs; none: this process's own. Their broker loses nothing, and
    /// their store is the one here.
    fleet: Option<Fleet<'a>>,
    /// None: nobody notifies just now.
    subscription: Option<Subscription>,
    /// Looks for the ends of single jobs.
    looks: JoinSet<Look>,
    /// What looks for the ends of all jobs find, and the way there.
    found: mpsc::Receiver<Look>,
    finds: mpsc::Sender<Look>,
    /// When the store is asked about all jobs next; none: that is under way, or is not needed.
    next_sweep: Option<Instant>,
    /// Whether the store was asked about all jobs once.
    has_swept: bool,
    /// When this began, by this machine's clock: milliseconds since 1970-01-01 UTC.
    begun_millis: u64,
    /// Jobs that were with nobody at the last sweep: they may have been on their way then.
    lost: usize,
    /// What was last complained of: once is enough.
    last_trouble: String,
}

/// A fleet.
pub struct Fleet<'a> {
    /// Connects to its broker.
    pub connect: Connect<'a>,
    /// When the jobs were submitted: seconds since 1970-01-01 UTC.
    pub since: u64,
    /// How often at most the store is asked about all jobs that are not over.
    pub pause: Duration,
}

/// Notifications, and the connection that they come over.
struct Subscription {
    notifications: mpsc::Receiver<Notification>,
    /// None: our own workers'.
    broker: Option<Arc<dyn DispatcherEnd>>,
}

/// Something to handle.
pub enum Next {
    /// The broker notifies; none: it does no more.
    Notification(Option<Notification>),
    /// The store was looked into.
    Look(Look),
    /// It is time to ask the store about all jobs.
    Sweep,
}

/// Why jobs cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The store did not do as it was told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker did not do as it was told.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Pictures cannot be saved.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl<'a> Follower<'a> {
    /// Follows jobs of a fleet. Their pictures stay in the store.
    pub fn of_fleet(
        fleet: Fleet<'a>,
        board: Board,
        entries: &[ManifestEntry],
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            fleet: Some(fleet),
            ..Self::new(board, entries, store)
        }
    }

    /// Follows jobs that workers of this process do, as `notifications` tell. Pictures are saved in
    /// `folder` as they are made.
    pub fn of_own_workers(
        notifications: mpsc::Receiver<Notification>,
        board: Board,
        entries: &[ManifestEntry],
        store: Arc<dyn Store>,
        folder: PictureFolder,
    ) -> Self {
        Self {
            folder: Some(folder),
            subscription: Some(Subscription {
                notifications,
                broker: None,
            }),
            ..Self::new(board, entries, store)
        }
    }

    fn new(mut board: Board, entries: &[ManifestEntry], store: Arc<dyn Store>) -> Self {
        board.expect(entries.iter().cloned());
        let (finds, found) = mpsc::channel(ROOM);
        Self {
            board,
            open: entries.iter().map(|entry| entry.job).collect(),
            store,
            folder: None,
            fleet: None,
            subscription: None,
            looks: JoinSet::new(),
            found,
            finds,
            next_sweep: Some(Instant::now()),
            has_swept: false,
            begun_millis: millis(SystemTime::now()),
            lost: 0,
            last_trouble: String::new(),
        }
    }

    /// Whether all jobs are over.
    pub fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether there is nothing to come: nobody notifies, and nothing is looked for.
    pub fn is_idle(&self) -> bool {
        self.subscription.is_none() && self.looks.is_empty()
    }

    /// Follows all jobs to their ends.
    pub async fn run(&mut self) -> Result<(), FollowError> {
        while !self.is_done() {
            let next = self.next().await;
            self.handle(next).await?;
        }
        Ok(())
    }

    /// Shows which jobs were over before.
    pub async fn catch_up(&mut self) -> Result<(), FollowError> {
        while !self.has_swept {
            let next = self.next().await;
            self.handle(next).await?;
        }
        Ok(())
    }

    /// Waits for something to handle. Safe to cancel.
    pub async fn next(&mut self) -> Next {
        let sweep_at = self.next_sweep.unwrap_or_else(Instant::now);
        tokio::select! {
            // There is a sender as long as there is a receiver.
            Some(look) = self.found.recv() => Next::Look(look),
            Some(look) = self.looks.join_next(), if !self.looks.is_empty() => {
                // A look that panicked found nothing.
                Next::Look(look.unwrap_or(Look::Nothing))
            }
            notification = notification(&mut self.subscription) => Next::Notification(notification),
            () = sleep_until(sweep_at), if self.next_sweep.is_some() => Next::Sweep,
        }
    }

    /// Handles it, to the end.
    pub async fn handle(&mut self, next: Next) -> Result<(), FollowError> {
        match next {
            Next::Notification(Some(Notification::Event(event))) => self.event(event).await?,
            Next::Notification(Some(Notification::Pulse(pulse))) => {
                if let Some(event) = pulse.progress {
                    let event = event.map(|progress| Update::Progress(progress).into());
                    self.event(event).await?;
                }
            }
            Next::Notification(None) => self.subscription = None,
            Next::Look(look) => self.look(look).await?,
            Next::Sweep => self.sweep(),
        }
        Ok(())
    }

    async fn look(&mut self, look: Look) -> Result<(), FollowError> {
        match look {
            Look::Nothing => {}
            Look::Over(job, end) => self.end(job, end).await?,
            Look::Absent(event) => self.absent(event).await?,
            Look::Swept { took, lost } => self.swept(took, lost).await?,
            // The next sweep may go well. Of our own workers' store there is only one.
            Look::Trouble(error)
                if self.fleet.is_some() && self.has_swept && error.is_retryable() =>
            {
                self.say_once(error.to_string());
            }
            Look::Trouble(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Looks for the ends of all open jobs, in the background.
    fn sweep(&mut self) {
        self.next_sweep = None;
        let broker = self.subscription.as_ref().and_then(|s| s.broker.clone());
        let open = self.open.iter().copied().collect();
        let sweep = look::sweep(self.store.clone(), broker, open, self.finds.clone());
        tokio::spawn(sweep);
    }

    /// All jobs were looked at.
    async fn swept(&mut self, took: Duration, lost: usize) -> Result<(), FollowError> {
        self.has_swept = true;
        self.miss(lost);
        if let Some(fleet) = &self.fleet {
            let rest = (took * REST).min(LONGEST_REST);
            self.next_sweep = Some(Instant::now() + fleet.pause.max(rest));
            // The broker comes second: with the store alone all is known, if later.
            if self.subscription.is_none() && !self.open.is_empty() {
                self.subscribe().await?;
            }
        }
        Ok(())
    }

    /// Subscribes to the fleet's broker. That it is away is said, and no error.
    async fn subscribe(&mut self) -> Result<(), FollowError> {
        let Some(fleet) = &self.fleet else {
            return Ok(());
        };
        let since = Duration::from_secs(fleet.since).saturating_sub(SKEW);
        let since = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
        let subscribed: Result<_, BrokerError> = async {
            let broker = (fleet.connect)().await?;
            Ok(Subscription {
                notifications: broker.follow(since).await?,
                broker: Some(broker),
            })
        }
        .await;
        match subscribed {
            Ok(subscription) => self.subscription = Some(subscription),
            Err(error) if error.is_retryable() => {
                self.say_once(format!(
                    "{error}: following the store alone until it is back"
                ));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Tells of jobs that were with nobody at two sweeps in a row.
    fn miss(&mut self, lost: usize) {
        let sure = lost.min(self.lost);
        self.lost = lost;
        if sure > 0 {
            self.say_once(lost::message(sure));
        }
    }

    fn say_once(&mut self, trouble: String) {
        if self.last_trouble != trouble {
            self.board.remark(&trouble);
            self.last_trouble = trouble;
        }
    }
}

/// The next notification; waits for ever where there is no subscription.
async fn notification(subscription: &mut Option<Subscription>) -> Option<Notification> {
    match subscription {
        Some(subscription) => subscription.notifications.recv().await,
        None => pending().await,
    }
}

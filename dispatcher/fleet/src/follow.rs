//! Follows jobs until they are over: a stream of what happens to them. The broker notifies of what
//! goes on; what has become of a job is for the store to say.

mod sweep;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::LocalBoxFuture;
use stylefleet_proto::lifecycle::{Settlement, settle};
use stylefleet_proto::{Ended, Event, EventKind, Failure, JobId, Update};
use stylefleet_transport::broker::{BrokerError, DispatcherEnd, Notification};
use stylefleet_transport::store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::clock::millis;
use crate::lost;
use crate::state::Outcome;

use sweep::Look;

/// How often at most the store of a fleet is asked about all jobs that are not over.
pub const PAUSE: Duration = Duration::from_secs(15);
/// A store that takes long to answer is asked less often: it rests this many times as long,
const REST: u32 = 10;
/// but no longer than this: it may have been away meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(120);
/// Jobs that nobody has are lost if nothing changes for this many times [`Fleet::pause`]: workers
/// take a job no longer than 15 seconds before they begin it, but may have to fetch much for it.
const SURE: u32 = 4;
/// How much the clocks of brokers and followers may differ.
const SKEW: Duration = Duration::from_secs(60);
/// Answers of the store that may wait to be read.
const ROOM: usize = 256;

/// Something that happened to the jobs that are followed.
#[derive(Debug)]
pub enum Happening {
    /// An attempt goes on.
    Update(Event<Update>),
    /// An attempt is over, and another follows.
    AttemptEnded(Event<Ended>),
    /// A job is over: its last happening.
    Over(JobId, Outcome),
    /// All jobs were looked at: those that were over before have been told of. Comes once.
    CaughtUp,
    /// A worker of a fleet says that a job is over, and the store has nothing of it.
    Absent(Event<Ended>),
    /// What a person should know of the fleet. It is said once, and no error: jobs are followed
    /// as well as can be.
    Remark(String),
}

/// Follows jobs.
pub struct Follower<'a> {
    /// Jobs that are not known to be over.
    open: HashSet<JobId>,
    store: Arc<dyn Store>,
    /// Whose workers are at the jobs; none: this process's own. Their broker loses nothing, and
    /// their store is the one here.
    fleet: Option<Fleet<'a>>,
    /// None: nobody notifies just now.
    subscription: Option<Subscription>,
    /// A subscription that is under way.
    subscribing: Option<LocalBoxFuture<'a, Result<Subscription, BrokerError>>>,
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
    lost: Lost,
    /// What was last remarked: once is enough.
    last_remark: String,
}

/// Jobs that nobody had at the last sweep. A worker that has taken a job leaves its mark once it
/// begins it, which may be a while after: they are lost for certain if nothing changes for long.
struct Lost {
    count: usize,
    /// Jobs that were not over.
    open: usize,
    since: Instant,
}

impl Lost {
    fn none(now: Instant) -> Self {
        Self {
            count: 0,
            open: 0,
            since: now,
        }
    }

    /// What a sweep found. Returns for how long it has been so.
    fn update(&mut self, count: usize, open: usize, now: Instant) -> Duration {
        if (self.count, self.open) != (count, open) {
            *self = Self {
                count,
                open,
                since: now,
            };
        }
        now - self.since
    }
}

/// Connects to a fleet's broker.
pub type Connect<'a> =
    Box<dyn Fn() -> LocalBoxFuture<'a, Result<Arc<dyn DispatcherEnd>, BrokerError>> + 'a>;

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

/// Why jobs cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A request to the broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl<'a> Follower<'a> {
    /// Follows jobs of a fleet.
    pub fn of_fleet(
        fleet: Fleet<'a>,
        jobs: impl IntoIterator<Item = JobId>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            fleet: Some(fleet),
            ..Self::new(jobs, store)
        }
    }

    /// Follows jobs that workers of this process do, as `notifications` tell.
    pub fn of_own_workers(
        notifications: mpsc::Receiver<Notification>,
        jobs: impl IntoIterator<Item = JobId>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            subscription: Some(Subscription {
                notifications,
                broker: None,
            }),
            ..Self::new(jobs, store)
        }
    }

    fn new(jobs: impl IntoIterator<Item = JobId>, store: Arc<dyn Store>) -> Self {
        let (finds, found) = mpsc::channel(ROOM);
        Self {
            open: jobs.into_iter().collect(),
            store,
            fleet: None,
            subscription: None,
            subscribing: None,
            looks: JoinSet::new(),
            found,
            finds,
            next_sweep: Some(Instant::now()),
            has_swept: false,
            begun_millis: millis(SystemTime::now()),
            lost: Lost::none(Instant::now()),
            last_remark: String::new(),
        }
    }

    /// Waits for what happens next; none: nothing more will, for all jobs are over, or our own
    /// workers are gone. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Happening>, FollowError> {
        while !self.is_done() {
            let sweep_at = self.next_sweep.unwrap_or_else(Instant::now);
            let happening = tokio::select! {
                // There is a sender as long as there is a receiver.
                Some(look) = self.found.recv() => self.handle(look)?,
                Some(look) = self.looks.join_next(), if !self.looks.is_empty() => {
                    // A look that panicked found nothing.
                    self.handle(look.unwrap_or(Look::Nothing))?
                }
                notification = notification(&mut self.subscription) => self.take(notification),
                subscribed = subscribed(&mut self.subscribing) => {
                    self.subscribing = None;
                    self.subscribed(subscribed)?
                }
                () = sleep_until(sweep_at), if self.next_sweep.is_some() => {
                    self.sweep();
                    None
                }
            };
            if happening.is_some() {
                return Ok(happening);
            }
        }
        Ok(None)
    }

    fn is_done(&self) -> bool {
        let is_abandoned =
            self.fleet.is_none() && self.subscription.is_none() && self.looks.is_empty();
        // Whoever follows jobs that are all over is told so.
        self.has_swept && (self.open.is_empty() || is_abandoned)
    }

    fn take(&mut self, notification: Option<Notification>) -> Option<Happening> {
        match notification {
            Some(Notification::Event(event)) => self.event(event),
            Some(Notification::Pulse(pulse)) => {
                let progress = pulse.progress?;
                self.event(progress.map(|progress| Update::Progress(progress).into()))
            }
            None => {
                self.subscription = None;
                None
            }
        }
    }

    /// What happened to a job. Whether it is over is for the store to say.
    fn event(&mut self, event: Event) -> Option<Happening> {
        if !self.open.contains(&event.job) {
            return None;
        }
        match event.kind.clone() {
            EventKind::Update(update) => Some(Happening::Update(event.map(|_| update))),
            EventKind::Ended(ended) if settle(event.attempt, &ended).is_terminal() => {
                // What was published before this began may have been taken back since.
                let is_news = self.fleet.is_none() || event.unix_millis > self.begun_millis;
                let event = event.map(|_| ended);
                let look = sweep::one(self.store.clone(), event, is_news);
                self.looks.spawn(look);
                None
            }
            EventKind::Ended(ended) => Some(Happening::AttemptEnded(event.map(|_| ended))),
        }
    }

    /// Looks for the ends of all open jobs, in the background.
    fn sweep(&mut self) {
        self.next_sweep = None;
        let broker = self.subscription.as_ref().and_then(|s| s.broker.clone());
        let open = self.open.iter().copied().collect();
        let sweep = sweep::all(self.store.clone(), broker, open, self.finds.clone());
        tokio::spawn(sweep);
    }

    /// Handles what a look into the store came to.
    fn handle(&mut self, look: Look) -> Result<Option<Happening>, FollowError> {
        Ok(match look {
            Look::Nothing => None,
            Look::Over(job, outcome) => {
                let is_news = self.open.remove(&job);
                is_news.then_some(Happening::Over(job, outcome))
            }
            Look::Absent(event) => self.absent(event),
            Look::Swept { took, lost } => self.swept(took, lost),
            // The next sweep may go well. Of our own workers' store there is only one.
            Look::Trouble(error)
                if self.fleet.is_some() && self.has_swept && error.is_retryable() =>
            {
                self.remark(error.to_string())
            }
            Look::Trouble(error) => return Err(error.into()),
        })
    }

    /// A worker says that a job is over, and the store has nothing of it. Our own are believed.
    fn absent(&mut self, event: Event<Ended>) -> Option<Happening> {
        if self.fleet.is_some() {
            let is_news = self.open.contains(&event.job);
            return is_news.then_some(Happening::Absent(event));
        }
        let reason = match settle(event.attempt, &event.kind) {
            Settlement::SetAside { reason } => reason,
            _ => "its worker is done with it, but the store has no result: run it again".to_owned(),
        };
        let failure = Failure {
            job: event.job,
            reason,
            attempts: event.attempt,
        };
        let is_news = self.open.remove(&event.job);
        is_news.then_some(Happening::Over(event.job, Outcome::Failed(failure)))
    }

    /// All jobs were looked at.
    fn swept(&mut self, took: Duration, lost: usize) -> Option<Happening> {
        if let Some(fleet) = &self.fleet {
            let rest = (took * REST).min(LONGEST_REST);
            self.next_sweep = Some(Instant::now() + fleet.pause.max(rest));
            // The broker comes second: with the store alone all is known, if later.
            let is_subscribed = self.subscription.is_some() || self.subscribing.is_some();
            if !is_subscribed && !self.open.is_empty() {
                self.subscribing = Some(subscribe(fleet));
            }
        }
        let lasted = self.lost.update(lost, self.open.len(), Instant::now());
        if !self.has_swept {
            self.has_swept = true;
            return Some(Happening::CaughtUp);
        }
        let pause = self.fleet.as_ref().map_or(PAUSE, |fleet| fleet.pause);
        if lost > 0 && lasted >= pause * SURE {
            return self.remark(lost::message(lost));
        }
        None
    }

    /// That the broker is away is said, and no error.
    fn subscribed(
        &mut self,
        subscribed: Result<Subscription, BrokerError>,
    ) -> Result<Option<Happening>, FollowError> {
        match subscribed {
            Ok(subscription) => {
                self.subscription = Some(subscription);
                Ok(None)
            }
            Err(error) if error.is_retryable() => {
                let remark = format!("{error}: following the store alone until it is back");
                Ok(self.remark(remark))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn remark(&mut self, remark: String) -> Option<Happening> {
        if self.last_remark == remark {
            return None;
        }
        self.last_remark.clone_from(&remark);
        Some(Happening::Remark(remark))
    }
}

/// Subscribes to a fleet's broker.
fn subscribe<'a>(fleet: &Fleet<'a>) -> LocalBoxFuture<'a, Result<Subscription, BrokerError>> {
    let since = Duration::from_secs(fleet.since).saturating_sub(SKEW);
    let since = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
    let connect = (fleet.connect)();
    Box::pin(async move {
        let broker = connect.await?;
        Ok(Subscription {
            notifications: broker.follow(since).await?,
            broker: Some(broker),
        })
    })
}

/// The next notification; waits for ever where there is no subscription.
async fn notification(subscription: &mut Option<Subscription>) -> Option<Notification> {
    match subscription {
        Some(subscription) => subscription.notifications.recv().await,
        None => pending().await,
    }
}

/// The end of what is under way; waits for ever where nothing is.
async fn subscribed<T>(subscribing: &mut Option<LocalBoxFuture<'_, T>>) -> T {
    match subscribing {
        Some(subscribing) => subscribing.await,
        None => pending().await,
    }
}

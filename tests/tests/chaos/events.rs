//! What workers published, as any dispatcher receives it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use stylefleet_proto::{Ended, Event, EventKind, JobId};
use stylefleet_transport::broker::{BrokerOptions, DispatcherEnd, Notification, RabbitDispatcher};
use tokio::runtime::Runtime;

/// All events from now on.
#[derive(Debug)]
pub struct Events {
    published: Arc<Mutex<Story>>,
    _runtime: Runtime,
}

#[derive(Debug, Default)]
struct Story {
    finished: HashSet<JobId>,
    /// Jobs whose end was published more than once: it was found to be done already.
    again: usize,
    events: usize,
}

impl Events {
    /// Listens to a broker, whatever becomes of it meanwhile.
    pub fn follow(broker: &str) -> Self {
        let runtime = Runtime::new().expect("threads");
        let published = Arc::new(Mutex::new(Story::default()));
        let story = published.clone();
        let options = BrokerOptions {
            url: broker.parse().expect("a URL"),
            ca: None,
            name: "chaos".to_owned(),
        };
        let followed = runtime.block_on(async {
            let dispatcher = RabbitDispatcher::connect(options).await?;
            let notifications = dispatcher.follow(SystemTime::now()).await?;
            Ok::<_, stylefleet_transport::broker::BrokerError>((dispatcher, notifications))
        });
        let (dispatcher, mut notifications) = followed.expect("the broker is up");
        runtime.spawn(async move {
            let _dispatcher = dispatcher; // which ends what follows when it goes
            while let Some(notification) = notifications.recv().await {
                if let Notification::Event(event) = notification {
                    lock(&story).take(&event);
                }
            }
        });
        Self {
            published,
            _runtime: runtime,
        }
    }

    /// Jobs known to be finished.
    pub fn finished(&self) -> usize {
        lock(&self.published).finished.len()
    }

    /// How often a job was said to be finished that was known to be.
    pub fn finished_again(&self) -> usize {
        lock(&self.published).again
    }

    /// All that was published.
    pub fn events(&self) -> usize {
        lock(&self.published).events
    }
}

impl Story {
    fn take(&mut self, event: &Event) {
        self.events += 1;
        let is_end = matches!(event.kind, EventKind::Ended(Ended::Finished { .. }));
        if is_end && !self.finished.insert(event.job) {
            self.again += 1;
        }
    }
}

fn lock(story: &Mutex<Story>) -> MutexGuard<'_, Story> {
    story.lock().expect("no thread panicked")
}

//! Checkpoints: when they are made, and how they get from the engine's thread to the store.
//!
//! The engine never waits for the store: it encodes its state only when the writer wants one, and
//! the writer wants none while it writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stylefleet_engine::Error;
use stylefleet_transport::store::Store;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::events::Events;
use crate::failure::Failure;
use crate::metrics::Meter;

/// The writer pauses this many times as long as the last checkpoint took, so that checkpoints take
/// at most a twentieth of the time.
const PATIENCE: u32 = 20;

/// The engine's end.
#[derive(Debug)]
pub struct CheckpointSender {
    wanted: Arc<AtomicBool>,
    states: UnboundedSender<State>,
}

/// The store's end.
#[derive(Debug)]
pub struct CheckpointWriter {
    every: Duration,
    wanted: Arc<AtomicBool>,
    states: UnboundedReceiver<State>,
}

#[derive(Debug)]
struct State {
    encoding_began: Instant,
    encoded: Result<Vec<u8>, Error>,
}

/// Both ends. Checkpoints are at least `every` apart; if it is zero, every offered state is
/// written, unless one is being written.
pub fn channel(every: Duration) -> (CheckpointSender, CheckpointWriter) {
    let wanted = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = unbounded_channel();
    let sender = CheckpointSender {
        wanted: wanted.clone(),
        states: sender,
    };
    let writer = CheckpointWriter {
        every,
        wanted,
        states: receiver,
    };
    (sender, writer)
}

impl CheckpointSender {
    /// Encodes the state and hands it over, if one is wanted.
    pub fn offer(&self, encode: &dyn Fn() -> Result<Vec<u8>, Error>) {
        if self.wanted.swap(false, Ordering::AcqRel) {
            let encoding_began = Instant::now();
            let encoded = encode();
            // A writer that has ended needs no state.
            let _ = self.states.send(State {
                encoding_began,
                encoded,
            });
        }
    }
}

impl CheckpointWriter {
    /// Writes checkpoints until the engine's end is dropped. If one fails, a note says so, and the
    /// job goes on.
    pub async fn write(mut self, store: &dyn Store, key: &str, events: &Events, meter: &Meter) {
        let mut pause = self.every;
        while self.rest(pause).await {
            self.wanted.store(true, Ordering::Release);
            let Some(state) = self.states.recv().await else {
                return;
            };
            let kept = match state.encoded {
                Ok(bytes) => {
                    let size = bytes.len();
                    let put = store.put(key, bytes.into()).await;
                    put.map(|()| size).map_err(Failure::Store)
                }
                Err(error) => Err(Failure::Engine(error)),
            };
            match kept {
                Ok(size) => meter.stored(size),
                Err(failure) => events.note(format!("no checkpoint was kept: {failure}")),
            }
            pause = pause_after(state.encoding_began.elapsed(), self.every);
        }
    }

    /// Waits; false if the engine ended meanwhile.
    async fn rest(&mut self, pause: Duration) -> bool {
        tokio::select! {
            // No state is wanted, so only the end can arrive.
            _ = self.states.recv() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

fn pause_after(took: Duration, every: Duration) -> Duration {
    if every.is_zero() {
        every
    } else {
        every.max(took.saturating_mul(PATIENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{events, job};
    use stylefleet_proto::{EventKind, Update};
    use stylefleet_transport::broker::Notification;
    use stylefleet_transport::store::FolderStore;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn rarer_where_writing_is_slow() {
        assert_eq!(pause_after(SECOND / 10, 15 * SECOND), 15 * SECOND);
        assert_eq!(pause_after(2 * SECOND, 15 * SECOND), 40 * SECOND);
        assert_eq!(pause_after(2 * SECOND, Duration::ZERO), Duration::ZERO);
    }

    #[tokio::test]
    async fn encodes_a_state_only_when_one_is_wanted() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::new(folder.path());
        let (events, _notifications) = events(&job()).await;
        let (sender, writer) = channel(3600 * SECOND);
        let engine = async {
            tokio::time::sleep(SECOND / 20).await;
            sender.offer(&|| unreachable!("none is wanted for an hour"));
            drop(sender);
        };
        let meter = Meter::default();
        tokio::join!(engine, writer.write(&store, "x", &events, &meter));
        assert_eq!(store.get("x").await.expect("reads"), None);
    }

    #[tokio::test]
    async fn keeps_the_latest_and_goes_on_after_a_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::new(folder.path());
        let (events, mut notifications) = events(&job()).await;
        let (sender, writer) = channel(Duration::ZERO);
        let states = [Ok(b"1"), Err(Error::Torch("no".into())), Ok(b"2")];
        let engine = async {
            for state in states {
                let state = std::cell::Cell::new(Some(state.map(|bytes| bytes.to_vec())));
                // While the writer is busy, it ignores offers.
                while let Some(taken) = state.take() {
                    state.set(Some(taken));
                    sender.offer(&|| state.take().expect("is asked once"));
                    tokio::time::sleep(SECOND / 1000).await;
                }
            }
            drop(sender);
        };
        let meter = Meter::default();
        tokio::join!(engine, writer.write(&store, "x", &events, &meter));
        assert_eq!(store.get("x").await.expect("reads"), Some("2".into()));
        let note = notifications.recv().await.expect("a note");
        let expected = Update::Note("no checkpoint was kept: libtorch: no".into());
        let expected = EventKind::Update(expected);
        assert!(matches!(note, Notification::Event(event) if event.kind == expected));
    }
}

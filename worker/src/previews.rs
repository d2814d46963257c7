//! Progress pictures, on their way from the engine's thread to the store.

use stylefleet_engine::State;
use stylefleet_proto::{JobId, Update, keys};
use stylefleet_transport::store::Store;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::events::Events;
use crate::failure::Failure;

/// Pictures that may wait for a slow store; further ones are dropped. Each is a JPEG of a few
/// megabytes at most.
const WAITING: usize = 16;

/// The engine's end.
#[derive(Debug)]
pub struct Previews {
    /// Steps from one picture to the next; 0: none are made.
    every: u64,
    /// Pictures due so far.
    due: u64,
    made: Sender<Preview>,
}

/// The store's end.
#[derive(Debug)]
pub struct PreviewWriter(Receiver<Preview>);

#[derive(Debug)]
struct Preview {
    steps: u64,
    file: Result<Vec<u8>, stylefleet_engine::Error>,
}

/// Both ends, for a job that goes on after so many `steps`.
pub fn channel_of(every: u32, steps: u64) -> (Previews, PreviewWriter) {
    let (made, receiver) = channel(WAITING);
    let every = u64::from(every);
    let previews = Previews {
        every,
        due: steps.checked_div(every).unwrap_or(0),
        made,
    };
    (previews, PreviewWriter(receiver))
}

impl Previews {
    /// Has a picture made if one is due.
    pub fn offer(&mut self, state: &State<'_>) {
        let due = state.steps.checked_div(self.every).unwrap_or(0);
        if due <= self.due {
            return;
        }
        self.due = due;
        // If there is no room, the store is slow: a preview is what it can best do without.
        if let Ok(room) = self.made.try_reserve() {
            room.send(Preview {
                steps: due * self.every,
                file: (state.preview)(),
            });
        }
    }
}

impl PreviewWriter {
    /// Writes pictures until the engine's end is dropped. If one fails, a note says so, and the job
    /// goes on.
    pub async fn write(mut self, store: &dyn Store, job: &JobId, events: &Events) {
        while let Some(Preview { steps, file }) = self.0.recv().await {
            let saved = match file {
                Ok(file) => {
                    let key = keys::preview(job, steps);
                    let put = store.put(&key, file.into()).await;
                    put.map_err(Failure::Store)
                }
                Err(error) => Err(Failure::Engine(error)),
            };
            match saved {
                Ok(()) => events.publish(Update::Previewed { steps }),
                Err(failure) => events.note(format!("no progress picture was kept: {failure}")),
            }
        }
    }
}

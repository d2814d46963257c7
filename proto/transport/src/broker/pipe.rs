//! The end of a worker whose dispatcher is its parent process: jobs come over standard input,
//! events go over standard output. The dispatcher sends one job at a time and decides what becomes
//! of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stylefleet_proto::{Event, Happening, Hello, Job, JobId, ToWorker, wire};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{BrokerError, Claim, Hold, Receipt, WorkerEnd};
use crate::pipe::{PipeError, Receiver, Sender};

/// A worker's end of a pipe.
#[derive(Debug)]
pub struct PipeEnd {
    told: AsyncMutex<mpsc::UnboundedReceiver<Heard>>,
    say: Mutex<Option<mpsc::UnboundedSender<Event>>>,
    speaking: Mutex<Option<JoinHandle<Result<(), PipeError>>>>,
}

/// What came over standard input.
#[derive(Debug)]
enum Heard {
    Job(Box<Job>),
    Refused(Event),
    End,
    Nonsense(BrokerError),
}

impl PipeEnd {
    /// Says `hello` over `output` and listens to `input`. `drain` is cancelled once the dispatcher
    /// wants the worker to end, or is gone.
    pub fn open(
        hello: Hello,
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
        drain: &CancellationToken,
    ) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let (say, said) = mpsc::unbounded_channel();
        let worker = hello.worker.clone();
        tokio::spawn(listen(worker, tell, input, drain.clone().drop_guard()));
        let speaking = tokio::spawn(speak(hello, said, output, drain.clone().drop_guard()));
        Self {
            told: AsyncMutex::new(told),
            say: Mutex::new(Some(say)),
            speaking: Mutex::new(Some(speaking)),
        }
    }
}

#[async_trait]
impl WorkerEnd for PipeEnd {
    async fn claim(&self, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        let mut told = self.told.lock().await;
        loop {
            let next = tokio::select! {
                biased;
                next = told.recv() => next,
                () = stop.cancelled() => None,
            };
            match next {
                Some(Heard::Nonsense(error)) => return Err(error),
                Some(Heard::Refused(event)) => self.tell(event),
                Some(Heard::Job(job)) if !stop.is_cancelled() => {
                    return Ok(Some(Claim {
                        job: *job,
                        redelivered: false,
                        abandoned: false,
                        hold: Hold::default(),
                        receipt: Receipt::Pipe,
                    }));
                }
                Some(Heard::Job(_) | Heard::End) | None => return Ok(None),
            }
        }
    }

    fn tell(&self, event: Event) {
        if let Some(say) = &*lock(&self.say) {
            // A parent that is gone hears nothing.
            let _ = say.send(event);
        }
    }

    async fn settle(&self, _: Claim, last: Event) -> Result<(), BrokerError> {
        self.tell(last);
        Ok(())
    }

    async fn close(&self) {
        lock(&self.say).take();
        let speaking = lock(&self.speaking).take();
        if let Some(speaking) = speaking {
            // The last event is to be out before the process ends.
            let _ = speaking.await;
        }
    }
}

/// Reads what the parent says. The worker drains when this ends, however it ends.
async fn listen(
    worker: String,
    tell: mpsc::UnboundedSender<Heard>,
    input: impl AsyncRead + Unpin,
    _drain: DropGuard,
) {
    let mut frames = Receiver::new(input);
    loop {
        let heard = match frames.recv().await {
            Ok(Some(frame)) => understand(frame, &worker),
            Ok(None) => Heard::End,
            Err(error) => Heard::Nonsense(error.into()),
        };
        let last = matches!(heard, Heard::End | Heard::Nonsense(_));
        if tell.send(heard).is_err() || last {
            return;
        }
    }
}

/// What `frame` says. A job that is not valid is answered, if it can still be named.
fn understand(frame: wire::ToWorker, worker: &str) -> Heard {
    let named = match &frame.frame {
        Some(wire::to_worker::Frame::Job(job)) if job.attempt > 0 => {
            job.id.parse::<JobId>().ok().map(|id| (id, job.attempt))
        }
        _ => None,
    };
    match (ToWorker::try_from(frame), named) {
        (Ok(ToWorker::Job(job)), _) => Heard::Job(job),
        (Ok(ToWorker::Drain), _) => Heard::End,
        (Err(invalid), Some((job, attempt))) => Heard::Refused(Event {
            job,
            worker: worker.to_owned(),
            attempt,
            unix_millis: 0,
            happening: Happening::Failed {
                retryable: false,
                reason: invalid.to_string(),
            },
        }),
        (Err(invalid), None) => Heard::Nonsense(invalid.into()),
    }
}

/// Writes what the parent is to hear. A parent that is gone hears nothing: the worker drains.
async fn speak(
    hello: Hello,
    mut said: mpsc::UnboundedReceiver<Event>,
    output: impl AsyncWrite + Unpin,
    _drain: DropGuard,
) -> Result<(), PipeError> {
    use wire::from_worker::Frame;
    let mut frames = Sender::new(output);
    let mut frame = Frame::Hello(hello.into());
    loop {
        frames
            .send(&wire::FromWorker { frame: Some(frame) })
            .await?;
        match said.recv().await {
            Some(event) => frame = Frame::Event(event.into()),
            None => return Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stylefleet_model::stylize::Preset;
    use stylefleet_proto::wire::to_worker::Frame;
    use stylefleet_proto::{Digest, Image, Style, Valid};

    fn job() -> Job {
        let image = Image {
            sha256: Digest::of(b"image"),
            name: "a.png".parse().expect("a name"),
        };
        let style = Style {
            image: image.clone(),
            weight: 1.0,
            mask: None,
        };
        let batch = "b".parse().expect("a batch");
        let name = "a.s".parse().expect("a name");
        let parameters = Valid::new(Preset::default().parameters()).expect("is valid");
        Job::new(batch, name, image, vec![style], None, parameters).expect("a job")
    }

    fn heard(change: impl FnOnce(&mut wire::Job)) -> Heard {
        let mut job = wire::Job::from(&job());
        change(&mut job);
        let frame = Some(Frame::Job(job));
        understand(wire::ToWorker { frame }, "worker")
    }

    #[test]
    fn a_job_that_is_not_valid_is_answered_if_it_can_be_named() {
        assert!(matches!(heard(|_| ()), Heard::Job(_)));
        let Heard::Refused(event) = heard(|job| job.styles.clear()) else {
            panic!("is not refused");
        };
        assert_eq!(event.job, job().id);
        let reason = "styles: has 0 entries, must be 1 to 16".to_owned();
        let retryable = false;
        assert_eq!(event.happening, Happening::Failed { retryable, reason });
        assert!(matches!(heard(|job| job.id.clear()), Heard::Nonsense(_)));
        assert!(matches!(heard(|job| job.attempt = 0), Heard::Nonsense(_)));
        let nothing = understand(wire::ToWorker { frame: None }, "worker");
        assert!(matches!(nothing, Heard::Nonsense(_)));
    }
}

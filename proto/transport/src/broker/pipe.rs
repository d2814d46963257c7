//! The end of a worker whose dispatcher is its parent process: jobs come over standard input,
//! events go over standard output. The dispatcher decides when a job is sent and what becomes
//! of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stylefleet_proto::wire::{self, from_worker::Frame};
use stylefleet_proto::{Delivery, Ended, Event, Hello, JobId, Memory, ToWorker, Trace, Update};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{BrokerError, Claim, Hold, Receipt, WorkerEnd};
use crate::pipe::{PipeError, Receiver, Sender};

/// A worker's end of a pipe.
#[derive(Debug)]
pub struct PipeEnd {
    received: AsyncMutex<mpsc::UnboundedReceiver<Received>>,
    news: Mutex<Option<mpsc::UnboundedSender<wire::FromWorker>>>,
    writing: Mutex<Option<JoinHandle<Result<(), PipeError>>>>,
    memory: Mutex<Option<Memory>>,
}

/// What came over standard input.
#[derive(Debug)]
enum Received {
    Delivery(Box<Delivery>),
    /// A job that is not valid, and the answer to it.
    Refused(Event<Ended>),
    End,
    Invalid(BrokerError),
}

impl PipeEnd {
    /// Sends `hello` over `output` and reads `input`. `drain` is cancelled once the dispatcher
    /// wants the worker to end, or is gone.
    pub fn open(
        hello: Hello,
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
        drain: &CancellationToken,
    ) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let (news, published) = mpsc::unbounded_channel();
        let worker = hello.worker.clone();
        tokio::spawn(read(worker, sender, input, drain.clone().drop_guard()));
        let writing = tokio::spawn(write(hello, published, output, drain.clone().drop_guard()));
        Self {
            received: AsyncMutex::new(received),
            news: Mutex::new(Some(news)),
            writing: Mutex::new(Some(writing)),
            memory: Mutex::new(None),
        }
    }

    /// Tells from now on that the memory of its device stands so; none: nobody knows.
    pub fn tell_memory(&self, memory: Option<Memory>) {
        *lock(&self.memory) = memory;
    }

    /// Sends an event; with it the trace for the next attempt if this one is over, and how the
    /// memory stands if it is not.
    fn send(&self, event: Event, trace: Option<&Trace>, memory: Option<Memory>) {
        if let Some(news) = &*lock(&self.news) {
            // A parent that is gone has no use for it.
            let _ = news.send(wire::FromWorker {
                frame: Some(Frame::Event(event.into())),
                trace: trace.map(Into::into),
                memory: memory.map(Into::into),
            });
        }
    }
}

#[async_trait]
impl WorkerEnd for PipeEnd {
    async fn claim(&self, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        let mut received = self.received.lock().await;
        loop {
            let next = tokio::select! {
                biased;
                next = received.recv() => next,
                () = stop.cancelled() => None,
            };
            match next {
                Some(Received::Invalid(error)) => return Err(error),
                Some(Received::Refused(event)) => self.send(event.map(Into::into), None, None),
                Some(Received::Delivery(delivery)) if !stop.is_cancelled() => {
                    return Ok(Some(Claim {
                        job: delivery.job,
                        redelivered: delivery.redelivered,
                        abandoned: delivery.abandoned,
                        published: None,
                        hold: Hold::default(),
                        receipt: Receipt::Pipe,
                    }));
                }
                Some(Received::Delivery(_) | Received::End) | None => return Ok(None),
            }
        }
    }

    fn publish(&self, event: Event<Update>) {
        self.send(event.map(Into::into), None, *lock(&self.memory));
    }

    async fn settle(&self, claim: Claim, ended: Event<Ended>) -> Result<(), BrokerError> {
        let Receipt::Pipe = claim.receipt else {
            return Err(BrokerError::Stranger);
        };
        self.send(ended.map(Into::into), Some(&claim.job.trace), None);
        Ok(())
    }

    async fn close(&self) {
        lock(&self.news).take();
        let writing = lock(&self.writing).take();
        if let Some(writing) = writing {
            // The last event is to be out before the process ends.
            let _ = writing.await;
        }
    }
}

/// Reads what the parent sends. The worker drains when this ends, however it ends.
async fn read(
    worker: String,
    sender: mpsc::UnboundedSender<Received>,
    input: impl AsyncRead + Unpin,
    _drain: DropGuard,
) {
    let mut frames = Receiver::new(input);
    loop {
        let received = match frames.recv().await {
            Ok(Some(frame)) => parse(frame, &worker),
            Ok(None) => Received::End,
            Err(error) => Received::Invalid(error.into()),
        };
        let last = matches!(received, Received::End | Received::Invalid(_));
        if sender.send(received).is_err() || last {
            return;
        }
    }
}

/// What `frame` holds. A job that is not valid is answered, if it can still be named.
fn parse(frame: wire::ToWorker, worker: &str) -> Received {
    let named = match &frame.frame {
        Some(wire::to_worker::Frame::Delivery(delivery)) => delivery.job.as_ref(),
        _ => None,
    };
    let named = named.filter(|job| job.attempt > 0);
    let named = named.and_then(|job| Some((job.id.parse::<JobId>().ok()?, job.attempt)));
    match (ToWorker::try_from(frame), named) {
        (Ok(ToWorker::Delivery(delivery)), _) => Received::Delivery(delivery),
        (Ok(ToWorker::Drain), _) => Received::End,
        (Err(invalid), Some((job, attempt))) => Received::Refused(Event {
            job,
            worker: worker.to_owned(),
            attempt,
            unix_millis: 0,
            kind: Ended::Failed {
                retryable: false,
                reason: invalid.to_string(),
            },
        }),
        (Err(invalid), None) => Received::Invalid(invalid.into()),
    }
}

/// Writes what is published. Where the parent is gone, the worker drains.
async fn write(
    hello: Hello,
    mut published: mpsc::UnboundedReceiver<wire::FromWorker>,
    output: impl AsyncWrite + Unpin,
    _drain: DropGuard,
) -> Result<(), PipeError> {
    let mut frames = Sender::new(output);
    let mut next = Some(wire::FromWorker {
        frame: Some(Frame::Hello(hello.into())),
        trace: None,
        memory: None,
    });
    while let Some(message) = next {
        frames.send(&message).await?;
        next = published.recv().await;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stylefleet_proto::wire::to_worker;
    use stylefleet_proto::{Job, testing};

    fn job() -> Job {
        testing::job("a.s", b"content", b"style")
    }

    fn received(change: impl FnOnce(&mut wire::Job)) -> Received {
        let mut job = wire::Job::from(&job());
        change(&mut job);
        let frame = Some(to_worker::Frame::Delivery(wire::Delivery {
            job: Some(job),
            ..wire::Delivery::default()
        }));
        parse(wire::ToWorker { frame }, "worker")
    }

    #[tokio::test]
    async fn a_claim_says_what_its_delivery_does() {
        let (input, to) = tokio::io::duplex(1 << 16);
        let mut parent = Sender::new(to);
        let hello = Hello {
            worker: "worker".to_owned(),
            device: "cpu".to_owned(),
            cuda_devices: 0,
        };
        let stop = CancellationToken::new();
        let worker = PipeEnd::open(hello, input, tokio::io::sink(), &stop);
        for (redelivered, abandoned) in [(false, false), (true, false), (true, true)] {
            let delivery = ToWorker::Delivery(Box::new(Delivery {
                job: job(),
                redelivered,
                abandoned,
            }));
            let sent = parent.send(&wire::ToWorker::from(&delivery)).await;
            sent.expect("sends");
            let claim = worker.claim(&stop).await.expect("claims").expect("a job");
            assert_eq!(claim.job, job());
            assert_eq!(
                (claim.redelivered, claim.abandoned),
                (redelivered, abandoned)
            );
        }
    }

    #[test]
    fn a_job_that_is_not_valid_is_answered_if_it_can_be_named() {
        assert!(matches!(received(|_| ()), Received::Delivery(_)));
        let Received::Refused(event) = received(|job| job.batch.clear()) else {
            panic!("is not refused");
        };
        assert_eq!(event.job, job().id);
        let reason =
            "batch: must have 1 to 64 characters of a to z, 0 to 9 and the hyphen".to_owned();
        let retryable = false;
        assert_eq!(event.kind, Ended::Failed { retryable, reason });
        let nameless = received(|job| job.id.clear());
        assert!(matches!(nameless, Received::Invalid(_)));
        let unnumbered = received(|job| job.attempt = 0);
        assert!(matches!(unnumbered, Received::Invalid(_)));
        let nothing = parse(wire::ToWorker { frame: None }, "worker");
        assert!(matches!(nothing, Received::Invalid(_)));
    }
}

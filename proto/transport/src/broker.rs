//! Between those who have jobs and those who do them.
//!
//! A job handed in is never lost: it is in the broker until a worker settles its claim, and what
//! that leaves behind is decided in [`stylefleet_proto::lifecycle`]. It may be delivered more than
//! once; the store sees to it that it has one result all the same.

mod dead_letters;
mod depths;
mod error;
mod memory;
mod pipe;
mod rabbitmq;

pub use dead_letters::{DeadLetter, DeadLetters};
pub use depths::Depths;
pub use error::BrokerError;
pub use memory::MemoryBroker;
pub use pipe::PipeEnd;
pub use rabbitmq::{BrokerOptions, BrokerUrl, RabbitDispatcher, RabbitWorker};

use std::time::SystemTime;

use async_trait::async_trait;
use stylefleet_proto::{Ended, Event, Job, JobId, Pulse, Update};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The end that workers hold.
#[async_trait]
pub trait WorkerEnd: Send + Sync {
    /// Waits for the next job; none once `stop` is cancelled, or no more will come. Not to be
    /// dropped halfway, or a job may wait for the broker to notice.
    async fn claim(&self, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError>;

    /// Publishes what goes on. Never waits; nobody may be listening.
    fn publish(&self, event: Event<Update>);

    /// Lets go of a job as [`lifecycle::settle`](stylefleet_proto::lifecycle::settle) says of how
    /// its attempt ended, then publishes that. An error means that the broker will deliver the job
    /// once more.
    async fn settle(&self, claim: Claim, ended: Event<Ended>) -> Result<(), BrokerError>;

    /// Sends what is still to be published and closes the connection. Claims that are not settled
    /// are delivered to others.
    async fn close(&self);
}

/// The end that dispatchers hold.
#[async_trait]
pub trait DispatcherEnd: Send + Sync {
    /// Submits jobs. `accepted` is called with each that the broker has for certain; all of them,
    /// if there is no error.
    async fn submit(
        &self,
        jobs: &[Job],
        accepted: &mut (dyn FnMut(JobId) + Send),
    ) -> Result<(), BrokerError>;

    /// How many jobs are in which queue.
    async fn depths(&self) -> Result<Depths, BrokerError>;

    /// How many jobs no worker holds, those that wait for another attempt included.
    async fn waiting(&self) -> Result<usize, BrokerError> {
        Ok(self.depths().await?.held() as usize)
    }

    /// What workers publish: events since `since`, those of the past first, and pulses from now on.
    async fn follow(&self, since: SystemTime) -> Result<mpsc::Receiver<Notification>, BrokerError>;

    /// Takes all dead letters, until what this returns is dropped.
    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError>;

    /// Makes sure that the broker takes messages just now. One that never refuses any has nothing
    /// to check.
    async fn try_to_publish(&self) -> Result<(), BrokerError>;

    /// Closes the connection, if there is one.
    async fn close(&self);
}

/// Something that a worker published.
#[derive(Debug, Clone, PartialEq)]
pub enum Notification {
    /// Something happened to a job; never progress.
    Event(Event),
    /// A worker lives.
    Pulse(Pulse),
}

/// A job that was handed to one worker. Dropped without being settled, it stays with the worker
/// until the worker's connection ends.
#[derive(Debug)]
pub struct Claim {
    /// The job.
    pub job: Job,
    /// Whether it was delivered before and never settled: a worker may have died over it.
    pub redelivered: bool,
    /// Whether that happened so often that the broker gave up. It is not to be tried again.
    pub abandoned: bool,
    /// When it was published, to the second, if the broker tells.
    pub published: Option<SystemTime>,
    /// Whether the claim still holds.
    pub hold: Hold,
    receipt: Receipt,
}

/// Whether a claim still holds.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    /// Cancelled once the broker may have handed the job to another worker.
    pub lost: CancellationToken,
    /// Cancelled once that is so and the broker can be reached again: there is no more use in
    /// going on. Until then it is the best that can be done.
    pub void: CancellationToken,
}

/// What a broker needs to know of a claim when it is settled.
#[derive(Debug)]
enum Receipt {
    Pipe,
    Memory(Box<memory::Receipt>),
    RabbitMq(Box<rabbitmq::Receipt>),
}

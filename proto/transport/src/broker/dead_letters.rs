use async_trait::async_trait;
use stylefleet_proto::Job;

use super::BrokerError;

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The job's id, or the digest of a message that is no job.
    pub id: String,
    /// The job, if it is one.
    pub job: Option<Job>,
    /// Why it was set aside.
    pub reason: String,
    /// The worker that did.
    pub worker: Option<String>,
    /// When: seconds since 1970-01-01 UTC; 0: unknown.
    pub unix_seconds: u64,
    /// Size of the message.
    pub bytes: usize,
}

/// Dead letters taken from their queue. Those that are neither retried nor discarded go back when
/// this is closed; when it is dropped, they do so too, but some time later.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// The letters, oldest first. They keep their places.
    fn letters(&self) -> &[DeadLetter];

    /// Submits the job of a letter again, as a first attempt, and removes the letter. A letter
    /// without a job stays.
    async fn retry(&mut self, index: usize) -> Result<(), BrokerError>;

    /// Removes a letter.
    async fn discard(&mut self, index: usize) -> Result<(), BrokerError>;

    /// Gives back what was not decided about. After that, whoever asks sees what is left.
    async fn close(self: Box<Self>) -> Result<(), BrokerError>;
}

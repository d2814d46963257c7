//! Dead letters: jobs that were set aside, for people to decide about.

use std::sync::Arc;

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::BasicGetOptions;
use stylefleet_proto::queues::{DEAD, JOBS};
use stylefleet_proto::{Digest, Job};

use super::link::Link;
use super::message;
use crate::broker::BrokerError;

/// Letters that are asked for at once.
const AT_ONCE: usize = 32;

/// Letters taken from the queue. Those that are neither retried nor discarded go back when this
/// is dropped.
#[derive(Debug)]
pub struct DeadLetters {
    /// The letters, oldest first.
    pub letters: Vec<DeadLetter>,
    link: Arc<Link>,
    /// Closing it returns what is not acknowledged.
    _channel: Channel,
}

/// A message that was set aside.
#[derive(Debug)]
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
    delivery: Delivery,
}

impl DeadLetters {
    /// Takes all letters.
    pub(super) async fn take(link: Arc<Link>) -> Result<Self, BrokerError> {
        let channel = link.channel().await?;
        let mut letters = Vec::new();
        loop {
            let get = |_| channel.basic_get(DEAD.into(), BasicGetOptions::default());
            let gets = (0..AT_ONCE).map(get);
            let got = link.patience.answers("read the dead letters", gets).await?;
            let messages = got.into_iter().flatten();
            let before = letters.len();
            letters.extend(messages.map(|message| DeadLetter::read(message.delivery)));
            if letters.len() < before + AT_ONCE {
                break;
            }
        }
        Ok(Self {
            letters,
            link,
            _channel: channel,
        })
    }

    /// Hands the job of a letter in again, as a first attempt, and removes the letter. A letter
    /// without a job stays.
    pub async fn retry(&mut self, index: usize) -> Result<(), BrokerError> {
        let Some(letter) = self.letters.get(index) else {
            return Ok(());
        };
        let Some(job) = &letter.job else {
            return Ok(());
        };
        let first = job.clone().with_attempt(1);
        let (body, properties) = message::of_job(&first);
        let key = job.priority.word();
        message::publish(&self.link, JOBS, key, &body, properties).await?;
        message::ack(&self.link, &letter.delivery).await
    }

    /// Removes a letter.
    pub async fn discard(&mut self, index: usize) -> Result<(), BrokerError> {
        match self.letters.get(index) {
            Some(letter) => message::ack(&self.link, &letter.delivery).await,
            None => Ok(()),
        }
    }
}

impl DeadLetter {
    fn read(delivery: Delivery) -> Self {
        let (reason, worker) = message::reason_of(&delivery.properties);
        let job = message::job(&delivery.data);
        let id = match &job {
            Ok(job) => job.id.to_string(),
            Err(_) => Digest::of(&delivery.data).to_string(),
        };
        let complaint = job.as_ref().err().cloned();
        Self {
            id,
            reason: reason.or(complaint).unwrap_or_else(|| "unknown".to_owned()),
            worker,
            job: job.ok(),
            unix_seconds: delivery.properties.timestamp().unwrap_or_default(),
            bytes: delivery.data.len(),
            delivery,
        }
    }
}

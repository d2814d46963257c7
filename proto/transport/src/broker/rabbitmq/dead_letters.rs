//! Dead letters: jobs that were set aside, for people to decide about.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use stylefleet_proto::Digest;
use stylefleet_proto::queues::{DEAD, JOBS};

use super::dispatcher::depth;
use super::link::{Link, OK};
use super::message;
use crate::broker::{BrokerError, DeadLetter, DeadLetters};

/// Letters that are asked for at once.
const AT_ONCE: usize = 32;

/// Letters taken from the queue.
#[derive(Debug)]
pub(super) struct RabbitDeadLetters {
    letters: Vec<DeadLetter>,
    /// How each was delivered.
    deliveries: Vec<Delivery>,
    link: Arc<Link>,
    channel: Channel,
}

impl RabbitDeadLetters {
    /// Takes all letters.
    pub(super) async fn take(link: Arc<Link>) -> Result<Self, BrokerError> {
        let channel = link.channel().await?;
        let mut deliveries = Vec::new();
        loop {
            let get = |_| channel.basic_get(DEAD.into(), BasicGetOptions::default());
            let gets = (0..AT_ONCE).map(get);
            let got = link.patience.answers("read the dead letters", gets).await?;
            let before = deliveries.len();
            deliveries.extend(got.into_iter().flatten().map(|message| message.delivery));
            if deliveries.len() < before + AT_ONCE {
                break;
            }
        }
        Ok(Self {
            letters: deliveries.iter().map(read).collect(),
            deliveries,
            link,
            channel,
        })
    }
}

#[async_trait]
impl DeadLetters for RabbitDeadLetters {
    fn letters(&self) -> &[DeadLetter] {
        &self.letters
    }

    async fn retry(&mut self, index: usize) -> Result<(), BrokerError> {
        let letter = self.letters.get(index);
        let Some(job) = letter.and_then(|letter| letter.job.as_ref()) else {
            return Ok(());
        };
        let first = job.clone().with_attempt(1);
        let (body, properties) = message::of_job(&first);
        let key = job.priority.word();
        message::publish(&self.link, JOBS, key, &body, properties).await?;
        self.discard(index).await
    }

    async fn discard(&mut self, index: usize) -> Result<(), BrokerError> {
        match self.deliveries.get(index) {
            Some(delivery) => message::ack(&self.link, delivery).await,
            None => Ok(()),
        }
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        let Self { link, channel, .. } = *self;
        let patience = &link.patience;
        let all = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        // Of number 0: all that is not acknowledged.
        let back = channel.basic_nack(0, all);
        patience.answer("give back the dead letters", back).await?;
        // The broker confirms none of this, and may lose what the end of a channel follows at
        // once. Whatever it answers now, it answers after it has done so.
        let seen = depth(&channel, DEAD);
        patience.answer("give back the dead letters", seen).await?;
        let closed = channel.close(OK, "done".into());
        patience.answer("close a channel", closed).await
    }
}

fn read(delivery: &Delivery) -> DeadLetter {
    let (reason, worker) = message::reason_of(&delivery.properties);
    let job = message::job(delivery);
    let id = match &job {
        Ok(job) => job.id.to_string(),
        Err(_) => Digest::of(&delivery.data).to_string(),
    };
    let complaint = job.as_ref().err().cloned();
    DeadLetter {
        id,
        reason: reason.or(complaint).unwrap_or_else(|| "unknown".to_owned()),
        worker,
        job: job.ok(),
        unix_seconds: delivery.properties.timestamp().unwrap_or_default(),
        bytes: delivery.data.len(),
    }
}

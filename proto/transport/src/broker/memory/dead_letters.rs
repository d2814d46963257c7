//! Dead letters of the broker in memory.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Shared, Waiting};
use crate::broker::{BrokerError, DeadLetter, DeadLetters};

/// Letters that nobody else has, and those of them that are gone for good.
pub(super) struct Taken {
    letters: Vec<DeadLetter>,
    is_gone: Vec<bool>,
    shared: Arc<Shared>,
}

impl Taken {
    /// Takes all letters.
    pub(super) fn all_of(shared: Arc<Shared>) -> Self {
        let letters = std::mem::take(&mut shared.state().dead);
        Self {
            is_gone: vec![false; letters.len()],
            letters,
            shared,
        }
    }
}

#[async_trait]
impl DeadLetters for Taken {
    fn letters(&self) -> &[DeadLetter] {
        &self.letters
    }

    async fn retry(&mut self, index: usize) -> Result<(), BrokerError> {
        let letter = self.letters.get(index);
        let Some(job) = letter.and_then(|letter| letter.job.clone()) else {
            return Ok(());
        };
        self.shared.enqueue(Waiting::new(job.with_attempt(1)));
        self.discard(index).await
    }

    async fn discard(&mut self, index: usize) -> Result<(), BrokerError> {
        if let Some(is_gone) = self.is_gone.get_mut(index) {
            *is_gone = true;
        }
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let letters = std::mem::take(&mut self.letters).into_iter();
        let kept = letters.zip(&self.is_gone).filter(|(_, is_gone)| !**is_gone);
        let kept = kept.map(|(letter, _)| letter);
        self.shared.state().dead.splice(..0, kept);
    }
}

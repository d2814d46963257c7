//! How long we wait for a broker: as long as it takes, but not for one that is silent or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::maybe_done;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::{Error, ErrorKind};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::url::Node;
use crate::Cause;
use crate::broker::BrokerError;

/// Longest silence.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// The part of it after which somebody may want to know what we wait for.
const WORD: u32 = 3;
/// Time in which the reason of a loss arrives, where there is one.
const REASON: Duration = Duration::from_secs(1);

/// Waits for answers. Where a connection breaks at an unlucky moment, the client library never says
/// so to who waits.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    /// The longest silence.
    longest: Duration,
    /// Whether somebody was told of the silence.
    told: Arc<AtomicBool>,
    /// The URL of the broker's node, without the password.
    pub broker: String,
    /// Cancelled once the connection is lost.
    pub lost: CancellationToken,
    /// Why the broker takes no messages, while that is so: it then owes publishers no answer.
    pub alarm: watch::Receiver<Option<String>>,
}

impl Patience {
    /// With this node, as long as no alarm is raised.
    pub fn new(
        node: &Node,
        longest: Duration,
        lost: CancellationToken,
        alarm: watch::Receiver<Option<String>>,
    ) -> Self {
        Self {
            broker: node.to_string(),
            lost,
            alarm,
            longest,
            told: Arc::default(),
        }
    }

    /// The same with another longest silence.
    pub fn until(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Waits for a connection; none if nobody answers.
    pub async fn opened<T>(&self, opening: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            opened = opening => Some(opened),
            () = self.hush() => None,
        }
    }

    /// Waits for the answer to one request.
    pub async fn answer<T>(
        &self,
        action: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, BrokerError> {
        let answered = self.wait(request).await?;
        answered.map_err(|error| self.trouble(action, &error))
    }

    /// Sends all requests in order, then waits for the answers: the way to the broker and back is
    /// waited for once.
    pub async fn answers<T>(
        &self,
        action: &str,
        requests: impl IntoIterator<Item = impl Future<Output = Result<T, Error>>>,
    ) -> Result<Vec<T>, BrokerError> {
        let answers = self.all(requests).await?.into_iter();
        let answers = answers.collect::<Result<_, _>>();
        answers.map_err(|error| self.trouble(action, &error))
    }

    /// The same, with the answer to each request, up to and with the first that is an error.
    pub async fn all<T>(
        &self,
        requests: impl IntoIterator<Item = impl Future<Output = Result<T, Error>>>,
    ) -> Result<Vec<Result<T, Error>>, BrokerError> {
        let mut sent = Vec::new();
        for request in requests {
            let mut request = Box::pin(maybe_done(request));
            // The first poll sends it.
            let _ = request.as_mut().now_or_never();
            sent.push(request);
        }
        let mut answers = Vec::with_capacity(sent.len());
        for mut request in sent {
            let answer = async {
                request.as_mut().await;
                request
                    .as_mut()
                    .take_output()
                    .unwrap_or_else(|| Err(ErrorKind::FutureCompleted.into()))
            };
            let answer = self.wait(answer).await?;
            let is_last = answer.is_err();
            answers.push(answer);
            if is_last {
                break;
            }
        }
        Ok(answers)
    }

    async fn wait<T>(
        &self,
        owed: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, BrokerError> {
        tokio::pin!(owed);
        tokio::select! {
            biased;
            answer = &mut owed => {
                self.told.store(false, Ordering::Relaxed);
                return Ok(answer);
            }
            () = self.lost.cancelled() => {}
            () = self.silence() => return Err(self.lost(self.silent())),
        }
        match timeout(REASON, owed).await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.lost("it is closed")),
        }
    }

    /// Until the broker has been silent for too long. While it says that it takes no messages it
    /// is not silent.
    async fn silence(&self) {
        let mut alarm = self.alarm.clone();
        loop {
            if alarm.wait_for(Option::is_none).await.is_err() {
                return std::future::pending().await; // the end of a link says so itself
            }
            tokio::select! {
                () = self.hush() => return,
                Ok(_) = alarm.wait_for(Option::is_some) => {}
            }
        }
    }

    /// Until nobody has said a word for too long.
    async fn hush(&self) {
        let word = self.longest / WORD;
        sleep(word).await;
        if !self.told.swap(true, Ordering::Relaxed) {
            let seconds = word.as_secs_f64();
            tracing::warn!("broker {}: no answer for {seconds} s", self.broker);
        }
        sleep(self.longest - word).await;
    }

    /// What is said of a broker that says nothing.
    pub fn silent(&self) -> String {
        format!("no answer for {} s", self.longest.as_secs_f64())
    }

    /// An error on a channel that was fine before: a right is missing, or the link is lost.
    pub fn trouble(&self, action: &str, error: &Error) -> BrokerError {
        if is(error, AMQPSoftError::ACCESSREFUSED) {
            return BrokerError::Denied {
                broker: self.broker.clone(),
                action: action.to_owned(),
                source: cause(error),
            };
        }
        self.lost(cause(error))
    }

    /// Waits until the broker takes no messages, and says why.
    pub async fn alarm(&self) -> BrokerError {
        let mut alarm = self.alarm.clone();
        let raised = alarm.wait_for(Option::is_some).await;
        match raised.map(|reason| reason.clone().unwrap_or_default()) {
            Ok(reason) => self.blocked(reason),
            Err(_) => std::future::pending().await, // the link is lost, which others say
        }
    }

    /// The broker takes no messages.
    pub fn blocked(&self, reason: String) -> BrokerError {
        BrokerError::Blocked {
            broker: self.broker.clone(),
            reason,
        }
    }

    /// The connection is of no more use.
    pub fn lost(&self, source: impl Into<Cause>) -> BrokerError {
        BrokerError::Lost {
            broker: self.broker.clone(),
            source: source.into(),
        }
    }
}

/// What went wrong, on one line and without the library's words around it.
pub(super) fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::IOError(e) => e.to_string(),
        ErrorKind::ProtocolError(e) => e.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// An error, in these words.
pub(super) fn cause(error: &Error) -> Cause {
    Cause::new(reason(error), error.clone())
}

/// Whether the broker closed a channel for this.
pub(super) fn is(error: &Error, soft: AMQPSoftError) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(e) if *e.kind() == AMQPErrorKind::Soft(soft))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::BrokerUrl;

    /// Impatient enough for a test, and what tells it of the broker.
    fn patience() -> (Patience, watch::Sender<Option<String>>) {
        let url: BrokerUrl = "amqp://ann:secret@mq/v".parse().expect("a URL");
        let (raise, alarm) = watch::channel(None);
        let longest = Duration::from_millis(60);
        let lost = CancellationToken::new();
        (Patience::new(&url.nodes()[0], longest, lost, alarm), raise)
    }

    async fn never() -> Result<(), Error> {
        std::future::pending().await
    }

    #[tokio::test]
    async fn a_broker_that_says_nothing_is_given_up() {
        let (patience, _raise) = patience();
        let error = patience.answer("work", never()).await.expect_err("silence");
        assert!(error.is_retryable(), "{error}");
        let text = error.to_string();
        for part in [
            "amqp://ann@mq:5672/v",
            "no answer for 0.06 s",
            "check the network",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let some = patience.answers("work", [never(), never()]).await;
        some.expect_err("silence too");
    }

    #[tokio::test]
    async fn nobody_waits_on_a_connection_that_is_lost() {
        let (mut patience, _raise) = patience();
        patience.longest = Duration::MAX / 2;
        patience.lost.cancel();
        let error = patience
            .answer("work", never())
            .await
            .expect_err("it is lost");
        assert!(matches!(error, BrokerError::Lost { .. }), "{error}");
        // An answer that is there counts, whatever came after.
        let answer = patience.answer("work", async { Ok(1) }).await;
        assert_eq!(answer.expect("is there"), 1);
    }

    #[tokio::test]
    async fn an_alarm_is_no_silence() {
        let (patience, raise) = patience();
        raise.send_replace(Some("low on disk".to_owned()));
        let longest = patience.longest;
        let mut answer = std::pin::pin!(patience.answer("work", never()));
        let waited = timeout(longest * 5, &mut answer).await;
        assert!(waited.is_err(), "it is given up: {waited:?}");
        assert!(patience.alarm().await.to_string().contains("low on disk"));
        raise.send_replace(None);
        answer
            .await
            .expect_err("silence, now that the alarm is over");
    }
}

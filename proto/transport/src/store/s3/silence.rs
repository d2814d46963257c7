//! Gives up on a server that falls silent. A transfer may take as long as it likes while it gets
//! on.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

/// How long a server may say nothing.
pub const LONGEST: Duration = Duration::from_secs(10);
/// How long it may neither take more of an upload nor say anything. The system sends on, unseen,
/// what it took from us, and the server has to write it down.
const LONGEST_UPLOADING: Duration = Duration::from_secs(30);
/// Bytes of an upload that are handed over at once, and so the least that is seen to get on.
const PIECE: usize = 64 << 10;

/// The server said nothing for so long.
#[derive(Debug, thiserror::Error)]
#[error("no answer for {} s", .0.as_secs())]
struct Silent(Duration);

/// `client`, but no request of it waits for ever.
pub fn heed(client: SharedHttpClient) -> SharedHttpClient {
    heed_within(LONGEST, LONGEST_UPLOADING, client)
}

fn heed_within(
    longest: Duration,
    longest_uploading: Duration,
    client: SharedHttpClient,
) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Heedful {
            connector: client.http_connector(settings, components),
            longest,
            longest_uploading,
        })
    })
}

/// A connector whose requests end when the server falls silent.
#[derive(Debug)]
struct Heedful {
    connector: SharedHttpConnector,
    longest: Duration,
    longest_uploading: Duration,
}

impl HttpConnector for Heedful {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let last = Last::default();
        let mut longest = self.longest;
        if request.body().content_length() > Some(PIECE as u64) {
            longest = self.longest_uploading;
            let upload = Upload {
                body: request.take_body(),
                rest: Bytes::new(),
                last: last.clone(),
            };
            *request.body_mut() = SdkBody::from_body_1_x(upload);
        }
        let answer = self.connector.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = pin!(answer);
            loop {
                let until = last.get() + longest;
                match timeout_at(until, &mut answer).await {
                    Ok(answer) => return answer,
                    Err(_) if last.get() + longest > until => {}
                    // Of a kind that the client does not try again by itself: whoever waits is to
                    // know.
                    Err(_) => return Err(ConnectorError::other(Silent(longest).into(), None)),
                }
            }
        })
    }
}

/// When a request last got on.
#[derive(Debug, Clone)]
struct Last(Arc<Mutex<Instant>>);

impl Default for Last {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Last {
    fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A body that goes piece by piece, as the connection takes it.
struct Upload {
    body: SdkBody,
    /// What came of it and has not gone.
    rest: Bytes,
    last: Last,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = <SdkBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.last.is_now();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let size = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::timeout::TimeoutConfig;
    use aws_sdk_s3::config::{BehaviorVersion, Builder, Region, StalledStreamProtectionConfig};
    use aws_sdk_s3::{Client, Config};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{sleep, timeout};

    use super::*;

    /// More than the system takes at once.
    const LARGE: usize = 32 << 20;
    /// Longer than a busy machine lets this process sleep.
    const LONGEST: Duration = Duration::from_secs(4);

    fn client(address: std::net::SocketAddr) -> Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config: Builder = Config::builder();
        let config = config
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("somewhere"))
            .allow_no_auth()
            .endpoint_url(format!("http://{address}"))
            .force_path_style(true)
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(heed_within(LONGEST, LONGEST, http));
        Client::from_conf(config.build())
    }

    /// What writing `size` bytes comes to at a server that does as `serve` says, with one
    /// connection and no other.
    async fn written<F>(size: usize, serve: impl FnOnce(TcpStream) -> F) -> Result<(), String>
    where
        F: Future<Output = TcpStream>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let client = client(listener.local_addr().expect("has one"));
        let write = client.put_object().bucket("bucket").key("key");
        let write = write.body(vec![7; size].into()).send();
        let serving = async { serve(listener.accept().await.expect("accepts").0).await };
        let both = timeout(LONGEST * 15, async { tokio::join!(write, serving) });
        let (answer, _open) = both.await.map_err(|_| "it waits and waits")?;
        answer.map(drop).map_err(|error| format!("{error:?}"))
    }

    async fn read(server: &mut TcpStream, mut size: usize) {
        let mut bytes = vec![0; 1 << 20];
        while size > 0 {
            let most = size.min(bytes.len());
            size -= server.read(&mut bytes[..most]).await.expect("reads");
        }
    }

    #[tokio::test]
    async fn a_slow_upload_may_take_its_time() {
        let begun = Instant::now();
        let answer = written(LARGE, async |mut server| {
            for _ in 0..16 {
                read(&mut server, LARGE / 16).await;
                sleep(LONGEST / 10).await;
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            server.write_all(answer).await.expect("answers");
            server
        });
        assert_eq!(answer.await, Ok(()));
        assert!(begun.elapsed() > LONGEST, "it was not slow");
    }

    #[tokio::test]
    async fn a_server_that_falls_silent_is_given_up() {
        for (size, taken) in [
            (0, 0),
            (1000, 1000),
            (LARGE, 0),
            (LARGE, LARGE / 2),
            (LARGE, LARGE),
        ] {
            let answer = written(size, async move |mut server: TcpStream| {
                read(&mut server, taken).await;
                server
            });
            let error = answer.await.expect_err("nobody answers");
            assert!(error.contains("Silent"), "{error}");
        }
    }
}

//! One connection: TCP, TLS where the URL asks for it, the AMQP handshake; and why that failed.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{
    AMQPUriTcpExt, AsyncTcpStream, RustlsConnector, RustlsConnectorConfig, TLSConfig,
};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, Error, ErrorKind};
use rustls::CertificateError;
use tokio::time::timeout;

use super::BrokerOptions;
use super::patience::{Patience, cause};
use super::probe::{self, Answer};
use super::url::Node;
use crate::authorities;
use crate::broker::BrokerError;

/// Connects to a node.
pub(super) async fn connect(
    node: &Node,
    options: &BrokerOptions,
    patience: &Patience,
) -> Result<Connection, BrokerError> {
    let failed = |error: &Error| BrokerError::Unreachable {
        broker: patience.broker.clone(),
        source: cause(error),
    };
    let properties =
        ConnectionProperties::default().with_connection_name(options.name.as_str().into());
    let tls = if node.is_encrypted() {
        let connector = connector(options.ca.as_deref())?;
        Some(connector.map_err(|error| failed(&error.into()))?)
    } else {
        None
    };
    let runtime = lapin::runtime::default_runtime().map_err(|error| failed(&error))?;
    let plug = Plug::default();
    let socket = plug.clone();
    let opening = Connection::connector(
        node.uri(),
        runtime,
        async move |uri, runtime| {
            // The library does TLS too, but not without authorities of the system.
            let plain = AMQPUri {
                scheme: AMQPScheme::AMQP,
                ..uri.clone()
            };
            let connecting = plain.connect_with_config_async(TLSConfig::default(), &runtime);
            let stream = within(uri.query.connection_timeout, connecting).await?;
            if let AsyncTcpStream::Plain(stream) = &stream {
                socket.hold(stream.get_ref())?;
            }
            Ok(match &tls {
                Some(tls) => stream.into_rustls(tls, &uri.authority.host).await?,
                None => stream,
            })
        },
        properties,
    );
    let opened = patience.opened(opening).await;
    let socket = plug.take();
    let error = match opened {
        Some(Ok(connection)) => return Ok(connection),
        Some(Err(error)) => Some(error),
        None => None,
    };
    if let Some(socket) = socket {
        let _ = socket.shutdown(Shutdown::Both); // the other side may have been faster
    }
    Err(failure(node, error.as_ref(), patience).await)
}

async fn within<T>(
    millis: Option<u64>,
    connecting: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let Some(millis) = millis else {
        return connecting.await;
    };
    let connected = timeout(Duration::from_millis(millis), connecting).await;
    connected.unwrap_or_else(|_| {
        let silence = format!("no answer for {millis} ms");
        Err(io::Error::new(io::ErrorKind::TimedOut, silence))
    })
}

/// Trusts the system's authorities, where there are any, and those of the file.
fn connector(ca: Option<&Path>) -> Result<io::Result<RustlsConnector>, BrokerError> {
    let mut config = RustlsConnectorConfig::new_with_native_certs().unwrap_or_default();
    if let Some(path) = ca {
        config.add_parsable_certificates(authorities::read(path)?.certificates);
    }
    Ok(config.connector_with_no_client_auth())
}

/// A second hand on the socket of a connection that is being opened: a thread of the library waits
/// at it, for ever unless it is shut.
#[derive(Debug, Clone, Default)]
struct Plug(Arc<Mutex<Option<TcpStream>>>);

impl Plug {
    fn hold(&self, socket: &impl AsFd) -> io::Result<()> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket.into());
        Ok(())
    }

    fn take(&self) -> Option<TcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Why a connection did not come about; no error: the broker was silent.
async fn failure(node: &Node, error: Option<&Error>, patience: &Patience) -> BrokerError {
    let broker = node.to_string();
    let source = error.map_or_else(|| patience.silent().into(), cause);
    match error.map(Error::kind) {
        Some(ErrorKind::ProtocolError(e)) => match e.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                return BrokerError::Refused {
                    broker,
                    source,
                    remedy: "check user and password; #, ?, /, @ and % in them are \
                             percent-encoded",
                };
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                return BrokerError::Refused {
                    broker,
                    source,
                    remedy: "check the vhost, and what it lets the user do",
                };
            }
            _ => {}
        },
        Some(ErrorKind::IOError(e)) => {
            if let Some(rustls::Error::InvalidCertificate(flaw)) = tls_error(e) {
                let (words, remedy) = judge(flaw);
                return BrokerError::Untrusted {
                    broker,
                    source: source.in_words(words),
                    remedy,
                };
            }
            if !is_about_words(e) {
                return BrokerError::Unreachable { broker, source };
            }
        }
        _ => {}
    }
    let (host, port) = node.address();
    match (node.is_encrypted(), probe::ask(host, port).await) {
        (false, Some(Answer::Tls)) => BrokerError::OtherProtocol {
            broker,
            reason: "the port speaks TLS",
            remedy: "use amqps://",
        },
        (true, Some(Answer::Amqp)) => BrokerError::OtherProtocol {
            broker,
            reason: "the port does not speak TLS",
            remedy: "use amqp://, or the broker's port for TLS, 5671 where nobody changed it",
        },
        (_, Some(Answer::Http)) => BrokerError::OtherProtocol {
            broker,
            reason: "an HTTP server answers",
            remedy: "name the broker's port for AMQP, 5672 or with TLS 5671 where nobody changed \
                     it",
        },
        (_, Some(Answer::OtherAmqp)) => BrokerError::OtherProtocol {
            broker,
            reason: "it speaks another version of AMQP than 0-9-1",
            remedy: "use RabbitMQ",
        },
        (_, Some(Answer::Other)) => BrokerError::OtherProtocol {
            broker,
            reason: "what answers is no AMQP broker",
            remedy: "check address and port",
        },
        (false, None) if error.is_some() => BrokerError::Unreachable {
            broker,
            source:
                "the connection is closed before a broker says anything, as by a proxy without \
                     one behind it"
                    .into(),
        },
        _ => BrokerError::Unreachable { broker, source },
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether there was a connection, but not a word on it that we understand.
fn is_about_words(error: &io::Error) -> bool {
    let is_cut = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
    );
    is_cut || matches!(tls_error(error), Some(rustls::Error::InvalidMessage(_)))
}

/// What is wrong with a certificate, and what to do about it.
fn judge(flaw: &CertificateError) -> (String, &'static str) {
    use CertificateError::*;
    let (reason, remedy) = match flaw {
        UnknownIssuer => (
            "nobody that is trusted here has signed its certificate",
            "name the PEM file of its authority in STYLEFLEET_CA",
        ),
        Expired | ExpiredContext { .. } => (
            "its certificate has expired",
            "have it renewed, or set this machine's clock right",
        ),
        NotValidYet | NotValidYetContext { .. } => (
            "its certificate is not valid yet",
            "set this machine's clock right",
        ),
        NotValidForName | NotValidForNameContext { .. } => {
            let remedy = "use a name that it is for, or have it made for this one";
            return (flaw.to_string(), remedy);
        }
        _ => {
            return (
                format!("its certificate: {flaw}"),
                "have the broker get another",
            );
        }
    };
    (reason.to_owned(), remedy)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Else each attempt to reach such a one would leave a thread behind.
    #[tokio::test]
    async fn a_broker_that_never_answers_is_hung_up_on() {
        let mute = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = mute.local_addr().expect("has one");
        let options = BrokerOptions {
            url: format!("amqp://a:b@{address}").parse().expect("a URL"),
            ca: None,
            name: "test".to_owned(),
        };
        let [node] = options.url.nodes() else {
            panic!("one node");
        };
        let (_raise, alarm) = watch::channel(None);
        let lost = CancellationToken::new();
        let patience = Patience::new(node, Duration::from_millis(50), lost, alarm);
        let listening = async {
            let (mut line, _) = mute.accept().await.expect("is called");
            let mut heard = Vec::new();
            line.read_to_end(&mut heard).await.expect("hears the end");
            // The second call asks who is there.
            (heard, mute.accept().await.map(drop))
        };
        let (connected, (heard, _)) = tokio::join!(connect(node, &options, &patience), listening);
        assert!(heard.starts_with(b"AMQP"), "{heard:?}");
        let error = connected.expect_err("nobody is there");
        assert!(error.is_retryable(), "{error}");
        for part in [&address.to_string(), "no answer", "check address"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn what_the_system_said_is_in_the_chain_of_sources() {
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = closed.local_addr().expect("has one");
        drop(closed);
        let options = BrokerOptions {
            url: format!("amqp://a:b@{address}").parse().expect("a URL"),
            ca: None,
            name: "test".to_owned(),
        };
        let (_raise, alarm) = watch::channel(None);
        let node = &options.url.nodes()[0];
        let longest = Duration::from_secs(30);
        let patience = Patience::new(node, longest, CancellationToken::new(), alarm);
        let error = connect(node, &options, &patience).await;
        let error: &dyn std::error::Error = &error.expect_err("nobody is there");
        let mut chain = std::iter::successors(Some(error), |&error| error.source());
        let library = chain.find_map(|error| error.downcast_ref::<Error>());
        let kind = library.map(Error::kind);
        let Some(ErrorKind::IOError(cause)) = kind else {
            panic!("{error:?}");
        };
        assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    }
}

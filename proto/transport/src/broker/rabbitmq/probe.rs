//! What it is that answers where no broker does.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What an AMQP client says first. The empty lines are for HTTP servers, which else wait for more.
const GREETING: &[u8] = b"AMQP\0\0\x09\x01\r\n\r\n";
/// Bytes of an answer that tell.
const ENOUGH: usize = 8;
/// How long an answer may take.
const LONGEST: Duration = Duration::from_secs(5);

/// Who answers, by the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A broker that speaks our version of AMQP.
    Amqp,
    /// One that speaks another.
    OtherAmqp,
    /// A server that speaks TLS.
    Tls,
    /// An HTTP server.
    Http,
    /// Something else.
    Other,
}

/// Speaks AMQP to a port, without encryption; none if nothing comes back.
pub(super) async fn ask(host: &str, port: u16) -> Option<Answer> {
    let asked = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(GREETING).await?;
        let mut bytes = Vec::with_capacity(ENOUGH);
        // Some hang up rudely; what they said before counts.
        let _ = stream.take(ENOUGH as u64).read_to_end(&mut bytes).await;
        Ok::<_, std::io::Error>(bytes)
    };
    Answer::of(&timeout(LONGEST, asked).await.ok()?.ok()?)
}

impl Answer {
    fn of(bytes: &[u8]) -> Option<Self> {
        Some(match bytes {
            [] => return None,
            // A method frame on channel 0.
            [1, 0, 0, ..] => Self::Amqp,
            [b'A', b'M', b'Q', b'P', ..] => Self::OtherAmqp,
            // An alert, in any version.
            [0x15, 3, ..] => Self::Tls,
            [b'H', b'T', b'T', b'P', b'/', ..] => Self::Http,
            _ => Self::Other,
        })
    }
}

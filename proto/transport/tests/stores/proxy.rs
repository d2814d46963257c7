//! A stand-in for a bad network: hands bytes on to the server, and breaks connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of the reply to a request.
#[derive(Clone, Copy)]
pub enum Reply {
    Arrives,
    /// The connection breaks after so many bytes of it.
    BreaksAfter(usize),
    /// Nothing comes, and the connection stays.
    IsHeld,
}

/// What the proxy does, and to what.
#[derive(Clone, Copy)]
struct Plan {
    /// Whether a request is one that it is about, by its first line.
    is_meant: fn(&str) -> bool,
    /// What becomes of the first, the second, ... of these.
    reply: fn(usize) -> Reply,
}

/// A proxy that is at work.
pub struct Proxy {
    /// To be used instead of the server's.
    pub address: String,
    met: watch::Receiver<usize>,
    replied: Arc<AtomicUsize>,
}

impl Proxy {
    /// Hands on to `server` (`http://host:port`).
    pub async fn to(server: &str, is_meant: fn(&str) -> bool, reply: fn(usize) -> Reply) -> Self {
        let server = server.strip_prefix("http://").expect("no TLS").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("has an address");
        let (meeting, met) = watch::channel(0);
        let replied = Arc::<AtomicUsize>::default();
        let plan = Plan { is_meant, reply };
        let counter = replied.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("connects");
                let connection = Connection {
                    plan,
                    met: meeting.clone(),
                    reply: Mutex::new(Reply::Arrives),
                    replied: counter.clone(),
                };
                tokio::spawn(connection.hand_on(client, server));
            }
        });
        Self {
            address: format!("http://{address}"),
            met,
            replied,
        }
    }

    /// Waits until a request that it is about has come.
    pub async fn meets_one(&self) {
        let met = self.met.clone().wait_for(|met| *met > 0).await.map(drop);
        met.expect("it is at work");
    }

    /// Bytes of replies that were handed on so far.
    pub fn replied(&self) -> usize {
        self.replied.load(Ordering::SeqCst)
    }
}

/// For [`Proxy::to`]: the first of the requests breaks before anything of its reply comes.
pub fn first_is_lost(nth: usize) -> Reply {
    match nth {
        0 => Reply::BreaksAfter(0),
        _ => Reply::Arrives,
    }
}

struct Connection {
    plan: Plan,
    /// Requests that were meant so far, on all connections.
    met: watch::Sender<usize>,
    /// What becomes of the reply that comes next, or of what is still to come of it.
    reply: Mutex<Reply>,
    replied: Arc<AtomicUsize>,
}

impl Connection {
    async fn hand_on(self, client: TcpStream, server: TcpStream) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = self.requests(from_client, to_server) => {}
            () = self.replies(from_server, to_client) => {}
        }
    }

    async fn requests(&self, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = client.read(&mut bytes).await {
            let text = String::from_utf8_lossy(&bytes[..n.min(1000)]);
            let line = text.lines().next().unwrap_or_default();
            if line.ends_with("HTTP/1.1") && (self.plan.is_meant)(line) {
                let mut nth = 0;
                self.met
                    .send_modify(|met| nth = std::mem::replace(met, *met + 1));
                *self.reply.lock().expect("is sound") = (self.plan.reply)(nth);
            }
            if server.write_all(&bytes[..n]).await.is_err() {
                break;
            }
        }
    }

    async fn replies(&self, mut server: OwnedReadHalf, mut client: OwnedWriteHalf) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = server.read(&mut bytes).await {
            let Some(n) = self.allowed(n) else {
                return std::future::pending().await;
            };
            self.replied.fetch_add(n, Ordering::SeqCst);
            let sent = client.write_all(&bytes[..n]).await;
            if sent.is_err() || self.is_to_break() {
                break;
            }
        }
    }

    /// How many of the next `n` bytes may come; none if the reply is held.
    fn allowed(&self, n: usize) -> Option<usize> {
        match &mut *self.reply.lock().expect("is sound") {
            Reply::Arrives => Some(n),
            Reply::IsHeld => None,
            Reply::BreaksAfter(left) => {
                let allowed = n.min(*left);
                *left -= allowed;
                Some(allowed)
            }
        }
    }

    fn is_to_break(&self) -> bool {
        matches!(*self.reply.lock().expect("is sound"), Reply::BreaksAfter(0))
    }
}

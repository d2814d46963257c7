//! A stand-in for a bad network: hands bytes on to the server, and breaks one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Hands on to `server` (`http://host:port`) all but one connection: the first on which a request
/// begins with `method` breaks after `allowed` bytes of the reply. The address to use instead.
pub async fn breaks_once(server: &str, method: &'static str, allowed: usize) -> String {
    let server = server.strip_prefix("http://").expect("no TLS").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("has an address");
    let broke = Arc::new(AtomicBool::new(false));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.expect("connects");
            tokio::spawn(hand_on(client, server, method, allowed, broke.clone()));
        }
    });
    format!("http://{address}")
}

async fn hand_on(
    client: TcpStream,
    server: TcpStream,
    method: &'static str,
    mut allowed: usize,
    broke: Arc<AtomicBool>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let breaking = Arc::new(AtomicBool::new(false));
    let requests = {
        let breaking = breaking.clone();
        async move {
            let mut bytes = vec![0; 64 << 10];
            while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
                if bytes[..n].starts_with(method.as_bytes()) && !broke.swap(true, Ordering::SeqCst)
                {
                    breaking.store(true, Ordering::SeqCst);
                }
                if to_server.write_all(&bytes[..n]).await.is_err() {
                    break;
                }
            }
        }
    };
    let replies = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from_server.read(&mut bytes).await {
            let n = match breaking.load(Ordering::SeqCst) {
                true => n.min(allowed),
                false => n,
            };
            if to_client.write_all(&bytes[..n]).await.is_err() {
                break;
            }
            if breaking.load(Ordering::SeqCst) {
                allowed -= n;
                if allowed == 0 {
                    break;
                }
            }
        }
    };
    tokio::select! { () = requests => {} () = replies => {} }
}

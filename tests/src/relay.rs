//! A TCP relay before a server, as a network that can fail.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Passes connections on to a server, until it is told not to.
#[derive(Debug)]
pub struct Relay {
    /// The server's URL, by way of this relay.
    pub url: String,
    address: SocketAddr,
    network: Arc<Mutex<Network>>,
}

#[derive(Debug)]
struct Network {
    state: State,
    /// Both ends of all connections there ever were.
    links: Vec<TcpStream>,
}

#[derive(Debug, PartialEq)]
enum State {
    Open,
    Blocked,
    Over,
}

impl Relay {
    /// A relay before the server of a URL, which names a port.
    pub fn before(url: &str) -> Self {
        let (_, rest) = url.split_once("://").expect("a URL");
        let authority = rest.split('/').next().unwrap_or_default();
        let target = authority.rsplit('@').next().unwrap_or_default().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let network = Arc::new(Mutex::new(Network {
            state: State::Open,
            links: Vec::new(),
        }));
        let relay = Self {
            url: url.replacen(&target, &address.to_string(), 1),
            address,
            network: network.clone(),
        };
        thread::spawn(move || accept(&listener, &target, &network));
        relay
    }

    /// Cuts all connections. New ones are welcome.
    pub fn cut(&self) {
        self.lock().cut();
    }

    /// Cuts all connections, and new ones at once.
    pub fn block(&self) {
        let mut network = self.lock();
        network.state = State::Blocked;
        network.cut();
    }

    /// Welcomes new connections again.
    pub fn open(&self) {
        self.lock().state = State::Open;
    }

    fn lock(&self) -> MutexGuard<'_, Network> {
        self.network.lock().expect("no thread panicked")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.block();
        self.lock().state = State::Over;
        let _ = TcpStream::connect(self.address); // wakes the listener
    }
}

impl Network {
    fn cut(&mut self) {
        for link in self.links.drain(..) {
            let _ = link.shutdown(Shutdown::Both); // may have ended by itself
        }
    }
}

fn accept(listener: &TcpListener, target: &str, network: &Mutex<Network>) {
    for near in listener.incoming().map_while(Result::ok) {
        // Held until the link is listed: no connection slips through a cut.
        let mut network = network.lock().expect("no thread panicked");
        match network.state {
            State::Open => {}
            State::Blocked => continue,
            State::Over => return,
        }
        let Ok(far) = TcpStream::connect(target) else {
            continue; // the server is down: so is the connection
        };
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (mut from, mut to) = (clone(from), clone(to));
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
        network.links.extend([near, far]);
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a free descriptor")
}

//! A TCP relay before a server, as a network that can fail.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Passes connections on to a server, until it is told not to.
#[derive(Debug)]
pub struct Relay {
    /// The server's URL, by way of this relay.
    pub url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    network: Mutex<Network>,
    changed: Condvar,
    /// How long answers are under way.
    distance: Duration,
}

#[derive(Debug)]
struct Network {
    state: State,
    /// Both ends of all connections there ever were.
    links: Vec<TcpStream>,
    /// Round trips until all was asked to which the client has an answer.
    round_trips: usize,
    /// Connections that were cut at once.
    turned_away: usize,
}

#[derive(Debug, PartialEq)]
enum State {
    Open,
    /// Nothing passes, and nobody is told.
    Held,
    Blocked,
    Over,
}

impl Relay {
    /// A relay before the server of a URL, which names a port.
    pub fn before(url: &str) -> Self {
        Self::distant(url, Duration::ZERO)
    }

    /// The same, with a server so far away that answers take as long as `distance`.
    pub fn distant(url: &str, distance: Duration) -> Self {
        let (_, rest) = url.split_once("://").expect("a URL");
        let authority = rest.split('/').next().unwrap_or_default();
        let target = authority.rsplit('@').next().unwrap_or_default().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let shared = Arc::new(Shared {
            network: Mutex::new(Network {
                state: State::Open,
                links: Vec::new(),
                round_trips: 0,
                turned_away: 0,
            }),
            changed: Condvar::new(),
            distance,
        });
        let relay = Self {
            url: url.replacen(&target, &address.to_string(), 1),
            address,
            shared: shared.clone(),
        };
        thread::spawn(move || accept(&listener, &target, &shared));
        relay
    }

    /// Cuts all connections. New ones are welcome.
    pub fn cut(&self) {
        self.shared.lock().cut();
    }

    /// Cuts all connections, and new ones at once.
    pub fn block(&self) {
        self.turn(State::Blocked).cut();
    }

    /// Falls silent: connections stay, and new ones are welcome, but nothing passes.
    pub fn hold(&self) {
        drop(self.turn(State::Held));
    }

    /// Welcomes new connections again, and passes on what was held.
    pub fn open(&self) {
        drop(self.turn(State::Open));
    }

    /// How often the client has waited for the server, over all connections: what it asks before
    /// the answer to something else is there costs no time. Wants a distance at which that
    /// something else is asked sooner than answered.
    pub fn round_trips(&self) -> usize {
        self.shared.lock().round_trips
    }

    /// How many connections were cut at once.
    pub fn turned_away(&self) -> usize {
        self.shared.lock().turned_away
    }

    fn turn(&self, state: State) -> MutexGuard<'_, Network> {
        let mut network = self.shared.lock();
        network.state = state;
        self.shared.changed.notify_all();
        network
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Network> {
        self.network.lock().expect("no thread panicked")
    }

    /// Lets an answer travel; what was `asked` for it is then no open question any more.
    fn count_answer(&self, asked: &AtomicUsize) {
        let asked = asked.load(Ordering::SeqCst);
        thread::sleep(self.distance);
        let mut network = self.lock();
        network.round_trips = network.round_trips.max(asked);
    }

    fn wait_while_held(&self) {
        let is_held = |network: &mut Network| network.state == State::Held;
        let waited = self.changed.wait_while(self.lock(), is_held);
        drop(waited.expect("no thread panicked"));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.turn(State::Over).cut();
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

fn accept(listener: &TcpListener, target: &str, shared: &Arc<Shared>) {
    for near in listener.incoming().map_while(Result::ok) {
        // Locked until the link is listed: no connection slips through a cut.
        let mut network = shared.lock();
        match network.state {
            State::Open | State::Held => {}
            State::Blocked => {
                network.turned_away += 1;
                continue;
            }
            State::Over => return,
        }
        let Ok(far) = TcpStream::connect(target) else {
            continue; // the server is down: so is the connection
        };
        let asked = Arc::new(AtomicUsize::new(0));
        for (from, to, is_answer) in [(&near, &far, false), (&far, &near, true)] {
            let (from, to, shared) = (clone(from), clone(to), shared.clone());
            let asked = asked.clone();
            let count = move |shared: &Shared| {
                if is_answer {
                    shared.count_answer(&asked);
                } else {
                    asked.store(shared.lock().round_trips + 1, Ordering::SeqCst);
                }
            };
            thread::spawn(move || {
                let _ = pass(&from, &to, &shared, count);
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
        network.links.extend([near, far]);
    }
}

/// Passes bytes on until one of the two ends.
fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    shared: &Shared,
    count: impl Fn(&Shared),
) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut bytes);
        shared.wait_while_held();
        let length = read?;
        if length == 0 {
            return Ok(());
        }
        count(shared);
        to.write_all(&bytes[..length])?;
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a free descriptor")
}

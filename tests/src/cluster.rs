//! A RabbitMQ of three nodes on one machine, each with a network of its own, as on three machines.
//!
//! Its nodes are in network namespaces, which a switch ties to each other and to this machine. To
//! make those takes root and the program `ip`. The switch is in a namespace too, where no firewall
//! of the machine hears of it.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::services::{Script, Services, output};
use crate::skip;

/// Nodes of a cluster.
pub const NODES: usize = 3;
/// Seconds that a node has to come back by itself.
const RETURN: &str = "60";

/// A broker of three nodes, and the store of all tests.
#[derive(Debug)]
pub struct Cluster {
    /// The broker as one, by a URL of three addresses.
    pub services: Services,
    nodes: Vec<Script>,
    network: Network,
    _folder: TempDir,
}

/// A namespace with a switch, and one a node.
#[derive(Debug)]
struct Network {
    /// The name of the switch's namespace and of this machine's end of the line to it. Other names
    /// begin with it.
    name: String,
    /// The first three numbers of all addresses.
    prefix: String,
}

impl Cluster {
    /// A new one, whole and ready; none where there is no right to make it.
    pub fn new() -> Option<Self> {
        let network = Network::new()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let node = |number: usize| Script {
            folder: folder.path().join(number.to_string()),
            namespace: Some(network.namespace(number)),
        };
        let nodes: Vec<_> = (0..NODES).map(node).collect();
        let start = |number: usize| {
            let host = network.host(number);
            nodes[number].run(&["--host", &host, "start", "broker"]);
        };
        start(0);
        for number in 1..NODES {
            nodes[number].copy_settings(&nodes[0], &network.host(0), &network.host(number));
        }
        std::thread::scope(|scope| {
            (1..NODES).for_each(|number| drop(scope.spawn(move || start(number))));
        });
        let first = format!("stylefleet@{}", network.host(0));
        for node in &nodes[1..] {
            node.rabbitmqctl(&["stop_app"]);
            node.rabbitmqctl(&["join_cluster", &first]);
            node.rabbitmqctl(&["start_app"]);
        }
        let url = nodes[0].settings()["STYLEFLEET_BROKER"].clone();
        let (_, port_and_path) = url.rsplit_once(':').expect("names a port");
        let (port, _) = port_and_path.split_once('/').expect("names a vhost");
        let address = |number: usize| format!("{}:{port}", network.host(number));
        let all: Vec<_> = (0..NODES).map(address).collect();
        let cluster = Self {
            services: Services::with_broker(
                url.replacen(&all[0], &all.join(","), 1),
                nodes[0].clone(),
            ),
            nodes,
            network,
            _folder: folder,
        };
        cluster.await_all();
        Some(cluster)
    }

    /// Waits until all nodes are there for each other.
    pub fn await_all(&self) {
        let count = NODES.to_string();
        for node in &self.nodes {
            node.rabbitmqctl(&["await_startup"]);
            node.rabbitmqctl(&["await_online_nodes", &count]);
        }
    }

    /// Ends a node as a crash would.
    pub fn crash(&self, node: usize) {
        self.nodes[node].run(&["kill", "broker"]);
    }

    /// Starts a node again.
    pub fn start(&self, node: usize) {
        self.nodes[node].run(&["start", "broker"]);
    }

    /// Takes a node's network away: to all others it is silent.
    pub fn unplug(&self, node: usize) {
        self.network.set(node, "down");
    }

    /// Gives it back.
    pub fn plug(&self, node: usize) {
        self.network.set(node, "up");
    }

    /// Parts a node from its peers, while clients reach it as before.
    pub fn part(&self, node: usize) {
        self.network.part(node, "add");
    }

    /// Ends that.
    pub fn unite(&self, node: usize) {
        self.network.part(node, "del");
    }

    /// Waits until a node whose network is back is a broker again, and starts it anew where it does
    /// not come to that by itself, as whoever runs it would: RabbitMQ 3.10 may hang when it ends
    /// the pause in which it waited for the others.
    pub fn await_return(&self, node: usize) {
        let startup = ["rabbitmqctl", "await_startup", "--timeout", RETURN];
        if !self.nodes[node].succeeds(&startup) {
            println!("node {node} did not come back within {RETURN} s, and is started anew");
            self.crash(node);
            self.start(node);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &self.nodes {
            node.run(&["kill"]);
            node.run(&["stop"]); // tidies up
        }
    }
}

impl Script {
    /// Takes over what the nodes of a cluster share, and the ports.
    fn copy_settings(&self, other: &Self, its_host: &str, host: &str) {
        let read = |name: &str| fs::read(other.folder.join(name)).expect("was made");
        let write = |name: &str, bytes: Vec<u8>| {
            let path = self.folder.join(name);
            let parent = path.parent().expect("is in a folder");
            fs::create_dir_all(parent).expect("makes a folder");
            fs::write(path, bytes).expect("writes a file");
        };
        for name in [
            "broker/.erlang.cookie",
            "tls/ca.pem",
            "tls/server.pem",
            "tls/server.key",
        ] {
            write(name, read(name));
        }
        let settings = String::from_utf8(read("settings")).expect("text");
        let settings = settings.replacen(&format!("host={its_host}"), &format!("host={host}"), 1);
        write("settings", settings.into_bytes());
    }
}

impl Network {
    fn new() -> Option<Self> {
        let mut random = fastrand::Rng::new();
        let network = Self {
            name: format!("sf{:06x}", random.u32(..1 << 24)),
            prefix: format!("10.{}.{}", random.u8(64..128), random.u8(..)),
        };
        let Self { name, prefix } = &network;
        let made = Command::new("ip").args(["netns", "add", name]).output();
        if !made.is_ok_and(|made| made.status.success()) {
            let why = "networks of their own need root and the program ip";
            skip("three nodes of a broker", why);
            return None;
        }
        ip(&format!("-n {name} link add switch type bridge"));
        ip(&format!("-n {name} link set switch up"));
        let plug_in = |line: &str| ip(&format!("-n {name} link set {line} master switch up"));
        ip(&format!(
            "link add {name} type veth peer name host netns {name}"
        ));
        plug_in("host");
        ip(&format!("address add {prefix}.254/24 dev {name}"));
        ip(&format!("link set {name} up"));
        for node in 0..NODES {
            let (namespace, host) = (network.namespace(node), network.host(node));
            ip(&format!("netns add {namespace}"));
            ip(&format!("-n {namespace} link set lo up"));
            ip(&format!(
                "-n {name} link add {namespace} type veth peer name eth0 netns {namespace}"
            ));
            plug_in(&namespace);
            ip(&format!("-n {namespace} address add {host}/24 dev eth0"));
            ip(&format!("-n {namespace} link set eth0 up"));
        }
        Some(network)
    }

    /// The name of a node's namespace, and of the other end of its line.
    fn namespace(&self, node: usize) -> String {
        format!("{}n{node}", self.name)
    }

    fn host(&self, node: usize) -> String {
        format!("{}.{}", self.prefix, node + 1)
    }

    fn set(&self, node: usize, state: &str) {
        let (switch, node) = (&self.name, self.namespace(node));
        ip(&format!("-n {switch} link set {node} {state}"));
    }

    fn part(&self, node: usize, action: &str) {
        let namespace = self.namespace(node);
        for peer in (0..NODES).filter(|peer| *peer != node) {
            let host = self.host(peer);
            ip(&format!(
                "-n {namespace} route {action} blackhole {host}/32"
            ));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in 0..NODES {
            ip(&format!("netns delete {}", self.namespace(node)));
        }
        ip(&format!("netns delete {}", self.name));
    }
}

fn ip(args: &str) {
    output(Command::new("ip").args(args.split(' ')));
}

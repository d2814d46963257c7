//! Where a broker is, and who we are.

use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::broker::BrokerError;

/// Seconds between signs of life: the connection counts as broken after twice as long without any.
const HEARTBEAT: u16 = 5;
/// Milliseconds that a connection may take to come about, with one node; with more each gets its
/// share.
const CONNECT_TIMEOUT: u64 = 10_000;

/// A broker's URL: a user, a vhost, and the addresses of the broker's nodes, of which there is at
/// least one. Neither `Display` nor `Debug` shows the password.
///
/// ```
/// use stylefleet_transport::broker::BrokerUrl;
///
/// let url: BrokerUrl = "amqps://ann:secret@a.example,b.example/studio".parse()?;
/// assert_eq!(url.to_string(), "amqps://ann@a.example:5671,b.example:5671/studio");
/// # Ok::<_, stylefleet_transport::broker::BrokerError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(Vec<Node>);

/// One node of a broker, and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Node(AMQPUri);

impl BrokerUrl {
    /// The broker's nodes.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.0
    }
}

impl Node {
    /// The URL as the client library wants it.
    pub fn uri(&self) -> AMQPUri {
        self.0.clone()
    }

    /// Host and port.
    pub fn address(&self) -> (&str, u16) {
        let authority = &self.0.authority;
        (&authority.host, authority.port)
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }

    /// Reads the URL of one `server`, which is all of `text` between user and vhost.
    fn read(text: &str, server: &str) -> Result<Self, BrokerError> {
        // What the parser complains about may quote the password.
        let mut uri: AMQPUri = text
            .parse()
            .map_err(|_| BrokerError::Url("cannot be read"))?;
        // The parser takes an IPv6 address for this machine.
        if let Some((address, _)) = server.strip_prefix('[').and_then(|s| s.split_once(']')) {
            uri.authority.host = address.to_owned();
        }
        if server.is_empty() || uri.authority.host.is_empty() {
            return Err(BrokerError::Url("names no host"));
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self(uri))
    }
}

impl FromStr for BrokerUrl {
    type Err = BrokerError;

    fn from_str(text: &str) -> Result<Self, BrokerError> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or(BrokerError::Url("has no ://"))?;
        // What the password has of these would pass for host, port or vhost, and be shown.
        if rest.contains('#') {
            return Err(BrokerError::Url("has a #"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if path.contains('@') {
            return Err(BrokerError::Url("has a / or ? before an @"));
        }
        let servers = authority.rsplit('@').next().unwrap_or_default();
        let user = &authority[..authority.len() - servers.len()];
        let nodes = servers
            .split(',')
            .map(|server| Node::read(&format!("{scheme}://{user}{server}{path}"), server));
        let mut nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        let share = CONNECT_TIMEOUT / nodes.len() as u64;
        for Node(uri) in &mut nodes {
            uri.query.connection_timeout.get_or_insert(share);
        }
        Ok(Self(nodes))
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, &self.0)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, std::slice::from_ref(self))
    }
}

/// The URL of these nodes, without the password.
fn write(f: &mut fmt::Formatter<'_>, nodes: &[Node]) -> fmt::Result {
    for (index, Node(uri)) in nodes.iter().enumerate() {
        let AMQPUri {
            scheme, authority, ..
        } = uri;
        match index {
            0 => write!(f, "{scheme}://{}@", authority.userinfo.username)?,
            _ => f.write_str(",")?,
        }
        if authority.host.contains(':') {
            write!(f, "[{}]:{}", authority.host, authority.port)?;
        } else {
            write!(f, "{}:{}", authority.host, authority.port)?;
        }
    }
    match nodes.first().map(|Node(uri)| uri.vhost.as_str()) {
        None | Some("/") => Ok(()),
        Some(vhost) => write!(f, "/{vhost}"),
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_everything_but_the_password() {
        let url: BrokerUrl = "amqps://ann:se%20cret@mq.example:5671/studio"
            .parse()
            .expect("a URL");
        assert_eq!(url.to_string(), "amqps://ann@mq.example:5671/studio");
        assert!(!format!("{url:?}").contains("cret"));
        let [node] = url.nodes() else {
            panic!("{url} has one node");
        };
        assert!(node.is_encrypted());
        assert_eq!(node.uri().authority.userinfo.password, "se cret");
    }

    #[test]
    fn addresses_are_names_and_numbers() {
        for (text, host, port) in [
            ("amqp://a:b@mq.example/v", "mq.example", 5672),
            ("amqps://a:b@mq.example", "mq.example", 5671),
            ("amqp://a:b@10.0.0.7:5673/v", "10.0.0.7", 5673),
            ("amqp://a:b@[2001:db8::7]:5673/v", "2001:db8::7", 5673),
            ("amqps://[::1]", "::1", 5671),
        ] {
            let url: BrokerUrl = text.parse().expect(text);
            assert_eq!(url.nodes()[0].address(), (host, port), "{text}");
        }
        let url: BrokerUrl = "amqp://a:b@[::1]/v".parse().expect("a URL");
        assert_eq!(url.to_string(), "amqp://a@[::1]:5672/v");
    }

    #[test]
    fn a_broker_of_several_nodes_has_an_address_each() {
        let text = "amqps://ann:secret@a.example,10.0.0.7:5673,[::1]/studio?heartbeat=7";
        let url: BrokerUrl = text.parse().expect("a URL");
        let shown = "amqps://ann@a.example:5671,10.0.0.7:5673,[::1]:5671/studio";
        assert_eq!(url.to_string(), shown);
        let addresses: Vec<_> = url.nodes().iter().map(Node::address).collect();
        let expected = [("a.example", 5671), ("10.0.0.7", 5673), ("::1", 5671)];
        assert_eq!(addresses, expected);
        for node in url.nodes() {
            let uri = node.uri();
            assert_eq!(uri.vhost, "studio");
            assert_eq!(uri.authority.userinfo.password, "secret");
            assert_eq!(uri.query.heartbeat, Some(7));
            assert_eq!(uri.query.connection_timeout, Some(3333));
        }
        assert_eq!(
            url.nodes()[1].to_string(),
            "amqps://ann@10.0.0.7:5673/studio"
        );
    }

    /// Whatever a password holds, it comes back whole or is refused without being shown.
    #[test]
    fn passwords_are_taken_as_they_are_or_refused() {
        for (password, is_taken) in [
            ("se%23%3F%2F%40%25cret", true),
            ("se@cret", true),
            ("se,cret", true),
            ("12#cret", false),
            ("12?cret", false),
            ("12/cret", false),
            ("12/cr@et", false),
            ("cr#et", false),
            ("cr?et", false),
            ("cr/et", false),
            ("%ffcret", false),
        ] {
            for end in ["mq.example:5672/v", "mq.example"] {
                match format!("amqp://ann:{password}@{end}").parse::<BrokerUrl>() {
                    Ok(url) => {
                        assert!(is_taken, "{password}: {url}");
                        let node = &url.nodes()[0];
                        assert_eq!(node.address().0, "mq.example");
                        let raw = password.replace("%23%3F%2F%40%25", "#?/@%");
                        assert_eq!(node.uri().authority.userinfo.password, raw);
                    }
                    Err(refused) => {
                        let refused = refused.to_string();
                        assert!(!is_taken, "{password}: {refused}");
                        assert!(refused.contains("percent-encode"), "{refused}");
                        assert!(!refused.contains("cr"), "{refused}");
                    }
                }
            }
        }
    }

    #[test]
    fn refuses_what_is_no_broker_without_quoting_it() {
        for text in [
            "",
            "http://ann:secret@mq",
            "amqp://ann:secret@mq:port",
            "amqp://ann:secret@",
            "amqp://ann:secret@/studio",
            "amqp://ann:secret@mq/studio#1",
            "amqp://ann:secret@mq,/studio",
            "amqp://ann:secret@mq,mq2:port/studio",
            "mq",
        ] {
            let refused = text.parse::<BrokerUrl>().expect_err(text).to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}

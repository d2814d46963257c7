//! Where a broker is, and who we are.

use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::broker::BrokerError;

/// Seconds between signs of life: three missed and the connection counts as broken.
const HEARTBEAT: u16 = 10;
/// Milliseconds that a connection may take to come about.
const CONNECT_TIMEOUT: u64 = 10_000;

/// A broker's URL. Neither `Display` nor `Debug` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(AMQPUri);

impl BrokerUrl {
    /// The URL as the client library wants it.
    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }

    /// Host and port.
    pub(super) fn address(&self) -> (&str, u16) {
        let authority = &self.0.authority;
        (&authority.host, authority.port)
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }
}

impl FromStr for BrokerUrl {
    type Err = BrokerError;

    fn from_str(text: &str) -> Result<Self, BrokerError> {
        let (_, rest) = text
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
        // What the parser complains about may quote the password.
        let mut uri: AMQPUri = text
            .parse()
            .map_err(|_| BrokerError::Url("cannot be read"))?;
        let server = authority.rsplit('@').next().unwrap_or_default();
        // The parser takes an IPv6 address for this machine.
        if let Some((address, _)) = server.strip_prefix('[').and_then(|s| s.split_once(']')) {
            uri.authority.host = address.to_owned();
        }
        if server.is_empty() || uri.authority.host.is_empty() {
            return Err(BrokerError::Url("names no host"));
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.connection_timeout.get_or_insert(CONNECT_TIMEOUT);
        Ok(Self(uri))
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri {
            scheme,
            authority,
            vhost,
            ..
        } = &self.0;
        let user = &authority.userinfo.username;
        write!(f, "{scheme}://{user}@")?;
        match authority.host.contains(':') {
            true => write!(f, "[{}]:{}", authority.host, authority.port)?,
            false => write!(f, "{}:{}", authority.host, authority.port)?,
        }
        match vhost.as_str() {
            "/" => Ok(()),
            vhost => write!(f, "/{vhost}"),
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
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
        assert!(url.is_encrypted());
        assert_eq!(url.uri().authority.userinfo.password, "se cret");
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
            assert_eq!(url.address(), (host, port), "{text}");
        }
        let url: BrokerUrl = "amqp://a:b@[::1]/v".parse().expect("a URL");
        assert_eq!(url.to_string(), "amqp://a@[::1]:5672/v");
    }

    /// Whatever a password holds, it comes back whole or is refused without being shown.
    #[test]
    fn passwords_are_taken_as_they_are_or_refused() {
        for (password, is_taken) in [
            ("se%23%3F%2F%40%25cret", true),
            ("se@cret", true),
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
                        assert_eq!(url.address().0, "mq.example");
                        let raw = password.replace("%23%3F%2F%40%25", "#?/@%");
                        assert_eq!(url.uri().authority.userinfo.password, raw);
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
            "mq",
        ] {
            let refused = text.parse::<BrokerUrl>().expect_err(text).to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}

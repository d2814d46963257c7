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

    /// Whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }
}

impl FromStr for BrokerUrl {
    type Err = BrokerError;

    fn from_str(text: &str) -> Result<Self, BrokerError> {
        // What the parser complains about may quote the password.
        let mut uri: AMQPUri = text
            .parse()
            .map_err(|_| BrokerError::Url("cannot be read".to_owned()))?;
        if uri.authority.host.is_empty() {
            return Err(BrokerError::Url("names no host".to_owned()));
        }
        // Part of a password would pass for the vhost, and be shown.
        if uri.vhost.contains('@') {
            let reason = "has a / before its @: write %2F in a name or password";
            return Err(BrokerError::Url(reason.to_owned()));
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
        write!(f, "{scheme}://{user}@{}:{}", authority.host, authority.port)?;
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
    fn refuses_what_is_no_broker_without_quoting_it() {
        for text in [
            "",
            "http://ann:secret@mq",
            "amqp://ann:secret@mq:port",
            "amqp://ann:1/secret@mq",
            "mq",
        ] {
            let refused = text.parse::<BrokerUrl>().expect_err(text).to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}

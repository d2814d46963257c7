//! What stores complain of, in one line: subject, cause, remedy.

use stylefleet_proto::Digest;

use crate::{AuthoritiesError, Cause};

/// Why a store did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The key is not one that this project makes.
    #[error("\"{0}\" is no key of this store")]
    Key(String),
    /// A setting that no store can be opened with.
    #[error("cannot use {what}: {source}")]
    Setting {
        /// What was set.
        what: String,
        /// What is wrong with it.
        source: Cause,
    },
    /// The file of certificate authorities is of no use.
    #[error(transparent)]
    Authorities(AuthoritiesError),
    /// Nothing says who asks.
    #[error(
        "no credentials for {store}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
    )]
    NoCredentials {
        /// The bucket.
        store: String,
    },
    /// The store does not let these credentials do that.
    #[error("cannot {action} {what}: refused ({source}): {remedy}")]
    Denied {
        /// What was tried.
        action: &'static str,
        /// What it was tried on.
        what: String,
        /// The store's code for it.
        source: Cause,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The server does not have the bucket.
    #[error("there is no bucket \"{bucket}\" at {endpoint}: create it, or name another")]
    NoBucket {
        /// The bucket.
        bucket: String,
        /// The server.
        endpoint: String,
    },
    /// Requests are signed with the time, and the clocks differ too much.
    #[error("cannot {action} {what}: this machine's clock and the store's differ: set it right")]
    ClockSkew {
        /// What was tried.
        action: &'static str,
        /// What it was tried on.
        what: String,
    },
    /// The server did not answer, or not to the end.
    #[error("cannot reach {endpoint}: {source}: check the address and the network")]
    Unreachable {
        /// The server.
        endpoint: String,
        /// What came in the way.
        source: Cause,
    },
    /// Nobody that this machine trusts vouches for the server.
    #[error("cannot trust {endpoint}: {source}: name its authority in STYLEFLEET_CA")]
    Untrusted {
        /// The server.
        endpoint: String,
        /// What is wrong with its certificate.
        source: Cause,
    },
    /// The server is in trouble or overloaded.
    #[error("cannot {action} {what}: the store fails ({source}): try again later")]
    Server {
        /// What was tried.
        action: &'static str,
        /// What it was tried on.
        what: String,
        /// What the server said.
        source: Cause,
    },
    /// The server wants no such request.
    #[error("cannot {action} {what}: the store rejects the request ({source})")]
    Rejected {
        /// What was tried.
        action: &'static str,
        /// What it was tried on.
        what: String,
        /// What the server said.
        source: Cause,
    },
    /// What was read is not what was written.
    #[error("{what} is not as it was written: this store cannot be relied on")]
    Unreliable {
        /// What was written.
        what: String,
    },
    /// The object was replaced or removed while it was read.
    #[error("{what} changed while it was read: run the same command again")]
    Changed {
        /// The object.
        what: String,
    },
    /// The bytes do not have the digest that they should have.
    #[error("the content of {what} does not match its SHA-256, {digest}: {remedy}")]
    Mismatch {
        /// Where they are: an object, or the file that was to be uploaded.
        what: String,
        /// The digest they should have.
        digest: Digest,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A local file that is uploaded, or downloaded into, cannot be read or written.
    #[error("cannot {action} the file {path}: {source}")]
    File {
        /// What was tried: read, write.
        action: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What says which store it is says nothing.
    #[error("{what} is damaged: remove it, and the next submit gives the store a new identity")]
    Damaged {
        /// Where that is.
        what: String,
    },
    /// The disk is full.
    #[error("cannot write {what}: no space left: free some, then run the same command again")]
    Full {
        /// What was written.
        what: String,
    },
    /// Anything else that the file system says.
    #[error("cannot {action} {what}: {source}")]
    Io {
        /// What was tried: read, write, remove.
        action: &'static str,
        /// What it was tried on.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether trying again later may help, with nothing mended on this side.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Server { .. }
            | Self::ClockSkew { .. }
            | Self::Changed { .. }
            | Self::Full { .. }
            | Self::Io { .. } => true,
            Self::Key(_)
            | Self::Setting { .. }
            | Self::Authorities(_)
            | Self::NoCredentials { .. }
            | Self::Denied { .. }
            | Self::NoBucket { .. }
            | Self::Untrusted { .. }
            | Self::Rejected { .. }
            | Self::Unreliable { .. }
            | Self::Mismatch { .. }
            | Self::File { .. }
            | Self::Damaged { .. } => false,
        }
    }

    /// Whether the store is away or overloaded. It may be back soon, and nobody here can mend it.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Server { .. })
    }
}

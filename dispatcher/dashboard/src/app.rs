//! What all answers work with.

use std::sync::Arc;
use std::time::SystemTime;

use axum::http::{HeaderValue, Uri};
use stylefleet_fleet::clock::millis;
use stylefleet_fleet::live::Live;
use stylefleet_proto::{Build, Digest, keys};

use crate::access::{Access, policy};
use crate::files::LIFETIME;
use crate::submit::Orders;
use crate::thumbnails::Thumbnails;

/// A dashboard over a fleet.
pub struct Dashboard {
    pub(crate) live: Live,
    pub(crate) access: Access,
    pub(crate) orders: Option<Arc<dyn Orders>>,
    pub(crate) thumbnails: Thumbnails,
    /// Begins and ends with a slash.
    base_path: String,
    /// Whether browsers get pictures from the store itself.
    pub(crate) redirects: bool,
    /// What browsers let the page do.
    pub(crate) policy: HeaderValue,
    /// What program this is.
    pub(crate) build: Build,
}

impl Dashboard {
    /// A dashboard of `live` in such a program, which answers those whom `access` lets in.
    pub fn new(live: Live, access: Access, build: Build) -> Self {
        Self {
            live,
            access,
            orders: None,
            thumbnails: Thumbnails::default(),
            base_path: "/".to_owned(),
            redirects: false,
            policy: policy(None),
            build,
        }
    }

    /// The same, below a path: a proxy passes on what comes there, path and all.
    pub fn below(self, path: &str) -> Self {
        let path = path.trim_matches('/');
        let base_path = if path.is_empty() {
            "/".to_owned()
        } else {
            format!("/{path}/")
        };
        Self { base_path, ..self }
    }

    /// The same; `redirects`: browsers get pictures from the store itself, if it serves them, by
    /// addresses that expire.
    pub fn redirecting(self, redirects: bool) -> Self {
        Self { redirects, ..self }
    }

    /// The same, which also submits jobs.
    pub fn taking(self, orders: Arc<dyn Orders>) -> Self {
        Self {
            orders: Some(orders),
            ..self
        }
    }

    /// Lets browsers load pictures from where the store serves them, if they are to.
    pub(crate) async fn admit_store(&mut self) {
        if !self.redirects {
            return;
        }
        let any = keys::input(&Digest::of(b""));
        let url = self.live.store().presigned_url(&any, LIFETIME).await;
        let url = url.ok().flatten().and_then(|url| url.parse::<Uri>().ok());
        let origin = url.and_then(|url| {
            let (scheme, authority) = (url.scheme_str()?, url.authority()?);
            Some(format!("{scheme}://{authority}"))
        });
        self.policy = policy(origin.as_deref());
    }

    pub(crate) fn base_path(&self) -> &str {
        &self.base_path
    }
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    millis(SystemTime::now())
}

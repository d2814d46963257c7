//! Who may do what, and what browsers may do with the answers.
//!
//! Against other sites in the same browser: names of hosts are checked, so that a name that is
//! pointed here by somebody else gets nothing (DNS rebinding); actions need a header that no form
//! of another site can send, and an `Origin`, where there is one, that is this host's.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stylefleet_proto::Digest;

use crate::app::Dashboard;
use crate::error::ApiError;

/// The header of actions.
const ACTION: HeaderName = HeaderName::from_static("x-stylefleet");
/// The cookie of who has logged in.
const SESSION: &str = "stylefleet-session";
/// Fewest bytes of a token.
const SHORTEST: usize = 16;
/// What the page may load, apart from pictures and films: itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; manifest-src 'self'; base-uri 'self'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Who may do what.
#[derive(Debug, Default)]
pub struct Access {
    token: Option<Token>,
    reads_freely: bool,
    hosts: Vec<String>,
}

/// A secret that lets people act.
pub struct Token(Digest);

/// Why access cannot be given so.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Everybody could act.
    #[error(
        "the dashboard at {0} could be used by anyone who reaches this machine: set a token of at \
         least {SHORTEST} characters in STYLEFLEET_DASHBOARD_TOKEN, or listen at 127.0.0.1"
    )]
    Exposed(IpAddr),
    /// The token can be guessed.
    #[error(
        "STYLEFLEET_DASHBOARD_TOKEN is too short: give it at least {SHORTEST} characters, as \
         `openssl rand -hex 16` makes them"
    )]
    ShortToken,
}

impl Token {
    /// Keeps a secret.
    pub fn new(secret: &str) -> Result<Self, AccessError> {
        if secret.len() < SHORTEST {
            return Err(AccessError::ShortToken);
        }
        Ok(Self(Digest::of(secret.as_bytes())))
    }

    /// Hashes are compared, so that the time it takes tells nothing of the secret.
    fn is(&self, secret: &str) -> bool {
        self.0 == Digest::of(secret.as_bytes())
    }

    /// What the cookie of a browser holds that gave the secret.
    fn session(&self) -> String {
        Digest::of(format!("stylefleet session {}", self.0).as_bytes()).to_string()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Access {
    /// For a dashboard at `address`. With a token, whoever has it may act, and read;
    /// `reads_freely`: others may read. Without one everybody may do everything, which only this
    /// machine may do.
    /// `hosts`: names that the dashboard goes by, beside `localhost` and IP addresses.
    pub fn new(
        address: SocketAddr,
        token: Option<Token>,
        reads_freely: bool,
        hosts: Vec<String>,
    ) -> Result<Self, AccessError> {
        if token.is_none() && !address.ip().is_loopback() {
            return Err(AccessError::Exposed(address.ip()));
        }
        Ok(Self {
            token,
            reads_freely,
            hosts,
        })
    }

    pub(crate) fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether whoever sent these headers may act.
    pub(crate) fn may_act(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let bearer = headers.get(AUTHORIZATION).and_then(text);
        let bearer = bearer.and_then(|value| Some(value.strip_prefix("Bearer ")?.to_owned()));
        let session = || {
            let cookies = headers.get_all(COOKIE).iter().filter_map(text);
            let cookies: Vec<_> = cookies.collect();
            let mut pairs = cookies.iter().flat_map(|cookies| cookies.split(';'));
            pairs.any(|pair| {
                let value = pair.trim().strip_prefix(SESSION);
                let value = value.and_then(|value| value.strip_prefix('='));
                value.is_some_and(|value| {
                    Digest::of(value.as_bytes()) == Digest::of(token.session().as_bytes())
                })
            })
        };
        bearer.is_some_and(|secret| token.is(&secret)) || session()
    }

    /// Whether whoever sent these headers may read.
    pub(crate) fn may_read(&self, headers: &HeaderMap) -> bool {
        self.reads_freely || self.may_act(headers)
    }

    /// The cookie for whoever knows the secret.
    pub(crate) fn log_in(&self, secret: &str, path: &str) -> Option<String> {
        let token = self.token.as_ref().filter(|token| token.is(secret))?;
        let session = token.session();
        Some(format!(
            "{SESSION}={session}; Path={path}; HttpOnly; SameSite=Strict"
        ))
    }

    /// The cookie that ends a session.
    pub(crate) fn log_out(path: &str) -> String {
        format!("{SESSION}=; Path={path}; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    fn check(&self, request: &Request, is_api: bool, is_open: bool) -> Result<(), ApiError> {
        let headers = request.headers();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default();
        if !self.knows(host) {
            return Err(ApiError::Forbidden(
                "the dashboard is not known by this name: name it with --host",
            ));
        }
        if !is_api {
            return Ok(());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            if !headers.contains_key(ACTION) {
                return Err(ApiError::Forbidden(
                    "an action needs the header X-Stylefleet: 1",
                ));
            }
            let origin = headers.get(ORIGIN).map(|origin| origin.to_str());
            let is_own = origin.is_none_or(|origin| {
                origin.is_ok_and(|origin| origin.split_once("://").is_some_and(|(_, o)| o == host))
            });
            if !is_own {
                return Err(ApiError::Forbidden(
                    "an action must not come from another site",
                ));
            }
            if !is_open && !self.may_act(headers) {
                return Err(ApiError::Unauthorized);
            }
        } else if !is_open && !self.may_read(headers) {
            return Err(ApiError::Unauthorized);
        }
        Ok(())
    }

    /// Whether a `Host` header names this dashboard. An IP address does in any case: no name was
    /// looked up, so nobody can have changed what it means.
    fn knows(&self, host: &str) -> bool {
        let is_ip = host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let in_brackets = |name: &str| {
            let inner = name
                .strip_prefix('[')
                .and_then(|name| name.strip_suffix(']'));
            inner.is_some_and(|inner| inner.parse::<IpAddr>().is_ok())
        };
        is_ip
            || in_brackets(host)
            || name.eq_ignore_ascii_case("localhost")
            || self
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// What the page may load. Pictures may come from `origin` too, where the store has one.
pub(crate) fn policy(origin: Option<&str>) -> HeaderValue {
    let origin = origin.unwrap_or_default();
    let policy =
        format!("{POLICY}; img-src 'self' blob: data: {origin}; media-src 'self' blob: {origin}");
    policy.parse().unwrap_or(HeaderValue::from_static(POLICY))
}

/// Lets requests through that may be answered.
pub(crate) async fn guard(
    State(dashboard): State<Arc<Dashboard>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let path = path.strip_prefix(dashboard.base_path()).unwrap_or(path);
    let path = path.trim_start_matches('/');
    let is_api = path.starts_with("api/") || path == "metrics";
    // What a page needs to say that somebody has to log in.
    let is_open = ["api/session", "api/fleet", "api/openapi.json"].contains(&path);
    let mut response = match dashboard.access.check(&request, is_api, is_open) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    let mut usual = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    usual(X_CONTENT_TYPE_OPTIONS, "nosniff");
    usual(X_FRAME_OPTIONS, "DENY");
    usual(REFERRER_POLICY, "no-referrer");
    usual(CACHE_CONTROL, "no-store");
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, dashboard.policy.clone());
    }
    response
}

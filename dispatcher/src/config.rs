//! What the environment says: the only place that reads it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stylefleet_telemetry::{LogFormat, Logs};
use stylefleet_transport::broker::{BrokerError, BrokerOptions};
use stylefleet_transport::store::{self, Location, StoreError};

/// The worker's command, as it is called beside our own and in PATH.
const WORKER: &str = "stylefleet-worker";

/// Settings from variables that begin with `STYLEFLEET_`. Not to be printed: the broker's URL
/// has a password.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `STYLEFLEET_WORKER`: the worker's command.
    worker: Option<PathBuf>,
    /// `STYLEFLEET_LOG`: what to log to standard error, as in `debug` or `stylefleet=trace`.
    log: Option<String>,
    /// `STYLEFLEET_LOG_FORMAT`: how its lines look, `text` or `json`.
    log_format: LogFormat,
    /// `STYLEFLEET_BROKER`: the broker's URL.
    broker: Option<String>,
    /// `STYLEFLEET_STORE`: where the store is.
    store: Option<String>,
    /// `STYLEFLEET_S3_ENDPOINT`: address of an S3 server that is not AWS's.
    s3_endpoint: Option<String>,
    /// `STYLEFLEET_CA`: PEM file of further certificate authorities, for broker and store.
    ca: Option<PathBuf>,
}

/// The environment holds something that cannot be used, or lacks something.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable has a value of the wrong kind.
    #[error("environment variables STYLEFLEET_*: {0}")]
    Environment(#[from] config::ConfigError),
    /// There is no broker.
    #[error("no broker is named: set STYLEFLEET_BROKER, as in amqp://user:password@host/vhost")]
    NoBroker,
    /// There is no store.
    #[error("no store is named: set STYLEFLEET_STORE to s3://bucket[/prefix] or a folder's path")]
    NoStore,
    /// The broker's URL is none.
    #[error("STYLEFLEET_BROKER: {0}")]
    Broker(BrokerError),
    /// The store's location is none.
    #[error("STYLEFLEET_STORE: {0}")]
    Store(StoreError),
}

impl Settings {
    /// Reads the environment.
    pub fn read() -> Result<Self, ConfigError> {
        let environment = config::Environment::with_prefix("STYLEFLEET").ignore_empty(true);
        Ok(config::Config::builder()
            .add_source(environment)
            .build()?
            .try_deserialize()?)
    }

    /// What to log, and how. Unless told otherwise, what libraries say is left out: errors are ours
    /// to tell.
    pub fn logs(&self) -> Logs<'_> {
        Logs {
            filter: self.log.as_deref().unwrap_or("stylefleet=warn"),
            format: self.log_format,
            colours: std::io::stderr().is_terminal(),
        }
    }

    /// Whether a log was asked for.
    pub fn wants_log(&self) -> bool {
        self.log.is_some()
    }

    /// The worker's command: the one named, the one beside our own, or whatever PATH has.
    pub fn worker(&self) -> PathBuf {
        self.worker
            .clone()
            .or_else(|| {
                let beside = std::env::current_exe().ok()?.with_file_name(WORKER);
                beside.is_file().then_some(beside)
            })
            .unwrap_or_else(|| Path::new(WORKER).to_owned())
    }

    /// How to reach the broker.
    pub fn broker(&self) -> Result<BrokerOptions, ConfigError> {
        let url = self.broker.as_ref().ok_or(ConfigError::NoBroker)?;
        Ok(BrokerOptions {
            url: url.parse().map_err(ConfigError::Broker)?,
            ca: self.ca.clone(),
            name: format!("stylefleet {}", std::process::id()),
        })
    }

    /// Where the store is.
    pub fn store(&self) -> Result<Location, ConfigError> {
        let location = self.store.as_ref().ok_or(ConfigError::NoStore)?;
        location.parse().map_err(ConfigError::Store)
    }

    /// How to reach S3 stores.
    pub fn s3(&self) -> store::Options {
        store::Options {
            endpoint: self.s3_endpoint.clone(),
            ca: self.ca.clone(),
        }
    }
}

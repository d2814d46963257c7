//! What the environment says: the only place that reads it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The worker's command, as it is called beside our own and in PATH.
const WORKER: &str = "stylefleet-worker";

/// Settings from variables that begin with `STYLEFLEET_`.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `STYLEFLEET_WORKER`: the worker's command.
    worker: Option<PathBuf>,
    /// `STYLEFLEET_LOG`: what to log to standard error, as in `debug` or `stylefleet=trace`.
    pub log: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            worker: None,
            log: "warn".to_owned(),
        }
    }
}

/// The environment holds something that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("environment variables STYLEFLEET_*: {0}")]
pub struct ConfigError(#[from] config::ConfigError);

impl Settings {
    /// Reads the environment.
    pub fn read() -> Result<Self, ConfigError> {
        let environment = config::Environment::with_prefix("STYLEFLEET");
        Ok(config::Config::builder()
            .add_source(environment)
            .build()?
            .try_deserialize()?)
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
}

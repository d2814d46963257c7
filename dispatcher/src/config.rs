//! What the environment and the file with settings say: the only place that reads either.

mod manual;

use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Source};
use serde::Deserialize;
use stylefleet_model::did_you_mean;
use stylefleet_telemetry::{LogFormat, Logs};
use stylefleet_transport::broker::{BrokerError, BrokerOptions};
use stylefleet_transport::store::{self, Location, StoreError};

use crate::color;

pub use manual::{SETTINGS, manual, template};

/// The worker's command, as it is called beside our own and in PATH.
const WORKER: &str = "stylefleet-worker";
/// The variable that names the file with settings.
const FILE: &str = "STYLEFLEET_CONFIG";

/// Settings from variables that begin with `STYLEFLEET_`, or else from a file. Not to be printed:
/// the broker's URL has a password.
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
    /// `STYLEFLEET_DASHBOARD_TOKEN`: what people need to act in the dashboard.
    dashboard_token: Option<String>,
}

/// The settings hold something that cannot be used, or lack something.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable has a value of the wrong kind.
    #[error("settings, in variables STYLEFLEET_* or the file: {0}")]
    Environment(#[from] config::ConfigError),
    /// The file cannot be read, or is no TOML.
    #[error("settings: {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        reason: Box<config::ConfigError>,
    },
    /// The file has something that is no setting.
    #[error("settings: {}: there is no setting {key}{hint}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it calls it.
        key: String,
        /// What was probably meant.
        hint: String,
    },
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
    /// Reads the environment, and the file that it names, or the usual one if it is there.
    pub fn read() -> Result<Self, ConfigError> {
        let named = variable(FILE).map(PathBuf::from);
        let file = named.or_else(|| usual_file().filter(|path| path.exists()));
        let environment = Environment::with_prefix("STYLEFLEET").ignore_empty(true);
        let mut settings = Config::builder();
        if let Some(path) = file {
            settings = settings.add_source(read_file(&path)?);
        }
        let settings = settings.add_source(environment).build()?;
        Ok(settings.try_deserialize()?)
    }

    /// What to log, and how. Unless told otherwise, what libraries say is left out: errors are ours
    /// to tell.
    pub fn logs(&self) -> Logs<'_> {
        Logs {
            filter: self.log.as_deref().unwrap_or("stylefleet=warn"),
            format: self.log_format,
            colours: color::is_for_log(),
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

    /// What people need to act in the dashboard.
    pub fn dashboard_token(&self) -> Option<&str> {
        self.dashboard_token.as_deref()
    }

    /// How to reach S3 stores.
    pub fn s3(&self) -> store::Options {
        store::Options {
            endpoint: self.s3_endpoint.clone(),
            ca: self.ca.clone(),
        }
    }
}

/// Where a file with settings is looked for: in the user's folder alone, since it may name programs
/// to start, which whoever filled the working directory must not.
pub fn usual_file() -> Option<PathBuf> {
    let folder = variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))?;
    Some(folder.join("stylefleet/config.toml"))
}

/// What the program was called with.
pub fn arguments() -> std::env::ArgsOs {
    std::env::args_os()
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a file that has nothing but settings in it.
fn read_file(path: &Path) -> Result<Config, ConfigError> {
    let refuse = |reason| ConfigError::File {
        path: path.to_owned(),
        reason: Box::new(reason),
    };
    let file = File::from(path).format(FileFormat::Toml);
    let read = Config::builder().add_source(file).build().map_err(refuse)?;
    let keys = SETTINGS.map(|setting| setting.key);
    for key in read.collect().map_err(refuse)?.into_keys() {
        if !keys.contains(&key.as_str()) {
            return Err(ConfigError::Unknown {
                path: path.to_owned(),
                hint: did_you_mean(&key, keys),
                key,
            });
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        fs::write(&path, text).expect("writes");
        (folder, path)
    }

    fn refusal(text: &str) -> String {
        let (_folder, path) = file(text);
        let refused = read_file(&path).expect_err("is refused");
        let message = refused.to_string();
        message.replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn the_template_has_every_setting_and_sets_none() {
        let (_folder, path) = file(&template());
        let none = read_file(&path).expect("is read").collect();
        assert!(none.expect("is read").is_empty());
        // As it would be once somebody had removed the marks of comments.
        let (_folder, path) = file(&template().replace("\n#", "\n").replace("\n ", "\n# "));
        let read = read_file(&path).expect("is read");
        // Fails to compile where there is one that is not tested here.
        let Settings {
            worker: Some(_),
            log: Some(_),
            log_format: LogFormat::Json,
            broker: Some(_),
            store: Some(_),
            s3_endpoint: Some(_),
            ca: Some(_),
            dashboard_token: Some(_),
        } = read.try_deserialize().expect("are settings")
        else {
            panic!("the template leaves out a setting");
        };
    }

    #[test]
    fn a_file_with_anything_else_is_refused() {
        let message = refusal("brokr = 'amqp://mq/'");
        assert_eq!(
            message,
            "settings: FILE: there is no setting brokr; did you mean broker?"
        );
        assert!(refusal("store = ").starts_with("settings: FILE: "));
        assert!(read_file(Path::new("/nowhere/config.toml")).is_err());
    }
}

//! The worker's settings: flags over environment over file over `config.default.toml`.
//!
//! Nothing else in this crate touches the environment.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io::stderr;
use std::net::{AddrParseError, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use bytesize::ByteSize;
use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;
use stylefleet_engine::{Cause, Description, Options, SETUP_FILE};
use stylefleet_proto::{Digest, Invalid};
use stylefleet_telemetry::{LogFormat, Logs};
use stylefleet_transport::broker::BrokerUrl;
use stylefleet_transport::store::{self, Location};

use crate::cli::Flags;

/// How a setting begins that names weights in the store.
const IN_STORE: &str = "store:";
/// Every setting and its default.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// What NVIDIA's libraries read as they start.
const TF32_OVERRIDE: &str = "NVIDIA_TF32_OVERRIDE";

/// Forbids NVIDIA's libraries to compute f32 in TF32, which rounds factors to 19 bits: a job has to
/// come out the same on every worker. Call it before there are other threads.
#[expect(unsafe_code, reason = "other threads may be reading the environment")]
pub fn forbid_tf32() {
    // SAFETY: there are no other threads yet.
    unsafe { std::env::set_var(TF32_OVERRIDE, "0") };
}

/// The worker's settings, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    device: String,
    threads: u32,
    weights: String,
    cache: PathBuf,
    max_pixels: u64,
    memory: String,
    checkpoint_seconds: f64,
    broker: Secret,
    store: String,
    s3_endpoint: String,
    ca: String,
    name: String,
    health: String,
    slice_seconds: f64,
    grace_seconds: f64,
    cache_bytes: u64,
    log: String,
    log_format: LogFormat,
}

/// A setting that must not be shown.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A source cannot be read, or names an unknown setting.
    #[error("settings: {0}")]
    Source(#[from] config::ConfigError),
    /// A value is out of its range.
    #[error("settings: {name} is {value}, must be {allowed}")]
    Range {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A value is invalid.
    #[error("settings: {name}: {reason}")]
    Invalid {
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        reason: Cause,
    },
    /// There is no cache folder.
    #[error("settings: no cache folder is named and HOME is not set: name one with --cache")]
    NoCache,
    /// Something that `serve` needs is not set.
    #[error("settings: no {name} is named: set STYLEFLEET_{}={example}", name.to_uppercase())]
    Missing {
        /// The setting.
        name: &'static str,
        /// What it may look like.
        example: &'static str,
    },
}

impl Settings {
    /// The settings of this process.
    pub fn load(flags: &Flags) -> Result<Self, SettingsError> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::from_sources(flags, &environment)
    }

    fn from_sources(
        flags: &Flags,
        environment: &HashMap<String, String>,
    ) -> Result<Self, SettingsError> {
        let path = |path: &Path| path.display().to_string();
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(file) = &flags.config {
            builder = builder.add_source(File::from(file.as_path()).format(FileFormat::Toml));
        }
        let mut settings: Self = builder
            .add_source(Environment::with_prefix("STYLEFLEET").source(Some(ours(environment))))
            .set_override_option("device", flags.device.clone())?
            .set_override_option("threads", flags.threads)?
            .set_override_option("weights", flags.weights.clone())?
            .set_override_option("cache", flags.cache.as_deref().map(path))?
            .set_override_option("max_pixels", flags.max_pixels)?
            .set_override_option("memory", flags.memory.clone())?
            .set_override_option("checkpoint_seconds", flags.checkpoint_seconds)?
            .build()?
            .try_deserialize()?;
        if settings.cache.as_os_str().is_empty() {
            settings.cache = cache_folder(environment).unwrap_or_default();
        }
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let within = |name, value: f64, low, high, allowed| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                let value = value.to_string();
                Err(SettingsError::Range {
                    name,
                    value,
                    allowed,
                })
            }
        };
        within("threads", self.threads.into(), 0.0, 1024.0, "0 to 1024")?;
        within("max_pixels", self.max_pixels as f64, 1.0, 1e12, "1 to 1e12")?;
        self.memory()?;
        let seconds = self.checkpoint_seconds;
        within("checkpoint_seconds", seconds, 0.0, 86400.0, "0 to 86400")?;
        within(
            "slice_seconds",
            self.slice_seconds,
            1.0,
            1500.0,
            "1 to 1500",
        )?;
        within(
            "grace_seconds",
            self.grace_seconds,
            1.0,
            3600.0,
            "1 to 3600",
        )?;
        let weights_need_cache = self.weights.is_empty() || self.weights.starts_with(IN_STORE);
        if self.cache.as_os_str().is_empty() && weights_need_cache {
            return Err(SettingsError::NoCache);
        }
        self.weights_in_store()?;
        self.health().map(drop)
    }

    /// The file with the weights, once they are on this machine.
    pub fn weights(&self) -> PathBuf {
        match self.weights.strip_prefix(IN_STORE) {
            Some(digest) => self.cache.join("weights").join(digest),
            None if self.weights.is_empty() => self.cache.join(SETUP_FILE),
            None => self.weights.as_str().into(),
        }
    }

    /// The hash of the weights, if they come from the store.
    pub fn weights_in_store(&self) -> Result<Option<Digest>, SettingsError> {
        let digest = self.weights.strip_prefix(IN_STORE).map(str::parse);
        digest
            .transpose()
            .map_err(|e: Invalid| SettingsError::Invalid {
                name: "weights",
                reason: Cause::of(e),
            })
    }

    /// The folder for what can be fetched again.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Most bytes of inputs to keep there.
    pub fn cache_bytes(&self) -> u64 {
        self.cache_bytes
    }

    /// The broker.
    pub fn broker(&self) -> Result<BrokerUrl, SettingsError> {
        let example = "amqp://user:password@host:5672/vhost";
        given(&self.broker.0, "broker", example)
    }

    /// Where inputs come from and outputs go.
    pub fn store(&self) -> Result<Location, SettingsError> {
        given(&self.store, "store", "s3://bucket")
    }

    /// How to reach an S3 store.
    pub fn store_options(&self) -> store::Options {
        store::Options {
            endpoint: (!self.s3_endpoint.is_empty()).then(|| self.s3_endpoint.clone()),
            ca: self.ca(),
        }
    }

    /// Certificate authorities besides the system's.
    pub fn ca(&self) -> Option<PathBuf> {
        (!self.ca.is_empty()).then(|| self.ca.clone().into())
    }

    /// What the worker is called.
    pub fn name(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let system = rustix::system::uname();
        let host = system.nodename().to_string_lossy().into_owned();
        format!("{host}-{}", std::process::id())
    }

    /// Where to answer about health, if anywhere.
    pub fn health(&self) -> Result<Option<SocketAddr>, SettingsError> {
        match self.health.as_str() {
            "" => Ok(None),
            address => address.parse().map(Some).map_err(|e: AddrParseError| {
                let words = format!("invalid address \"{address}\": write it as 0.0.0.0:8080");
                SettingsError::Invalid {
                    name: "health",
                    reason: Cause::new(words, e),
                }
            }),
        }
    }

    /// How long a job may stay at work without a break.
    pub fn slice(&self) -> Duration {
        Duration::from_secs_f64(self.slice_seconds)
    }

    /// How long stopping may take.
    pub fn grace(&self) -> Duration {
        Duration::from_secs_f64(self.grace_seconds)
    }

    /// What to log to standard error, and how.
    pub fn logs(&self) -> Logs<'_> {
        Logs {
            filter: &self.log,
            format: self.log_format,
            colours: AutoStream::choice(&stderr()) != ColorChoice::Never,
        }
    }

    /// Least time between two checkpoints.
    pub fn checkpoint_every(&self) -> Duration {
        Duration::from_secs_f64(self.checkpoint_seconds)
    }

    /// Largest image to read before the engine asks for it, in pixels. None on a CPU, where it
    /// would take memory and cores from the job at work.
    pub fn read_ahead(&self, engine: &Description) -> Option<u64> {
        (engine.device != "cpu").then_some(self.max_pixels)
    }

    /// What the engine is opened with.
    pub fn engine(&self) -> Options {
        Options {
            device: self.device.clone(),
            threads: (self.threads > 0).then_some(self.threads as usize),
            weights: Some(self.weights()),
            max_pixels: self.max_pixels,
            memory: self.memory().unwrap_or(None),
        }
    }

    /// Bytes that a job may take; none leaves it to the engine.
    fn memory(&self) -> Result<Option<u64>, SettingsError> {
        if self.memory == "auto" {
            return Ok(None);
        }
        let size = self.memory.parse::<ByteSize>();
        let bytes = size.map_err(|e| {
            let words = format!(
                "invalid size {:?}: {e}: write it as 4GiB, or auto",
                self.memory
            );
            SettingsError::Invalid {
                name: "memory",
                reason: Cause::new(words, e),
            }
        })?;
        Ok(Some(bytes.as_u64()))
    }
}

/// A setting that is required.
fn given<T: FromStr<Err: Error + Send + Sync + 'static>>(
    text: &str,
    name: &'static str,
    example: &'static str,
) -> Result<T, SettingsError> {
    if text.is_empty() {
        return Err(SettingsError::Missing { name, example });
    }
    text.parse().map_err(|e: T::Err| SettingsError::Invalid {
        name,
        reason: Cause::of(e),
    })
}

/// The variables that name settings: other programs of the project share the prefix.
fn ours(environment: &HashMap<String, String>) -> HashMap<String, String> {
    let names = DEFAULTS.lines().filter_map(|line| line.split_once(" = "));
    names
        .map(|(name, _)| format!("STYLEFLEET_{}", name.to_uppercase()))
        .filter_map(|name| environment.get_key_value(&name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Where `deploy/setup` keeps what it fetched.
fn cache_folder(environment: &HashMap<String, String>) -> Option<PathBuf> {
    let folder = |name| environment.get(name).filter(|value| !value.is_empty());
    folder("STYLEFLEET_CACHE")
        .map(PathBuf::from)
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| Path::new(cache).join("stylefleet")))
        .or_else(|| folder("HOME").map(|home| Path::new(home).join(".cache/stylefleet")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<const N: usize>(entries: [(&str, &str); N]) -> HashMap<String, String> {
        entries
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn settings<const N: usize>(
        flags: Flags,
        entries: [(&str, &str); N],
    ) -> Result<Settings, SettingsError> {
        Settings::from_sources(&flags, &environment(entries))
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(
            &mut file,
            b"device = \"cuda:3\"\nthreads = 3\nmax_pixels = 3\nweights = \"w\"",
        )
        .expect("writes");
        let flags = Flags {
            config: Some(file.path().to_owned()),
            threads: Some(1),
            ..Flags::default()
        };
        let variables = [
            ("STYLEFLEET_THREADS", "2"),
            ("STYLEFLEET_MAX_PIXELS", "2"),
            ("STYLEFLEET_WORKER", "not a setting"),
        ];
        let settings = settings(flags, variables).expect("loads");
        assert_eq!(settings.device, "cuda:3");
        assert_eq!(settings.threads, 1);
        assert_eq!(settings.weights(), Path::new("w"));
        assert_eq!(settings.max_pixels, 2);
        assert_eq!(settings.checkpoint_seconds, 15.0);
    }

    #[test]
    fn looks_for_the_weights_in_the_cache() {
        let weights = |entries: [(&str, &str); 3]| {
            settings(Flags::default(), entries)
                .expect("loads")
                .weights()
        };
        let given = [
            ("STYLEFLEET_CACHE", "/c"),
            ("XDG_CACHE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(weights(given), Path::new("/c").join(SETUP_FILE));
        let given = [
            ("STYLEFLEET_CACHE", ""),
            ("XDG_CACHE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(weights(given), Path::new("/x/stylefleet").join(SETUP_FILE));
        let given = [
            ("STYLEFLEET_CACHE", ""),
            ("XDG_CACHE_HOME", ""),
            ("HOME", "/h"),
        ];
        assert_eq!(
            weights(given),
            Path::new("/h/.cache/stylefleet").join(SETUP_FILE)
        );
        let none = settings(Flags::default(), []);
        assert!(matches!(none, Err(SettingsError::NoCache)));
    }

    #[test]
    fn refuses_invalid_values() {
        for variable in [
            ("STYLEFLEET_THREADS", "-1"),
            ("STYLEFLEET_THREADS", "many"),
            ("STYLEFLEET_MAX_PIXELS", "0"),
            ("STYLEFLEET_CHECKPOINT_SECONDS", "NaN"),
            ("STYLEFLEET_SLICE_SECONDS", "1800"),
            ("STYLEFLEET_GRACE_SECONDS", "0"),
            ("STYLEFLEET_HEALTH", "8080"),
            ("STYLEFLEET_WEIGHTS", "store:../x"),
            ("STYLEFLEET_LOG_FORMAT", "xml"),
        ] {
            let refused = settings(Flags::default(), [variable, ("HOME", "/h")]);
            assert!(refused.is_err(), "{variable:?}");
        }
    }

    #[test]
    fn serving_needs_a_broker_and_a_store() {
        let settings = settings(
            Flags::default(),
            [
                ("HOME", "/h"),
                ("STYLEFLEET_BROKER", "amqp://ann:secret@mq/"),
            ],
        )
        .expect("loads");
        assert!(settings.broker().is_ok());
        assert!(!format!("{settings:?}").contains("secret"));
        let missing = settings.store().expect_err("is missing").to_string();
        assert!(missing.contains("STYLEFLEET_STORE=s3://"), "{missing}");
    }

    #[test]
    fn names_a_misspelt_setting_of_a_file() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut file, b"thread = 3").expect("writes");
        let flags = Flags {
            config: Some(file.path().to_owned()),
            ..Flags::default()
        };
        let refused = settings(flags, [("HOME", "/h")]).expect_err("refuses");
        assert!(refused.to_string().contains("thread"), "{refused}");
    }
}

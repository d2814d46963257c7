//! The worker's settings: flags over environment over file over `config.default.toml`.
//!
//! Nothing else in this crate reads the environment.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;
use stylefleet_engine::{Options, SETUP_FILE};

use crate::cli::Flags;

/// Every setting and its default.
const DEFAULTS: &str = include_str!("config.default.toml");

/// The worker's settings, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    device: String,
    threads: u32,
    weights: PathBuf,
    max_pixels: u64,
    checkpoint_seconds: f64,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A source could not be read, or names what is no setting.
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
    /// There is no cache folder to look for the weights in.
    #[error("settings: no weights are named and HOME is not set: name them with --weights")]
    NoWeights,
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
            .set_override_option("weights", flags.weights.as_deref().map(path))?
            .set_override_option("max_pixels", flags.max_pixels)?
            .set_override_option("checkpoint_seconds", flags.checkpoint_seconds)?
            .build()?
            .try_deserialize()?;
        settings.check()?;
        if settings.weights.as_os_str().is_empty() {
            let cache = cache_folder(environment).ok_or(SettingsError::NoWeights)?;
            settings.weights = cache.join(SETUP_FILE);
        }
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
        let seconds = self.checkpoint_seconds;
        within("checkpoint_seconds", seconds, 0.0, 86400.0, "0 to 86400")
    }

    /// The weights file.
    pub fn weights(&self) -> &Path {
        &self.weights
    }

    /// Least time between two checkpoints.
    pub fn checkpoint_every(&self) -> Duration {
        Duration::from_secs_f64(self.checkpoint_seconds)
    }

    /// What the engine is opened with.
    pub fn engine(&self) -> Options {
        Options {
            device: self.device.clone(),
            threads: (self.threads > 0).then_some(self.threads as usize),
            weights: self.weights.clone(),
            max_pixels: self.max_pixels,
        }
    }
}

/// The variables that name settings: other programs of the project share the prefix.
fn ours(environment: &HashMap<String, String>) -> HashMap<String, String> {
    [
        "DEVICE",
        "THREADS",
        "WEIGHTS",
        "MAX_PIXELS",
        "CHECKPOINT_SECONDS",
    ]
    .iter()
    .filter_map(|name| environment.get_key_value(&format!("STYLEFLEET_{name}")))
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
        let expected = Settings {
            device: "cuda:3".into(),
            threads: 1,
            weights: "w".into(),
            max_pixels: 2,
            checkpoint_seconds: 15.0,
        };
        assert_eq!(settings(flags, variables).expect("loads"), expected);
    }

    #[test]
    fn looks_for_the_weights_in_the_cache() {
        let weights = |entries: [(&str, &str); 3]| {
            settings(Flags::default(), entries).expect("loads").weights
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
        assert!(matches!(none, Err(SettingsError::NoWeights)));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for variable in [
            ("STYLEFLEET_THREADS", "-1"),
            ("STYLEFLEET_THREADS", "many"),
            ("STYLEFLEET_MAX_PIXELS", "0"),
            ("STYLEFLEET_CHECKPOINT_SECONDS", "NaN"),
        ] {
            let refused = settings(Flags::default(), [variable, ("HOME", "/h")]);
            assert!(refused.is_err(), "{variable:?}");
        }
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

//! What lies behind an error.

use std::error::Error;
use std::fmt;

/// What lies behind an error: words that fit its message, and the error that they come from, if
/// there is one, as the next in the chain of sources.
#[derive(Debug)]
pub struct Cause {
    words: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Cause {
    /// An error, put in these words.
    pub fn new(words: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            words: words.into(),
            source: Some(source.into()),
        }
    }

    /// An error, in its own words.
    pub fn of(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        Self::new(error.to_string(), error)
    }

    /// The same, in other words.
    pub fn in_words(self, words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            ..self
        }
    }
}

impl From<String> for Cause {
    fn from(words: String) -> Self {
        Self {
            words,
            source: None,
        }
    }
}

impl From<&str> for Cause {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

/// An error and the errors behind it, from the last to the first, on one line for a log. Their
/// messages alone: what else they hold may be a secret.
pub fn with_sources(error: &dyn Error) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    let messages: Vec<_> = chain.map(|error| error.to_string()).collect();
    messages.join(" <- ").replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_listed_on_one_line() {
        let system = std::io::Error::other("no\nroute");
        let cause = Cause::new("cannot be reached", system);
        assert_eq!(cause.to_string(), "cannot be reached");
        assert_eq!(with_sources(&cause), "cannot be reached <- no route");
    }
}

//! What else is known of how results were asked for.

use std::collections::BTreeMap;
use std::ops::Index;

use serde::{Deserialize, Serialize};

/// Texts by name, as in `preset: studio`. A map in documents; in memory a list, because a batch may
/// have a hundred thousand of them, and each map would take half a kilobyte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(Box<[(String, String)]>);

impl Labels {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and another.
    pub fn with(self, name: &str, text: &str) -> Self {
        let mut map = BTreeMap::from(self);
        map.insert(name.to_owned(), text.to_owned());
        map.into()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map.into_iter().collect())
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0.into_iter().collect()
    }
}

impl Index<&str> for Labels {
    type Output = str;

    /// The text of that name; empty, if there is none.
    fn index(&self, name: &str) -> &str {
        let mut labels = self.0.iter();
        labels
            .find(|(known, _)| known == name)
            .map_or("", |(_, text)| text)
    }
}

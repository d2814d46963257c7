//! The photographs that a network is trained on.

use serde::{Deserialize, Serialize};

use crate::{Digest, Invalid, Name, Validate};

/// Fewest photographs that a network can be trained on.
pub const MIN_PHOTOGRAPHS: usize = 8;
/// Most photographs of a job.
pub const MAX_PHOTOGRAPHS: usize = 1_000_000;

/// The input of the role [`Train::photographs`](super::Train::photographs), as JSON: which objects
/// in the store are the photographs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photographs {
    /// 8 to 1000000 photographs.
    pub photographs: Vec<Photograph>,
}

/// A photograph in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photograph {
    /// Hash of the file.
    pub sha256: Digest,
    /// The file name that people know it by.
    pub name: Name,
}

impl Photographs {
    /// Reads and checks the document.
    pub fn read(json: &[u8]) -> Result<Self, Invalid> {
        let read = serde_json::from_slice::<Self>(json);
        let photographs = read.map_err(|error| {
            let reason = format!("are no list of photographs ({error})");
            Invalid::new("photographs", reason.replace(char::is_control, " "))
        })?;
        photographs.validate()?;
        Ok(photographs)
    }
}

impl Validate for Photographs {
    fn validate(&self) -> Result<(), Invalid> {
        let count = self.photographs.len();
        if (MIN_PHOTOGRAPHS..=MAX_PHOTOGRAPHS).contains(&count) {
            return Ok(());
        }
        let reason = format!("are {count}, must be {MIN_PHOTOGRAPHS} to {MAX_PHOTOGRAPHS}");
        Err(Invalid::new("photographs", reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: usize) -> Vec<u8> {
        let photograph = |n: usize| Photograph {
            sha256: Digest::of(&n.to_le_bytes()),
            name: format!("{n}.jpg").parse().expect("a name"),
        };
        let photographs = (0..count).map(photograph).collect();
        serde_json::to_vec(&Photographs { photographs }).expect("is written")
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let read = Photographs::read(&list(8)).expect("is good");
        assert_eq!(serde_json::to_vec(&read).expect("is written"), list(8));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for json in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"photographs": [{"sha256": "../x", "name": "x"}]}"#,
            br#"{"photographs": [{"sha256": "x", "name": ""}]}"#,
        ] {
            let refused = Photographs::read(json).expect_err("is none");
            assert!(refused.reason.starts_with("are no list"), "{refused}");
        }
        let refused = Photographs::read(&list(7)).expect_err("are too few");
        assert_eq!(
            refused.to_string(),
            "photographs: are 7, must be 8 to 1000000"
        );
    }
}

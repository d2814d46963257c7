//! A second kind of job, which lives in the tests alone: it counts. All that makes it a kind is in
//! this crate, and its programs ([`src/bin`](../bin)) register it; nothing else of the fleet knows
//! it.
//!
//! What a kind consists of: what is asked ([`Counting`]), the task that does it ([`task`]), and the
//! options that ask for it ([`options`]).

pub mod options;
pub mod task;

use prost::Message;
use serde::Serialize;
use stylefleet_model::{Invalid, Role, RoleRule, Valid, Validate};
use stylefleet_proto::Specification;

/// Longest pause after a number, in milliseconds.
const MAX_PAUSE: u64 = 1000;

/// What such a job asks for: the sum of the numbers from 1 to `to`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Counting {
    /// The last number, from 1.
    #[prost(uint64, tag = "1")]
    pub to: u64,
    /// Milliseconds of rest after each, at most 1000.
    #[prost(uint64, tag = "2")]
    pub pause: u64,
}

impl Counting {
    /// The input that says how the counting goes.
    pub fn course() -> Result<Role, Invalid> {
        "course".parse()
    }
}

impl Validate for Counting {
    fn validate(&self) -> Result<(), Invalid> {
        if self.to == 0 {
            return Err(Invalid::new("to", "is 0, must be 1 at least"));
        }
        if self.pause > MAX_PAUSE {
            let reason = format!("is {}, must be at most {MAX_PAUSE}", self.pause);
            return Err(Invalid::new("pause", reason));
        }
        Ok(())
    }
}

/// A valid one.
#[derive(Debug, Clone)]
pub struct Asked(pub Valid<Counting>);

impl Specification for Asked {
    const KIND: &'static str = "counting";

    fn encode(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let counting = Counting::decode(message)
            .map_err(|error| Invalid::new("specification", error.to_string()))?;
        Valid::new(counting).map(Self)
    }

    fn roles(&self) -> Vec<RoleRule> {
        let course = Counting::course();
        course.map(RoleRule::required).into_iter().collect()
    }
}

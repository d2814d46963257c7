//! What jobs of each kind ask for. The envelope, [`Job`](crate::Job), knows no kind: it carries a
//! specification as bytes. A kind is a type that implements [`Specification`]; whoever makes or
//! does such jobs knows it.

use std::collections::HashSet;

use prost::Message;
use stylefleet_model::stylize::Stylize;
use stylefleet_model::{Invalid, RoleRule, Valid};

use crate::check::required;
use crate::{Input, wire};

/// What a job of one kind asks for, apart from its inputs. A value of such a type is valid.
pub trait Specification: Sized {
    /// The name of the kind.
    const KIND: &'static str;

    /// The kind's message.
    fn encode(&self) -> Vec<u8>;

    /// Reads and checks the kind's message.
    fn decode(message: &[u8]) -> Result<Self, Invalid>;

    /// The inputs that such a job must have, or may have.
    fn roles(&self) -> Vec<RoleRule>;
}

/// Refuses inputs that are not what `rules` say: one of each that must be there, at most one of
/// each that may be, no others.
pub(crate) fn check_inputs(rules: &[RoleRule], inputs: &[Input]) -> Result<(), Invalid> {
    let mut roles = HashSet::new();
    for Input { role, .. } in inputs {
        if !rules.iter().any(|rule| rule.role == *role) {
            let reason = format!("are no part of such a job: {role}");
            return Err(Invalid::new("inputs", reason));
        }
        if !roles.insert(role) {
            return Err(Invalid::new("inputs", format!("are there twice: {role}")));
        }
    }
    let missing = rules
        .iter()
        .find(|rule| rule.is_required && !roles.contains(&rule.role));
    match missing {
        Some(rule) => Err(Invalid::new("inputs", format!("lack one: {}", rule.role))),
        None => Ok(()),
    }
}

impl Specification for Valid<Stylize> {
    const KIND: &'static str = "stylize";

    fn encode(&self) -> Vec<u8> {
        let message = wire::Stylize {
            weights: self.weights.clone(),
            parameters: Some((&self.parameters).into()),
        };
        message.encode_to_vec()
    }

    fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let message = wire::Stylize::decode(message)
            .map_err(|error| Invalid::new("specification", error.to_string()))?;
        Self::new(Stylize {
            weights: message.weights,
            parameters: required("parameters", message.parameters)?.try_into()?,
        })
    }

    fn roles(&self) -> Vec<RoleRule> {
        Stylize::roles(self)
    }
}

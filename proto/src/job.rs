//! Jobs, and the names they go by.

use std::fmt;
use std::str::FromStr;

use prost::Message;
use serde::{Deserialize, Serialize};

use stylefleet_model::{BatchId, Digest, Invalid, Name, Role};

use crate::check::{enumerated, number, optional};
use crate::specification::{Specification, check_inputs};
pub use crate::wire::Priority;
use crate::{Trace, wire};

/// Version of the contract that this crate speaks.
pub const VERSION: u32 = 2;

/// Most inputs of a job.
const MAX_INPUTS: usize = 64;
/// Largest specification, in bytes.
const MAX_SPECIFICATION: usize = 1 << 20;
/// Most steps from one preview to the next.
pub const MAX_PREVIEW_EVERY: u32 = 1_000_000;

/// Something to do, of whatever kind. Every field is checked, but for what the specification says:
/// that is for those who know the kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Hash of what is asked.
    pub id: JobId,
    /// The batch it was submitted in.
    pub batch: BatchId,
    /// What people call it.
    pub name: Name,
    /// What kind of job it is: a [`Specification::KIND`].
    pub kind: Role,
    /// The kind's message.
    pub specification: Vec<u8>,
    /// What it works on.
    pub inputs: Vec<Input>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Which jobs go first.
    pub priority: Priority,
    /// Steps from one preview to the next; 0: none are made.
    pub preview_every: u32,
    /// The identity of the store that has the inputs and gets the outputs; none: any.
    pub store: Option<Digest>,
    /// Where it stands in distributed traces. It travels beside the job's message.
    pub trace: Trace,
}

/// A job's id: the hash of what it asks for, so that the same ask is the same job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Digest);

/// An object in the store that a job works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it is to the job.
    pub role: Role,
    /// Hash of its bytes.
    pub sha256: Digest,
    /// The file name that people know it by.
    pub name: Name,
}

impl Job {
    /// Puts a first attempt together and gives it its id.
    pub fn new<S: Specification>(
        batch: BatchId,
        name: Name,
        specification: &S,
        inputs: Vec<Input>,
    ) -> Result<Self, Invalid> {
        check_inputs(&specification.roles(), &inputs)?;
        let kind = S::KIND.parse()?;
        let specification = specification.encode();
        Ok(Self {
            id: JobId::of(&kind, &specification, &inputs),
            batch,
            name,
            kind,
            specification,
            inputs,
            attempt: 1,
            priority: Priority::Normal,
            preview_every: 0,
            store: None,
            trace: Trace::default(),
        })
    }

    /// What it asks for, if it is of that kind and valid.
    pub fn specification<S: Specification>(&self) -> Result<S, Invalid> {
        if self.kind.as_ref() != S::KIND {
            let reason = format!("is {}, not {}", self.kind, S::KIND);
            return Err(Invalid::new("kind", reason));
        }
        let within = |invalid: Invalid| invalid.within("specification");
        let specification = S::decode(&self.specification).map_err(within)?;
        // A newer program may ask for more than this one understands, and the picture be another.
        if specification.encode() != self.specification {
            let reason = "says what this program does not understand: update the older side";
            return Err(Invalid::new("specification", reason));
        }
        check_inputs(&specification.roles(), &self.inputs)?;
        Ok(specification)
    }

    /// The same job as another attempt at it.
    pub fn with_attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }

    /// The input of that role, if there is one.
    pub fn input(&self, role: &Role) -> Option<&Input> {
        self.inputs.iter().find(|input| input.role == *role)
    }
}

impl JobId {
    /// SHA-256 over the protobuf encoding of a `Job` that has nothing but the version, the kind,
    /// the specification, and the inputs by role, without their names. Prost writes fields in the
    /// order of their numbers and the contract has no maps, so the encoding is unique.
    pub fn of(kind: &Role, specification: &[u8], inputs: &[Input]) -> Self {
        let mut inputs: Vec<_> = inputs.iter().collect();
        inputs.sort_by(|a, b| a.role.cmp(&b.role));
        let nameless = |input: &Input| wire::Input {
            name: String::new(),
            ..input.into()
        };
        let asked = wire::Job {
            version: VERSION,
            kind: kind.to_string(),
            specification: specification.to_vec(),
            inputs: inputs.into_iter().map(nameless).collect(),
            ..wire::Job::default()
        };
        Self(Digest::of(&asked.encode_to_vec()))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self)
    }
}

impl TryFrom<wire::Job> for Job {
    type Error = Invalid;

    fn try_from(from: wire::Job) -> Result<Self, Invalid> {
        if from.version != VERSION {
            return Err(Invalid::new(
                "version",
                format!(
                    "is {}, this program speaks {VERSION}: update the older side",
                    from.version
                ),
            ));
        }
        let claimed: JobId = from.id.parse().map_err(|e: Invalid| e.within("id"))?;
        let kind = from.kind.parse();
        let kind = kind.map_err(|e: Invalid| Invalid::new("kind", e.reason))?;
        let inputs = inputs(from.inputs)?;
        if from.specification.len() > MAX_SPECIFICATION {
            let reason = format!("has more than {MAX_SPECIFICATION} bytes");
            return Err(Invalid::new("specification", reason));
        }
        let id = JobId::of(&kind, &from.specification, &inputs);
        if id != claimed {
            let reason = format!("is {claimed}, but what is asked hashes to {id}");
            return Err(Invalid::new("id", reason));
        }
        Ok(Self {
            id,
            batch: from.batch.parse()?,
            name: from.name.parse()?,
            kind,
            specification: from.specification,
            inputs,
            attempt: number("attempt", from.attempt, 1..=u32::MAX)?,
            priority: enumerated("priority", from.priority)?,
            preview_every: number("preview_every", from.preview_every, 0..=MAX_PREVIEW_EVERY)?,
            store: optional("store", &from.store)?,
            trace: Trace::default(),
        })
    }
}

fn inputs(from: Vec<wire::Input>) -> Result<Vec<Input>, Invalid> {
    if from.len() > MAX_INPUTS {
        let reason = format!("are {}, at most {MAX_INPUTS}", from.len());
        return Err(Invalid::new("inputs", reason));
    }
    let input = |input| Input::try_from(input).map_err(|e: Invalid| e.within("inputs"));
    from.into_iter().map(input).collect()
}

impl From<&Job> for wire::Job {
    fn from(from: &Job) -> Self {
        Self {
            version: VERSION,
            id: from.id.to_string(),
            batch: from.batch.to_string(),
            name: from.name.to_string(),
            attempt: from.attempt,
            priority: from.priority.into(),
            preview_every: from.preview_every,
            store: from.store.map(String::from).unwrap_or_default(),
            kind: from.kind.to_string(),
            specification: from.specification.clone(),
            inputs: from.inputs.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Input> for Input {
    type Error = Invalid;

    fn try_from(from: wire::Input) -> Result<Self, Invalid> {
        Ok(Self {
            role: from.role.parse()?,
            sha256: from.sha256.parse()?,
            name: from.name.parse()?,
        })
    }
}

impl From<&Input> for wire::Input {
    fn from(from: &Input) -> Self {
        Self {
            role: from.role.to_string(),
            sha256: from.sha256.to_string(),
            name: from.name.to_string(),
        }
    }
}

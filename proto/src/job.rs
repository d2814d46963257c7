//! Jobs, and the names they go by.

use std::fmt;
use std::str::FromStr;

use prost::Message;
use serde::{Deserialize, Serialize};

use crate::invalid::{enumerated, integer, optional, positive, required};
use crate::parameters::MAX_SHARE;
pub use crate::wire::Priority;
use crate::{Digest, Init, Invalid, Parameters, wire};

/// Version of the contract that this crate speaks.
pub const VERSION: u32 = 1;

/// Most styles in one blend.
const MAX_STYLES: usize = 16;
/// Longest name of a job or image, in bytes: room for a file and the folders that it is in.
const MAX_NAME: usize = 1024;
/// Most evaluations from one progress picture to the next.
pub const MAX_PREVIEW_EVERY: u32 = 1_000_000;
/// Longest name of a batch.
const MAX_BATCH: usize = 64;

/// One content image with one blend of styles: one picture. Every field is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Hash of what is asked.
    pub id: JobId,
    /// The batch it was submitted in.
    pub batch: BatchId,
    /// What people call it.
    pub name: Name,
    /// The picture to redraw.
    pub content: Image,
    /// The styles to blend, at least one.
    pub styles: Vec<Style>,
    /// How to redraw it.
    pub parameters: Parameters,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Which jobs go first.
    pub priority: Priority,
    /// Evaluations from one progress picture to the next, over all scales; 0: none are made.
    pub preview_every: u32,
    /// The identity of the store that has the inputs and gets the picture; none: any.
    pub store: Option<Digest>,
}

/// A job's id: the hash of what it asks for, so that the same ask is the same job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Digest);

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Hash of the file's bytes.
    pub sha256: Digest,
    /// The file name that people know it by.
    pub name: Name,
}

/// One style of a blend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Style {
    /// The style image.
    pub image: Image,
    /// Its share, relative to the other styles.
    pub weight: f64,
    /// Where in the picture it counts; none: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Image>,
}

impl Job {
    /// Puts a first attempt together and gives it its id.
    pub fn new(
        batch: BatchId,
        name: Name,
        content: Image,
        styles: Vec<Style>,
        parameters: Parameters,
    ) -> Result<Self, Invalid> {
        let mut job = Self {
            id: JobId(Digest::of(&[])),
            batch,
            name,
            content,
            styles,
            parameters,
            attempt: 1,
            priority: Priority::Normal,
            preview_every: 0,
            store: None,
        };
        job.validate()?;
        job.id = JobId::of(&job);
        Ok(job)
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.styles.is_empty() || self.styles.len() > MAX_STYLES {
            return Err(Invalid::new(
                "styles",
                format!(
                    "has {} entries, must be 1 to {MAX_STYLES}",
                    self.styles.len()
                ),
            ));
        }
        for style in &self.styles {
            positive("styles.weight", style.weight, MAX_SHARE)?;
        }
        self.parameters
            .validate()
            .map_err(|e| e.within("parameters"))?;
        match self.parameters.init {
            Init::Style(index) if index as usize >= self.styles.len() => Err(Invalid::new(
                "parameters.init",
                format!(
                    "names style {index} of {} (counted from 0)",
                    self.styles.len()
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl JobId {
    /// SHA-256 over the protobuf encoding of `job` with everything left out that does not change
    /// the picture: the names, the batch, the attempt, the priority, the progress pictures, the
    /// store and the id itself. Prost writes fields in the order of their numbers and the contract
    /// has no maps, so the encoding is unique.
    pub fn of(job: &Job) -> Self {
        let mut asked = wire::Job::from(job);
        asked.id.clear();
        asked.batch.clear();
        asked.name.clear();
        asked.attempt = 0;
        asked.priority = Priority::Normal.into();
        asked.preview_every = 0;
        asked.store.clear();
        let init = asked.parameters.as_mut().and_then(|p| p.init.as_mut());
        let init_image = match init {
            Some(wire::parameters::Init::Image(image)) => Some(image),
            _ => None,
        };
        let style_images = asked
            .styles
            .iter_mut()
            .flat_map(|style| style.image.iter_mut().chain(&mut style.mask));
        for image in style_images.chain(asked.content.as_mut()).chain(init_image) {
            image.name.clear();
        }
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
        if from.styles.len() > MAX_STYLES {
            return Err(Invalid::new(
                "styles",
                format!("has more than {MAX_STYLES} entries"),
            ));
        }
        let claimed: JobId = from.id.parse().map_err(|e: Invalid| e.within("id"))?;
        let mut job = Self::new(
            from.batch.parse()?,
            from.name.parse()?,
            required("content", from.content)?
                .try_into()
                .map_err(|e: Invalid| e.within("content"))?,
            from.styles
                .into_iter()
                .map(Style::try_from)
                .collect::<Result<_, _>>()?,
            required("parameters", from.parameters)?
                .try_into()
                .map_err(|e: Invalid| e.within("parameters"))?,
        )?;
        job.attempt = integer("attempt", from.attempt, 1..=u32::MAX)?;
        job.priority = enumerated("priority", from.priority)?;
        job.preview_every = integer("preview_every", from.preview_every, 0..=MAX_PREVIEW_EVERY)?;
        job.store = optional("store", &from.store)?;
        if job.id == claimed {
            Ok(job)
        } else {
            Err(Invalid::new(
                "id",
                format!("is {claimed}, but what is asked hashes to {}", job.id),
            ))
        }
    }
}

impl From<&Job> for wire::Job {
    fn from(from: &Job) -> Self {
        Self {
            version: VERSION,
            id: from.id.to_string(),
            batch: from.batch.to_string(),
            name: from.name.to_string(),
            content: Some((&from.content).into()),
            styles: from
                .styles
                .iter()
                .map(|style| wire::Style {
                    image: Some((&style.image).into()),
                    weight: style.weight,
                    mask: style.mask.as_ref().map(Into::into),
                })
                .collect(),
            parameters: Some((&from.parameters).into()),
            attempt: from.attempt,
            priority: from.priority.into(),
            preview_every: from.preview_every,
            store: from.store.map(String::from).unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::Image> for Image {
    type Error = Invalid;

    fn try_from(from: wire::Image) -> Result<Self, Invalid> {
        Ok(Self {
            sha256: from.sha256.parse()?,
            name: from.name.parse()?,
        })
    }
}

impl From<&Image> for wire::Image {
    fn from(from: &Image) -> Self {
        Self {
            sha256: from.sha256.to_string(),
            name: from.name.to_string(),
        }
    }
}

impl TryFrom<wire::Style> for Style {
    type Error = Invalid;

    fn try_from(from: wire::Style) -> Result<Self, Invalid> {
        Ok(Self {
            image: required("styles.image", from.image)?
                .try_into()
                .map_err(|e: Invalid| e.within("styles"))?,
            weight: from.weight,
            mask: from
                .mask
                .map(Image::try_from)
                .transpose()
                .map_err(|e| e.within("styles.mask"))?,
        })
    }
}

/// A name for people: 1 to 1024 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(String);

/// A batch's name: 1 to 64 characters of a to z, 0 to 9 and the hyphen, and so safe in a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BatchId(String);

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
            Err(Invalid::new(
                "name",
                format!("must have 1 to {MAX_NAME} bytes and no control characters"),
            ))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl FromStr for BatchId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > MAX_BATCH || !text.bytes().all(allowed) {
            Err(Invalid::new(
                "batch",
                format!("must have 1 to {MAX_BATCH} characters of a to z, 0 to 9 and the hyphen"),
            ))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

macro_rules! text_type {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

text_type!(Name);
text_type!(BatchId);

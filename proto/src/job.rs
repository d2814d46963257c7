//! Jobs, and the names they go by.

use std::fmt;
use std::str::FromStr;

use prost::Message;
use serde::{Deserialize, Serialize};

use stylefleet_model::stylize::{Init, MAX_SHARE, Parameters};
use stylefleet_model::{BatchId, Digest, Invalid, Name, Valid};

use crate::check::{enumerated, integer, optional, positive, required};
use crate::wire;
pub use crate::wire::Priority;

/// Version of the contract that this crate speaks.
pub const VERSION: u32 = 2;

/// Most styles in one blend.
const MAX_STYLES: usize = 16;
/// Most evaluations from one progress picture to the next.
pub const MAX_PREVIEW_EVERY: u32 = 1_000_000;

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
    /// The image to start from, where the parameters say that it is one of the job's own.
    pub start: Option<Image>,
    /// How to redraw it.
    pub parameters: Valid<Parameters>,
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
        start: Option<Image>,
        parameters: Valid<Parameters>,
    ) -> Result<Self, Invalid> {
        let mut job = Self {
            id: JobId(Digest::of(&[])),
            batch,
            name,
            content,
            styles,
            start,
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
        let reason = match (self.parameters.init, &self.start) {
            (Init::Style(index), _) if index as usize >= self.styles.len() => format!(
                "names style {} of {}",
                index.saturating_add(1),
                self.styles.len()
            ),
            (Init::Image, None) => "is an image that is missing".to_owned(),
            (Init::Content | Init::Noise | Init::Style(_), Some(_)) => {
                "is no image, but there is one".to_owned()
            }
            _ => return Ok(()),
        };
        Err(Invalid::new("init", reason))
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
        let style_images = asked
            .styles
            .iter_mut()
            .flat_map(|style| style.image.iter_mut().chain(&mut style.mask));
        for image in style_images
            .chain(asked.content.as_mut())
            .chain(asked.start.as_mut())
        {
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
            from.start
                .map(Image::try_from)
                .transpose()
                .map_err(|e| e.within("start"))?,
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
            start: from.start.as_ref().map(Into::into),
            parameters: Some((&*from.parameters).into()),
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

//! Pictures that are asked for on the dashboard.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use stylefleet_dashboard::{
    ImageDocument, Offer, Ordered as OrderedDocument, Orders, ParameterOffer, Picked, PresetOffer,
    Refused, StyleOffer, Wish,
};
use stylefleet_fleet::live::Live;
use stylefleet_fleet::submit::{SubmitError, submit};
use stylefleet_model::Choice;
use stylefleet_model::stylize::{Overrides, Preset, Start, Stylize, table};
use stylefleet_proto::{BatchId, Invalid, MAX_PREVIEW_EVERY, Priority, Valid, keys};
use stylefleet_transport::store::Store;

use crate::images::buckets::Buckets;
use crate::images::check::checked;
use crate::images::upload::Image;
use crate::local::Machine;
use crate::names::{Names, of_file};
use crate::order::{Ordered, Request, Title, Uploader, priority_of};
use crate::stylize::jobs::PRESET;
use crate::stylize::plan::name;

/// Most results of one request.
const MOST: usize = 100_000;
/// Styles that everybody has: those of the samples.
const STYLES: [(&str, &[u8]); 3] = [
    (
        "night",
        include_bytes!("../../../deploy/samples/styles/night.png"),
    ),
    (
        "wave",
        include_bytes!("../../../deploy/samples/styles/wave.png"),
    ),
    (
        "glass",
        include_bytes!("../../../deploy/samples/styles/glass.png"),
    ),
];

/// Takes orders of pictures for a fleet.
pub struct PictureOrders {
    store: Arc<dyn Store>,
    uploader: Uploader,
}

impl PictureOrders {
    /// Takes them for a fleet with this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        // Nothing is read from buckets: people send the pictures.
        let buckets = Buckets::new(Default::default());
        Self {
            uploader: Uploader::new(store.clone(), buckets, false),
            store,
        }
    }

    /// What is asked for, as jobs. Its inputs are in the store.
    fn ordered(
        &self,
        wish: &Wish,
        contents: &[Image],
        styles: &[Image],
    ) -> Result<Ordered, Refused> {
        let (preset, overrides) = given(wish)?;
        let blends: Vec<&[Image]> = if wish.blend {
            vec![styles]
        } else {
            styles.chunks(1).collect()
        };
        let mut specified = Vec::with_capacity(blends.len());
        for blend in blends {
            let asked = Stylize {
                weights: vec![1.0; blend.len()],
                parameters: overrides.parameters(),
            };
            specified.push((blend, Valid::new(asked).map_err(invalid)?));
        }
        let mut names = Names::default();
        let mut requests = Vec::with_capacity(contents.len() * specified.len());
        for content in contents {
            for (blend, specification) in &specified {
                let styles = blend.iter().map(|style| Path::new(style.name.as_ref()));
                let name = name(Path::new(content.name.as_ref()), styles);
                let name = names.apart(Path::new(""), &name).map_err(invalid)?;
                let inputs = blend.iter().enumerate();
                let inputs =
                    inputs.map(|(index, style)| style.clone().input(Stylize::style(index)));
                let content = content.clone().input(Stylize::content());
                let inputs = std::iter::once(content).chain(inputs).collect();
                let request = Request::new(name, specification, inputs).map_err(invalid)?;
                requests.push(request.labelled(PRESET, preset.word()));
            }
        }
        let title = match &wish.name {
            Some(name) => Title::Given(name.parse::<BatchId>().map_err(invalid)?),
            None => Title::Derived("b"),
        };
        let mut ordered = Ordered::new(requests, title).map_err(invalid)?;
        let priority = priority(wish)?;
        for job in &mut ordered.jobs {
            job.priority = priority;
            job.preview_every = wish.preview_every.unwrap_or(0);
        }
        Ok(ordered)
    }

    /// Pictures that are in the store.
    async fn images(&self, picked: &[Picked]) -> Result<Vec<Image>, Refused> {
        let image = |picked: &Picked| {
            let sha256 = picked.sha256.parse().map_err(invalid)?;
            let name = of_file(Path::new(&picked.name)).map_err(invalid)?;
            Ok(Image { sha256, name })
        };
        let images = picked
            .iter()
            .map(image)
            .collect::<Result<Vec<_>, Refused>>()?;
        let keys: Vec<_> = images
            .iter()
            .map(|image| keys::input(&image.sha256))
            .collect();
        let present = self.store.present(&keys).await.map_err(away)?;
        match images.iter().zip(present).find(|(_, present)| !present) {
            Some((absent, _)) => Err(Refused::Invalid(format!(
                "{} is not in the store: send it with POST api/images first",
                absent.name
            ))),
            None => Ok(images),
        }
    }
}

#[async_trait]
impl Orders for PictureOrders {
    fn offer(&self) -> Offer {
        let preset = |preset: &Preset| PresetOffer {
            name: preset.word().to_owned(),
            help: preset.about().to_owned(),
        };
        let shown = |preset: &Preset| preset.parameters().show();
        let defaults: Vec<_> = Preset::ALL.iter().map(shown).collect();
        let parameter = |(index, row): (usize, &'static stylefleet_model::Parameter)| {
            let of = |(preset, shown): (&Preset, &Vec<(&str, String)>)| {
                (preset.word().to_owned(), shown[index].1.clone())
            };
            let choices = row.choices.iter().flat_map(|words| words.split(", "));
            ParameterOffer {
                field: row.field.to_owned(),
                help: [vec![row.brief()], row.details()].concat().join("\n\n"),
                value: row.value.to_owned(),
                heading: row.heading.title().to_owned(),
                choices: choices.map(str::to_owned).collect(),
                defaults: Preset::ALL.iter().zip(&defaults).map(of).collect(),
            }
        };
        Offer {
            presets: Preset::ALL.iter().map(preset).collect(),
            parameters: table().iter().enumerate().map(parameter).collect(),
            styles: STYLES
                .map(|(name, _)| StyleOffer {
                    name: name.to_owned(),
                })
                .into(),
        }
    }

    fn style(&self, name: &str) -> Option<Bytes> {
        let found = STYLES.iter().find(|(known, _)| *known == name);
        found.map(|(_, image)| Bytes::from_static(image))
    }

    async fn image(&self, name: &str, bytes: Bytes) -> Result<ImageDocument, Refused> {
        let path = PathBuf::from(name);
        let (width, height) = checked(&path, &bytes, Machine::default().max_pixels())
            .map_err(|refusal| Refused::Invalid(refusal.to_string()))?;
        let sha256 = self.uploader.upload(bytes).await.map_err(away)?;
        Ok(ImageDocument {
            sha256: sha256.to_string(),
            name: of_file(&path).map_err(invalid)?.to_string(),
            width,
            height,
        })
    }

    async fn submit(&self, wish: Wish, fleet: &Live) -> Result<OrderedDocument, Refused> {
        let results = wish.contents.len().saturating_mul(wish.styles.len());
        if results == 0 || results > MOST {
            let reason = format!("name contents and styles, for 1 to {MOST} results");
            return Err(Refused::Invalid(reason));
        }
        let contents = self.images(&wish.contents).await?;
        let styles = self.images(&wish.styles).await?;
        let Ordered { jobs, manifest } = self.ordered(&wish, &contents, &styles)?;
        let (batch, results) = (manifest.batch.to_string(), manifest.jobs.len());
        let broker = fleet.broker().await.map_err(away)?;
        let submitted = submit(&*self.store, &*broker, manifest, jobs, false).await;
        let submitted = submitted.map_err(|error| match error {
            SubmitError::Batch(error) if !error.is_retryable() => {
                Refused::Invalid(error.to_string())
            }
            other => away(other),
        })?;
        Ok(OrderedDocument {
            batch,
            results,
            accepted: submitted.accepted,
            pending: submitted.pending,
            done: submitted.done,
        })
    }
}

/// The preset, and the parameters with those of the wish laid over it.
fn given(wish: &Wish) -> Result<(Preset, Overrides), Refused> {
    let preset = match &wish.preset {
        Some(word) => Preset::from_word(word).map_err(Refused::Invalid)?,
        None => Preset::default(),
    };
    let mut overrides = Overrides {
        preset: Some(preset),
        ..Overrides::default()
    };
    for (field, written) in &wish.parameters {
        if !overrides.set(field, written).map_err(invalid)? {
            let reason = format!("there is no parameter {field}");
            return Err(Refused::Invalid(reason));
        }
    }
    if matches!(overrides.init, Some(Start::File(_))) {
        let reason = "init: is no image that can be started from here: content, noise or style";
        return Err(Refused::Invalid(reason.to_owned()));
    }
    if wish
        .preview_every
        .is_some_and(|steps| !(1..=MAX_PREVIEW_EVERY).contains(&steps))
    {
        let reason = format!("preview_every: must be 1 to {MAX_PREVIEW_EVERY}");
        return Err(Refused::Invalid(reason));
    }
    Ok((preset, overrides))
}

fn priority(wish: &Wish) -> Result<Priority, Refused> {
    let Some(word) = &wish.priority else {
        return Ok(Priority::Normal);
    };
    priority_of(word)
        .ok_or_else(|| Refused::Invalid("priority: is none of high, normal, low".to_owned()))
}

fn invalid(invalid: Invalid) -> Refused {
    Refused::Invalid(invalid.to_string())
}

fn away(error: impl std::error::Error) -> Refused {
    Refused::Away(error.to_string())
}

//! What is asked for.

use stylefleet_model::Valid;
use stylefleet_model::stylize::Parameters;

use super::inputs::Inputs;
use super::job::Job;
use super::monitor::Monitor;
use super::picture::Picture;
use super::scales::schedule;
use super::styles::Styles;
use super::targets::Targets;
use crate::objective::Anchor;
use crate::{Engine, Error, Observer, Outcome, Source, Task};

/// One picture to make.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identifies the request: it resumes only from a checkpoint of the same identity.
    pub identity: String,
    /// The picture to redraw.
    pub content: Source,
    /// The styles to blend, at least one.
    pub styles: Vec<Style>,
    /// The image to start from, if the parameters say that the request brings one.
    pub start: Option<Source>,
    /// How to redraw it.
    pub parameters: Valid<Parameters>,
}

/// A style of the blend.
#[derive(Debug, Clone)]
pub struct Style {
    /// The painting.
    pub image: Source,
    /// How much it counts relative to the others.
    pub share: f64,
    /// Where in the picture it counts: white everything, black nothing; stretched to the picture.
    /// None: everywhere.
    pub mask: Option<Source>,
}

/// What requests keep in the engine for later ones: the pictures of a batch share styles.
#[derive(Debug, Default)]
struct Kept {
    styles: Styles,
    targets: Targets,
}

impl Task for Request {
    fn run(
        &self,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let outcome = self.redraw(engine, checkpoint, observer)?;
        let made_with = engine.vgg(self.parameters.network)?;
        Ok(outcome.map(|picture| picture.finished(self.parameters.format, made_with)))
    }

    /// Only the content: styles are shared by the pictures of a batch, and kept.
    fn read_ahead(&self, max_pixels: u64) {
        self.content.read_ahead(max_pixels);
    }
}

impl Request {
    /// Makes the picture.
    pub(super) fn redraw(
        &self,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<Picture>, Error> {
        self.redraw_held(engine, None, checkpoint, observer)
    }

    /// Makes the picture, with its pixels held to values of their own if there is an anchor.
    pub(in crate::tasks) fn redraw_held(
        &self,
        engine: &mut Engine,
        anchor: Option<Anchor>,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<Picture>, Error> {
        engine.vgg(self.parameters.network)?;
        let mut kept: Kept = engine.kept.take();
        let outcome = self.redraw_with(&mut kept, engine, anchor, checkpoint, observer);
        engine.kept.put(kept);
        outcome
    }

    fn redraw_with(
        &self,
        kept: &mut Kept,
        engine: &mut Engine,
        anchor: Option<Anchor>,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<Picture>, Error> {
        let inputs = Inputs::load(self, &mut kept.styles, engine.max_pixels, observer)?;
        let scales = schedule(inputs.extent, self.parameters.scales);
        let memory = engine.memory;
        let vgg = engine.vgg_mut(self.parameters.network)?;
        let arithmetic = vgg.arithmetic(self.parameters.precision);
        let job = Job {
            monitor: Monitor::new(self, scales, arithmetic, observer),
            vgg,
            targets: &mut kept.targets,
            request: self,
            inputs,
            anchor,
            memory,
        };
        job.run(checkpoint)
    }
}

//! One training, from step to step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use stylefleet_model::train::Training;
use stylefleet_model::trained::{FORMAT, Header, Layout, TrainingRecord};
use stylefleet_model::{Figures, Progress};
use tch::{Kind, Tensor};

use super::Request;
use super::held_out::{HeldOut, image_of};
use super::learner::Learner;
use super::loader::{Loader, Sample, Samples};
use super::losses::Losses;
use super::motion::Motion;
use super::photographs::Album;
use super::position::Position;
use super::sorter::Sorter;
use crate::arithmetic::Arithmetic;
use crate::checkpoint::{is_finite, unusable};
use crate::image::{Extent, fitted};
use crate::objective::{Mode, Statistics, statistics};
use crate::tasks::TEMPORAL_UNIT;
use crate::tasks::curve::{self, CurvePoint};
use crate::tasks::stylize::scales;
use crate::transform;
use crate::vgg::{Vgg, to_network};
use crate::{Control, Engine, Error, Finished, Observer, Outcome, State};

/// Bytes that the way back through the network needs, for each pixel and channel of its width:
/// measured at 256 and 512 pixels.
const ACTIVATIONS: u64 = 120;
/// The figure of the samples' gradients: the Euclidean norm.
const NORM: &str = "gradient.norm";
/// The figure of how alike moving things are drawn: root of the mean squared distance, in grey
/// levels.
const TEMPORAL: &str = "temporal.error";
/// A sample's gradient counts no more than so many times the mean. Some that have next to nothing
/// in them have a hundred times as much, after which Adam would hardly move for hundreds of steps.
const MOST: f64 = 10.0;
/// Steps over which the learning rate rises: a twentieth of all, but no more than this.
const WARM_UP: u32 = 50;
/// It falls over the last of so many parts of them. Falling all the way, along a cosine, left a
/// tenth to a fifth more of the loss of photographs held out, after 120 steps.
const FALL: u32 = 5;
/// Over the first of so many parts of them the style comes to count, from [`LITTLE`] to all. A
/// fresh network is best taught to draw the content first: with all of the style at once it draws
/// little else, and 4 to 6 % more of the loss of photographs held out was left (after 800 and 1,200
/// samples of 128x128).
const RAMP: u32 = 4;
/// What part of the style counts at first.
const LITTLE: f64 = 1e-3;

/// A training under way.
pub(super) struct Job<'a> {
    request: &'a Request,
    observer: &'a mut dyn Observer,
    header: Header,
    vgg: &'a Vgg,
    losses: Losses<'a>,
    learner: Learner,
    samples: Arc<Samples>,
    loader: Loader,
    held_out: HeldOut,
    position: Position,
    libtorch: String,
    /// Figures of the photographs held out, from when a sheet shows them.
    held_out_figures: RefCell<Figures>,
    clock: Instant,
    /// Seconds of work and steps before this clock was started.
    earlier: (f64, u32),
}

/// What is learnt from one sample.
struct Lesson {
    gradient: Tensor,
    figures: Figures,
}

impl<'a> Job<'a> {
    /// Reads what the training needs, at its start or where `checkpoint` left it.
    pub fn begin(
        request: &'a Request,
        engine: &'a mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, Error> {
        let clock = Instant::now();
        let (training, objective) = (&request.asked.training, &request.asked.objective);
        let (memory, max_pixels) = (engine.memory, engine.max_pixels);
        let libtorch = engine.description().libtorch.clone();
        let vgg = engine.vgg_mut(objective.network)?;
        let header = untrained(request);
        let mut learner = Learner::new(&header, training.seed, vgg.device())?;
        let mut position = match checkpoint {
            Some(bytes) => Position::restore(bytes, &request.identity, &mut learner)?,
            None => Position::new(vgg.arithmetic(objective.precision)),
        };
        if position.steps > training.steps {
            return Err(unusable("it has more steps than the job"));
        }
        vgg.prepare(position.arithmetic)?;
        let vgg: &Vgg = vgg;
        let album = Album::new(request.photographs.clone(), training.size, max_pixels);
        let mut sorter = Sorter {
            album: &album,
            position: &mut position,
            observer,
        };
        let (held_out, photographs) = sorter.hold_out(training, vgg.device())?;
        let extent = Extent {
            width: training.size,
            height: training.size,
        };
        let arithmetic = position.arithmetic;
        let pictures = 1 + u64::from(training.temporal_weight > 0.0);
        let activations = ACTIVATIONS * u64::from(training.width) * extent.pixels() * pictures;
        let fit = memory
            .beside(activations)
            .fit(extent, objective, arithmetic)?;
        let mode = Mode {
            arithmetic,
            most_pixels: fit.most_pixels,
        };
        let styles = styles(request, vgg, extent, max_pixels, mode, observer)?;
        let contents = &held_out.photographs;
        let losses = Losses::new(vgg, objective, &styles, contents, &position.weights, mode)?;
        position.weights = losses.weights();
        let samples = Arc::new(Samples {
            album,
            photographs,
            seed: training.seed,
            size: training.size,
        });
        let first = u64::from(position.steps) * u64::from(training.batch);
        Ok(Self {
            request,
            observer,
            header,
            losses,
            learner,
            loader: Loader::start(&samples, first, training.batch as usize)?,
            samples,
            held_out,
            libtorch,
            vgg,
            held_out_figures: RefCell::default(),
            clock,
            earlier: (position.seconds, position.steps),
            position,
        })
    }

    /// Works until the training ends or is interrupted.
    pub fn run(mut self) -> Result<Outcome, Error> {
        while self.position.steps < self.training().steps {
            self.step()?;
            if let Control::Interrupt = self.report() {
                let identity = &self.request.identity;
                return Ok(Outcome::Interrupted {
                    checkpoint: self.stamped().save(identity, &self.learner)?,
                    steps: self.position.steps.into(),
                });
            }
        }
        self.finished().map(Outcome::Finished)
    }

    fn training(&self) -> &'a Training {
        &self.request.asked.training
    }

    /// Learns from the samples of one step. Where that fails, the network stays as it was.
    fn step(&mut self) -> Result<(), Error> {
        let training = self.training();
        let (step, batch) = (self.position.steps, u64::from(training.batch));
        let first = u64::from(step) * batch;
        let mut figures = Figures::new();
        let mut gradients = Vec::with_capacity(batch as usize);
        for number in first..first + batch {
            let lesson = self.lesson(number)?;
            for (name, value) in lesson.figures {
                *figures.entry(name).or_default() += value / f64::from(training.batch);
            }
            gradients.push(lesson.gradient);
        }
        let gradient = Tensor::f_stack(&gradients, 0)?;
        let gradient = gradient.f_mean_dim([0].as_slice(), false, Kind::Float)?;
        self.learner.learn(&gradient, rate(training, step))?;
        self.position.steps += 1;
        self.position.means.add(&figures);
        let mut terms = self.position.means.figures();
        let loss = terms["loss"];
        terms.retain(|name, _| name.starts_with("loss."));
        self.position.curve.push(CurvePoint {
            phase: 1,
            steps: self.position.steps.into(),
            loss,
            terms,
        });
        Ok(())
    }

    /// What is to be learnt from the sample of that number, which is the next one.
    fn lesson(&mut self, number: u64) -> Result<Lesson, Error> {
        let diverged = Error::Diverged {
            step: u64::from(self.position.steps) + 1,
        };
        let content = self.sample()?;
        let style = (number % self.losses.count() as u64) as usize;
        let picture = tch::with_grad(|| self.learner.draw(&content, style))?;
        let drawn = picture.f_detach()?;
        if !is_finite(&drawn)? {
            return Err(diverged);
        }
        let part = part_of_style(self.training(), self.position.steps);
        let found = self.losses.at(style, &content, &drawn, part)?;
        let mut figures = curve::figures_of(found.terms);
        figures.insert("loss".to_owned(), found.loss);
        // Its gradient is that of the loss.
        let mut loss = tch::with_grad(|| picture.f_mul(&found.gradient)?.f_sum(Kind::Float))?;
        if self.training().temporal_weight > 0.0 {
            let distance = self.distance(number, &content, style, &picture)?;
            let unit = part * found.loss / TEMPORAL_UNIT.powi(2);
            let weight = self.training().temporal_weight * unit;
            loss = tch::with_grad(|| loss.f_add(&distance.f_mul_scalar(weight)?))?;
            let error = distance.f_double_value(&[])?.sqrt();
            figures.insert(TEMPORAL.to_owned(), error);
        }
        let mut gradient = self.learner.gradient(&loss)?;
        let mut norm = gradient.f_norm()?.f_double_value(&[])?;
        if !found.loss.is_finite() || !norm.is_finite() {
            return Err(diverged);
        }
        if let Some(most) = self.position.means.of(NORM).map(|mean| MOST * mean)
            && norm > most
        {
            gradient = gradient.f_mul_scalar(most / norm)?;
            norm = most;
        }
        figures.insert(NORM.to_owned(), norm);
        Ok(Lesson { gradient, figures })
    }

    /// How far the picture of what the sample becomes is from what becomes of its picture, squared.
    /// Gradients are recorded.
    fn distance(
        &self,
        number: u64,
        content: &Tensor,
        style: usize,
        picture: &Tensor,
    ) -> Result<Tensor, Error> {
        let Training { seed, size, .. } = *self.training();
        let motion = Motion::of(seed, number, size, self.vgg.device())?;
        let after = motion.after(content)?;
        tch::with_grad(|| motion.distance(picture, &self.learner.draw(&after, style)?))
    }

    /// The next sample, as an image on the device.
    fn sample(&mut self) -> Result<Tensor, Error> {
        let Sample { pixels, left_out } = self.loader.next()?;
        let mut sorter = Sorter {
            album: &self.samples.album,
            position: &mut self.position,
            observer: self.observer,
        };
        for (index, reason) in left_out {
            sorter.leave_out(index, &reason)?;
        }
        image_of(&pixels, self.samples.size, self.vgg.device())
    }

    /// Shows the observer where the training stands.
    fn report(&mut self) -> Control {
        let stamped = self.stamped();
        let Self {
            request,
            observer,
            learner,
            losses,
            held_out,
            held_out_figures,
            ..
        } = self;
        let preview = || {
            let sheet = held_out.sheet(learner, losses)?;
            let mut figures = sheet.figures.clone();
            figures.retain(|_, figure| figure.is_finite());
            held_out_figures.replace(figures);
            sheet.jpeg()
        };
        observer.accepted(&State {
            steps: stamped.steps.into(),
            checkpoint: &|| stamped.save(&request.identity, learner),
            preview: &preview,
        });
        let progress = self.progress();
        self.observer.progressed(&progress)
    }

    fn progress(&self) -> Progress {
        let (steps, all) = (self.position.steps, self.training().steps);
        let mut figures = self.position.means.figures();
        figures.extend(self.held_out_figures.borrow().clone());
        let pace = self.clock.elapsed().as_secs_f64() / f64::from(steps - self.earlier.1);
        Progress {
            phase: "training".to_owned(),
            done: steps.into(),
            total: all.into(),
            unit: "steps".to_owned(),
            steps: steps.into(),
            figures,
            seconds_left: Some(f64::from(all - steps) * pace),
        }
    }

    fn seconds(&self) -> f64 {
        self.earlier.0 + self.clock.elapsed().as_secs_f64()
    }

    /// Where it stands, with the work done so far.
    fn stamped(&self) -> Position {
        Position {
            seconds: self.seconds(),
            ..self.position.clone()
        }
    }

    /// The trained network.
    fn finished(self) -> Result<Finished, Error> {
        let (training, steps) = (self.training(), u64::from(self.position.steps));
        let sheet = self.held_out.sheet(&self.learner, &self.losses)?;
        if sheet.figures.values().any(|figure| !figure.is_finite()) {
            return Err(Error::Diverged { step: steps });
        }
        let (left_out, count) = (self.position.left_out.len(), self.samples.album.count());
        if left_out > 0 {
            let note = format!("{left_out} of {count} photographs cannot be read");
            self.observer
                .noted(&format!("{note}: it was trained without them"));
        }
        let seconds = self.seconds();
        let mut figures = self.position.means.figures();
        figures.extend(sheet.figures.clone());
        let made_with = made_with(self.vgg, self.position.arithmetic);
        let program = [
            (
                "stylefleet".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
            ("libtorch".to_owned(), self.libtorch),
        ];
        let header = Header {
            training: Some(TrainingRecord {
                steps,
                size: training.size,
                batch: training.batch,
                learning_rate: training.learning_rate,
                temporal_weight: training.temporal_weight,
                seed: training.seed,
                photographs: self.samples.photographs.len() as u64,
                loss: figures["loss"],
                made_with: made_with.clone().into_iter().chain(program).collect(),
            }),
            ..self.header
        };
        let tensors = self.learner.network().tensors();
        Ok(Finished {
            outputs: vec![
                transform::output(header, tensors)?,
                sheet.into_output(),
                curve::output(self.position.curve.points()),
            ],
            seconds,
            steps,
            figures,
            made_with,
        })
    }
}

/// The header of the network before it is trained.
pub(super) fn untrained(request: &Request) -> Header {
    Header {
        format: FORMAT,
        layout: Layout::Johnson,
        width: request.asked.training.width,
        styles: request.asked.styles.clone(),
        objective: Some(request.asked.objective.clone()),
        training: None,
        licence: "CC BY 4.0 (VGG's weights); its style images and photographs: their own"
            .to_owned(),
    }
}

/// The statistics of the styles, at the size at which the optimiser would use them.
fn styles(
    request: &Request,
    vgg: &Vgg,
    picture: Extent,
    max_pixels: u64,
    mode: Mode,
    observer: &mut dyn Observer,
) -> Result<Vec<Statistics>, Error> {
    let objective = &request.asked.objective;
    let (names, images) = (request.asked.styles.len(), request.styles.len());
    if names != images {
        let reason = format!("it has {images} images of {names} styles");
        return Err(Error::Request(reason));
    }
    let mut of_styles = Vec::with_capacity(images);
    for style in &request.styles {
        let image = style.read(max_pixels)?;
        image.notes.iter().for_each(|note| observer.noted(note));
        let extent = scales::style(objective, Extent::of(&image.pixels)?, picture);
        let image = fitted(&image.pixels, extent)?;
        let image = to_network(&image, objective.means, vgg.device())?;
        of_styles.push(statistics(objective, vgg, &image, mode)?);
    }
    Ok(of_styles)
}

/// What makes the network besides the program and libtorch, by name.
fn made_with(vgg: &Vgg, arithmetic: Arithmetic) -> BTreeMap<String, String> {
    let precision = match arithmetic {
        Arithmetic::F32 => "f32",
        Arithmetic::Bf16 => "bf16",
    };
    let parts = [
        ("network", vgg.network().to_string()),
        ("weights", vgg.weights_sha256().to_owned()),
        ("precision", precision.to_owned()),
    ];
    parts.map(|(part, what)| (part.to_owned(), what)).into()
}

/// The learning rate of a step, from 0: it rises at first, and falls to nothing at the end.
fn rate(training: &Training, step: u32) -> f64 {
    let rising = (training.steps / 20 + 1).min(WARM_UP);
    let falling = training.steps / FALL + 1;
    let rise = f64::from(step + 1) / f64::from(rising);
    let fall = f64::from(training.steps - step) / f64::from(falling);
    training.learning_rate * rise.min(fall).min(1.0)
}

/// How much of the style counts at a step, from 0: ever more, by the same factor a step.
pub(super) fn part_of_style(training: &Training, step: u32) -> f64 {
    let ramp = training.steps / RAMP + 1;
    let to_come = 1.0 - f64::from(step) / f64::from(ramp);
    LITTLE.powf(to_come.max(0.0))
}

//! One picture: from scale to scale, iteration by iteration.

use stylefleet_model::Figures;
use stylefleet_model::stylize::{Format, Precision};
use tch::Tensor;

use super::inputs::{Inputs, StyleImage, mask_at};
use super::monitor::Monitor;
use super::picture::Picture;
use super::position::Position;
use super::targets::Targets;
use super::{Request, scales};
use crate::allocator;
use crate::arithmetic::Arithmetic;
use crate::image::{self, Extent, fitted, pixels_of, resized};
use crate::memory::{Fit, Memory};
use crate::minimize::{Minimizer, Point, Spectrum, Step};
use crate::objective::{self, Anchor, Loss, Mode};
use crate::observer::Halt;
use crate::tasks::curve::figures_of;
use crate::vgg::{Vgg, bounds, from_network, to_network};
use crate::{Cause, Control, Error, Outcome};

/// A picture under way.
pub(super) struct Job<'a> {
    pub vgg: &'a mut Vgg,
    pub targets: &'a mut Targets,
    pub request: &'a Request,
    pub inputs: Inputs,
    /// What the finished picture's pixels are held to, at its size.
    pub anchor: Option<Anchor>,
    pub memory: Memory,
    pub monitor: Monitor<'a>,
}

/// How a scale ended.
enum End {
    Done,
    Interrupted,
}

impl Job<'_> {
    /// Works until the job ends or is interrupted.
    pub fn run(mut self, checkpoint: Option<&[u8]>) -> Result<Outcome<Picture>, Error> {
        let _no_grad = tch::no_grad_guard();
        // Checked first, before the scales take hours: the finished picture's loss is computed in
        // 32 bits.
        if let Some(&largest) = self.monitor.scales().last() {
            self.fit_of(largest, Arithmetic::F32)?;
        }
        let (mut loss, mut minimizer) = match checkpoint {
            Some(bytes) => self.restore(bytes)?,
            None => {
                let start = self.start(0)?;
                self.begin_scale(&start)?
            }
        };
        loop {
            if let End::Interrupted = self.optimize(loss, &mut minimizer)? {
                return Ok(Outcome::Interrupted {
                    checkpoint: self.monitor.checkpoint(&minimizer)?,
                    steps: self.monitor.committed_evaluations().into(),
                });
            }
            let result = minimizer.result()?;
            if self.monitor.is_last_scale() {
                return self.picture(&result).map(Outcome::Finished);
            }
            let refined = self.refined(&result)?;
            // The larger scale needs the memory.
            drop((result, minimizer));
            self.monitor.next_scale();
            allocator::give_back();
            (loss, minimizer) = self.begin_scale(&refined)?;
        }
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(Loss, Minimizer), Error> {
        let (scales, device) = (self.monitor.scales(), self.vgg.device());
        let (position, mut minimizer) = Position::restore(bytes, self.request, scales, device)?;
        self.monitor.resume(position, minimizer.best().1);
        self.with_room(|job| minimizer.keep(job.fit()?.pairs))?;
        Ok((self.with_room(Self::loss)?, minimizer))
    }

    /// How the picture fits into memory at the current scale.
    fn fit(&self) -> Result<Fit, Error> {
        self.fit_of(self.monitor.extent(), self.monitor.arithmetic())
    }

    fn fit_of(&self, extent: Extent, arithmetic: Arithmetic) -> Result<Fit, Error> {
        self.memory
            .fit(extent, &self.request.parameters, arithmetic)
    }

    /// Does `work`, with smaller and smaller tiles if they turn out not to fit into memory.
    fn with_room<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            match work(self) {
                Err(Error::OutOfMemory(reason)) => self.shrink(reason)?,
                done => return done,
            }
        }
    }

    /// Smaller tiles from now on; fails if they cannot be smaller.
    fn shrink(&mut self, reason: Cause) -> Result<(), Error> {
        let now = self.fit()?.most_pixels.min(self.monitor.extent().pixels());
        if !self.memory.shrink(now, &self.request.parameters) {
            return Err(Error::OutOfMemory(reason));
        }
        allocator::stop_keeping();
        let mega = (now / 2) as f64 / 1e6;
        self.monitor.note(&format!(
            "out of memory: goes on in tiles of {mega:.2} megapixels"
        ));
        Ok(())
    }

    /// The picture that the optimisation starts from, at a scale, as the network takes it.
    fn start(&self, scale: usize) -> Result<Tensor, Error> {
        self.at_scale(&self.inputs.start, scale)
    }

    fn at_scale(&self, image: &Tensor, scale: usize) -> Result<Tensor, Error> {
        let image = fitted(image, self.monitor.scales()[scale])?;
        to_network(&image, self.request.parameters.means, self.vgg.device())
    }

    /// The first evaluation of a scale. An interruption waits for the second.
    fn begin_scale(&mut self, start: &Tensor) -> Result<(Loss, Minimizer), Error> {
        let (loss, point, terms) = self.with_room(|job| job.loss_at(start))?;
        if !point.loss.is_finite() {
            return Err(Error::NotFinite(point.loss));
        }
        self.monitor.evaluated(point.loss, terms);
        self.monitor.commit();
        let minimizer = self.with_room(|job| {
            let spectrum = Spectrum::new(job.monitor.extent(), job.vgg.device())?;
            let (optimizer, average) = (
                job.request.parameters.optimizer,
                job.request.parameters.average,
            );
            Minimizer::new(optimizer, &point, job.fit()?.pairs, Some(spectrum), average)
        })?;
        Ok((loss, minimizer))
    }

    /// The objective, and its value at `x`, `[1, 3, H, W]`.
    fn loss_at(&mut self, x: &Tensor) -> Result<(Loss, Point, Figures), Error> {
        let loss = self.loss()?;
        let (point, terms) = point(self.vgg, &loss, x)?;
        Ok((loss, point, terms))
    }

    /// The objective at the current scale, in the current arithmetic.
    fn loss(&mut self) -> Result<Loss, Error> {
        let mode = Mode {
            arithmetic: self.monitor.arithmetic(),
            most_pixels: self.fit()?.most_pixels,
        };
        self.vgg.prepare(mode.arithmetic)?;
        let objective = &self.request.parameters;
        let picture = self.monitor.extent();
        let mut styles = Vec::with_capacity(self.inputs.styles.len());
        for style in &self.inputs.styles {
            let extent = scales::style(objective, Extent::of(&style.image)?, picture);
            let targets = &mut self.targets;
            styles.push(targets.of(style, extent, objective, self.vgg, mode)?);
        }
        let device = self.vgg.device();
        let mask = |style: &StyleImage| {
            let mask = style.mask.as_ref();
            mask.map(|mask| mask_at(mask, picture, device)).transpose()
        };
        let styles = styles.iter().zip(&self.inputs.styles);
        let styles = styles.map(|(statistics, style)| {
            Ok(objective::Style {
                statistics,
                share: style.share,
                mask: mask(style)?,
            })
        });
        let styles = styles.collect::<Result<Vec<_>, Error>>()?;
        let content = self.at_scale(&self.inputs.content, self.monitor.scale())?;
        let loss = Loss::new(objective, self.vgg, &content, &styles, mode)?;
        let anchor = self
            .anchor
            .as_ref()
            .filter(|_| self.monitor.is_last_scale());
        Ok(loss.with_anchor(anchor.map(Anchor::shallow_clone)))
    }

    /// Iterates at the current scale.
    fn optimize(&mut self, mut loss: Loss, minimizer: &mut Minimizer) -> Result<End, Error> {
        let bounds = bounds(self.request.parameters.means, self.vgg.device())?;
        while self.monitor.has_budget() {
            if self.monitor.is_satisfied(minimizer.best().1) {
                match self.sharpened(minimizer)? {
                    // A loss that is low enough in bf16 has to be so in 32 bits.
                    Some(exact) => loss = exact,
                    None => break,
                }
                continue;
            }
            let (vgg, monitor) = (&*self.vgg, &mut self.monitor);
            let shape = shape_of(monitor.extent());
            let step = minimizer.step(&bounds, &mut |x: &Tensor| -> Result<_, Halt> {
                if !monitor.has_budget() {
                    return Ok(None);
                }
                let x = x.f_reshape(shape).map_err(Error::from)?;
                let (point, terms) = point(vgg, &loss, &x)?;
                match monitor.evaluated(point.loss, terms) {
                    Control::Continue => Ok(Some(point)),
                    Control::Interrupt => Err(Halt::Interrupted),
                }
            });
            match step {
                Ok(Step::Accepted) => {
                    let means = self.request.parameters.means;
                    let shown = |x: &Tensor| self.inputs.shown(&x.f_reshape(shape)?, means);
                    let preview = || preview(&shown(&minimizer.result()?)?);
                    self.monitor.accepted(minimizer, &preview);
                }
                Ok(Step::Stalled) => match self.sharpened(minimizer)? {
                    Some(exact) => loss = exact,
                    None if minimizer.forget() => self.monitor.commit(),
                    None => break,
                },
                Err(Halt::Interrupted) => return Ok(End::Interrupted),
                Err(Halt::Failed(Error::OutOfMemory(reason))) => {
                    self.shrink(reason)?;
                    loss = self.with_room(Self::loss)?;
                }
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
        Ok(End::Done)
    }

    /// Switches to 32 bits where the minimiser stands, and keeps what it learnt. None if that is no
    /// help: it is not wanted, was done already, the loss is low enough, or memory is too small.
    fn sharpened(&mut self, minimizer: &mut Minimizer) -> Result<Option<Loss>, Error> {
        let may_sharpen = self.request.parameters.precision == Precision::Auto
            && self.monitor.arithmetic() == Arithmetic::Bf16
            && self.monitor.is_last_scale()
            && self.monitor.has_budget();
        if !may_sharpen {
            return Ok(None);
        }
        self.switch(Arithmetic::F32);
        let x = minimizer.best().0;
        let x = x.f_reshape(shape_of(self.monitor.extent()))?;
        match self.with_room(|job| job.unsatisfied_at(&x)) {
            Ok(Some((loss, point, terms))) => {
                // An interruption waits for the next evaluation.
                self.monitor.evaluated(point.loss, terms);
                minimizer.reevaluated(point)?;
                self.monitor.commit();
                Ok(Some(loss))
            }
            Ok(None) | Err(Error::OutOfMemory(_) | Error::Memory { .. }) => {
                self.switch(Arithmetic::Bf16);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Switches the arithmetic. Memory that the other one left free is in pieces that do not fit.
    fn switch(&mut self, arithmetic: Arithmetic) {
        self.monitor.switch(arithmetic);
        allocator::give_back();
    }

    /// [`Job::loss_at`] a place, unless its loss is low enough to end there. This saves the
    /// gradient, which takes most of the memory.
    fn unsatisfied_at(&mut self, x: &Tensor) -> Result<Option<(Loss, Point, Figures)>, Error> {
        let loss = self.loss()?;
        if self.request.parameters.stop_below.is_some() {
            let (exact, _) = loss.score(self.vgg, x)?;
            if self.monitor.is_satisfied(exact) {
                return Ok(None);
            }
        }
        let (point, terms) = point(self.vgg, &loss, x)?;
        Ok(Some((loss, point, terms)))
    }

    /// The picture that the next scale starts from. Only the change against the start is carried
    /// over, so that details that only the finer start has are there at once.
    fn refined(&self, result: &Tensor) -> Result<Tensor, Error> {
        let scale = self.monitor.scale();
        let x = result.f_reshape(shape_of(self.monitor.scales()[scale]))?;
        let change = x.f_sub(&self.start(scale)?)?;
        let refined = self
            .start(scale + 1)?
            .f_add(&resized(&change, self.monitor.scales()[scale + 1])?)?;
        let bounds = bounds(self.request.parameters.means, self.vgg.device())?;
        Ok(bounds.project(&refined)?.f_reshape(refined.size())?)
    }

    /// The finished picture, with its loss after clamping to the valid range.
    fn picture(&mut self, result: &Tensor) -> Result<Picture, Error> {
        let means = self.request.parameters.means;
        let ended_in = self.monitor.arithmetic();
        let x = result.f_reshape(shape_of(self.inputs.extent))?;
        let image = from_network(&x, means)?;
        self.switch(Arithmetic::F32);
        let x = to_network(&image, means, self.vgg.device())?;
        let (loss, terms) = self.with_room(|job| job.loss()?.score(job.vgg, &x))?;
        if !loss.is_finite() {
            return Err(Error::NotFinite(loss));
        }
        let image = self.inputs.colored(image)?;
        Ok(Picture {
            width: self.inputs.extent.width,
            height: self.inputs.extent.height,
            pixels: pixels_of(&image)?,
            seconds: self.monitor.seconds(),
            evaluations: self.monitor.evaluations(),
            loss,
            terms,
            curve: self.monitor.curve().to_vec(),
            precision: match ended_in {
                Arithmetic::F32 => Precision::F32,
                Arithmetic::Bf16 => Precision::Bf16,
            },
        })
    }
}

fn shape_of(extent: Extent) -> [i64; 4] {
    [1, 3, i64::from(extent.height), i64::from(extent.width)]
}

/// Evaluates `x`, `[1, 3, H, W]`. Returns the loss's terms too.
fn point(vgg: &Vgg, loss: &Loss, x: &Tensor) -> Result<(Point, Figures), Error> {
    let evaluation = loss.evaluate(vgg, x)?;
    let point = Point {
        x: x.f_reshape([-1])?,
        loss: evaluation.loss,
        gradient: evaluation.gradient,
    };
    Ok((point, figures_of(evaluation.terms)))
}

/// An image as a JPEG.
fn preview(image: &Tensor) -> Result<Vec<u8>, Error> {
    let Extent { width, height } = Extent::of(image)?;
    image::encode([width, height], &pixels_of(image)?, Format::Jpeg)
}

//! A chunk by the optimiser: frame by frame, each held to those beside it.

use std::time::Instant;

use stylefleet_model::stylize::{Init, KeepColors, Parameters, Stylize};
use stylefleet_model::video::Temporal;
use stylefleet_model::{Figures, Valid};
use stylefleet_video::Depth;
use tch::{Device, Kind, Tensor};

use super::course::{Visit, Way, course};
use super::flows::Flows;
use super::frame::{self, Frame};
use super::made::Made;
use super::relay::{Clock, Relay, work};
use super::temporal::{Known, Link, Painted, mixed};
use crate::device::upload;
use crate::image::{Extent, grey};
use crate::objective::Anchor;
use crate::tasks::TEMPORAL_UNIT;
use crate::tasks::curve::{CurvePoint, figures_of};
use crate::tasks::stylize::{self, Picture, Style};
use crate::vgg::to_network;
use crate::{Engine, Error, Observer, Outcome, Source};

/// The frames to redraw, by their numbers from 0.
pub(super) trait Contents {
    /// The bytes of one, as [`frame::tensor`] reads them.
    fn raw(&mut self, frame: usize) -> Result<Vec<u8>, Error>;
}

/// A chunk to be made.
pub(super) struct Chunk<'a> {
    pub identity: &'a str,
    /// What people call the clip.
    pub name: &'a str,
    pub styles: &'a [Style],
    pub picture: &'a Stylize,
    pub temporal: &'a Temporal,
    /// What others have computed; none: it is computed here.
    pub flows: Option<&'a Flows>,
    pub extent: Extent,
    pub depth: Depth,
    pub frames: usize,
    pub is_shared: bool,
}

/// A chunk under way.
struct Course<'a> {
    chunk: &'a Chunk<'a>,
    contents: &'a mut dyn Contents,
    engine: &'a mut Engine,
    observer: &'a mut dyn Observer,
    visits: Vec<Visit>,
    made: Made,
    clock: Clock,
}

/// What a frame begins with, and is held to.
struct Aim {
    start: Tensor,
    known: Known,
}

impl Chunk<'_> {
    /// Makes the frames.
    pub fn run(
        &self,
        contents: &mut dyn Contents,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<Made>, Error> {
        let visits = course(self.frames, self.temporal.passes, self.is_shared);
        let (made, under_way) = match checkpoint {
            Some(bytes) => Made::restore(bytes, self.identity, self.frames, visits.len())?,
            None => Default::default(),
        };
        let clock = Clock {
            earlier: made.position.seconds,
            start: Instant::now(),
            work: [0.0; 3],
        };
        let course = Course {
            chunk: self,
            contents,
            engine,
            observer,
            visits,
            made,
            clock,
        };
        course.run(under_way)
    }

    /// How a frame is redrawn that has others to be held to.
    fn later(&self) -> Parameters {
        Parameters {
            init: Init::Image,
            scales: 1,
            evaluations: self.temporal.frame_evaluations,
            ..self.picture.parameters.clone()
        }
    }
}

impl Course<'_> {
    fn run(mut self, mut under_way: Option<Vec<u8>>) -> Result<Outcome<Made>, Error> {
        while let Some(visit) = self.visits.get(self.made.position.visits).copied() {
            self.look_ahead();
            let raw = self.contents.raw(visit.frame)?;
            let content = frame::tensor(&raw, self.chunk.extent, self.chunk.depth)?;
            let aim = self.aim(&visit, &content)?;
            let source = Source::decoded(self.name(&visit), raw, content);
            match self.redraw(&visit, source, aim.as_ref(), under_way.take().as_deref())? {
                Outcome::Finished(picture) => self.keep(&visit, &picture, aim.as_ref())?,
                Outcome::Interrupted { checkpoint, steps } => {
                    let inner = Some((&checkpoint[..], steps));
                    let seconds = self.clock.seconds();
                    return Ok(Outcome::Interrupted {
                        checkpoint: self.made.save(self.chunk.identity, seconds, inner)?,
                        steps: self.made.position.evaluations + steps,
                    });
                }
            }
        }
        self.made.position.seconds = self.clock.seconds();
        Ok(Outcome::Finished(self.made))
    }

    /// Sets the clock for the next visit.
    fn look_ahead(&mut self) {
        let Parameters {
            evaluations,
            coarse_evaluations,
            ..
        } = self.chunk.picture.parameters;
        let later = self.chunk.temporal.frame_evaluations;
        let mut visits = self.visits[self.made.position.visits..].iter();
        let of = |visit: &Visit| work(visit, [evaluations, coarse_evaluations], later);
        let [done, now, _] = self.clock.work;
        self.clock.work = [
            done + now,
            visits.next().map_or(0.0, of),
            visits.map(of).sum(),
        ];
    }

    /// A frame to redraw, on the device.
    fn content(&mut self, frame: usize) -> Result<Tensor, Error> {
        let raw = self.contents.raw(frame)?;
        let content = frame::tensor(&raw, self.chunk.extent, self.chunk.depth)?;
        upload(&content, self.engine.device)
    }

    /// A frame that was made.
    fn result(&self, frame: usize) -> Result<Painted, Error> {
        let missing = || Error::Torch(format!("frame {frame} is not made yet").into());
        let packed = self.made.frames.get(&frame).ok_or_else(missing)?;
        let Chunk { extent, depth, .. } = *self.chunk;
        let frame = Frame::unpacked(packed, extent, depth)?;
        let picture = frame::tensor(&frame.raw, extent, depth)?;
        let shape = [1, 1, i64::from(extent.height), i64::from(extent.width)];
        let certainty = Tensor::f_from_slice(&frame.certainty)?.f_reshape(shape)?;
        let certainty = certainty.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?;
        Ok(Painted {
            picture: upload(&picture, self.engine.device)?,
            certainty: upload(&certainty, self.engine.device)?,
        })
    }

    /// What the frames beside a frame say of it; none for the first. `content`: the frame, on the
    /// CPU.
    fn aim(&mut self, visit: &Visit, content: &Tensor) -> Result<Option<Aim>, Error> {
        let _no_grad = tch::no_grad_guard();
        let (start, known) = match visit.way {
            Way::Alone => return Ok(None),
            Way::After => {
                let content = upload(content, self.engine.device)?;
                let known = self.known(visit.frame, &content)?;
                (known.over(&content)?, known)
            }
            Way::Between { beside, share } => {
                let content = upload(content, self.engine.device)?;
                let own = self.result(visit.frame)?.picture;
                let known = self.moved(visit.frame, &content, beside)?;
                let known = known.blended(&own, share)?;
                (mixed(&own, &known.picture, &known.mask)?, known)
            }
        };
        Ok(Some(Aim { start, known }))
    }

    /// What the frames before one say of it.
    fn known(&mut self, frame: usize, content: &Tensor) -> Result<Known, Error> {
        let mut known: Option<Known> = None;
        let steps = self.chunk.temporal.steps().iter();
        for step in steps.filter(|&&step| step <= frame) {
            let moved = self.moved(frame, content, frame - step)?;
            known = Some(match known {
                Some(nearer) => nearer.or(&moved)?,
                None => moved,
            });
        }
        known.ok_or_else(|| Error::Torch("a frame without one before it".into()))
    }

    /// What the frame beside one says of it.
    fn moved(&mut self, frame: usize, content: &Tensor, beside: usize) -> Result<Known, Error> {
        let link = match self.chunk.flows {
            Some(flows) => {
                let (extent, device) = (self.chunk.extent, self.engine.device);
                let flow = |from, to| upload(&flows.between(from, to, extent)?, device);
                Link::of(flow(frame, beside)?, &flow(beside, frame)?)?
            }
            None => Link::new(content, &self.content(beside)?)?,
        };
        link.moved(&self.result(beside)?)
    }

    /// What people call a frame.
    fn name(&self, visit: &Visit) -> String {
        format!("{}, frame {}", self.chunk.name, visit.frame + 1)
    }

    /// The frame as a picture of its own.
    fn redraw(
        &mut self,
        visit: &Visit,
        content: Source,
        aim: Option<&Aim>,
        checkpoint: Option<&[u8]>,
    ) -> Result<Outcome<Picture>, Error> {
        let chunk = self.chunk;
        let start = aim.map(|aim| {
            let start = self.shown(&aim.start)?.f_to_device(Device::Cpu)?;
            Ok::<_, Error>(Source::decoded(self.name(visit), Vec::new(), start))
        });
        let parameters = match aim {
            Some(_) => chunk.later(),
            None => chunk.picture.parameters.clone(),
        };
        let request = stylize::Request {
            identity: format!("{}/{}", chunk.identity, self.made.position.visits),
            content,
            styles: chunk.styles.to_vec(),
            start: start.transpose()?,
            parameters: Valid::new(parameters).map_err(|e| Error::Request(e.to_string()))?,
        };
        let anchor = aim
            .map(|aim| self.anchor(&aim.known))
            .transpose()?
            .flatten();
        let Extent { width, height } = chunk.extent;
        let mut relay = Relay {
            observer: self.observer,
            made: &self.made,
            identity: chunk.identity,
            stage: visit.stage,
            size: format!("{width}x{height}"),
            clock: self.clock,
        };
        request.redraw_held(self.engine, anchor, checkpoint, &mut relay)
    }

    /// A picture as the optimiser sees it: grey, if the content gives the colours.
    fn shown(&self, picture: &Tensor) -> Result<Tensor, Error> {
        match self.chunk.picture.parameters.keep_colors {
            KeepColors::Luminance => grey(picture),
            _ => Ok(picture.shallow_clone()),
        }
    }

    /// What is known of a frame, as a term of its loss.
    fn anchor(&self, known: &Known) -> Result<Option<Anchor>, Error> {
        let weight = self.chunk.temporal.temporal_weight;
        if weight == 0.0 {
            return Ok(None);
        }
        let values = 3.0 * self.chunk.extent.pixels() as f64;
        let factor = weight * self.made.position.first_loss / (values * TEMPORAL_UNIT.powi(2));
        let picture = self.shown(&known.picture)?;
        let means = self.chunk.picture.parameters.means;
        Ok(Some(Anchor {
            target: to_network(&picture, means, self.engine.device)?,
            weights: known.certainty.f_mul_scalar(factor)?,
        }))
    }

    /// Keeps a frame that was made. The chunk can resume from here.
    fn keep(&mut self, visit: &Visit, picture: &Picture, aim: Option<&Aim>) -> Result<(), Error> {
        let Chunk { extent, depth, .. } = *self.chunk;
        let raw = frame::raw(&picture.tensor()?, depth)?;
        let (certainty, distance) = match aim {
            None => (vec![u8::MAX; extent.pixels() as usize], None),
            Some(Aim { known, .. }) => {
                let made = upload(&frame::tensor(&raw, extent, depth)?, self.engine.device)?;
                let certainty = known.more_certain()?.f_mul_scalar(255.0)?.f_round()?;
                let certainty = certainty.f_to_kind(Kind::Uint8)?.f_reshape([-1])?;
                let certainty = certainty.f_to_device(Device::Cpu)?;
                (Vec::<u8>::try_from(&certainty)?, known.distance(&made)?)
            }
        };
        let packed = Frame { raw, certainty }.packed(extent, depth)?;
        self.made.frames.insert(visit.frame, packed);
        let position = &mut self.made.position;
        position.visits += 1;
        position.evaluations += u64::from(picture.evaluations);
        position
            .figures
            .insert(visit.frame, (picture.loss, distance));
        if position.visits == 1 {
            position.first_loss = picture.loss;
        }
        position.curve.push(CurvePoint {
            phase: 1,
            steps: position.evaluations,
            loss: picture.loss,
            terms: figures_of(picture.terms.clone()),
        });
        Ok(())
    }
}

impl Made {
    /// What it came to: the mean loss of the frames, and how far they are from what the frames
    /// beside them say, in grey levels.
    pub fn figures(&self) -> Figures {
        let losses = self.position.figures.values().map(|(loss, _)| *loss);
        let distances = self
            .position
            .figures
            .values()
            .filter_map(|(_, distance)| *distance);
        let means = [
            ("loss", mean(losses)),
            ("temporal.distance", mean(distances)),
        ];
        let means = means
            .into_iter()
            .filter_map(|(name, mean)| Some((name.to_owned(), mean?)));
        means.collect()
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

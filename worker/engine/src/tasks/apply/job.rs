//! One picture through the network, as a whole or in tiles.

use stylefleet_model::stylize::KeepColors;
use stylefleet_model::{Figures, Progress};
use tch::{Device, Tensor};

use super::Request;
use super::regions::{Blend, Region, regions};
use super::request::Network;
use crate::allocator;
use crate::arithmetic::Arithmetic;
use crate::checkpoint::is_finite;
use crate::device::upload;
use crate::image::{self, Extent, fitted, pixels_of, with_chroma_of};
use crate::observer::Halt;
use crate::tasks::picture;
use crate::tasks::stylize::scales;
use crate::transform::{LEAST_SIDE, PASSES, Plan};
use crate::{Control, Engine, Error, Finished, Observer, Output};

/// Bytes a pixel of the picture before, which may not be encoded yet.
const BEFORE: u64 = 12;
/// Bytes a pixel where pictures of several regions are blended: a [`Blend`], and what is added.
const BLEND: u64 = 32;
/// Bytes a pixel for a mask.
const MASK: u64 = 4;

/// A picture under way.
pub(super) struct Job<'a> {
    request: &'a Request,
    network: &'a Network,
    arithmetic: Arithmetic,
    /// At the picture's size, `[1, 3, H, W]`, R, G, B, 0 to 255, 32-bit, on the device.
    content: Tensor,
    extent: Extent,
    regions: Vec<Region>,
    plan: Plan,
    observer: &'a mut dyn Observer,
}

impl<'a> Job<'a> {
    /// Reads what the request names, and looks whether it fits into memory.
    pub fn new(
        request: &'a Request,
        network: &'a Network,
        arithmetic: Arithmetic,
        engine: &Engine,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, Error> {
        let content = request.content.read(engine.max_pixels)?;
        content.notes.iter().for_each(|note| observer.noted(note));
        let own = Extent::of(&content.pixels)?;
        let extent = match request.asked.size {
            Some(size) => scales::picture(size, own),
            None => own,
        };
        let Extent { width, height } = extent;
        if width.min(height) < LEAST_SIDE {
            let reason = format!(
                "is {width}x{height}, and a network takes {LEAST_SIDE} pixels a side or more: \
                 choose a larger --size"
            );
            return Err(Error::image(&request.content.name, reason));
        }
        let regions = regions(request, network, extent, engine)?;
        let masks = regions
            .iter()
            .filter(|region| region.mask.is_some())
            .count() as u64;
        let blend = if masks == 0 { 0 } else { BLEND + masks * MASK };
        let plan = Plan::new(
            engine.memory,
            extent,
            network.transform.width()?,
            arithmetic.kind(),
            BEFORE + blend,
        )?;
        let content = upload(&content.pixels, engine.device)?;
        Ok(Self {
            request,
            network,
            arithmetic,
            content: fitted(&content, extent)?,
            extent,
            regions,
            plan,
            observer,
        })
    }

    pub fn run(mut self) -> Result<Finished, Halt> {
        let picture = self.picture()?;
        let Extent { width, height } = self.extent;
        // The picture is done: whether to go on does not matter.
        let _ = report(self.observer, pictures(1));
        let precision = match self.arithmetic {
            Arithmetic::F32 => "f32",
            Arithmetic::Bf16 => "bf16",
        };
        let made_with = [
            ("model", self.request.model.sha256.to_string()),
            ("precision", precision.to_owned()),
        ];
        let size = [("picture.width", width), ("picture.height", height)];
        Ok(Finished {
            outputs: vec![self.output(picture)],
            seconds: 0.0,
            steps: 1,
            figures: size
                .map(|(name, side)| (name.to_owned(), side.into()))
                .into(),
            made_with: made_with.map(|(part, what)| (part.to_owned(), what)).into(),
        })
    }

    fn output(&self, picture: Tensor) -> Output {
        let Extent { width, height } = self.extent;
        let format = self.request.asked.format;
        picture::output(format, move || {
            image::encode([width, height], &pixels_of(&picture)?, format)
        })
    }

    /// The finished picture, on the CPU.
    pub fn picture(&mut self) -> Result<Tensor, Halt> {
        let _no_grad = tch::no_grad_guard();
        let picture = self.redrawn_everywhere()?;
        if !is_finite(&picture)? {
            let model = &self.request.model;
            let reason = "makes pictures that are not finite: train it anew, or ask for f32";
            return Err(model.refuse(reason).into());
        }
        Ok(picture)
    }

    fn redrawn_everywhere(&mut self) -> Result<Tensor, Halt> {
        let regions = std::mem::take(&mut self.regions);
        let picture = if let [
            Region {
                shares, mask: None, ..
            },
        ] = &regions[..]
        {
            self.styled(shares, [0, 1])?
        } else {
            let mut blend = Blend::new(&self.content)?;
            for (number, region) in regions.iter().enumerate() {
                let picture = self.styled(&region.shares, [number, regions.len()])?;
                blend.add(&picture, region)?;
            }
            blend.over(&self.content)?
        };
        let picture = picture.f_to_device(Device::Cpu)?;
        Ok(match self.request.asked.keep_colors {
            KeepColors::Luminance => {
                with_chroma_of(&picture, &self.content.f_to_device(Device::Cpu)?)?
            }
            _ => picture,
        })
    }

    /// The content in a blend of the network's styles, in smaller and smaller tiles if memory runs
    /// out. It is one of so many pictures to make: `[number, of]`.
    fn styled(&mut self, shares: &[f64], place: [usize; 2]) -> Result<Tensor, Halt> {
        loop {
            let reason = match self.redrawn(shares, place) {
                Err(Halt::Failed(Error::OutOfMemory(reason))) => reason,
                done => return done,
            };
            let Some(plan) = self.plan.smaller(self.extent) else {
                return Err(Error::OutOfMemory(reason).into());
            };
            self.plan = plan;
            allocator::stop_keeping();
            self.observer
                .noted("out of memory: goes on in smaller tiles");
        }
    }

    fn redrawn(&mut self, shares: &[f64], place: [usize; 2]) -> Result<Tensor, Halt> {
        let Extent { width, height } = self.extent;
        let (transform, kind) = (&self.network.transform, self.arithmetic.kind());
        let [number, of] = place.map(|count| count as u64);
        let mut picture = match self.plan {
            Plan::Whole => transform.forward(&self.content, shares, kind)?,
            Plan::Tiles(side) => {
                let progress = |passes| Progress {
                    phase: format!("{width}x{height} in tiles"),
                    done: number * PASSES + passes,
                    total: of * PASSES,
                    unit: "passes".to_owned(),
                    seconds_left: None,
                    ..pictures(0)
                };
                let observer = &mut *self.observer;
                let mut go_on = |passes| report(observer, progress(passes));
                transform.forward_in_tiles(&self.content, shares, kind, side, &mut go_on)?
            }
        };
        Ok(picture.f_clamp_(0.0, 255.0)?)
    }
}

/// Tells the observer that so much of a picture is done; it may want to stop.
pub(super) fn report(observer: &mut dyn Observer, progress: Progress) -> Result<(), Halt> {
    match observer.progressed(&progress) {
        Control::Continue => Ok(()),
        Control::Interrupt => Err(Halt::Interrupted),
    }
}

/// A picture to be made, or one that is made. Either takes next to no time: others need not wait to
/// prepare the next one.
pub(super) fn pictures(made: u64) -> Progress {
    Progress {
        phase: "picture".to_owned(),
        done: made,
        total: 1,
        unit: "pictures".to_owned(),
        steps: made,
        figures: Figures::new(),
        seconds_left: Some(0.0),
    }
}

//! Reads, decodes and crops the photographs of the samples to come, on threads of its own.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::order::{Crop, shuffled};
use super::photographs::{Album, Photograph};
use crate::{Cause, Error};

/// Threads that load, each every second sample.
const THREADS: u64 = 2;

/// A sample.
#[derive(Debug)]
pub(super) struct Sample {
    /// R, G, B of each pixel, row by row.
    pub pixels: Vec<u8>,
    /// Photographs whose place it took, since they cannot be read: their numbers, and why.
    pub left_out: Vec<(usize, Arc<str>)>,
}

/// What samples are made of.
#[derive(Debug)]
pub(super) struct Samples {
    pub album: Album,
    /// Numbers of the photographs to train on.
    pub photographs: Vec<usize>,
    pub seed: u64,
    /// Side of a sample.
    pub size: u32,
}

/// Samples in their order, made ahead. Dropping it ends the threads once they have done what they
/// are at: none is waited for, since a store may hang.
#[derive(Debug)]
pub(super) struct Loader {
    lanes: Vec<Lane>,
    /// Number of the next sample.
    next: u64,
}

#[derive(Debug)]
struct Lane {
    samples: Receiver<Result<Sample, Error>>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts with the sample of number `first`, and has up to twice so many `ahead` ready.
    pub fn start(samples: &Arc<Samples>, first: u64, ahead: usize) -> Result<Self, Error> {
        let lane = |offset: u64| {
            let (sender, receiver) = sync_channel(ahead);
            let (samples, start) = (Arc::clone(samples), first + offset);
            let thread = Builder::new()
                .name("photographs".to_owned())
                .spawn(move || samples.send(start, &sender))
                .map_err(|error| Error::OutOfMemory(Cause::of(error)))?;
            Ok(Lane {
                samples: receiver,
                thread: Some(thread),
            })
        };
        Ok(Self {
            lanes: (0..THREADS).map(lane).collect::<Result<_, Error>>()?,
            next: 0,
        })
    }

    /// The next sample; waits until it is there.
    pub fn next(&mut self) -> Result<Sample, Error> {
        let lane = &mut self.lanes[(self.next % THREADS) as usize];
        self.next += 1;
        match lane.samples.recv() {
            Ok(sample) => sample,
            Err(_) => match lane.thread.take().map(JoinHandle::join) {
                Some(Err(panic)) => resume_unwind(panic),
                _ => Err(Error::Torch("no sample came".into())),
            },
        }
    }
}

impl Samples {
    /// Makes every sample of a lane until nobody wants more, or one fails.
    fn send(&self, first: u64, to: &SyncSender<Result<Sample, Error>>) {
        let count = self.photographs.len() as u64;
        let mut epoch = None;
        let mut order = Vec::new();
        for number in (first..).step_by(THREADS as usize) {
            let now = number / count;
            if epoch.replace(now) != Some(now) {
                order = shuffled(self.seed, now, self.photographs.len());
            }
            let place = (number % count) as usize;
            let sample = self.sample(number, order[place..].iter().chain(&order[..place]));
            let is_last = sample.is_err();
            if to.send(sample).is_err() || is_last {
                return;
            }
        }
    }

    /// The sample of that number, from the first of the `candidates` that can be read.
    fn sample<'a>(
        &self,
        number: u64,
        candidates: impl Iterator<Item = &'a usize>,
    ) -> Result<Sample, Error> {
        let mut left_out = Vec::new();
        for candidate in candidates {
            let index = self.photographs[*candidate];
            match self.album.get(index)? {
                Photograph::Readable(picture) => {
                    let extent = picture.dimensions().into();
                    let crop = Crop::of(self.seed, number, extent, self.size);
                    let pixels = self.album.sample(&picture, crop);
                    return Ok(Sample { pixels, left_out });
                }
                Photograph::Unreadable(reason) => left_out.push((index, reason)),
            }
        }
        Err(Error::Photographs {
            readable: 0,
            needed: stylefleet_model::train::MIN_PHOTOGRAPHS,
        })
    }
}

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

    /// The sample of that number, from the first of the `candidates` that can be read and has
    /// anything in it there.
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
                    if !is_flat(&pixels) {
                        return Ok(Sample { pixels, left_out });
                    }
                }
                Photograph::Unreadable(reason) => left_out.push((index, reason)),
            }
        }
        Err(Error::Request(
            "there is nothing in its photographs: each is of one colour".into(),
        ))
    }
}

/// Whether the values of each channel deviate by less than a grey level, as in a photograph of a
/// clear sky. Nothing is learnt from such a sample, and its gradients are huge: each normalisation
/// divides them by what is left of the deviation.
pub(super) fn is_flat(pixels: &[u8]) -> bool {
    (0..3).all(|channel| {
        let (mut count, mut sum, mut squares) = (0, 0, 0);
        for value in pixels.iter().skip(channel).step_by(3) {
            let value = u64::from(*value);
            count += 1;
            sum += value;
            squares += value * value;
        }
        count * squares < sum * sum + count * count
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_is_what_deviates_by_less_than_a_grey_level() {
        let is_flat_by = |by: u16| {
            let stripes = (0..300).map(|n| (40 * (n % 3) + by * (n / 3 % 2)) as u8);
            is_flat(&stripes.collect::<Vec<_>>())
        };
        assert!(is_flat_by(0) && is_flat_by(1));
        assert!(!is_flat_by(2) && !is_flat_by(9));
        // One channel is enough.
        let mut reds = vec![0; 300];
        reds[3] = 200;
        assert!(!is_flat(&reds));
    }
}

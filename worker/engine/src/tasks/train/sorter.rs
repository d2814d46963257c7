//! Which photographs there are to train on.

use stylefleet_model::train::{MIN_PHOTOGRAPHS, Training};
use tch::Device;

use super::held_out::{HeldOut, image_of};
use super::loader::is_flat;
use super::order::{Crop, shuffled};
use super::photographs::{Album, Photograph};
use super::position::Position;
use crate::{Error, Observer};

/// The epoch whose order says which photographs are held out.
const HELD_OUT: u64 = u64::MAX;
/// Photographs that a note is made of because they cannot be read; of all others one at the end.
const NOTED: usize = 20;

/// Sorts photographs: those that can be read from the others, and some to be held out.
pub(super) struct Sorter<'a> {
    pub album: &'a Album,
    pub position: &'a mut Position,
    pub observer: &'a mut dyn Observer,
}

impl Sorter<'_> {
    /// The photographs that are held out, and the numbers of all others.
    pub fn hold_out(
        &mut self,
        training: &Training,
        device: Device,
    ) -> Result<(HeldOut, Vec<usize>), Error> {
        self.check()?;
        let count = self.album.count();
        let mut others = shuffled(training.seed, HELD_OUT, count);
        let mut photographs = Vec::new();
        while photographs.len() < held_out_of(count)
            && let Some(index) = others.pop()
        {
            match self.album.get(index)? {
                Photograph::Readable(picture) => {
                    let middle = Crop::middle(picture.dimensions().into());
                    let pixels = self.album.sample(&picture, middle);
                    if !is_flat(&pixels) {
                        photographs.push(image_of(&pixels, training.size, device)?);
                    }
                }
                Photograph::Unreadable(reason) => self.leave_out(index, &reason)?,
            }
        }
        Ok((HeldOut { photographs }, others))
    }

    /// Leaves out a photograph that cannot be read, with a note if that is new.
    pub fn leave_out(&mut self, index: usize, reason: &str) -> Result<(), Error> {
        if !self.position.left_out.insert(index) {
            return Ok(());
        }
        if self.position.left_out.len() <= NOTED {
            self.observer.noted(&format!("{reason}: it is left out"));
        }
        self.check()
    }

    /// Refuses too few photographs that can be read.
    fn check(&self) -> Result<(), Error> {
        let count = self.album.count();
        if count.saturating_sub(self.position.left_out.len()) >= MIN_PHOTOGRAPHS {
            return Ok(());
        }
        let mut readable = 0;
        for index in 0..count {
            if let Photograph::Readable(_) = self.album.get(index)? {
                readable += 1;
            }
        }
        Err(Error::Photographs {
            readable,
            needed: MIN_PHOTOGRAPHS,
        })
    }
}

/// How many of so many photographs are held out.
fn held_out_of(count: usize) -> usize {
    (count / 8).clamp(1, 4)
}

//! Optical flow that others have computed.

use std::fs::File;
use std::sync::Arc;

use stylefleet_model::video::Temporal;
use tch::Tensor;

use crate::flow::resized;
use crate::image::Extent;
use crate::{Cause, Error};

/// A file with the flows of a chunk: for each of [`Temporal::pairs`] the one forwards, then the one
/// back.
#[derive(Debug, Clone)]
pub struct FlowFile(pub Arc<File>);

/// The flows of a chunk.
pub(super) struct Flows {
    packed: stylefleet_video::Flows,
    pairs: Vec<[usize; 2]>,
}

impl Flows {
    /// Those of a chunk of so many frames.
    pub fn open(file: &FlowFile, temporal: &Temporal, frames: usize) -> Result<Self, Error> {
        let opened = file.0.try_clone().and_then(stylefleet_video::Flows::open);
        let packed = opened.map_err(|error| unread(Cause::of(error)))?;
        let pairs = temporal.pairs(frames);
        if packed.count() != 2 * pairs.len() {
            let (found, wanted) = (packed.count(), 2 * pairs.len());
            let reason = format!("there are {found}, and its frames take {wanted}");
            return Err(unread(reason.into()));
        }
        Ok(Self { packed, pairs })
    }

    /// The flow from each pixel of a frame to where it is in another, `[1, 2, H, W]`, on the CPU.
    pub fn between(&self, from: usize, to: usize, extent: Extent) -> Result<Tensor, Error> {
        let is_back = from > to;
        let pair = [from.min(to), from.max(to)];
        let mut pairs = self.pairs.iter();
        let Some(at) = pairs.position(|known| *known == pair) else {
            let reason = format!("there is none from frame {from} to frame {to}");
            return Err(unread(reason.into()));
        };
        let read = self.packed.read(2 * at + usize::from(is_back));
        let samples = read.map_err(|error| unread(Cause::of(error)))?;
        let [width, height] = self.packed.size().map(i64::from);
        let flow = Tensor::f_from_slice(&samples)?.f_reshape([1, height, width, 2])?;
        let flow = flow.f_permute([0, 3, 1, 2])?.f_contiguous()?;
        resized(&flow, i64::from(extent.height), i64::from(extent.width))
    }
}

fn unread(reason: Cause) -> Error {
    Error::Request(format!(
        "its optical flow cannot be read: {reason}: submit the video again"
    ))
}

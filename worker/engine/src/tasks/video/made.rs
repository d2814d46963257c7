//! Where an unfinished chunk stands, and how that is saved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::Error;
use crate::checkpoint::{self, Owner, unusable};
use crate::tasks::curve::LossCurve;

/// The kind in checkpoints of chunks.
const KIND: &str = "video";
/// The tensor of the checkpoint of the frame under way.
const UNDER_WAY: &str = "under way";

/// What there is of a chunk. Frames depend on each other only as they are here, so that a chunk
/// that resumes is the same to the bit.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub position: Position,
    /// The frames that were visited, packed.
    pub frames: BTreeMap<usize, Vec<u8>>,
}

/// Where a chunk stands, apart from its frames.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// Visits that are done.
    pub visits: usize,
    /// Evaluations that they took.
    pub evaluations: u64,
    /// The loss of the first frame, which the weight of the temporal term is relative to.
    pub first_loss: f64,
    /// The loss of each frame, and how far it is from what the frame beside it says, in grey
    /// levels.
    pub figures: BTreeMap<usize, (f64, Option<f64>)>,
    /// How the loss of frame after frame came out.
    pub curve: LossCurve,
    /// Seconds of work.
    pub seconds: f64,
}

impl Made {
    /// A checkpoint of the chunk of that identity, with that of the frame under way, if one is. It
    /// holds so many steps.
    pub fn save(
        &self,
        identity: &str,
        seconds: f64,
        under_way: Option<(&[u8], u64)>,
    ) -> Result<Vec<u8>, Error> {
        let position = Position {
            seconds,
            ..self.position.clone()
        };
        let mut tensors = Vec::with_capacity(self.frames.len() + 1);
        for (frame, packed) in &self.frames {
            tensors.push((name(*frame), Tensor::f_from_slice(packed)?));
        }
        let mut steps = position.evaluations;
        if let Some((inner, inner_steps)) = under_way {
            tensors.push((UNDER_WAY.to_owned(), Tensor::f_from_slice(inner)?));
            steps += inner_steps;
        }
        checkpoint::save_with(owner(identity), steps, &position, tensors)
    }

    /// Reads what [`Made::save`] made of a chunk of so many frames and visits. Returns the
    /// checkpoint of the frame under way, too.
    pub fn restore(
        bytes: &[u8],
        identity: &str,
        frames: usize,
        visits: usize,
    ) -> Result<(Self, Option<Vec<u8>>), Error> {
        let saved = checkpoint::read(bytes, owner(identity))?;
        let position: Position = saved.state()?;
        if position.visits > visits {
            return Err(unusable("it has more frames than the job"));
        }
        let packed = |frame| Ok(saved.bytes(&name(frame))?.map(|packed| (frame, packed)));
        let packed = (0..frames).filter_map(|frame| packed(frame).transpose());
        let made = Self {
            position,
            frames: packed.collect::<Result<_, Error>>()?,
        };
        Ok((made, saved.bytes(UNDER_WAY)?))
    }
}

fn name(frame: usize) -> String {
    format!("frame {frame:06}")
}

fn owner(identity: &str) -> Owner<'_> {
    Owner {
        kind: KIND,
        identity,
    }
}

//! Where an unfinished picture stands, and how that is saved.

use serde::{Deserialize, Serialize};
use stylefleet_model::Figures;
use tch::Device;

use super::Request;
use crate::Error;
use crate::arithmetic::Arithmetic;
use crate::checkpoint::{self, Owner, unusable};
use crate::image::Extent;
use crate::minimize::{Minimizer, Scalars, Spectrum};
use crate::tasks::curve::LossCurve;
use crate::vgg::bounds;

/// The kind in checkpoints of pictures.
const KIND: &str = "stylize";

/// Where a job stands, apart from its minimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Index of the current scale.
    pub scale: usize,
    /// Evaluations done at this scale.
    pub evaluation: u32,
    /// Evaluations done over all scales.
    pub total: u32,
    /// Losses after the last iterations at this scale, oldest first.
    pub recent: Vec<f64>,
    /// Terms of the lowest loss at this scale, by name.
    pub terms: Figures,
    /// The losses of the whole job so far.
    pub curve: LossCurve,
    /// Arithmetic of the network.
    pub arithmetic: Arithmetic,
    /// Seconds of work.
    pub seconds: f64,
}

/// What is saved beside the minimiser's tensors.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    position: Position,
    scalars: Scalars,
}

impl Position {
    /// A checkpoint of the request of that identity.
    pub fn save(&self, identity: &str, minimizer: &Minimizer) -> Result<Vec<u8>, Error> {
        let (scalars, tensors) = minimizer.save();
        let state = State {
            position: self.clone(),
            scalars,
        };
        checkpoint::save_with(owner(identity), self.total.into(), &state, tensors)
    }

    /// Reads what [`Position::save`] made of a request, which goes through `scales`.
    pub fn restore(
        bytes: &[u8],
        request: &Request,
        scales: &[Extent],
        device: Device,
    ) -> Result<(Self, Minimizer), Error> {
        let saved = checkpoint::read(bytes, owner(&request.identity))?;
        let State { position, scalars } = saved.state()?;
        let extent = *scales
            .get(position.scale)
            .ok_or_else(|| unusable("it has more scales than the job"))?;
        let variables = 3 * extent.pixels() as i64;
        let mut take = |name: &str| saved.tensor(name, variables);
        let spectrum = Spectrum::new(extent, device)?;
        let minimizer = Minimizer::restore(&scalars, Some(spectrum), device, &mut take)?;
        if !minimizer.is(request.parameters.optimizer) {
            return Err(unusable("it is of the other optimizer"));
        }
        if !minimizer.is_within(&bounds(request.parameters.means, device)?)? {
            return Err(unusable("its picture is out of the valid range"));
        }
        Ok((position, minimizer))
    }
}

fn owner(identity: &str) -> Owner<'_> {
    Owner {
        kind: KIND,
        identity,
    }
}

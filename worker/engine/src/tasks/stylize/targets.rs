//! Statistics of style images, kept from job to job.

use std::rc::Rc;

use stylefleet_model::stylize::{Layer, Means, Parameters, Pooling, StyleLoss};

use super::inputs::StyleImage;
use crate::Error;
use crate::image::{Extent, fitted};
use crate::objective::{Mode, Statistics, statistics, style_layers};
use crate::vgg::{Vgg, to_network};

/// Style targets kept, some 3 MB each: four scales of eight styles.
const CAPACITY: usize = 32;

/// The statistics last used, newest last.
#[derive(Debug, Default)]
pub(super) struct Targets {
    kept: Vec<(Key, Rc<Statistics>)>,
}

/// Everything that a style's statistics depend on.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    identity: [u8; 32],
    extent: Extent,
    layers: Vec<Layer>,
    loss: StyleLoss,
    means: Means,
    pooling: Pooling,
    mode: Mode,
}

impl Targets {
    /// The statistics of `style` at size `extent`.
    pub fn of(
        &mut self,
        style: &StyleImage,
        extent: Extent,
        objective: &Parameters,
        vgg: &Vgg,
        mode: Mode,
    ) -> Result<Rc<Statistics>, Error> {
        let key = Key {
            identity: style.identity,
            extent,
            layers: style_layers(objective),
            loss: objective.style_loss,
            means: objective.means,
            pooling: objective.pooling,
            mode,
        };
        let entry = match self.kept.iter().position(|(kept, _)| *kept == key) {
            Some(index) => self.kept.remove(index),
            None => {
                let image = fitted(&style.image, extent)?;
                let image = to_network(&image, objective.means, vgg.device())?;
                (key, Rc::new(statistics(objective, vgg, &image, mode)?))
            }
        };
        let found = Rc::clone(&entry.1);
        if self.kept.len() == CAPACITY {
            self.kept.remove(0);
        }
        self.kept.push(entry);
        Ok(found)
    }
}

//! Photographs that are never trained on: they show what the network makes of others.

use stylefleet_model::Figures;
use stylefleet_model::stylize::Format;
use tch::{Device, Kind, Tensor};

use super::learner::Learner;
use super::losses::Losses;
use super::motion::Motion;
use crate::device::upload;
use crate::image::{self, Extent, fitted, pixels_of};
use crate::{Error, Output};

/// Styles that a sheet shows.
const STYLES: usize = 6;
/// Pictures that a sheet shows, but for a row that has more: each takes as long as a quarter of a
/// step.
const PICTURES: usize = 12;
/// Longest side of a picture on a sheet, in pixels.
const TILE: u32 = 192;
/// Seed of the motions.
const MOTIONS: u64 = 0;
/// White pixels around each picture.
const MARGIN: i64 = 2;

/// Photographs held out, `[1, 3, S, S]`, R, G, B, 0 to 255, 32-bit, on the device.
#[derive(Debug)]
pub(super) struct HeldOut {
    pub photographs: Vec<Tensor>,
}

/// What a network makes of them.
#[derive(Debug)]
pub(super) struct Sheet {
    /// What is told of them: the mean loss, and how far off each other pictures are that ought to
    /// be alike but for a known motion, in grey levels.
    pub figures: Figures,
    extent: Extent,
    pixels: Vec<f32>,
}

impl HeldOut {
    /// A row for each photograph: itself, and its picture in each style.
    pub fn sheet(&self, learner: &Learner, losses: &Losses<'_>) -> Result<Sheet, Error> {
        let styles = losses.count().min(STYLES);
        let rows = (PICTURES / styles).max(1);
        let mut scores = Vec::new();
        let mut squares = Vec::new();
        let mut sheet = Vec::new();
        for (number, photograph) in self.photographs.iter().take(rows).enumerate() {
            let side = Extent::of(photograph)?.width;
            let motion = Motion::of(MOTIONS, number as u64, side, photograph.device())?;
            let after = motion.after(photograph)?;
            let mut row = vec![tile(photograph)?];
            for style in 0..styles {
                let draw =
                    |content| Ok::<_, Error>(learner.draw(content, style)?.f_clamp(0.0, 255.0)?);
                let picture = draw(photograph)?;
                let distance = motion.distance(&picture, &draw(&after)?)?;
                squares.push(distance.f_double_value(&[])?);
                scores.push(losses.score(style, photograph, &picture)?);
                row.push(tile(&picture)?);
            }
            sheet.push(Tensor::f_cat(&row, 3)?);
        }
        let sheet = Tensor::f_cat(&sheet, 2)?;
        Ok(Sheet {
            figures: Figures::from([
                ("heldout.loss".to_owned(), mean(&scores)),
                ("heldout.temporal.error".to_owned(), mean(&squares).sqrt()),
            ]),
            extent: Extent::of(&sheet)?,
            pixels: pixels_of(&sheet)?,
        })
    }
}

/// The mean of some numbers.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl Sheet {
    /// The sheet as a JPEG.
    pub fn jpeg(&self) -> Result<Vec<u8>, Error> {
        let Extent { width, height } = self.extent;
        image::encode([width, height], &self.pixels, Format::Jpeg)
    }

    /// The sheet as an output of the job.
    pub fn into_output(self) -> Output {
        Output {
            role: "sample",
            media_type: "image/jpeg",
            ending: Format::Jpeg.extension(),
            encode: Box::new(move || self.jpeg()),
        }
    }
}

/// A small copy with a white frame, on the CPU.
fn tile(image: &Tensor) -> Result<Tensor, Error> {
    let extent = Extent::of(image)?;
    let small = Extent {
        width: extent.width.min(TILE),
        height: extent.height.min(TILE),
    };
    let tile = fitted(image, small)?.f_to_device(Device::Cpu)?;
    Ok(tile.f_pad([MARGIN; 4], "constant", Some(255.0))?)
}

/// R, G, B of each pixel of a square, row by row, as an image on `device`, which converts them: its
/// host has enough to do.
pub(super) fn image_of(pixels: &[u8], size: u32, device: Device) -> Result<Tensor, Error> {
    let side = i64::from(size);
    let rows = upload(&Tensor::f_from_slice(pixels)?, device)?.f_reshape([1, side, side, 3])?;
    let image = rows.f_permute([0, 3, 1, 2])?.f_to_kind(Kind::Float)?;
    Ok(image.f_contiguous()?)
}

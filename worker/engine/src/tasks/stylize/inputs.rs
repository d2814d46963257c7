//! From a request's files to tensors of the right size and colours.

use sha2::{Digest, Sha256};
use stylefleet_model::stylize::{Init, KeepColors, Means};
use tch::{Device, Kind, Tensor};

use super::styles::Styles;
use super::{Request, scales};
use crate::device::upload;
use crate::image::{Extent, fitted, grey, recolored, with_chroma_of, with_histogram_of};
use crate::vgg::from_network;
use crate::{Error, Observer, Source};

/// The noise to start from: mean and deviation, in grey levels.
const NOISE: (f64, f64) = (127.5, 32.0);

/// A job's inputs. Tensors are `[1, 3, H, W]`, R, G, B, 0 to 255, 32-bit, on the CPU.
#[derive(Debug)]
pub(super) struct Inputs {
    /// Size of the picture.
    pub extent: Extent,
    /// The content, at the picture's size.
    pub content: Tensor,
    /// Where the optimisation starts, at the picture's size.
    pub start: Tensor,
    /// The styles.
    pub styles: Vec<StyleImage>,
    /// The content in colour, where the picture gives the luminance alone.
    pub chroma: Option<Tensor>,
}

/// A style image.
#[derive(Debug)]
pub(super) struct StyleImage {
    /// In its own proportions, and no larger than the picture needs.
    pub image: Tensor,
    /// How much it counts relative to the others.
    pub share: f64,
    /// Where it counts, `[1, 1, H, W]`, 0 to 255, at the picture's size; none: everywhere.
    pub mask: Option<Tensor>,
    /// Identifies the image: hash of the file, its size here, and whatever it was recoloured by.
    pub identity: [u8; 32],
}

impl Inputs {
    /// Decodes and prepares everything that `request` names, but for what `kept` has of its styles.
    pub fn load(
        request: &Request,
        kept: &mut Styles,
        max_pixels: u64,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let read = |source: &Source, observer: &mut dyn Observer| {
            let image = source.read(max_pixels)?;
            image.notes.iter().for_each(|note| observer.noted(note));
            Ok::<_, Error>(image.pixels)
        };
        let mut content = read(&request.content, observer)?;
        let extent = scales::picture(request.parameters.size, Extent::of(&content)?);
        content = fitted(&content, extent)?;
        let mut styles = Vec::with_capacity(request.styles.len());
        let files = kept.begin(&request.styles);
        for (index, (style, file)) in request.styles.iter().zip(files).enumerate() {
            // The start is stretched to the picture, which may be larger.
            let is_start = request.parameters.init == Init::Style(index as u32);
            let wanted = |own| {
                if is_start {
                    own
                } else {
                    reduced(request, own, extent)
                }
            };
            let image = kept.get(&style.image, file, wanted, max_pixels)?;
            image.notes.iter().for_each(|note| observer.noted(note));
            let mut image = image.pixels.shallow_clone();
            let mut hash = Sha256::new_with_prefix(file);
            hash.update(format!("{:?}", Extent::of(&image)?));
            match request.parameters.keep_colors {
                KeepColors::None => {}
                KeepColors::Match => image = recolored(&image, &content)?,
                KeepColors::Histogram => image = with_histogram_of(&image, &content)?,
                KeepColors::Luminance => image = recolored(&grey(&image)?, &grey(&content)?)?,
            }
            if request.parameters.keep_colors != KeepColors::None {
                hash.update(&request.content.bytes);
                hash.update(format!("{:?} {:?}", request.parameters.keep_colors, extent));
            }
            let identity = hash.finalize().into();
            let mask = style.mask.as_ref().map(|mask| {
                let grey = grey(&read(mask, observer)?)?.f_narrow(1, 0, 1)?;
                fitted(&grey, extent)
            });
            styles.push(StyleImage {
                image,
                share: style.share,
                mask: mask.transpose()?,
                identity,
            });
        }
        let (content, chroma) = match request.parameters.keep_colors {
            KeepColors::Luminance => (grey(&content)?, Some(content)),
            _ => (content, None),
        };
        let start = match request.parameters.init {
            Init::Content => content.shallow_clone(),
            Init::Noise => noise(extent, request.parameters.seed)?,
            Init::Style(index) => {
                let style = styles.get(index as usize);
                let missing = || {
                    Error::Request(format!(
                        "init names style {index}, counted from 0: there is none"
                    ))
                };
                let style = style.ok_or_else(missing)?;
                fitted(&style.image, extent)?
            }
            Init::Image => {
                let missing = || Error::Request("init is an image that is missing".to_owned());
                let source = request.start.as_ref().ok_or_else(missing)?;
                fitted(&read(source, observer)?, extent)?
            }
        };
        Ok(Self {
            extent,
            content,
            start,
            styles,
            chroma,
        })
    }
}

impl Inputs {
    /// What a person sees of `x`, `[1, 3, h, w]`, as the network takes it.
    pub fn shown(&self, x: &Tensor, means: Means) -> Result<Tensor, Error> {
        self.colored(from_network(x, means)?)
    }

    /// `image`, with the content's colours if it is to have them.
    pub fn colored(&self, image: Tensor) -> Result<Tensor, Error> {
        match &self.chroma {
            Some(colors) => with_chroma_of(&image, &fitted(colors, Extent::of(&image)?)?),
            None => Ok(image),
        }
    }
}

/// The size of a style image, no larger than it is ever used at: photographs of paintings are
/// large.
fn reduced(request: &Request, own: Extent, picture: Extent) -> Extent {
    let largest = scales::style(&request.parameters, own, picture);
    if largest.pixels() < own.pixels() {
        largest
    } else {
        own
    }
}

/// A mask at another size, 0 to 1, on the device.
pub(super) fn mask_at(mask: &Tensor, extent: Extent, device: Device) -> Result<Tensor, Error> {
    let mask = fitted(mask, extent)?.f_div_scalar(255.0)?;
    upload(&mask, device)
}

fn noise(extent: Extent, seed: u64) -> Result<Tensor, Error> {
    let shape = [1, 3, i64::from(extent.height), i64::from(extent.width)];
    tch::manual_seed(seed as i64);
    let (mean, deviation) = NOISE;
    Ok(Tensor::f_randn(shape, (Kind::Float, Device::Cpu))?
        .f_mul_scalar(deviation)?
        .f_add_scalar(mean)?
        .f_clamp(0.0, 255.0)?)
}

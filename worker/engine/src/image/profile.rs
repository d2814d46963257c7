//! What colours mean, and how they look in sRGB.

use ::image::Rgb32FImage;
use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorProfile, DataColorSpace, Layout, MatrixCoefficients,
    TransferCharacteristics, TransformOptions,
};

use crate::Cause;

/// What the colours of a picture mean.
pub(super) enum Profile {
    /// An ICC profile.
    Icc(Vec<u8>),
    /// Code points of ITU-T H.273.
    Coded {
        primaries: CicpColorPrimaries,
        transfer: TransferCharacteristics,
    },
}

impl Profile {
    /// The profile of code points; none if they say sRGB, or nothing.
    ///
    /// The curves of video cameras count as that of sRGB: screens show both alike.
    pub(super) fn coded(primaries: u8, transfer: u8) -> Option<Self> {
        use TransferCharacteristics as Transfer;
        let primaries = match CicpColorPrimaries::try_from(primaries) {
            Ok(CicpColorPrimaries::Unspecified) | Err(_) => CicpColorPrimaries::Bt709,
            Ok(known) => known,
        };
        let transfer = match Transfer::try_from(transfer) {
            Ok(
                Transfer::Unspecified
                | Transfer::Bt709
                | Transfer::Bt601
                | Transfer::Bt202010bit
                | Transfer::Bt202012bit,
            )
            | Err(_) => Transfer::Srgb,
            Ok(known) => known,
        };
        let is_srgb = primaries == CicpColorPrimaries::Bt709 && transfer == Transfer::Srgb;
        (!is_srgb).then_some(Self::Coded {
            primaries,
            transfer,
        })
    }
}

/// Converts colours in place; an error says why that is not possible.
pub(super) fn to_srgb(
    pixels: &mut Rgb32FImage,
    profile: &Profile,
    grey: bool,
) -> Result<(), Cause> {
    let profile = match profile {
        Profile::Icc(bytes) => icc(bytes)?,
        Profile::Coded {
            primaries,
            transfer,
        } => ColorProfile::new_from_cicp(CicpProfile {
            color_primaries: *primaries,
            transfer_characteristics: without_highlights(pixels, *transfer),
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        }),
    };
    let layout = match profile.color_space {
        DataColorSpace::Rgb => Layout::Rgb,
        DataColorSpace::Gray if grey => Layout::Gray,
        other => {
            return Err(
                format!("its colour profile is for {other:?}, which is not converted").into(),
            );
        }
    };
    let width = pixels.width();
    let transform = transform(&profile, layout)?;
    let mut to = vec![0.0; 3 * width as usize];
    for row in pixels.chunks_exact_mut(3 * width as usize) {
        let from: Vec<f32> = match layout {
            Layout::Gray => row.iter().step_by(3).copied().collect(),
            _ => row.to_vec(),
        };
        transform(&from, &mut to)?;
        for (value, converted) in row.iter_mut().zip(&to) {
            *value = converted.clamp(0.0, 1.0);
        }
    }
    Ok(())
}

/// Colours from the amounts of the inks C, M, Y, K, in 0 to `full`: by the ICC profile or, if that
/// cannot be used, as if the inks were perfect. Then the note says why.
pub(crate) fn from_cmyk<T: Copy + Into<f32>>(
    inks: &[T],
    full: f32,
    [width, height]: [u32; 2],
    profile: Option<&[u8]>,
) -> (Rgb32FImage, Option<String>) {
    let mut pixels = Rgb32FImage::new(width, height);
    let converted = profile.map(|bytes| -> Result<(), Cause> {
        let profile = icc(bytes)?;
        if profile.color_space != DataColorSpace::Cmyk {
            let space = profile.color_space;
            return Err(format!("its colour profile is for {space:?}, but it is in CMYK").into());
        }
        // Layouts only count channels.
        let transform = transform(&profile, Layout::Rgba)?;
        // The darkest colour on paper is not black, but it is shown as black, as littleCMS does.
        let mut darkest = [0.0; 3];
        transform(&[1.0; 4], &mut darkest)?;
        let [red, green, blue] = darkest.map(light);
        let black = (0.2126 * red + 0.7152 * green + 0.0722 * blue).clamp(0.0, 0.18);
        let rows = inks.chunks_exact(4 * width as usize);
        for (to, from) in pixels.chunks_exact_mut(3 * width as usize).zip(rows) {
            let from: Vec<f32> = from.iter().map(|&ink| ink.into() / full).collect();
            transform(&from, to)?;
            for value in to {
                *value = curve(((light(*value) - black) / (1.0 - black)).clamp(0.0, 1.0));
            }
        }
        Ok(())
    });
    if let Some(Ok(())) = converted {
        return (pixels, None);
    }
    for (to, from) in pixels.pixels_mut().zip(inks.as_chunks::<4>().0) {
        let [color @ .., black] = from.map(|ink| 1.0 - ink.into() / full);
        to.0 = color.map(|left| left * black);
    }
    let reason = converted.and_then(Result::err);
    let note = reason.map(|reason| format!("{reason}; its inks are taken for perfect ones"));
    (pixels, note)
}

fn icc(bytes: &[u8]) -> Result<ColorProfile, Cause> {
    ColorProfile::new_from_slice(bytes)
        .map_err(|e| Cause::new(format!("its colour profile cannot be read ({e})"), e))
}

/// Converts rows of pixels.
type Transform = Box<dyn Fn(&[f32], &mut [f32]) -> Result<(), Cause>>;

/// To sRGB.
fn transform(profile: &ColorProfile, layout: Layout) -> Result<Transform, Cause> {
    let transform = profile
        .create_transform_f32(
            layout,
            &ColorProfile::new_srgb(),
            Layout::Rgb,
            TransformOptions::default(),
        )
        .map_err(|e| Cause::new(format!("its colour profile cannot be converted ({e})"), e))?;
    Ok(Box::new(move |from, to| {
        transform
            .transform(from, to)
            .map_err(|e| Cause::new(format!("its colour profile cannot be applied ({e})"), e))
    }))
}

/// Gives HDR values the curve of sRGB, and cuts what is brighter than white to white. Returns the
/// curve that the values have now.
fn without_highlights(
    pixels: &mut Rgb32FImage,
    transfer: TransferCharacteristics,
) -> TransferCharacteristics {
    let light: fn(f32) -> f32 = match transfer {
        TransferCharacteristics::Smpte2084 => light_of_pq,
        TransferCharacteristics::Hlg => light_of_hlg,
        other => return other,
    };
    for value in pixels.iter_mut() {
        *value = curve(light(value.clamp(0.0, 1.0)).clamp(0.0, 1.0));
    }
    TransferCharacteristics::Srgb
}

/// ITU-R BT.2100, table 4, in units of its reference white of 203 cd/m² (BT.2408).
fn light_of_pq(value: f32) -> f32 {
    let root = value.powf(1.0 / 78.84375);
    let part = (root - 0.835_937_5).max(0.0) / (18.851_563 - 18.6875 * root);
    part.powf(1.0 / 0.159_301_76) * 10_000.0 / 203.0
}

/// ITU-R BT.2100, table 5, in units of its reference white, which has the value 0.75 (BT.2408).
fn light_of_hlg(value: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    let scene = |value: f32| {
        if value <= 0.5 {
            value * value / 3.0
        } else {
            (((value - 0.559_910_7) / A).exp() + 0.284_668_92) / 12.0
        }
    };
    scene(value) / scene(0.75)
}

/// The curve of sRGB (IEC 61966-2-1).
fn curve(light: f32) -> f32 {
    if light <= 0.003_130_8 {
        12.92 * light
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

/// The other way round.
fn light(value: f32) -> f32 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

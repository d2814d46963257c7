//! How stiff a picture's objective is, by spatial frequency.
//!
//! What a change of a picture does to its loss depends above all on how fine it is. L-BFGS takes
//! its first guess of the inverse Hessian from the newest pair, as a multiple of the identity
//! (Nocedal and Wright, "Numerical Optimization", equation 7.20); here it is one such multiple for
//! each octave of frequency, by what the newest pair says of that octave.

use tch::{Device, Kind, Tensor};

use crate::Error;
use crate::image::Extent;

/// Number of octaves, from the pixel grid's own down; coarser frequencies belong to the last.
const OCTAVES: usize = 7;
/// How far from the multiple for all frequencies that for an octave may be: a few frequencies say
/// little, and may say that the curvature is not convex.
const FARTHEST: f64 = 100.0;

/// The octaves of pictures of one size.
#[derive(Debug)]
pub(crate) struct Spectrum {
    height: i64,
    width: i64,
    /// Octave of each frequency, `[H * (W / 2 + 1)]`.
    octaves: Tensor,
    /// The frequencies in the order of their octaves.
    order: Tensor,
    /// How many frequencies each octave has.
    counts: Vec<i64>,
}

impl Spectrum {
    /// For pictures of size `extent`.
    pub fn new(extent: Extent, device: Device) -> Result<Self, Error> {
        let [height, width] = [extent.height, extent.width].map(i64::from);
        let on_cpu = (Kind::Float, Device::Cpu);
        let rows = Tensor::f_fft_fftfreq(height, 1.0, on_cpu)?.f_reshape([-1, 1])?;
        let columns = Tensor::f_fft_rfftfreq(width, 1.0, on_cpu)?.f_reshape([1, -1])?;
        // Cycles a pixel are a half at most, along either axis.
        let octaves = rows
            .f_square()?
            .f_add(&columns.f_square()?)?
            .f_mul_scalar(4.0)?
            .f_clamp_min(f64::from(f32::MIN_POSITIVE))?
            .f_log2()?
            .f_mul_scalar(-0.5)?
            .f_floor()?
            .f_clamp(0.0, (OCTAVES - 1) as f64)?
            .f_to_kind(Kind::Int64)?
            .f_reshape([-1])?;
        let counts = octaves.f_bincount(None::<&Tensor>, OCTAVES as i64)?;
        Ok(Self {
            height,
            width,
            order: octaves.f_argsort(0, false)?.f_to_device(device)?,
            counts: Vec::try_from(&counts)?,
            octaves: octaves.f_to_device(device)?,
        })
    }

    /// For each octave, s.y / y.y of a pair of flat pictures, where `gamma` is that of all octaves
    /// together; on the device.
    pub fn gammas(&self, s: &Tensor, y: &Tensor, gamma: &Tensor) -> Result<Tensor, Error> {
        let (s, y) = (self.of(s)?, self.of(y)?);
        let sy = self.by_octave(&s.f_mul(&y.f_conj()?)?.f_real()?)?;
        let yy = self.by_octave(&y.f_abs()?.f_square()?)?;
        let least = gamma.f_div_scalar(FARTHEST)?;
        let most = gamma.f_mul_scalar(FARTHEST)?;
        Ok(sy
            .f_div(&yy)?
            .f_nan_to_num(0.0, None, None)?
            .f_clamp_tensor(Some(&least), Some(&most))?)
    }

    /// A flat picture with each octave multiplied by its factor.
    pub fn scaled(&self, picture: &Tensor, factors: &Tensor) -> Result<Tensor, Error> {
        let factors = factors
            .f_index_select(0, &self.octaves)?
            .f_reshape([self.height, -1])?;
        let sides = [self.height, self.width];
        let scaled = self.of(picture)?.f_mul_(&factors)?;
        Ok(scaled
            .f_fft_irfft2(sides.as_slice(), [-2, -1].as_slice(), "ortho")?
            .f_reshape([-1])?)
    }

    /// Amplitudes of a flat picture's frequencies, `[3, H, W / 2 + 1]`, complex.
    fn of(&self, picture: &Tensor) -> Result<Tensor, Error> {
        Ok(picture
            .f_reshape([-1, self.height, self.width])?
            .f_fft_rfft2(None::<&[i64]>, [-2, -1].as_slice(), "ortho")?)
    }

    /// Sums over the frequencies of each octave, and over the channels.
    fn by_octave(&self, values: &Tensor) -> Result<Tensor, Error> {
        let all = values
            .f_sum_dim_intlist([0].as_slice(), false, Kind::Float)?
            .f_reshape([-1])?
            .f_index_select(0, &self.order)?;
        let octaves = all.f_split_with_sizes(self.counts.as_slice(), 0)?;
        let sums = octaves.iter().map(|octave| octave.f_sum(Kind::Float));
        Ok(Tensor::f_stack(&sums.collect::<Result<Vec<_>, _>>()?, 0)?)
    }
}

//! The formulae of what each position adds to the loss by itself.

use tch::{Kind, Tensor};

use stylefleet_model::stylize::TotalVariation;

use crate::Error;

/// Sum of the squares of the differences, 32-bit.
pub(super) fn squares(found: &Tensor, wanted: &Tensor) -> Result<Tensor, Error> {
    Ok(found
        .f_to_kind(Kind::Float)?
        .f_sub(&wanted.f_to_kind(Kind::Float)?)?
        .f_square()?
        .f_sum(Kind::Float)?)
}

/// [`TotalVariation`] of the `rows` by `columns` first pixels, not yet weighted. Where the picture
/// goes on beyond them, `pixels` has one row or column more.
pub(super) fn total_variation(
    kind: TotalVariation,
    pixels: &Tensor,
    [rows, columns]: [i64; 2],
) -> Result<Tensor, Error> {
    let (_, _, height, width) = pixels.size4()?;
    let dy = pixels
        .f_narrow(2, 1, height - 1)?
        .f_sub(&pixels.f_narrow(2, 0, height - 1)?)?
        .f_narrow(3, 0, columns)?;
    let dx = pixels
        .f_narrow(3, 1, width - 1)?
        .f_sub(&pixels.f_narrow(3, 0, width - 1)?)?
        .f_narrow(2, 0, rows)?;
    Ok(match kind {
        TotalVariation::Notebook => {
            let dy = dy.f_narrow(3, 0, width - 1)?;
            let dx = dx.f_narrow(2, 0, height - 1)?;
            dy.f_square()?
                .f_add(&dx.f_square()?)?
                .f_pow_tensor_scalar(1.25)?
                .f_sum(Kind::Float)?
        }
        TotalVariation::L1 => dy
            .f_abs()?
            .f_sum(Kind::Float)?
            .f_add(&dx.f_abs()?.f_sum(Kind::Float)?)?,
        TotalVariation::L2 => dy
            .f_square()?
            .f_sum(Kind::Float)?
            .f_add(&dx.f_square()?.f_sum(Kind::Float)?)?,
    })
}

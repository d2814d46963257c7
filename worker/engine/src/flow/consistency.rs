//! Where a flow can be relied on: Ruder et al., "Artistic Style Transfer for Videos" (arXiv
//! 1604.08610), section 4.1, after Sundaram et al. (ECCV 2010).

use tch::{Kind, Tensor};

use super::filters::slopes;
use super::warped;
use crate::Error;

/// 1 where `flow` leads to a thing that is seen in both pictures, and 0 where that is covered or
/// outside in the other, or where things of different motion meet: `[1, 1, H, W]`. `back` is the
/// flow from the other picture to this one.
pub(crate) fn reliable(flow: &Tensor, back: &Tensor) -> Result<Tensor, Error> {
    let (returned, inside) = warped(back, flow)?;
    let squares = |x: &Tensor| x.f_square()?.f_sum_dim_intlist(1, true, Kind::Float);
    let length = squares(flow)?;
    // Equation 4: there and back again has to end where it began.
    let bound = length
        .f_add(&squares(&returned)?)?
        .f_mul_scalar(0.01)?
        .f_add_scalar(0.5)?;
    let returns = squares(&flow.f_add(&returned)?)?.f_le_tensor(&bound)?;
    // Equation 5: edges of motion are not precise.
    let [right, down] = slopes(flow)?;
    let change = squares(&right)?.f_add(&squares(&down)?)?;
    let bound = length.f_mul_scalar(0.01)?.f_add_scalar(0.002)?;
    let even = change.f_le_tensor(&bound)?;
    Ok(returns
        .f_logical_and(&even)?
        .f_to_kind(Kind::Float)?
        .f_mul(&inside)?)
}

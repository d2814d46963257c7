//! The kind of job that trains a style network, which then redraws any picture in one pass (Johnson
//! et al., arXiv 1603.08155), in one style or several (Dumoulin et al., arXiv 1610.07629). It is
//! trained for the objective that pictures of the kind `stylize` are optimised for.

mod photographs;
mod specification;
mod table;
mod training;

pub use photographs::{MAX_PHOTOGRAPHS, MIN_PHOTOGRAPHS, Photograph, Photographs};
pub use specification::{Train, objective, objective_of};
pub use training::{Overrides, Training, table};

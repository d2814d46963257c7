//! Image files in and out, and colours.

mod colors;
mod decode;
mod encode;
mod tiff;

pub(crate) use colors::{grey, recolored, with_chroma_of, with_histogram_of};
pub(crate) use decode::decode;
pub(crate) use encode::encode;

#[cfg(test)]
mod tests;

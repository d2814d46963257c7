//! Image files in and out, and colours.

mod coded;
mod colors;
mod decode;
mod encode;
mod extent;
mod heif;
mod jpeg;
mod jpeg_xl;
mod profile;
mod tiff;

pub(crate) use colors::{grey, recolored, with_chroma_of, with_histogram_of};
pub(crate) use decode::decode;
pub(crate) use encode::{encode, pixels_of};
pub(crate) use extent::{Extent, fitted, resized};

#[cfg(test)]
mod formats;
#[cfg(test)]
mod tests;

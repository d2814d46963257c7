//! A picture as an output of a job.

use stylefleet_model::stylize::Format;

use crate::{Error, Output};

/// A picture that `encode` makes, in `format`.
pub(super) fn output(
    format: Format,
    encode: impl FnOnce() -> Result<Vec<u8>, Error> + Send + 'static,
) -> Output {
    Output {
        role: "picture",
        media_type: match format {
            Format::Png => "image/png",
            Format::Jpeg => "image/jpeg",
            Format::Tiff => "image/tiff",
        },
        ending: format.extension(),
        encode: Box::new(encode),
    }
}

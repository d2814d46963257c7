//! Jobs of the kind `apply`: pictures that a trained network redraws. The model is read and every
//! style found in it, every content is found and every picture named, and a job comes of each.

mod asked;
mod jobs;
mod options;
mod plan;

pub use asked::Asked;
pub use options::ApplyOptions;
pub use plan::ApplyPlan;

/// What follows the options in the long help of `apply`.
pub const MANUAL: &str = "\
Examples:
  Every photo in a folder, in every style that the model has:
    stylefleet apply --model sea.safetensors photos
  A blend of two of its styles, in the photo's own colours:
    stylefleet apply --model sea.safetensors boat.jpg --style wave=2 --style night \\
        --keep-colors luminance

Models are made by `stylefleet train`, or converted from those of PyTorch's fast_neural_style with
deploy/setup/model.py; `stylefleet models show` says what one has. `stylefleet submit --model` has a
fleet do the same. `stylefleet run --help` explains contents, names and events.

Exit codes: 0 all done, 1 some failed, 2 wrong usage, 130 interrupted.";

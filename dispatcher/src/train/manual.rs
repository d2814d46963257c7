//! What the long help of `train` and `submit-train` says.

/// What follows the options in the long help of `train`.
pub const TRAIN: &str = "\
Examples:
  A network of one style, as sea.safetensors:
    stylefleet train --style wave.jpg --photos ~/Pictures --recursive --out sea.safetensors
  Two styles in one network of half the width, with a picture of samples every 200 steps:
    stylefleet train --style wave.jpg --style night.jpg=stars --photos 'photos/*.jpg' \\
        --width 16 --preview-every 200 --out two.safetensors
  For videos: taught to draw moving things alike (the figure heldout.temporal.error says how far
  off they are, in grey levels):
    stylefleet train --style wave.jpg --photos ~/Pictures --temporal-weight 0.1 \\
        --out film.safetensors

Photographs:
  What they show is what the network learns to redraw; a few thousand are usual, 8 the least. Some
  are kept back, and show how it does with what it has not seen (the figure heldout.loss). One that
  cannot be read is left out, with a note. They are named as contents are in `run`.

Files, beside NAME.safetensors:
  NAME.json       its record
  NAME.sample.*   photographs that were kept back, in the styles
  NAME.svg        with --curve: how the loss fell
  NAME.previews   with --preview-every: samples along the way
  Nothing is written over: where the name is taken, the new model gets a number, as in NAME-2.

Events (--json) are those of `run`, and left-out, of an input that the job does without.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.";

/// What follows the options in the long help of `submit-train`.
pub const SUBMIT: &str = "\
Example:
  stylefleet submit-train --style wave.jpg --photos s3://albums/2026/ --out sea.safetensors --wait

`stylefleet train --help` explains photographs and files; `stylefleet --help` the environment.

Events (--json) are those of `submit`, and left-out, of an input that the job does without.

Exit codes: 0 accepted, 1 not asked for, or, with --wait, not done, 2 wrong usage,
130 interrupted.";

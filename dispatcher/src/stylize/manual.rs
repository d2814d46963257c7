//! What the long help of `run` and `submit` says of pictures.

use crate::stylize::parameters::presets;

/// What follows the options in the long help of `submit`.
pub const SUBMIT: &str = "\
Examples:
  stylefleet submit photos --style starry_night.jpg --batch nightly
  stylefleet submit --file batch.toml --priority high --wait --out pictures
  stylefleet submit s3://albums/2026/ --style s3://albums/styles/a.jpg
  stylefleet submit photos --model sea.safetensors

`stylefleet run --help` explains contents, presets and batch files; `stylefleet --help` the
environment.

Events (--json): submitted, with the batch's name and counts, failed for each picture that could not
be asked for, and passed-over; with --wait also those of `run` but stopping, and cancelled.

Exit codes: 0 all accepted, 1 some pictures could not be asked for, or, with --wait, not be made,
2 wrong usage, 130 interrupted.";

/// What follows the options in the long help of `run`.
pub fn run() -> String {
    format!(
        "\
Examples:
  One picture in one style, as out/harbour.starry_night.png:
    stylefleet run harbour.jpg --style starry_night.jpg
  Every photo in a folder in each of two styles, on two devices:
    stylefleet run photos --style a.jpg --style b.jpg --device cuda:0,cuda:1
  A blend of two styles, larger, in the photo's own colours:
    stylefleet run harbour.jpg --style a.jpg=2 --style b.jpg=1 --size 1024 --keep-colors luminance
  The objective of a well-known notebook, until its loss is 1e9:
    stylefleet run harbour.jpg --style a.jpg --preset notebook --stop-below 1e9

Contents:
  Images are PNG, JPEG, WebP, TIFF, GIF, BMP, HEIC, AVIF and JPEG XL files. Of a folder, those with
  the endings of these formats are taken, such as .jpg, .jfif, .tif or .heic, and files without an
  ending that are such images; with --recursive those in its subfolders too. Other files are
  passed over and counted, hidden files and what was made here without a word.
  Those in buckets are s3://bucket/key, and s3://bucket/folder/ for the images in it, by their
  endings.
  A CONTENT that is not there is a pattern: * and ? for any characters and any one, [a-z] for one
  of these, {{a,b}} for either, ** for folders however deep. Quote it, or the shell expands it. A
  part of it that is there by that very name means itself, as in '[2024] trip/*.jpg'.

Names:
  A picture is called CONTENT.STYLE, in a subfolder if its content is in one. Where two would
  get one name, the later ones end in -2, -3, ...
  Nothing in DIR is written over. Where a name is taken, by a picture of another CONTENT or with
  other options, or by a file of yours, the new picture gets a number and keeps it from then on.
  The .json beside a picture says what it is of. A picture that you changed is left as it is; as
  it was made, it comes again under a number.

Presets (the others where they differ from the first):
{presets}
Batch file:
{batch}
Events (--json), told apart by their field \"event\":
  started, progress, note, interrupted  of a job: the fields \"job\" and \"name\", and their own
  previewed, finished, kept, failed     of a result; the first three with its \"file\", and with all
                                        its \"files\" where it has more than one
  passed-over                           of a folder or pattern with other files than images
  stopping, summary                     of the run

Environment:
  STYLEFLEET_WORKER  the worker's command [default: stylefleet-worker, beside this or in PATH]
  STYLEFLEET_LOG     what to log to standard error, as in debug [default: stylefleet=warn]
  STYLEFLEET_WEIGHTS, STYLEFLEET_CACHE, STYLEFLEET_THREADS and STYLEFLEET_CHECKPOINT_SECONDS are
  the worker's: see stylefleet-worker settings

Exit codes: 0 all done, 1 some failed, 2 wrong usage, 130 interrupted.",
        presets = presets(),
        batch = indent(include_str!("batch.example.toml")),
    )
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

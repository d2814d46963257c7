//! The options of `video` and `submit-video`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Arg;
use stylefleet_model::stylize;
use stylefleet_model::video::{self, Codec, MAX_FRAMES};
use stylefleet_model::{Choice, Heading, Parameter};
use stylefleet_video::Ratio;

use super::plan::VideoPlan;
use crate::images::buckets::Buckets;
use crate::local::WHOLE;
use crate::order::{Order, OrderError};
use crate::stylize::parameters;
use crate::table::{self, Table, TableArgs};

/// The heading of options that say what is read and written.
const FILES: &str = "The files";

/// The options of `video` and `submit-video`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("style", |style| style.required_unless_present("model")))]
pub struct VideoOptions {
    /// Video to redraw: a file, or numbered images, as in 'frames/%05d.png'
    pub clip: PathBuf,

    /// Style to redraw it in; give it several times for a blend
    ///
    /// WEIGHT: share in the blend relative to the others, greater than 0, at most 1e6, 1 where
    /// there is none. With --model, styles go by their names in the model.
    #[arg(long, value_name = "IMAGE[=WEIGHT]")]
    pub style: Vec<PathBuf>,

    /// Redraw each frame with this model, by itself and fast, instead of optimising it
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// Where in the frames a style counts: an image, white for everywhere, black for nowhere, greys
    /// between; as many as styles, in their order, none for a style that counts everywhere
    #[arg(long, value_name = "IMAGE")]
    pub mask: Option<Vec<PathBuf>>,

    /// Video codec: h264, hevc, vp9, av1, prores, ffv1; png, jpeg and tiff for numbered images
    /// [default: what the ending of --out asks for]
    #[arg(long, value_parser = Codec::from_word, help_heading = FILES)]
    pub codec: Option<Codec>,

    /// Constant quality, 0 best, 51 or 63 worst [default: no loss that one sees]
    #[arg(long, value_name = "N", help_heading = FILES)]
    pub crf: Option<u8>,

    /// Bits of each sample: 8 or 10, 16 for images [default: the clip's, if the codec has them]
    #[arg(long, value_name = "BITS", help_heading = FILES)]
    pub depth: Option<u8>,

    /// Begin so many seconds after the clip's start
    #[arg(long, value_name = "SECONDS", help_heading = FILES)]
    pub from: Option<f64>,

    /// End so many seconds after the clip's start
    #[arg(long, value_name = "SECONDS", help_heading = FILES)]
    pub to: Option<f64>,

    /// Frames a second of numbered images, as in 25 or 30000/1001 [default: 25]
    #[arg(long, value_name = "N", help_heading = FILES)]
    pub rate: Option<Ratio>,

    /// Most frames of a chunk, which one worker makes [default: 96, and 240 with --model]
    ///
    /// More chunks can be made side by side, but each costs about ten frames more to hold it to the
    /// next.
    #[arg(long, value_name = "N", value_parser = chunk(), help_heading = FILES)]
    pub chunk: Option<u32>,

    /// How to redraw the frames.
    #[command(flatten)]
    pub parameters: TableArgs<Frames>,

    /// Hold frames together by optical flow that others computed, in .flo files of this folder
    ///
    /// forward_1_2.flo leads from each pixel of frame 1 to where it is in frame 2, backward_2_1.flo
    /// from frame 2 back to frame 1, and so on; with --long-term also over 2 and 4 frames. Frames
    /// count from 1, and --from is where they begin. The files have the clip's size, or that of the
    /// new frames.
    #[arg(long, value_name = "DIR", help_heading = Heading::Time.title())]
    pub flow: Option<PathBuf>,

    /// How to hold them together.
    #[command(flatten)]
    pub temporal: TableArgs<video::Overrides>,

    /// Largest image and largest frame accepted, in pixels, 1 or more [default: 100 million]
    #[arg(long, value_name = "N", help_heading = WHOLE)]
    pub max_pixels: Option<NonZero<u64>>,
}

fn chunk() -> clap::builder::RangedI64ValueParser<u32> {
    // One more is shared with the next chunk.
    clap::value_parser!(u32).range(2..MAX_FRAMES as i64)
}

/// The parameters of pictures, but for those that videos have not.
#[derive(Debug, Clone, Default)]
pub struct Frames(pub stylize::Overrides);

impl Table for Frames {
    fn options() -> Vec<Arg> {
        let rows = stylize::table().iter().filter(|row| row.field != "format");
        let mut options = parameters::options::<Self>("all parameters", rows.clone());
        for row in rows.filter(|row| row.field == "size") {
            let row = Parameter {
                default: Some("the clip's own".to_owned()),
                ..row.clone()
            };
            options.retain(|option| option.get_id() != row.name().as_str());
            options.insert(1, table::option::<Self>(&row));
        }
        options
    }

    fn give(&mut self, name: &str, written: &str) -> Result<bool, String> {
        self.0.give(name, written)
    }
}

impl Table for video::Overrides {
    fn options() -> Vec<Arg> {
        video::table().iter().map(table::option::<Self>).collect()
    }

    fn give(&mut self, name: &str, written: &str) -> Result<bool, String> {
        self.set(name, written).map_err(|invalid| invalid.reason)
    }
}

impl Order for VideoOptions {
    type Plan = VideoPlan;

    async fn plan(self, buckets: &Buckets) -> Result<VideoPlan, OrderError> {
        VideoPlan::new(self, buckets).await
    }
}

//! The table of the parameters that hold a video together, in the form of that of
//! [`stylize`](crate::stylize::table).

/// Passes the rows to the macro `$use`, after what else is given to it.
#[macro_export]
#[doc(hidden)]
macro_rules! with_temporal_parameters {
    ($use:ident, $($before:tt)*) => {
        $use! {
            $($before)*

            /// How strongly frames are held to the frame before
            ///
            /// 0: not at all. 1: a picture that is everywhere 10 grey levels off what the frame
            /// before shows adds as much to the loss as all else had at the first frame's end. More
            /// holds frames together better, and leaves them less of the style.
            temporal_weight: f64 {
                heading: Time, value: "X", alias: [], range: 0.0..=1e6,
                default: |_| 0.1,
            }

            /// Evaluations of each frame that has one before it
            frame_evaluations: u32 {
                heading: Time, value: "N", alias: [], range: 1..=100_000,
                default: |evaluations| evaluations.div_ceil(3),
            }

            /// Hold frames to those 2 and 4 before too, for things that were covered in between
            long_term: bool {
                heading: Time, value: "true|false", alias: [],
                default: |_| false,
            }

            /// How often the frames are gone through: forwards first, then back, and so on
            passes: u32 {
                heading: Time, value: "N", alias: [], range: 1..=20,
                default: |_| 1,
            }
        }
    };
}

pub(super) use with_temporal_parameters;

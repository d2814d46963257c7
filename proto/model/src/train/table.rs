//! The table of the parameters of training, in the form of that of
//! [`stylize`](crate::stylize::table).

/// Passes the rows to the macro `$use`, after what else is given to it.
#[macro_export]
#[doc(hidden)]
macro_rules! with_training_parameters {
    ($use:ident, $($before:tt)*) => {
        $use! {
            $($before)*

            /// Steps of training
            ///
            /// The loss falls fast at first, then ever more slowly.
            steps: u32 {
                heading: Training, value: "N", alias: [], range: 1..=1_000_000,
                default: |()| 16_000,
            }

            /// Side of the samples, squares cut out of the photographs, in pixels; a multiple of 4
            size: u32 {
                heading: Training, value: "N", alias: [], range: 16..=2048,
                default: |()| 256,
            }

            /// Samples of a step
            ///
            /// Of as many samples a network learns most in steps of one.
            batch: u32 {
                heading: Training, value: "N", alias: ["batch-size"], range: 1..=64,
                default: |()| 1,
            }

            /// Channels of the network at the picture's full size
            ///
            /// 32 is usual (Johnson et al.). With 16 the model is a quarter as large and makes
            /// pictures in less than half the time, and draws more coarsely.
            width: u32 {
                heading: Training, value: "N", alias: [], range: WIDTHS,
                default: |()| 32,
            }

            /// Learning rate of Adam
            learning_rate: f64 {
                heading: Training, value: "X", alias: ["lr"], range: Limits::POSITIVE,
                default: |()| 4e-3,
            }

            /// How strongly what moves is to be drawn alike before and after, for videos
            ///
            /// 0: not at all. 1: where pictures of a photograph before and after a known motion
            /// are 10 grey levels off each other, that adds as much to the loss as all else. More
            /// leaves less of the style: 0.1 is a good beginning. A step takes longer, since it
            /// draws two pictures.
            temporal_weight: f64 {
                heading: Training, value: "X", alias: [], range: 0.0..=1e6,
                default: |()| 0.0,
            }

            /// Seed of the network's first weights and of the order of the photographs, 0 or more
            seed: u64 {
                heading: Training, value: "N", alias: [],
                default: |()| 0,
            }
        }
    };
}

pub(super) use with_training_parameters;

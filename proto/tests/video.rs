//! Chunks of videos as jobs.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use stylefleet_model::apply::{Apply, Share};
use stylefleet_model::stylize::{Format, KeepColors, Precision, Preset, Size, Stylize};
use stylefleet_model::video::{Chunk, Codec, Encoding, Temporal, TimeBase, Video, Way};
use stylefleet_model::{Choice, Valid};
use stylefleet_proto::Specification;

const SIZE: Size = Size::Exact {
    width: 640,
    height: 360,
};

fn optimised() -> Way {
    let mut parameters = Preset::Gatys.parameters();
    parameters.size = SIZE;
    Way::Optimize {
        picture: Stylize {
            weights: vec![1.0, 2.5],
            parameters,
        },
        temporal: Temporal {
            temporal_weight: 0.25,
            frame_evaluations: 17,
            long_term: true,
            passes: 3,
        },
    }
}

fn applied() -> Way {
    Way::Apply(Apply {
        styles: vec![Share {
            style: "night".parse().expect("a name"),
            weight: 2.0,
        }],
        size: Some(SIZE),
        keep_colors: KeepColors::Luminance,
        format: Format::Png,
        precision: Precision::F32,
    })
}

fn video(way: Way, codec: Codec) -> Valid<Video> {
    let video = Video {
        chunk: Chunk {
            times: vec![-512, 0, 1024, 1025, i64::MAX / 4],
            time_base: TimeBase {
                numerator: 1,
                denominator: 12_800,
            },
            start: -1024,
            is_shared: true,
        },
        way,
        encoding: Encoding::new(codec, None, None).expect("is valid"),
    };
    Valid::new(video).expect("is valid")
}

#[test]
fn what_is_asked_is_what_was_asked() {
    for &codec in Codec::ALL {
        for way in [optimised(), applied()] {
            let asked = video(way, codec);
            let read = Valid::<Video>::decode(&asked.encode()).expect("is read");
            assert_eq!(read, asked);
            let json = serde_json::to_string(&asked).expect("is JSON");
            let read: Video = serde_json::from_str(&json).expect("is read");
            assert_eq!(read, *asked);
        }
    }
}

#[test]
fn a_message_of_a_long_chunk_is_small() {
    let mut video = video(optimised(), Codec::H264).into_inner();
    video.chunk.times = (0..1024).map(|frame| (1 << 40) + 3003 * frame).collect();
    let asked = Valid::new(video).expect("is valid");
    // The broker takes 1 MiB.
    assert!(asked.encode().len() < 10_000, "{}", asked.encode().len());
}

#[test]
fn a_message_that_lacks_something_is_refused() {
    let whole = video(optimised(), Codec::H264).encode();
    assert!(Valid::<Video>::decode(&[]).is_err());
    let refused = (0..whole.len()).filter(|&end| Valid::<Video>::decode(&whole[..end]).is_err());
    assert!(refused.count() > whole.len() / 2);
}

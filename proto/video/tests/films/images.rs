//! Numbered images in and out.

use std::fs;

use stylefleet_video::{Clip, Codec, Depth, Encoding, Ratio, Span, to_clip};

use crate::common::Films;

const RATE: Ratio = Ratio {
    num: 24000,
    den: 1001,
};

fn clip_of(films: &Films, pattern: &str) -> Clip {
    to_clip(
        &films.tools,
        &films.path(pattern),
        RATE,
        &films.path("images.nut"),
    )
    .unwrap();
    films.probe("images.nut").unwrap()
}

#[test]
fn images_are_a_clip() {
    for ending in ["png", "jpg", "tiff", "bmp"] {
        let films = Films::new();
        films.make(&format!(
            "-f lavfi -i testsrc=size=61x33:rate=24 -frames:v 12 -start_number 1001 %04d.{ending}"
        ));
        let clip = clip_of(&films, &format!("%04d.{ending}"));
        assert_eq!(clip.size, [61, 33], "{ending}");
        let pts = films.pts(&clip, Span::default());
        assert_eq!(pts.len(), 12, "{ending}");
        let eleven = (pts[11] - pts[0]) as f64 * clip.time_base.value();
        assert!(
            (eleven - 11.0 * 1001.0 / 24000.0).abs() < 1e-9,
            "{ending}: {eleven}"
        );
        let frames = films.decode(&clip, &pts[6..7], Depth::Eight);
        assert_eq!(frames, films.decode(&clip, &pts, Depth::Eight)[6..7]);
    }
}

#[test]
fn images_come_through_as_they_were() {
    for (ending, bits, codec) in [
        ("png", 8, Codec::Png),
        ("png", 16, Codec::Png),
        ("tif", 16, Codec::Tiff),
    ] {
        let films = Films::new();
        let format = if bits == 16 { "rgb48be" } else { "rgb24" };
        films.make(&format!(
            "-f lavfi -i testsrc=size=61x33:rate=24 -vf format=gbrp16le,noise=alls=5 -frames:v 5 \
             -pix_fmt {format} in%d.png"
        ));
        let clip = clip_of(&films, "in%d.png");
        assert_eq!(clip.bits, bits);
        let encoding = Encoding::new(codec, None, Some(bits)).unwrap();
        fs::create_dir(films.path("out")).unwrap();
        films.through(
            &clip,
            Span::default(),
            2,
            encoding,
            &format!("out/%03d.{ending}"),
        );
        let depth = if bits == 16 {
            Depth::Sixteen
        } else {
            Depth::Eight
        };
        let before = films.decode(&clip, &films.pts(&clip, Span::default()), depth);
        let made = clip_of(&films, &format!("out/%03d.{ending}"));
        assert!(films.path("out").join(format!("001.{ending}")).exists());
        let after = films.decode(&made, &films.pts(&made, Span::default()), depth);
        assert!(before == after, "{codec} of {bits} bits");
    }
}

#[test]
fn jpeg_is_close() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc=size=61x33:rate=24 -frames:v 2 in%d.png");
    let clip = clip_of(&films, "in%d.png");
    films.through(
        &clip,
        Span::default(),
        2,
        Encoding::new(Codec::Jpeg, None, None).unwrap(),
        "out%d.jpg",
    );
    let before = films.decode(&clip, &films.pts(&clip, Span::default()), Depth::Eight);
    let made = clip_of(&films, "out%d.jpg");
    let after = films.decode(&made, &films.pts(&made, Span::default()), Depth::Eight);
    for (before, after) in before.iter().zip(&after) {
        let error = before
            .iter()
            .zip(after)
            .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        let rms = (error.sum::<f64>() / before.len() as f64).sqrt();
        assert!(rms < 6.0, "{rms}");
    }
}

#[test]
fn a_missing_image_is_told() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=32x32:rate=24 -frames:v 5 in%d.png");
    fs::remove_file(films.path("in3.png")).unwrap();
    let make = |pattern: &str| {
        to_clip(
            &films.tools,
            &films.path(pattern),
            RATE,
            &films.path("images.nut"),
        )
        .unwrap_err()
        .to_string()
    };
    assert!(make("in%d.png").ends_with("the image with number 3 is missing"));
    assert!(make("other%d.png").ends_with("there is no such image"));
    assert!(make("in1.png").ends_with("number the images, as in frames/%05d.png"));
    fs::write(films.path("bad1.png"), "no picture").unwrap();
    assert!(
        make("bad%d.png").starts_with("cannot read "),
        "{}",
        make("bad%d.png")
    );
}

//! Every format as phones and programs write it, compared with other decoders
//! (`golden/pictures/make.py`), and damaged in every way.

use std::fs::read;
use std::path::PathBuf;

use ::image::{DynamicImage, ExtendedColorType, ImageEncoder, RgbImage, load_from_memory};

use super::*;
use crate::error::source_of;
use crate::{Error, Source};

const LIMIT: u64 = 1 << 20;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden/pictures")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    read(path(name)).expect("is there")
}

fn decoded(name: &str) -> decode::Decoded {
    decode(&Source::new(name, bytes(name)), LIMIT).expect("decodes")
}

fn refusal(bytes: Vec<u8>, limit: u64) -> String {
    match decode(&Source::new("picture", bytes), limit) {
        Err(Error::Image { reason, .. }) => reason.to_string(),
        other => panic!("was not refused: {other:?}"),
    }
}

fn golden(name: &str) -> RgbImage {
    load_from_memory(&bytes(name))
        .expect("is a PNG")
        .into_rgb8()
}

/// The mean and the largest difference in levels.
fn difference(found: &DynamicImage, right: &RgbImage) -> (f64, u8) {
    let found = found.to_rgb8();
    assert_eq!(found.dimensions(), right.dimensions());
    let pairs = found.as_raw().iter().zip(right.as_raw());
    let differences: Vec<u8> = pairs.map(|(a, b)| a.abs_diff(*b)).collect();
    let sum: f64 = differences.iter().copied().map(f64::from).sum();
    let worst = differences.iter().copied().max().expect("has pixels");
    (sum / differences.len() as f64, worst)
}

#[test]
fn pictures_look_as_other_decoders_see_them() {
    // The mean and the largest difference that lossy coding may make.
    let exact = (0.0, 0);
    let lossy = (2.0, 12);
    for (name, (mean, largest)) in [
        ("alpha.avif", lossy),
        ("alpha.heic", lossy),
        ("alpha.jxl", (0.5, 1)),
        ("bright.avif", lossy),
        ("clear.gif", exact),
        ("cmyk.jpg", lossy),
        ("deep.avif", lossy),
        ("deep.heic", lossy),
        ("deep.jxl", (0.5, 1)),
        ("grey.jxl", exact),
        ("icc.heic", lossy),
        ("lossy.jxl", lossy),
        ("moving.gif", exact),
        ("p3.heic", lossy),
        ("palette.bmp", exact),
        ("plain.bmp", exact),
        ("progressive.jpg", lossy),
        ("restarts.jpg", lossy),
        ("ycck.jpg", lossy),
    ] {
        let found = decoded(name);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
        let right = golden(&format!("{name}.png"));
        let difference = difference(&found.pixels, &right);
        assert!(
            difference.0 <= mean && difference.1 <= largest,
            "{name}: {difference:?}"
        );
    }
}

#[test]
fn ten_bits_are_kept() {
    for name in ["deep.heic", "deep.avif", "deep.jxl"] {
        let pixels = decoded(name).pixels;
        assert!(
            matches!(pixels, DynamicImage::ImageRgb16(_)),
            "{name}: {:?}",
            pixels.color()
        );
    }
}

/// Whatever the format calls it, and only once if both the container and EXIF say it.
#[test]
fn every_format_is_turned_upright() {
    let right = golden("upright.png");
    for orientation in 1..=8 {
        for format in ["jpg", "heic", "avif", "jxl"] {
            let name = format!("turned{orientation}.{format}");
            let difference = difference(&decoded(&name).pixels, &right);
            assert!(difference.0 < 2.5, "{name}: {difference:?}");
        }
        for prefix in ["", "Exif\0\0"] {
            let (size, pixels) = turned(orientation, &right);
            let exif = [prefix.as_bytes(), &exif(orientation)].concat();
            for file in with_exif(size, &pixels, &exif) {
                let found = decode(&Source::new("picture", file), LIMIT).expect("decodes");
                assert_eq!(found.pixels.to_rgb8(), right, "{orientation}, {prefix:?}");
            }
        }
    }
}

#[test]
fn damaged_exif_turns_nothing() {
    let right = golden("upright.png");
    let whole = exif(6);
    for length in 0..whole.len() {
        let (size, pixels) = ([48, 32], right.as_raw());
        for file in with_exif(size, pixels, &whole[..length]) {
            let found = decode(&Source::new("picture", file), LIMIT).expect("decodes");
            assert!(found.notes.is_empty());
        }
    }
    let mut invalid = whole;
    invalid[19] = 77;
    for file in with_exif([48, 32], right.as_raw(), &invalid) {
        let found = decode(&Source::new("picture", file), LIMIT).expect("decodes");
        assert_eq!(found.pixels.to_rgb8(), right);
    }
}

fn exif(orientation: u8) -> Vec<u8> {
    let entry = [1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    [b"MM\0*\0\0\0\x08\0\x01".as_slice(), &entry, &[0; 4]].concat()
}

/// The picture as a camera stores it that says how to turn it back.
fn turned(orientation: u8, upright: &RgbImage) -> ([u32; 2], Vec<u8>) {
    let inverse = match orientation {
        6 => 8,
        8 => 6,
        other => other,
    };
    let mut image = DynamicImage::from(upright.clone());
    let inverse = ::image::metadata::Orientation::from_exif(inverse).expect("is one");
    image.apply_orientation(inverse);
    ([image.width(), image.height()], image.into_bytes())
}

/// A PNG and a WebP.
fn with_exif([width, height]: [u32; 2], pixels: &[u8], exif: &[u8]) -> [Vec<u8>; 2] {
    let (mut png, mut webp) = (Vec::new(), Vec::new());
    let mut encoder = ::image::codecs::png::PngEncoder::new(&mut png);
    encoder.set_exif_metadata(exif.to_vec()).expect("takes it");
    encoder
        .write_image(pixels, width, height, ExtendedColorType::Rgb8)
        .expect("encodes");
    let mut encoder = ::image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
    encoder.set_exif_metadata(exif.to_vec()).expect("takes it");
    encoder
        .write_image(pixels, width, height, ExtendedColorType::Rgb8)
        .expect("encodes");
    [png, webp]
}

#[test]
fn a_whole_jpeg_needs_no_end_marker() {
    for name in ["turned1.jpg", "progressive.jpg", "restarts.jpg", "cmyk.jpg"] {
        let whole = bytes(name);
        let right = decoded(name).pixels;
        let (picture, marker) = whole.split_at(whole.len() - 2);
        assert_eq!(marker, [0xff, 0xd9]);
        let film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\xff\x02\xff\xda\0\x0c\x03".as_slice();
        for behind in [b"".as_slice(), film] {
            let file = [picture, behind].concat();
            let found = decode(&Source::new(name, file), LIMIT).expect("decodes");
            assert_eq!(found.pixels, right, "{name}");
            assert_eq!(
                found.notes,
                [format!(
                    "{name}: its end marker is missing; its picture is whole"
                )]
            );
        }
        let found = decode(&Source::new(name, [&whole, film].concat()), LIMIT).expect("decodes");
        assert!(found.notes.is_empty() && found.pixels == right, "{name}");
    }
}

/// Also with an end marker after what is left of it: some programs put one there.
#[test]
fn a_jpeg_that_is_cut_short_is_damaged() {
    for name in ["turned1.jpg", "progressive.jpg", "restarts.jpg", "cmyk.jpg"] {
        let whole = bytes(name);
        let last = whole.len() - 2;
        for length in (2..last - 1).filter(|n| n % 7 == 0 || *n > last - 24) {
            let cut = whole[..length].to_vec();
            for file in [cut.clone(), [&cut[..], &[0xff, 0xd9]].concat()] {
                let reason = refusal(file, LIMIT);
                assert!(
                    reason.contains("damaged or cut short"),
                    "{name} {length}: {reason}"
                );
            }
        }
    }
}

#[test]
fn a_refusal_keeps_the_decoders_error() {
    let refused = |bytes: &[u8]| {
        let source = Source::new("picture", bytes.to_vec());
        decode(&source, LIMIT).expect_err("is refused")
    };
    let png = bytes("upright.png");
    let cut = refused(&png[..png.len() / 2]);
    assert!(source_of::<::image::ImageError>(&cut).is_some(), "{cut:?}");
    let without_directory = refused(b"II*\0\xff\0\0\0");
    let tiff = source_of::<::tiff::TiffError>(&without_directory);
    assert!(tiff.is_some(), "{without_directory:?}");
    let text = refused(b"hello, hello");
    let unread = source_of::<stylefleet_formats::Unread>(&text);
    assert!(unread.is_some(), "{text:?}");
}

#[test]
fn a_coding_that_is_not_read_is_named() {
    let reason = refusal(bytes("arithmetic.jpg"), LIMIT);
    assert_eq!(
        reason,
        "is a JPEG file with arithmetic coding, which is not read: save it as PNG"
    );
}

const FILES: [&str; 14] = [
    "turned6.jpg",
    "progressive.jpg",
    "cmyk.jpg",
    "turned6.heic",
    "alpha.heic",
    "deep.heic",
    "turned6.avif",
    "alpha.avif",
    "turned6.jxl",
    "alpha.jxl",
    "lossy.jxl",
    "moving.gif",
    "plain.bmp",
    "palette.bmp",
];

#[test]
fn no_format_is_decoded_beyond_the_limit() {
    for name in FILES {
        let reason = refusal(bytes(name), 48 * 32 - 1);
        assert!(
            reason.contains("pixels, the limit is 1535") && reason.contains("--max-pixels"),
            "{name}: {reason}"
        );
    }
}

/// A container may announce less than is coded in it, and a decoder allocates for what is coded.
#[test]
fn what_is_coded_is_held_to_the_limit_too() {
    for name in ["bomb.heic", "bomb.avif"] {
        let reason = refusal(bytes(name), 48 * 32);
        let more = "is damaged or cut short: more is coded in it than its size";
        assert_eq!(reason, more, "{name}");
    }
}

#[test]
fn what_is_cut_short_is_refused() {
    for name in FILES {
        let whole = bytes(name);
        for length in (0..whole.len()).filter(|n| n % 13 == 0) {
            let cut = Source::new(name, whole[..length].to_vec());
            // A container may end with what no picture needs.
            if let Ok(found) = decode(&cut, LIMIT) {
                let right = decoded(name).pixels;
                assert_eq!(found.pixels, right, "{name} at {length} of {}", whole.len());
            }
        }
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    for name in FILES {
        let whole = bytes(name);
        let mut seed = 1_u32;
        for _ in 0..300 {
            let mut flipped = whole.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % flipped.len().min(600);
                flipped[at] ^= 1 << (seed >> 29);
            }
            let _ = decode(&Source::new(name, flipped), LIMIT);
        }
    }
}

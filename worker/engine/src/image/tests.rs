//! Files as people have them, whole and damaged.

use std::io::Cursor;

use ::image::codecs::png::PngEncoder;
use ::image::{
    DynamicImage, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Luma, Rgb, RgbImage, RgbaImage,
};
use moxcms::ColorProfile;

use super::*;
use stylefleet_model::stylize::Format;

use crate::{Error, Source};

const LIMIT: u64 = 1_000_000;

fn source(bytes: Vec<u8>) -> Source {
    Source::new("picture", bytes)
}

fn file(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

/// 3 x 2: red, green, blue over white, grey, black.
fn colors() -> RgbImage {
    let values = [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 255],
        [128, 128, 128],
        [0, 0, 0],
    ];
    RgbImage::from_raw(3, 2, values.concat()).expect("fits")
}

/// The pixel's R, G, B, rounded to 8 bits.
fn pixel(decoded: &decode::Decoded, x: u32, y: u32) -> [u8; 3] {
    decoded.pixels.to_rgb8().get_pixel(x, y).0
}

fn refusal(bytes: Vec<u8>, limit: u64) -> String {
    match decode(&source(bytes), limit) {
        Err(error @ Error::Image { .. }) => {
            assert!(!error.is_retryable());
            error.to_string()
        }
        other => panic!("was not refused: {other:?}"),
    }
}

#[test]
fn reads_every_format() {
    for format in [
        ImageFormat::Png,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Jpeg,
    ] {
        let flat = RgbImage::from_pixel(16, 8, Rgb([200, 100, 50]));
        let decoded = decode(&source(file(flat, format)), LIMIT).expect("decodes");
        let found = pixel(&decoded, 7, 3);
        let close = found
            .iter()
            .zip([200u8, 100, 50])
            .all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(close, "{format:?}: {found:?}");
    }
}

#[test]
fn takes_grey_and_16_bits() {
    let grey = GrayImage::from_pixel(4, 4, Luma([77]));
    let decoded = decode(&source(file(grey, ImageFormat::Png)), LIMIT).expect("decodes");
    assert_eq!(pixel(&decoded, 0, 0), [77; 3]);
    let deep = ImageBuffer::from_pixel(4, 4, Rgb([65535u16, 257 * 128 + 64, 0]));
    let decoded = decode(&source(file(deep, ImageFormat::Tiff)), LIMIT).expect("decodes");
    let green = decoded.pixels.to_rgb32f().get_pixel(0, 0).0[1];
    assert!(
        (green - (257.0 * 128.0 + 64.0) / 65535.0).abs() < 1e-6,
        "{green}"
    );
}

#[test]
fn lays_transparency_on_white() {
    let mut image = RgbaImage::from_pixel(2, 1, ::image::Rgba([0, 0, 0, 0]));
    image.put_pixel(1, 0, ::image::Rgba([255, 0, 0, 128]));
    let decoded = decode(&source(file(image, ImageFormat::Png)), LIMIT).expect("decodes");
    assert_eq!(pixel(&decoded, 0, 0), [255; 3]);
    assert_eq!(pixel(&decoded, 1, 0), [255, 127, 127]);
}

/// A PNG with EXIF that says "turned by 90 degrees" (orientation 6).
#[test]
fn turns_as_exif_says() {
    let exif = [
        b"MM\0*\0\0\0\x08".as_slice(), // big-endian, the directory is at 8
        b"\0\x01",                     // with one entry:
        b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0", // orientation, a short, one of it: 6
        b"\0\0\0\0",                   // no further directory
    ]
    .concat();
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif).expect("takes it");
    let image = colors();
    encoder
        .write_image(&image, 3, 2, ::image::ExtendedColorType::Rgb8)
        .expect("encodes");
    let decoded = decode(&source(bytes), LIMIT).expect("decodes");
    assert_eq!(decoded.pixels.to_rgb8().dimensions(), (2, 3));
    assert_eq!(pixel(&decoded, 1, 0), [255, 0, 0]);
    assert_eq!(pixel(&decoded, 1, 2), [0, 0, 255]);
}

fn with_profile(profile: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_icc_profile(profile).expect("takes it");
    let image = RgbImage::from_pixel(4, 4, Rgb([200, 100, 50]));
    encoder
        .write_image(&image, 4, 4, ::image::ExtendedColorType::Rgb8)
        .expect("encodes");
    bytes
}

#[test]
fn converts_colour_profiles_to_srgb() {
    let wide = ColorProfile::new_display_p3().encode().expect("encodes");
    let decoded = decode(&source(with_profile(wide)), LIMIT).expect("decodes");
    assert!(decoded.notes.is_empty(), "{:?}", decoded.notes);
    // By the matrices of CSS Color 4, section 10.
    let found = pixel(&decoded, 1, 1);
    let close = found
        .iter()
        .zip([215u8, 93, 31])
        .all(|(a, b)| a.abs_diff(b) <= 2);
    assert!(close, "{found:?}");
}

#[test]
fn says_so_where_a_profile_cannot_be_converted() {
    let decoded = decode(&source(with_profile(b"no profile".to_vec())), LIMIT).expect("decodes");
    assert_eq!(pixel(&decoded, 1, 1), [200, 100, 50]);
    assert_eq!(decoded.notes.len(), 1);
    assert!(
        decoded.notes[0].contains("picture: its colour profile"),
        "{:?}",
        decoded.notes
    );
}

#[test]
fn refuses_what_is_no_picture() {
    assert!(refusal(Vec::new(), LIMIT).contains("is no image"));
    assert!(refusal(b"hello, hello".to_vec(), LIMIT).contains("is no image"));
    let pdf = refusal(b"%PDF-1.7 and so on".to_vec(), LIMIT);
    assert_eq!(
        pdf,
        "picture: is a PDF file, which is not read: export it as PNG or JPEG"
    );
}

#[test]
fn refuses_what_is_cut_short() {
    let noisy = RgbImage::from_fn(64, 64, |x, y| {
        Rgb([(x * 37 + y * 91) as u8, x as u8, y as u8])
    });
    for format in [
        ImageFormat::Png,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Jpeg,
    ] {
        let whole = file(noisy.clone(), format);
        for part in [whole.len() / 2, whole.len() - 20] {
            let reason = refusal(whole[..part].to_vec(), LIMIT);
            assert!(reason.contains("picture: is "), "{format:?}: {reason}");
        }
    }
}

/// Phones append films to their pictures, in which any two bytes may follow each other.
#[test]
fn takes_a_jpeg_that_something_follows() {
    let mut bytes = file(colors(), ImageFormat::Jpeg);
    bytes.extend([0xff, 0xda, 0xff, 0xd8, 0, 1, 2, 3]);
    decode(&source(bytes), LIMIT).expect("decodes");
}

#[test]
fn refuses_what_is_too_large_before_decoding_it() {
    // The header alone claims 60000 x 60000; there is nothing behind it to decode.
    let mut bytes = file(colors(), ImageFormat::Png);
    bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let checksum = png_checksum(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    let reason = refusal(bytes, 100_000_000);
    assert!(
        reason.contains("60000x60000 pixels, the limit is 100000000"),
        "{reason}"
    );
}

/// CRC-32 as PNG has it (RFC 2083, section 15).
fn png_checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut crc, byte| {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()));
        crc
    })
}

const PIXELS: [f32; 6] = [0.0, 0.5, 1.0, 0.25, -1.0, 2.0];

#[test]
fn writes_what_it_reads() {
    for (format, name) in [
        (Format::Png, ImageFormat::Png),
        (Format::Jpeg, ImageFormat::Jpeg),
        (Format::Tiff, ImageFormat::Tiff),
    ] {
        let bytes = encode([2, 1], &PIXELS, format).expect("encodes");
        assert_eq!(::image::guess_format(&bytes).expect("is known"), name);
        let decoded = decode(&source(bytes), LIMIT).expect("decodes");
        assert_eq!(decoded.pixels.to_rgb8().dimensions(), (2, 1));
        if format != Format::Jpeg {
            assert_eq!(pixel(&decoded, 0, 0), [0, 128, 255]);
            assert_eq!(pixel(&decoded, 1, 0), [64, 0, 255]);
        }
    }
}

#[test]
fn tiff_keeps_16_bits() {
    let bytes = encode([2, 1], &PIXELS, Format::Tiff).expect("encodes");
    let read = ::image::load_from_memory(&bytes).expect("decodes");
    let DynamicImage::ImageRgb16(read) = read else {
        panic!("has not 16 bits");
    };
    assert_eq!(read.get_pixel(0, 0).0, [0, 32768, 65535]);
}

#[test]
fn histograms_are_taken_over_channel_by_channel() {
    let image = |level: &dyn Fn(i64) -> f32| {
        let values: Vec<f32> = (0..3 * 64).map(level).collect();
        tch::Tensor::from_slice(&values).reshape([1, 3, 8, 8])
    };
    let dark = image(&|n| (n % 64) as f32);
    let bright = image(&|n| 100.0 + 2.0 * (n * 7 % 64) as f32);
    let flat = image(&|_| 9.0);
    let matched = |from, to| with_histogram_of(from, to).expect("matches");
    let worst = |a: &tch::Tensor, b: &tch::Tensor| (a - b).abs().max().double_value(&[]);
    let levels = |image: &tch::Tensor| image.reshape([3, -1]).sort(1, false).0;

    assert!(worst(&matched(&dark, &dark), &dark) <= 1.0);
    let moved = matched(&dark, &bright);
    assert!(worst(&levels(&moved), &levels(&bright)) <= 2.0);
    // What was brighter still is.
    let first = Vec::<f32>::try_from(moved.get(0).get(0).reshape([-1])).expect("numbers");
    assert!(first.is_sorted(), "{first:?}");
    assert!(worst(&matched(&bright, &flat), &flat) <= 1.0);
    let gone = matched(&flat, &bright);
    assert!((100.0..=226.0).contains(&gone.mean(tch::Kind::Double).double_value(&[])));
}

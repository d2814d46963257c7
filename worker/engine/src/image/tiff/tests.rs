//! The golden files of `golden/tiff`, as other programs read them, whole and broken.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::PathBuf;

use ::image::{DynamicImage, Rgb32FImage};
use ::tiff::decoder::Decoder;
use safetensors::SafeTensors;

use moxcms::ColorProfile;

use super::super::decode::decode;
use super::*;
use crate::{Error, Source};

const LIMIT: u64 = 1 << 16;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "golden", "tiff"]
        .iter()
        .collect()
}

/// Name and bytes of each file.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .expect("lists")
        .map(|entry| entry.expect("is there").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "tif"))
        .map(|path| {
            let name = path.file_stem().expect("has a name").to_string_lossy();
            (name.into_owned(), std::fs::read(&path).expect("reads"))
        })
        .collect();
    files.sort();
    files
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.tif"))).expect("reads")
}

fn decoded(bytes: Vec<u8>) -> Result<DynamicImage, String> {
    match decode(&Source::new("picture", bytes), LIMIT) {
        Ok(decoded) => Ok(decoded.pixels),
        Err(error @ Error::Image { .. }) => Err(error.to_string()),
        Err(other) => panic!("{other}"),
    }
}

fn refusal(bytes: Vec<u8>) -> String {
    decoded(bytes).expect_err("refused")
}

/// How far the worst value is off, of 255.
fn distance(found: &Rgb32FImage, wanted: &[f32]) -> f32 {
    assert_eq!(found.as_raw().len(), wanted.len());
    let off = |(a, b): (&f32, &f32)| 255.0 * (a - b).abs();
    found.iter().zip(wanted).map(off).fold(0.0, f32::max)
}

/// How much another reader may differ: it rounds to 8 bits on the way, or interpolates differently.
fn leeway(name: &str, found: &DynamicImage) -> f32 {
    match (name, found) {
        (name, _) if name.starts_with("jpeg") => 3.0,
        (name, _) if name.starts_with("ycbcr_") => 2.0,
        (_, DynamicImage::ImageRgb8(_) | DynamicImage::ImageLuma8(_)) => 0.51,
        _ => 0.01,
    }
}

#[test]
fn pixels_are_those_that_other_readers_see() {
    let bytes = std::fs::read(folder().join("pixels.safetensors")).expect("reads");
    let golden = SafeTensors::deserialize(&bytes).expect("is sound");
    let mut unchecked: BTreeSet<_> = golden.names().into_iter().collect();
    let mut wrong = Vec::new();
    for (name, file) in files() {
        assert!(unchecked.remove(name.as_str()), "{name} has no pixels");
        let wanted = golden.tensor(&name).expect("is there");
        let found = match decoded(file) {
            Ok(found) => found,
            Err(reason) => {
                wrong.push(format!("{name}: {reason}"));
                continue;
            }
        };
        let (width, height) = (found.width() as usize, found.height() as usize);
        assert_eq!(wanted.shape(), [height, width, 3], "{name}");
        let values: Vec<f32> = wanted
            .data()
            .chunks_exact(4)
            .map(|value| f32::from_le_bytes(value.try_into().expect("has four bytes")))
            .collect();
        let off = distance(&found.to_rgb32f(), &values);
        if off > leeway(&name, &found) {
            wrong.push(format!("{name}: {off} of 255 off"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unchecked.is_empty(), "no files: {unchecked:?}");
}

/// Numbers of tags.
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const COLORS: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
const STRIP_BYTES: u16 = 279;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTES: u16 = 325;
const EXTRA: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;

/// A file of 2 x 2 grey pixels, but for what `tags` say, with `data` for its strip or tile.
fn written(tags: &[(u16, u32)], data: &[u8]) -> Vec<u8> {
    let (offsets, counts) = if tags.iter().any(|(tag, _)| *tag == TILE_WIDTH) {
        (TILE_OFFSETS, TILE_BYTES)
    } else {
        (STRIP_OFFSETS, STRIP_BYTES)
    };
    let count = data.len() as u32;
    let mut entries = BTreeMap::from([
        (WIDTH, 2),
        (HEIGHT, 2),
        (BITS, 8),
        (COLORS, 1),
        (offsets, 0),
        (counts, count),
    ]);
    entries.extend(tags.iter().copied());
    let end = 8 + 2 + 12 * entries.len() as u32 + 4;
    entries.entry(offsets).and_modify(|offset| *offset += end);
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        let (short, long) = (3_u16, 4_u16);
        file.extend(tag.to_le_bytes());
        file.extend(if value >> 16 == 0 { short } else { long }.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file.extend(data);
    file
}

#[test]
fn what_is_not_read_is_named() {
    let kinds: [(&[(u16, u32)], &str); 28] = [
        (&[(COLORS, 8)], "Lab"),
        (&[(COLORS, 9)], "Lab"),
        (&[(COLORS, 10)], "Lab"),
        (&[(COLORS, 4)], "a mask"),
        (&[(COLORS, 32803)], "colours of an unknown sort"),
        (&[(COLORS, 5), (SAMPLES, 4), (332, 2)], "other inks"),
        (
            &[(COLORS, 5), (SAMPLES, 5), (EXTRA, 2)],
            "CMYK with transparency",
        ),
        (
            &[(COLORS, 6), (SAMPLES, 3), (BITS, 16)],
            "YCbCr of other than 8 bits",
        ),
        (&[(COLORS, 6), (SAMPLES, 4)], "YCbCr with further samples"),
        (
            &[(COLORS, 6), (SAMPLES, 3), (COMPRESSION, 5), (PREDICTOR, 2)],
            "a predictor on subsampled YCbCr",
        ),
        (&[(COLORS, 3), (BITS, 32), (SAMPLE_FORMAT, 3)], "a palette"),
        (
            &[(COMPRESSION, 8), (PREDICTOR, 3)],
            "a predictor for floats on integers",
        ),
        (
            &[(COMPRESSION, 8), (PREDICTOR, 2), (BITS, 4)],
            "a predictor on packed samples",
        ),
        (&[(SAMPLE_FORMAT, 2)], "signed samples"),
        (&[(SAMPLE_FORMAT, 2), (BITS, 16)], "signed samples"),
        (&[(SAMPLE_FORMAT, 4)], "samples of no format"),
        (&[(SAMPLE_FORMAT, 6), (BITS, 64)], "complex samples"),
        (&[(BITS, 64)], "samples of 64 bits"),
        (&[(BITS, 24), (SAMPLE_FORMAT, 3)], "floats of 24 bits"),
        (&[(COMPRESSION, 3)], "fax of group 3"),
        (&[(COMPRESSION, 4)], "a fax in colour"),
        (&[(COMPRESSION, 6)], "JPEG of the old sort"),
        (&[(COMPRESSION, 50000)], "Zstandard"),
        (&[(COMPRESSION, 4711)], "compression 4711"),
        (&[(COMPRESSION, 5)], "LZW of before TIFF 5.0"),
        (&[(COMPRESSION, 7), (BITS, 12)], "JPEG of other than 8 bits"),
        (&[(COMPRESSION, 5), (PREDICTOR, 34892)], "predictor 34892"),
        (&[(254, 1)], "a preview alone"),
    ];
    for (tags, name) in kinds {
        let reason = refusal(written(tags, &[0, 1, 0, 0, 0, 0, 0, 0]));
        let kind = "picture: is a kind of TIFF (";
        assert!(reason.starts_with(kind), "{name}: {reason}");
        assert!(reason.contains(name), "{name}: {reason}");
        assert!(reason.ends_with("save it as PNG or RGB TIFF"), "{reason}");
    }
}

#[test]
fn broken_files_are_called_damaged() {
    let broken: [(&[(u16, u32)], &str); 7] = [
        (&[(BITS, 16)], "a part of its picture is incomplete"),
        (
            &[(STRIP_OFFSETS, 1 << 20)],
            "a part of its picture is missing",
        ),
        (
            &[(STRIP_BYTES, 1 << 20)],
            "a part of its picture is missing",
        ),
        (&[(COLORS, 2)], "1 samples make no colour"),
        (&[(COLORS, 3)], "its palette is incomplete"),
        (&[(WIDTH, 0)], "invalid dimensions"),
        (&[(278, 1)], "inconsistent sizes"),
    ];
    for (tags, name) in broken {
        let reason = refusal(written(tags, &[0; 4]));
        assert!(reason.contains("is damaged or cut short: "), "{reason}");
        assert!(reason.contains(name), "{name}: {reason}");
    }
}

#[test]
fn memory_is_taken_only_for_what_the_picture_explains() {
    let huge = |tags: &[(u16, u32)]| refusal(written(tags, &[0; 4]));
    let reason = huge(&[(WIDTH, 60_000), (HEIGHT, 60_000)]);
    assert!(
        reason.contains("60000x60000 pixels, the limit is 65536"),
        "{reason}"
    );
    let tile = [(TILE_WIDTH, 1 << 30), (TILE_HEIGHT, 1 << 30)];
    for tags in [
        [&tile[..], &[(COMPRESSION, 8)]].concat(),
        tile.to_vec(),
        vec![
            (SAMPLES, 65_535),
            (COMPRESSION, 8),
            (WIDTH, 65_535),
            (HEIGHT, 1),
        ],
    ] {
        let reason = huge(&tags);
        assert!(
            reason.contains("needs more memory than its size explains"),
            "{reason}"
        );
    }
    // Strips that share their bytes: all three begin where the first does.
    let mut shared = file("rgb_strips");
    let mut put = |from: &[u8], to: &[u8]| {
        let at = shared.windows(from.len()).position(|bytes| bytes == from);
        let at = at.expect("is there");
        shared[at..at + to.len()].copy_from_slice(to);
    };
    let longs = |values: [u32; 3]| values.map(u32::to_le_bytes).concat();
    let shorts = |values: [u16; 3]| values.map(u16::to_le_bytes).concat();
    put(&longs([224, 539, 854]), &longs([224; 3]));
    put(&shorts([315, 315, 189]), &shorts([800; 3]));
    let reason = refusal(shared);
    assert!(reason.contains("lie over each other"), "{reason}");
    // A strip that claims to be far larger than the picture.
    let mut jpeg = file("jpeg_grey");
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]);
    let frame = frame.expect("has one");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    let reason = refusal(jpeg);
    assert!(reason.contains("a picture of another size"), "{reason}");
}

#[test]
fn a_file_cut_anywhere_is_refused_or_whole() {
    for (name, file) in files() {
        let whole = decoded(file.clone()).expect("decodes");
        for length in 0..file.len() {
            match decoded(file[..length].to_vec()) {
                Ok(found) => assert_eq!(found, whole, "{name} cut to {length} bytes"),
                Err(reason) => assert!(
                    reason.contains("damaged or cut short") || reason.contains("is no image"),
                    "{name} cut to {length} bytes: {reason}"
                ),
            }
        }
    }
}

/// The file is whole, a part of the picture is not.
#[test]
fn a_strip_cut_anywhere_is_refused_or_whole() {
    let mut tried = 0;
    for (name, file) in files() {
        let tag = if name.contains("tiles") {
            TILE_BYTES
        } else {
            STRIP_BYTES
        };
        // Where there is one strip, of the last page.
        let entry = [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0]].concat();
        let Some(at) = file.windows(8).rposition(|bytes| bytes == entry) else {
            continue;
        };
        let whole = decoded(file.clone()).expect("decodes");
        let count = u32::from_le_bytes(file[at + 8..at + 12].try_into().expect("four bytes"));
        for count in 0..count {
            let mut file = file.clone();
            file[at + 8..at + 12].copy_from_slice(&count.to_le_bytes());
            match decoded(file) {
                Ok(found) => assert_eq!(found, whole, "{name}, {count} bytes"),
                Err(reason) => {
                    let damaged = "is damaged or cut short: ";
                    assert!(reason.contains(damaged), "{name}, {count} bytes: {reason}");
                }
            }
        }
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn flipped_bits_neither_panic_nor_change_the_size_that_the_header_says() {
    for (name, file) in files() {
        // Every third byte or so, and each place in a byte.
        for at in (0..8 * file.len()).step_by(23) {
            let mut file = file.clone();
            file[at / 8] ^= 1 << (at % 8);
            let Ok(found) = decoded(file.clone()) else {
                continue;
            };
            let mut header = Decoder::new(Cursor::new(file)).expect("was read");
            let (width, height) = header.dimensions().expect("has them");
            let found = (found.width(), found.height());
            let is_size = found == (width, height) || found == (height, width);
            assert!(
                is_size || name == "preview_first",
                "{name}, bit {at}: {found:?}"
            );
        }
    }
}

/// A file of one pixel with a profile.
fn with_profile(tags: &[(u16, u32)], pixel: &[u8], profile: &[u8]) -> Vec<u8> {
    let one = [(WIDTH, 1), (HEIGHT, 1), (ICC, 0)];
    let mut file = written(&[&one, tags].concat(), pixel);
    let entry = file.windows(2).position(|tag| tag == ICC.to_le_bytes());
    let entry = entry.expect("is there");
    let place = file.len() as u32;
    file[entry + 2] = 7; // bytes of no type
    file[entry + 4..entry + 8].copy_from_slice(&(profile.len() as u32).to_le_bytes());
    file[entry + 8..entry + 12].copy_from_slice(&place.to_le_bytes());
    file.extend(profile);
    file
}

const ICC: u16 = 34675;

#[test]
fn profiles_are_applied() {
    let pixel = |tags, pixel: &[u8], profile: ColorProfile| {
        let profile = profile.encode().expect("encodes");
        let found = decoded(with_profile(tags, pixel, &profile)).expect("decodes");
        found.to_rgb8().get_pixel(0, 0).0
    };
    // By the matrices of CSS Color 4, section 10, as for PNG.
    let wide = ColorProfile::new_display_p3();
    let found = pixel(&[(COLORS, 2), (SAMPLES, 3)], &[200, 100, 50], wide);
    let near = |wanted: [u8; 3]| found.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 2);
    assert!(near([215, 93, 31]), "{found:?}");
    // A quarter of the light: 0.5 to the power of 2, and back by sRGB's curve.
    let found = pixel(&[], &[128], ColorProfile::new_gray_with_gamma(2.0));
    assert!(
        found.iter().all(|level| level.abs_diff(137) <= 1),
        "{found:?}"
    );
}

#[test]
fn a_profile_is_in_the_file() {
    let mut file = with_profile(&[], &[128], &[7; 100]);
    file.truncate(file.len() - 1);
    assert!(refusal(file.clone()).contains("is damaged or cut short: "));
    // No memory is taken for what a tag claims.
    let length = file.windows(4).position(|bytes| bytes == [100, 0, 0, 0]);
    file[length.expect("is there") + 3] = 8;
    assert!(refusal(file).contains("its tag 34675 is longer than the file"));
}

/// Code that converts inks by their profile needs both as they are in the file.
#[test]
fn inks_and_their_profile_are_handed_on() {
    let profile = vec![7; 3 << 20]; // as large as those of printers get
    let file = with_profile(&[(COLORS, 5), (SAMPLES, 4)], &[0, 51, 102, 255], &profile);
    let tiff = read(&file, |_, _| Ok(())).expect("reads");
    assert_eq!(tiff.profile.expect("is there"), profile);
    let Pixels::Inks(inks) = tiff.pixels else {
        panic!("{:?}", tiff.pixels);
    };
    assert_eq!(inks.get_pixel(0, 0).0, [0, 51 * 257, 102 * 257, 65535]);
}

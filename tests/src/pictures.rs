//! Small pictures with something in them.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

/// A content: a disc before a sky. Another `seed`, another picture.
pub fn content(width: u32, height: u32, seed: u32) -> RgbImage {
    let (cx, cy) = (width / 3 + seed % 5, height / 2);
    let radius = width.min(height) / 4;
    RgbImage::from_fn(width, height, |x, y| {
        if x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2) < radius * radius {
            Rgb([220, 120 + (seed * 13 % 100) as u8, 40])
        } else {
            let light = (60 + y * 120 / height) as u8;
            Rgb([light / 2, light, light + 40])
        }
    })
}

/// A style: waves of two colours.
pub fn style(width: u32, height: u32, seed: u32) -> RgbImage {
    let pitch = 3 + seed % 4;
    RgbImage::from_fn(width, height, |x, y| {
        let phase = (x + (y / 3) * (1 + seed % 3)) % (2 * pitch);
        if phase < pitch {
            Rgb([200, 30 + (seed * 29 % 120) as u8, 60])
        } else {
            Rgb([20, 60, 160 - (seed * 17 % 90) as u8])
        }
    })
}

/// The beginning of a PNG file that claims to have this size.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = content(16, 16, 1);
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("encodes");
    let mut bytes = bytes.into_inner();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    // The CRC of a chunk is over its type and data.
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            0 => crc >> 1,
            _ => (crc >> 1) ^ 0xedb8_8320,
        })
    })
}

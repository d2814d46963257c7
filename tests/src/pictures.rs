//! Small pictures with something in them.

use image::{Rgb, RgbImage};

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

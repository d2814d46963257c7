//! Pictures made small, for pages that show many of them.
//!
//! Decoding is bounded by what a picture's header says, so a small file cannot take much memory.
//! HEIC and AVIF are not decoded here: that takes a library which only workers load.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat,
    ImageReader, Limits, Rgb, RgbImage,
};
use jxl_oxide::JxlThreadPool;
use jxl_oxide::integration::JxlDecoder;
use stylefleet_formats::{Kind, Unread, readable};

/// Most pixels that a server decodes for a thumbnail: a few hundred megabytes at worst.
pub const MAX_PIXELS: u64 = 50_000_000;

/// Quality of the JPEG files, of 100.
const QUALITY: u8 = 80;
/// Bytes that decoding may take for each pixel: four 16-bit channels.
const FOR_PIXEL: u64 = 8;
/// Bytes that a decoder may take for its tables.
const FOR_TABLES: u64 = 16 << 20;
/// Longest colour profile that is copied into a thumbnail. Those of common colour spaces are
/// shorter.
const MAX_PROFILE: usize = 4096;

/// Why there is no thumbnail.
#[derive(Debug, thiserror::Error)]
pub enum ThumbnailError {
    /// It is not a picture, or of a kind that is not read.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// Only workers decode such files.
    #[error("is {0}, of which no thumbnail is made")]
    NotDecoded(Kind),
    /// It has too many pixels.
    #[error("has {width}x{height} pixels, more than the {limit} that thumbnails are made of")]
    TooLarge {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Most pixels.
        limit: u64,
    },
    /// It cannot be decoded.
    #[error("cannot be decoded: {0}")]
    Damaged(#[from] ImageError),
}

/// A picture in memory, upright.
pub struct Picture {
    pixels: DynamicImage,
    /// What its colours mean, if not sRGB.
    profile: Option<Vec<u8>>,
}

/// The picture in the file `bytes` as a JPEG file whose longer side has at most `side` pixels.
pub fn thumbnail(bytes: &[u8], side: u32) -> Result<Vec<u8>, ThumbnailError> {
    Picture::read(bytes, MAX_PIXELS)?.jpeg(side)
}

impl Picture {
    /// Decodes an image file of at most `max_pixels`, and turns it as it says.
    pub fn read(bytes: &[u8], max_pixels: u64) -> Result<Self, ThumbnailError> {
        let format = match readable(bytes)? {
            Kind::JpegXl => {
                let decoder =
                    JxlDecoder::with_thread_pool(Cursor::new(bytes), JxlThreadPool::none())?;
                // It turns the picture itself, whatever EXIF says.
                return Self::decode(decoder, Orientation::NoTransforms, max_pixels);
            }
            Kind::Png => ImageFormat::Png,
            Kind::Jpeg => ImageFormat::Jpeg,
            Kind::WebP => ImageFormat::WebP,
            Kind::Tiff => ImageFormat::Tiff,
            Kind::Gif => ImageFormat::Gif,
            Kind::Bmp => ImageFormat::Bmp,
            other => return Err(ThumbnailError::NotDecoded(other)),
        };
        let reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut decoder = reader.into_decoder()?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        Self::decode(decoder, orientation, max_pixels)
    }

    fn decode(
        mut decoder: impl ImageDecoder,
        orientation: Orientation,
        max_pixels: u64,
    ) -> Result<Self, ThumbnailError> {
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        if pixels > max_pixels {
            return Err(ThumbnailError::TooLarge {
                width,
                height,
                limit: max_pixels,
            });
        }
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(pixels * FOR_PIXEL + FOR_TABLES);
        decoder.set_limits(limits)?;
        let profile = decoder.icc_profile().ok().flatten();
        let mut pixels = DynamicImage::from_decoder(decoder)?;
        pixels.apply_orientation(orientation);
        Ok(Self {
            pixels,
            profile: profile.filter(|profile| is_worth_keeping(profile)),
        })
    }

    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        (self.pixels.width(), self.pixels.height())
    }

    /// A JPEG file of it whose longer side has at most `side` pixels.
    pub fn jpeg(&self, side: u32) -> Result<Vec<u8>, ThumbnailError> {
        let (width, height) = self.size();
        let small = if width.max(height) > side {
            opaque(&self.pixels.thumbnail(side, side))
        } else {
            opaque(&self.pixels)
        };
        let mut file = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
        if let Some(profile) = &self.profile {
            // Without it the colours are a little paler, which is no reason to show nothing.
            let _ = encoder.set_icc_profile(profile.clone());
        }
        let (width, height) = small.dimensions();
        encoder.write_image(&small, width, height, ExtendedColorType::Rgb8)?;
        Ok(file)
    }
}

/// Whether it is of colours as thumbnails have them, and short.
fn is_worth_keeping(profile: &[u8]) -> bool {
    profile.len() <= MAX_PROFILE && profile.get(16..20) == Some(b"RGB ")
}

/// Colours in 8 bits, with what is transparent laid on white.
fn opaque(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let rgba = image.to_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [colors @ .., alpha] = rgba.get_pixel(x, y).0.map(u16::from);
        Rgb(colors.map(|color| ((color * alpha + 255 * (255 - alpha)) / 255) as u8))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use image::{ImageBuffer, Luma, Rgba, RgbaImage};

    use super::*;

    fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).expect("encodes");
        bytes.into_inner()
    }

    fn decoded(jpeg: &[u8]) -> RgbImage {
        let image = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg);
        image.expect("is a JPEG file").to_rgb8()
    }

    fn golden(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("../../worker/engine/golden/pictures");
        std::fs::read(folder.join(name)).expect(name)
    }

    /// How far apart two pictures are, in grey levels on average.
    fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
        assert_eq!(a.dimensions(), b.dimensions());
        let pairs = a.iter().zip(b.iter());
        let sum: f64 = pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        sum / a.len() as f64
    }

    #[test]
    fn the_longer_side_is_as_long_as_asked_and_nothing_grows() {
        for ((width, height), side, small) in [
            ((400, 200), 100, (100, 50)),
            ((200, 400), 100, (50, 100)),
            ((60, 40), 100, (60, 40)),
            ((1000, 1), 100, (100, 1)),
        ] {
            let image = DynamicImage::new_rgb8(width, height);
            let thumbnail = thumbnail(&file(&image, ImageFormat::Png), side).expect("is made");
            assert_eq!(decoded(&thumbnail).dimensions(), small);
        }
    }

    #[test]
    fn every_format_and_depth_is_read_but_those_of_the_workers() {
        let grey = ImageBuffer::from_pixel(30, 20, Luma([0x8080_u16]));
        let image = DynamicImage::ImageLuma16(grey);
        for format in [ImageFormat::Png, ImageFormat::Tiff] {
            let thumbnail = thumbnail(&file(&image, format), 10).expect("is made");
            let pixel = decoded(&thumbnail).get_pixel(5, 3).0;
            assert!(
                pixel.iter().all(|value| value.abs_diff(0x80) < 3),
                "{pixel:?}"
            );
        }
        for name in [
            "plain.bmp",
            "moving.gif",
            "cmyk.jpg",
            "deep.jxl",
            "grey.jxl",
            "lossy.jxl",
        ] {
            assert!(thumbnail(&golden(name), 10).is_ok(), "{name}");
        }
        for name in ["turned1.heic", "turned1.avif"] {
            let refused = thumbnail(&golden(name), 10);
            assert!(
                matches!(refused, Err(ThumbnailError::NotDecoded(_))),
                "{name}"
            );
        }
    }

    #[test]
    fn pictures_are_upright() {
        let upright = image::load_from_memory(&golden("upright.png")).expect("reads");
        for format in ["jpg", "jxl"] {
            for turn in 1..=8 {
                let name = format!("turned{turn}.{format}");
                let picture = Picture::read(&golden(&name), 10_000).expect("reads");
                let found = decoded(&picture.jpeg(1000).expect("is made"));
                let far = difference(&found, &upright.to_rgb8());
                assert!(far < 8.0, "{name}: {far}");
            }
        }
    }

    #[test]
    fn what_is_transparent_is_white() {
        let image = RgbaImage::from_pixel(8, 8, Rgba([0, 0, 0, 0]));
        let thumbnail = thumbnail(&file(&image.into(), ImageFormat::Png), 8).expect("is made");
        assert!(decoded(&thumbnail).iter().all(|value| *value > 250));
    }

    #[test]
    fn pictures_with_many_pixels_are_refused_before_they_are_decoded() {
        let mut bytes = file(&DynamicImage::new_rgb8(10, 10), ImageFormat::Bmp);
        // Its header alone says that it is large: it could not be decoded.
        bytes[18..22].copy_from_slice(&20_000_i32.to_le_bytes());
        bytes[22..26].copy_from_slice(&20_000_i32.to_le_bytes());
        let refused = Picture::read(&bytes, MAX_PIXELS).err().expect("is refused");
        assert_eq!(
            refused.to_string(),
            "has 20000x20000 pixels, more than the 50000000 that thumbnails are made of"
        );
        let at_the_limit = file(&DynamicImage::new_rgb8(10, 10), ImageFormat::Png);
        assert!(Picture::read(&at_the_limit, 100).is_ok());
        assert!(Picture::read(&at_the_limit, 99).is_err());
    }

    #[test]
    fn other_files_are_refused() {
        let picture = file(&DynamicImage::new_rgb8(30, 30), ImageFormat::Png);
        for bytes in [&b""[..], b"hello, hello", b"%PDF-1.7", &picture[..30]] {
            assert!(thumbnail(bytes, 10).is_err());
        }
    }

    #[test]
    fn short_profiles_of_colours_are_kept() {
        let mut profile = vec![0; 200];
        profile[16..20].copy_from_slice(b"RGB ");
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(profile.clone()).expect("is taken");
        let written = encoder.write_image(&[0; 12], 2, 2, ExtendedColorType::Rgb8);
        written.expect("encodes");
        let thumbnail = thumbnail(&bytes, 10).expect("is made");
        let holds = thumbnail
            .windows(profile.len())
            .any(|bytes| bytes == profile);
        assert!(holds);
        profile[16..20].copy_from_slice(b"CMYK");
        assert!(!is_worth_keeping(&profile));
        assert!(!is_worth_keeping(
            &[b"0123456789abcdefRGB ", &[0; 5000][..]].concat()
        ));
    }
}

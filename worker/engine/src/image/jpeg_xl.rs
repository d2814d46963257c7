//! JPEG XL files.

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageBuffer};
use jxl_oxide::{
    AllocTracker, EnumColourEncoding, InitializeResult, JxlImage, JxlThreadPool, PixelFormat,
    RenderingIntent,
};
use stylefleet_formats::{Kind, Unread};

use super::decode::{Stored, damaged, measured, undecodable};
use super::profile::Profile;
use crate::Cause;

/// Bytes that reading a header may take: it may hold a colour profile.
const FOR_HEADER: usize = 64 << 20;
/// Bytes that it is read in at a time.
const PIECE: usize = 4096;
/// Bytes that decoding may take for each pixel: a few copies of four 32-bit channels.
const FOR_PIXEL: u64 = 64;

pub(super) fn read(mut bytes: &[u8], max_pixels: u64) -> Result<Stored, Cause> {
    let memory = AllocTracker::with_limit(FOR_HEADER);
    let mut image = opened(&mut bytes, memory.clone())?;
    let size = [image.width(), image.height()];
    let pixels = measured(size, max_pixels)?;
    memory.expand_limit(usize::try_from(pixels * FOR_PIXEL).unwrap_or(usize::MAX));
    image.feed_bytes(bytes).map_err(undecodable)?;
    if image.num_loaded_keyframes() == 0 {
        return Err(damaged("the end of its picture is missing"));
    }
    if image.pixel_format().has_black() {
        return Err(Cause::of(Unread::Coding(Kind::JpegXl, "CMYK colours")));
    }
    let profile = match image.original_icc() {
        Some(_) => Some(image.rendered_icc()),
        None => {
            image.request_color_encoding(EnumColourEncoding::srgb(RenderingIntent::Relative));
            None
        }
    };
    Ok(Stored {
        pixels: rendered(&image, size)?,
        profile: profile.map(Profile::Icc),
        // The decoder turns it as the picture's header says, which takes precedence over EXIF.
        orientation: Orientation::NoTransforms,
        notes: Vec::new(),
    })
}

/// Reads the header from the front of `bytes`.
fn opened(bytes: &mut &[u8], memory: AllocTracker) -> Result<JxlImage, Cause> {
    let builder = JxlImage::builder().pool(JxlThreadPool::none());
    let mut file = builder.alloc_tracker(memory).build_uninit();
    while !bytes.is_empty() {
        let (piece, _) = bytes.split_at(bytes.len().min(PIECE));
        let consumed = file.feed_bytes(piece).map_err(undecodable)?;
        *bytes = &bytes[consumed..];
        file = match file.try_init().map_err(undecodable)? {
            InitializeResult::Initialized(image) => return Ok(image),
            InitializeResult::NeedMoreData(_) if consumed == 0 => break,
            InitializeResult::NeedMoreData(file) => file,
        };
    }
    Err(damaged("it ends before its picture begins"))
}

/// The picture, in a depth that holds all its values.
fn rendered(image: &JxlImage, [width, height]: [u32; 2]) -> Result<DynamicImage, Cause> {
    let render = image.render_frame(0).map_err(undecodable)?;
    let mut stream = render.stream();
    let length = width as usize * height as usize * stream.channels() as usize;
    let is_deep = image.image_header().metadata.bit_depth.bits_per_sample() > 8;
    let pixels = if is_deep {
        let mut values = vec![0_u16; length];
        stream.write_to_buffer(&mut values);
        match image.pixel_format() {
            PixelFormat::Gray => {
                ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLuma16)
            }
            PixelFormat::Graya => {
                ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLumaA16)
            }
            PixelFormat::Rgb => {
                ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb16)
            }
            _ => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgba16),
        }
    } else {
        let mut values = vec![0_u8; length];
        stream.write_to_buffer(&mut values);
        match image.pixel_format() {
            PixelFormat::Gray => {
                ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLuma8)
            }
            PixelFormat::Graya => {
                ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLumaA8)
            }
            PixelFormat::Rgb => {
                ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb8)
            }
            _ => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgba8),
        }
    };
    pixels.ok_or_else(|| damaged("its picture is of another size than it says"))
}

//! Checks images before they are uploaded: each is one, and of a bearable size. Nothing is decoded.

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use image::{ImageFormat, ImageReader};
use jxl_oxide::{InitializeResult, JxlImage};
use stylefleet_formats::{HEAD, Kind, Unread, jpeg, readable};
use stylefleet_model::Cause;
use tiff::{TiffError, TiffUnsupportedError};

use crate::images::pattern::is_pattern;

/// As much of a JPEG XL file as its header and a colour profile take.
const JPEG_XL_HEAD: usize = 4 << 20;

/// Why an image was refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Refusal {
    path: PathBuf,
    #[source]
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("is no file")]
    NoFile,
    #[error("is not there{}", if *.looks_like_pattern {
        ": patterns are for contents and photographs alone, and not for buckets"
    } else {
        ""
    })]
    NotThere { looks_like_pattern: bool },
    #[error("is empty")]
    Empty,
    #[error(transparent)]
    Unread(#[from] Unread),
    #[error("is damaged or cut off: {}", .0.to_string().trim().replace('\n', " "))]
    Damaged(#[source] Cause),
    #[error("is a kind of TIFF ({0}) that is not read: save it as PNG or RGB TIFF")]
    TiffKind(#[source] TiffUnsupportedError),
    #[error("is {width}x{height} pixels: there is nothing to see")]
    NoPixels { width: u32, height: u32 },
    #[error(
        "is {width}x{height} pixels, more than the {limit} allowed: scale it down, or raise \
         --max-pixels"
    )]
    TooLarge { width: u32, height: u32, limit: u64 },
}

/// The bytes of the image at `path`, once its header shows no more than `max_pixels`.
pub fn read_file(path: &Path, max_pixels: u64) -> Result<Bytes, Refusal> {
    read(path, max_pixels).map_err(|reason| refuse(path, reason))
}

/// The bytes of an image in a bucket, if they are there, under the same conditions.
pub fn check_object(path: &Path, bytes: Option<Bytes>, max_pixels: u64) -> Result<Bytes, Refusal> {
    let bytes = bytes.ok_or_else(|| refuse(path, not_there(path)))?;
    checked(path, &bytes, max_pixels)?;
    Ok(bytes)
}

/// Width and height of an image that people know by this path, under the same conditions.
pub fn checked(path: &Path, bytes: &[u8], max_pixels: u64) -> Result<(u32, u32), Refusal> {
    let checked = match bytes {
        [] => Err(Reason::Empty),
        bytes => check(bytes, max_pixels),
    };
    checked.map_err(|reason| refuse(path, reason))
}

fn not_there(path: &Path) -> Reason {
    Reason::NotThere {
        looks_like_pattern: is_pattern(path),
    }
}

fn refuse(path: &Path, reason: Reason) -> Refusal {
    Refusal {
        path: path.to_owned(),
        reason,
    }
}

fn read(path: &Path, max_pixels: u64) -> Result<Bytes, Reason> {
    // Looked at before it is opened: opening a named pipe would wait for its other end.
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => {}
        Ok(_) => return Err(Reason::NoFile),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_there(path)),
        Err(error) => return Err(error.into()),
    }
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Err(Reason::Empty);
    }
    let mut bytes = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut bytes)?;
    readable(&bytes)?;
    file.read_to_end(&mut bytes)?;
    check(&bytes, max_pixels)?;
    Ok(bytes.into())
}

fn check(image: &[u8], max_pixels: u64) -> Result<(u32, u32), Reason> {
    let (width, height) = dimensions(image)?;
    if width == 0 || height == 0 {
        return Err(Reason::NoPixels { width, height });
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(Reason::TooLarge {
            width,
            height,
            limit: max_pixels,
        });
    }
    Ok((width, height))
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Reason {
    Reason::Damaged(Cause::of(error))
}

/// Width and height, as the header says.
fn dimensions(image: &[u8]) -> Result<(u32, u32), Reason> {
    match readable(image)? {
        Kind::Jpeg => {
            let outline = jpeg::outline(image);
            let outline =
                outline.ok_or_else(|| Reason::Damaged("its picture is missing".into()))?;
            match outline.unread {
                Some(coding) => Err(Unread::Coding(Kind::Jpeg, coding).into()),
                None => Ok((outline.width, outline.height)),
            }
        }
        Kind::Heic | Kind::Avif => {
            // In whole blocks, which the picture's own size may be a little less than.
            let size = imagesize::blob_size(image).map_err(damaged)?;
            let side = |side: usize| u32::try_from(side).map_err(damaged);
            Ok((side(size.width)?, side(size.height)?))
        }
        Kind::JpegXl => {
            let mut file = JxlImage::builder().build_uninit();
            let head = &image[..image.len().min(JPEG_XL_HEAD)];
            file.feed_bytes(head).map_err(damaged)?;
            match file.try_init().map_err(damaged)? {
                InitializeResult::Initialized(image) => Ok((image.width(), image.height())),
                InitializeResult::NeedMoreData(_) => {
                    Err(Reason::Damaged("its picture is missing".into()))
                }
            }
        }
        Kind::Png => by_decoder(image, ImageFormat::Png),
        Kind::WebP => by_decoder(image, ImageFormat::WebP),
        Kind::Tiff => tiff_dimensions(image),
        Kind::Gif => by_decoder(image, ImageFormat::Gif),
        Kind::Bmp => by_decoder(image, ImageFormat::Bmp),
        other => Err(Unread::Kind(other).into()),
    }
}

/// What of a TIFF is not read for its colours, the worker says, which looks at them.
fn tiff_dimensions(image: &[u8]) -> Result<(u32, u32), Reason> {
    let decoder = tiff::decoder::Decoder::new(Cursor::new(image));
    match decoder.and_then(|mut decoder| decoder.dimensions()) {
        Ok(dimensions) => Ok(dimensions),
        Err(TiffError::UnsupportedError(kind)) => Err(Reason::TiffKind(kind)),
        Err(error) => Err(damaged(error)),
    }
}

fn by_decoder(image: &[u8], format: ImageFormat) -> Result<(u32, u32), Reason> {
    let reader = ImageReader::with_format(Cursor::new(image), format);
    let dimensions = reader.into_dimensions();
    dimensions.map_err(damaged)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(width, height)
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("encodes");
        bytes.into_inner()
    }

    fn refusal(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("writes");
        let message = read_file(file.path(), 100)
            .expect_err("refused")
            .to_string();
        assert!(message.starts_with(&file.path().display().to_string()));
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    }

    #[test]
    fn takes_images_whatever_their_name() {
        let file = tempfile::NamedTempFile::with_suffix(".jpg").expect("a file");
        std::fs::write(file.path(), png(10, 10)).expect("writes");
        assert_eq!(read_file(file.path(), 100).expect("is read"), png(10, 10));
    }

    #[test]
    fn a_refusal_keeps_the_decoders_error() {
        let bytes = Bytes::from(png(10, 10)).slice(..20);
        let refused = check_object(Path::new("s3://bucket/a.png"), Some(bytes), 100);
        let refused = refused.expect_err("is cut off");
        let mut chain = std::iter::successors(refused.source(), |&error| error.source());
        assert!(
            chain.any(|error| error.is::<image::ImageError>()),
            "{refused:?}"
        );
    }

    #[test]
    fn refuses_everything_else() {
        assert!(refusal(b"").contains("is empty"));
        assert!(refusal(b"hello, hello").contains("no image"));
        assert!(refusal(b"%PDF-1.7").contains("is a PDF file, which is not read"));
        assert!(refusal(&png(10, 10)[..20]).contains("damaged or cut off"));
        assert!(refusal(&png(11, 10)).contains("11x10 pixels, more than the 100 allowed"));
        let folder = tempfile::tempdir().expect("a folder");
        for (path, reason) in [
            (folder.path().to_owned(), "is no file"),
            (folder.path().join("gone"), "is not there"),
            (folder.path().join("*.png"), "not there: patterns"),
        ] {
            let message = read_file(&path, 100).expect_err("refused").to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn takes_every_tiff_that_the_workers_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/engine/golden/tiff");
        let paths: Vec<_> = std::fs::read_dir(folder)
            .expect("lists")
            .map(|entry| entry.expect("is there").path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "tif"))
            .collect();
        assert!(paths.len() > 90, "{}", paths.len());
        for path in paths {
            let image = std::fs::read(&path).expect("reads");
            let size = dimensions(&image).expect("is taken");
            let is_preview = path.ends_with("preview_first.tif");
            let wanted = if is_preview { (4, 4) } else { (21, 13) };
            assert_eq!(size, wanted, "{}", path.display());
        }
    }

    #[test]
    fn names_kinds_of_tiff_that_nobody_reads() {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(10, 10)
            .write_to(&mut bytes, ImageFormat::Tiff)
            .expect("encodes");
        let mut bytes = bytes.into_inner();
        let message = refusal(&bytes[..bytes.len() - 20]);
        assert!(message.contains("is damaged or cut off"), "{message}");
        let colors = [262_u16, 3, 1, 0, 2].map(u16::to_le_bytes).concat();
        let entry = bytes.windows(10).position(|bytes| bytes == colors);
        let value = entry.expect("is there") + 8;
        bytes[value..value + 2].copy_from_slice(&32803_u16.to_le_bytes());
        let message = refusal(&bytes);
        assert!(message.contains("is a kind of TIFF ("), "{message}");
        assert!(message.ends_with("save it as PNG or RGB TIFF"), "{message}");
    }

    #[test]
    fn objects_are_checked_alike() {
        let path = Path::new("s3://bucket/a.png");
        let checked = |bytes: Option<Vec<u8>>| {
            let checked = check_object(path, bytes.map(Bytes::from), 100);
            checked.map_err(|refusal| refusal.to_string())
        };
        assert_eq!(checked(Some(png(10, 10))), Ok(png(10, 10).into()));
        for (bytes, reason) in [
            (None, "is not there"),
            (Some(Vec::new()), "is empty"),
            (Some(png(11, 10)), "more than the 100"),
        ] {
            let message = checked(bytes).expect_err("refused");
            assert!(message.starts_with("s3://bucket/a.png: "), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn every_format_is_measured() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/engine/golden/pictures");
        for (name, width, height) in [
            ("turned1.jpg", 48, 32),
            ("turned1.heic", 64, 64), // in whole blocks
            ("turned1.avif", 48, 32),
            ("alpha.avif", 48, 32),
            ("turned1.jxl", 48, 32),
            ("grey.jxl", 48, 32),
            ("moving.gif", 48, 32),
            ("plain.bmp", 48, 32),
        ] {
            let path = folder.join(name);
            let pixels = width * height;
            read_file(&path, pixels).expect("is taken");
            let refused = read_file(&path, pixels - 1).expect_err("is too large");
            let message = refused.to_string();
            assert!(
                message.contains(&format!("{width}x{height} pixels")),
                "{message}"
            );
            let whole = std::fs::read(&path).expect("is there");
            for length in 0..whole.len() {
                let _ = check(&whole[..length], 1 << 20);
            }
        }
        let refused = read_file(&folder.join("arithmetic.jpg"), 48 * 32).expect_err("is refused");
        let message = refused.to_string();
        assert!(
            message.contains("arithmetic coding, which is not read"),
            "{message}"
        );
    }

    #[test]
    fn refuses_an_image_without_pixels() {
        let mut bytes = b"\xff\xd8\xff\xc0\0\x0b\x08".to_vec();
        bytes.extend([0, 0, 0, 10, 1, 1, 0x11, 0]);
        let message = refusal(&bytes);
        assert!(message.contains("nothing to see") || message.contains("damaged"));
    }
}

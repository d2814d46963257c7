//! Where images come in: only what is known to be an image of a bearable size passes.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use image::{ImageError, ImageFormat, ImageReader};

use crate::asking::pattern::is_pattern;

/// Formats that the workers read.
const FORMATS: [ImageFormat; 4] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Tiff,
];

/// Bytes from the start of a file that tell whether it is an image.
pub const START: u64 = 64;

/// Whether a file that starts so is an image of a format that is read.
pub fn is_image(start: &[u8]) -> bool {
    image::guess_format(start).is_ok_and(|format| FORMATS.contains(&format))
}

/// Why a file was not let in.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Refusal {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("is no file")]
    NoFile,
    #[error("is not there{}", match .looks_like_pattern {
        true => ": patterns are for CONTENT alone, and not for buckets",
        false => "",
    })]
    NotThere { looks_like_pattern: bool },
    #[error("lies in a bucket: only `stylefleet submit` reads from there")]
    Remote,
    #[error("is empty")]
    Empty,
    #[error("is no image that can be read: give PNG, JPEG, WebP or TIFF")]
    Format,
    #[error("is damaged or cut off: {}", .0.to_string().trim().replace('\n', " "))]
    Damaged(ImageError),
    #[error("is {width}x{height} pixels: there is nothing to see")]
    NoPixels { width: u32, height: u32 },
    #[error(
        "is {width}x{height} pixels, more than the {limit} allowed: scale it down, or raise --max-pixels"
    )]
    TooLarge { width: u32, height: u32, limit: u64 },
}

/// The bytes of the image at `path`, once its header shows no more than `max_pixels`. Nothing is
/// decoded.
pub fn admit(path: &Path, max_pixels: u64) -> Result<Bytes, Refusal> {
    read(path, max_pixels).map_err(|reason| refuse(path, reason))
}

/// The bytes of an image in a bucket, if they are there, under the same conditions.
pub fn admit_object(path: &Path, bytes: Option<Bytes>, max_pixels: u64) -> Result<Bytes, Refusal> {
    let admitted = match bytes {
        None => Err(not_there(path)),
        Some(bytes) if bytes.is_empty() => Err(Reason::Empty),
        Some(bytes) => check(Cursor::new(&bytes), max_pixels).map(|()| bytes),
    };
    admitted.map_err(|reason| refuse(path, reason))
}

/// Turns down an image in a bucket, where no bucket is asked.
pub fn refuse_object(path: &Path) -> Refusal {
    refuse(path, Reason::Remote)
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
    check(BufReader::new(&file), max_pixels)?;
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn check(image: impl BufRead + Seek, max_pixels: u64) -> Result<(), Reason> {
    let reader = ImageReader::new(image).with_guessed_format()?;
    let (width, height) = match reader.format() {
        Some(format) if FORMATS.contains(&format) => {
            reader.into_dimensions().map_err(Reason::Damaged)?
        }
        _ => return Err(Reason::Format),
    };
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
    Ok(())
}

#[cfg(test)]
mod tests {
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
        let message = admit(file.path(), 100).expect_err("refused").to_string();
        assert!(message.starts_with(&file.path().display().to_string()));
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    }

    #[test]
    fn lets_images_in_whatever_their_name() {
        let file = tempfile::NamedTempFile::with_suffix(".jpg").expect("a file");
        std::fs::write(file.path(), png(10, 10)).expect("writes");
        assert_eq!(admit(file.path(), 100).expect("admitted"), png(10, 10));
    }

    #[test]
    fn refuses_everything_else() {
        assert!(refusal(b"").contains("is empty"));
        assert!(refusal(b"hello, hello").contains("no image"));
        assert!(refusal(b"GIF89a\x01\0\x01\0").contains("no image"));
        assert!(refusal(&png(10, 10)[..20]).contains("damaged or cut off"));
        assert!(refusal(&png(11, 10)).contains("11x10 pixels, more than the 100 allowed"));
        let folder = tempfile::tempdir().expect("a folder");
        for (path, reason) in [
            (folder.path().to_owned(), "is no file"),
            (folder.path().join("gone"), "is not there"),
            (folder.path().join("*.png"), "not there: patterns"),
        ] {
            let message = admit(&path, 100).expect_err("refused").to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn objects_pass_the_same_door() {
        let path = Path::new("s3://bucket/a.png");
        let admitted = |bytes: Option<Vec<u8>>| {
            let admitted = admit_object(path, bytes.map(Bytes::from), 100);
            admitted.map_err(|refusal| refusal.to_string())
        };
        assert_eq!(admitted(Some(png(10, 10))), Ok(png(10, 10).into()));
        for (bytes, reason) in [
            (None, "is not there"),
            (Some(Vec::new()), "is empty"),
            (Some(png(11, 10)), "more than the 100"),
        ] {
            let message = admitted(bytes).expect_err("refused");
            assert!(message.starts_with("s3://bucket/a.png: "), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn refuses_an_image_without_pixels() {
        let mut bytes = b"\xff\xd8\xff\xc0\0\x0b\x08".to_vec();
        bytes.extend([0, 0, 0, 10, 1, 1, 0x11, 0]);
        let message = refusal(&bytes);
        assert!(message.contains("nothing to see") || message.contains("damaged"));
    }
}

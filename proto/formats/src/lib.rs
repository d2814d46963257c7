//! The formats that people keep pictures in: how a file of each begins, what it is called, and
//! which are read. The dispatcher's door and the engine both go by it.
//!
//! Pure: no I/O.

pub mod jpeg;
mod tiff;

use std::fmt;

/// As many of a file's first bytes as [`kind_of`] makes use of.
pub const HEAD: usize = 1024;

/// The formats that are read, for messages.
pub const READ: &str = "PNG, JPEG, WebP, TIFF, GIF, BMP, HEIC, AVIF or JPEG XL";

/// What the names of files of these formats end in, in small letters.
pub const ENDINGS: [&str; 15] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff", "gif", "bmp", "heic", "heif",
    "hif", "avif", "jxl",
];

/// What kind of file it is, as its first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// PNG and APNG.
    Png,
    /// JPEG, with whatever coding.
    Jpeg,
    /// WebP.
    WebP,
    /// TIFF and BigTIFF, but for cameras' raw files.
    Tiff,
    /// GIF.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// HEIF with HEVC inside, as phones write it.
    Heic,
    /// HEIF with AV1 inside.
    Avif,
    /// JPEG XL, bare or in its container.
    JpegXl,
    /// What cameras' sensors saw: DNG, CR2, CR3, NEF, ARW and others.
    Raw,
    /// Photoshop's documents.
    Photoshop,
    /// PDF, and Illustrator's files.
    Pdf,
    /// Scalable vector graphics.
    Svg,
    /// PostScript and EPS.
    PostScript,
    /// JPEG 2000.
    Jpeg2000,
    /// OpenEXR.
    OpenExr,
    /// Radiance HDR.
    Radiance,
    /// Windows icons.
    Icon,
    /// GIMP's documents.
    Gimp,
    /// Films: MP4, QuickTime, Matroska, AVI.
    Video,
}

impl Kind {
    /// Whether pictures of this kind are read.
    pub fn is_read(self) -> bool {
        matches!(
            self,
            Self::Png
                | Self::Jpeg
                | Self::WebP
                | Self::Tiff
                | Self::Gif
                | Self::Bmp
                | Self::Heic
                | Self::Avif
                | Self::JpegXl
        )
    }
}

/// With its article: "a PNG file".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "a PNG file",
            Self::Jpeg => "a JPEG file",
            Self::WebP => "a WebP file",
            Self::Tiff => "a TIFF file",
            Self::Gif => "a GIF file",
            Self::Bmp => "a BMP file",
            Self::Heic => "a HEIC file",
            Self::Avif => "an AVIF file",
            Self::JpegXl => "a JPEG XL file",
            Self::Raw => "a camera's raw file",
            Self::Photoshop => "a Photoshop file",
            Self::Pdf => "a PDF file",
            Self::Svg => "an SVG file",
            Self::PostScript => "a PostScript file",
            Self::Jpeg2000 => "a JPEG 2000 file",
            Self::OpenExr => "an OpenEXR file",
            Self::Radiance => "a Radiance HDR file",
            Self::Icon => "a Windows icon",
            Self::Gimp => "a GIMP file",
            Self::Video => "a film",
        })
    }
}

/// Why a file is not read, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is nothing that is known here.
    Unknown,
    /// It is of a kind that is known, but not read.
    Kind(Kind),
    /// It is of a kind that is read, but not with this coding.
    Coding(Kind, &'static str),
}

impl std::error::Error for Unread {}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "is no image that is read here: give {READ}"),
            Self::Kind(kind) => {
                write!(f, "is {kind}, which is not read: export it as PNG or JPEG")
            }
            Self::Coding(kind, coding) => {
                write!(
                    f,
                    "is {kind} with {coding}, which is not read: save it as PNG"
                )
            }
        }
    }
}

/// The kind of a file that begins with `head`, if it is one that is read.
pub fn readable(head: &[u8]) -> Result<Kind, Unread> {
    match kind_of(head) {
        Some(kind) if kind.is_read() => Ok(kind),
        Some(kind) => Err(Unread::Kind(kind)),
        None => Err(Unread::Unknown),
    }
}

/// How files begin. Those in containers that many formats share are told apart by the rest of
/// [`kind_of`].
const BEGINNINGS: [(&[u8], Kind); 23] = [
    (b"\x89PNG\r\n\x1a\n", Kind::Png),
    (b"\xff\xd8\xff", Kind::Jpeg),
    (b"GIF87a", Kind::Gif),
    (b"GIF89a", Kind::Gif),
    (b"\xff\x0a", Kind::JpegXl),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind::JpegXl),
    (b"FUJIFILMCCD-RAW", Kind::Raw),
    (b"IIRO\x08\0\0\0", Kind::Raw),  // Olympus
    (b"IIU\0\x08\0\0\0", Kind::Raw), // Panasonic, older
    (b"IIU\0\x18\0\0\0", Kind::Raw), // Panasonic
    (b"\0MRM", Kind::Raw),           // Minolta
    (b"FOVb", Kind::Raw),            // Sigma
    (b"8BPS", Kind::Photoshop),
    (b"%PDF-", Kind::Pdf),
    (b"%!PS", Kind::PostScript),
    (b"\xc5\xd0\xd3\xc6", Kind::PostScript),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Kind::Jpeg2000),
    (b"\xff\x4f\xff\x51", Kind::Jpeg2000),
    (b"\x76\x2f\x31\x01", Kind::OpenExr),
    (b"#?RADIANCE", Kind::Radiance),
    (b"\0\0\x01\0", Kind::Icon),
    (b"gimp xcf", Kind::Gimp),
    (b"\x1a\x45\xdf\xa3", Kind::Video),
];

/// The kind of a file that begins with `head`, if it is one that is known here. [`HEAD`] bytes are
/// enough; of a shorter file, all.
///
/// ```
/// use stylefleet_formats::{Kind, kind_of};
///
/// let kind = kind_of(b"GIF89a, whatever its name ends in").expect("is known");
/// assert_eq!(kind, Kind::Gif);
/// assert_eq!(kind.to_string(), "a GIF file");
/// assert!(kind.is_read());
/// assert_eq!(kind_of(b"Dear diary"), None);
/// ```
pub fn kind_of(head: &[u8]) -> Option<Kind> {
    match head {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some(Kind::WebP),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'A',
            b'V',
            b'I',
            b' ',
            ..,
        ] => Some(Kind::Video),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(of_brands(head)),
        // Two bytes are few: what must be zero is looked at too.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Kind::Bmp),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => {
            Some(if tiff::is_raw(head) {
                Kind::Raw
            } else {
                Kind::Tiff
            })
        }
        _ => {
            let mut known = BEGINNINGS.iter();
            let found = known.find(|(beginning, _)| head.starts_with(beginning));
            found
                .map(|(_, kind)| *kind)
                .or_else(|| is_svg(head).then_some(Kind::Svg))
        }
    }
}

/// The kind of an ISO base media file (ISO/IEC 14496-12), from the brands that it says it can be
/// read as: the first that tells something.
fn of_brands(head: &[u8]) -> Kind {
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let brands = &head[8..length.clamp(8, head.len())];
    let mut kinds = brands.chunks_exact(4).filter_map(|brand| match brand {
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(Kind::Heic),
        b"avif" | b"avis" => Some(Kind::Avif),
        b"crx " => Some(Kind::Raw),
        _ => None,
    });
    let is_still = brands.starts_with(b"mif1") || brands.starts_with(b"msf1");
    kinds
        .next()
        .unwrap_or(if is_still { Kind::Heic } else { Kind::Video })
}

/// Whether a text is an SVG document, with or without a preamble.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(HEAD)]);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with("<svg")
        || ["<?xml", "<!--", "<!DOCTYPE"]
            .iter()
            .any(|preamble| text.starts_with(preamble))
            && text.contains("<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_how_they_begin() {
        for (head, kind) in [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), Kind::Png),
            (b"\xff\xd8\xff\xe1", Kind::Jpeg),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Kind::WebP),
            (b"RIFF\x10\0\0\0AVI LIST", Kind::Video),
            (b"GIF89a\x01\0", Kind::Gif),
            (b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0", Kind::Bmp),
            (b"\xff\x0a\0", Kind::JpegXl),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Kind::Heic),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Kind::Heic),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", Kind::Avif),
            (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", Kind::Avif),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", Kind::Raw),
            (b"\0\0\0\x18ftypisom\0\0\x02\0isomavc1", Kind::Video),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", Kind::Video),
            (b"8BPS\0\x01", Kind::Photoshop),
            (b"%PDF-1.7\n", Kind::Pdf),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Kind::Svg),
            (
                b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg>",
                Kind::Svg,
            ),
        ] {
            assert_eq!(kind_of(head), Some(kind), "{head:?}");
        }
        for head in [
            b"".as_slice(),
            b"hello, hello",
            b"BM is how this text begins",
            b"<?xml version='1.0'?><html>",
            b"RIFF\x10\0\0\0WAVEfmt ",
            b"\xff\xd8",
        ] {
            assert_eq!(kind_of(head), None, "{head:?}");
        }
    }

    /// However a file goes on, and wherever it ends.
    #[test]
    fn no_head_does_harm() {
        let whole: Vec<u8> = (0..=255).cycle().take(2 * HEAD).collect();
        for (beginning, _) in BEGINNINGS {
            for length in 0..40 {
                kind_of(&[beginning, &whole[..length]].concat());
            }
        }
        for length in 0..16 {
            for byte in 0..=255 {
                kind_of(&[b"II*\0".as_slice(), &[byte; 16][..length]].concat());
                kind_of(&[[byte; 4].as_slice(), b"ftyp", &whole[..length]].concat());
            }
        }
    }

    #[test]
    fn what_is_read_is_listed() {
        let others = [Kind::WebP, Kind::Tiff, Kind::Bmp, Kind::Heic, Kind::Avif];
        for kind in BEGINNINGS.map(|(_, kind)| kind).into_iter().chain(others) {
            let name = kind.to_string();
            let (_, name) = name.split_once(' ').expect("has an article");
            let name = name.trim_end_matches(" file");
            assert_eq!(READ.contains(name), kind.is_read(), "{name}");
        }
    }
}

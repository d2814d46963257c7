//! What the markers of a JPEG file tell (ITU-T T.81, annex B), with nothing decoded.

/// The makings of a JPEG file's picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// What keeps it from being read, where its coding is one that is not.
    pub unread: Option<&'static str>,
    /// Whether an Adobe program says how its colours are coded: it stores CMYK inverted.
    pub is_adobe: bool,
    /// Where its picture ends: after its last scan.
    pub end: usize,
    /// Whether a marker says that it ends there.
    pub has_end_marker: bool,
    /// Whether no scan is missing.
    pub has_all_scans: bool,
    /// Of each component: what it is called, and which of its coefficients are there to the last
    /// bit.
    components: Vec<(u8, u64)>,
}

const ALL_COEFFICIENTS: u64 = u64::MAX;

const DEFINE_HUFFMAN: u8 = 0xc4;
const EXTENSION: u8 = 0xc8;
const DEFINE_ARITHMETIC: u8 = 0xcc;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const ADOBE: u8 = 0xee;

/// Goes from marker to marker, since thumbnails before the picture and whatever follows it may hold
/// the bytes of any marker. None where there is no frame.
pub fn outline(jpeg: &[u8]) -> Option<Outline> {
    let mut outline: Option<Outline> = None;
    let mut is_adobe = false;
    let mut at = 2;
    while let Some(found) = next_marker(jpeg, at) {
        let code = jpeg[found + 1];
        if code == END_OF_IMAGE {
            break;
        }
        let Some(segment) = segment(jpeg, found + 2) else {
            break;
        };
        at = found + 4 + segment.len();
        match code {
            ADOBE if segment.starts_with(b"Adobe") => is_adobe = true,
            DEFINE_HUFFMAN | EXTENSION | DEFINE_ARITHMETIC => {}
            0xc0..=0xcf if outline.is_none() => outline = frame(code, segment),
            START_OF_SCAN => {
                let outline = outline.as_mut()?;
                if !outline.adds(segment) {
                    break;
                }
                let end = next_marker(jpeg, at);
                outline.end = end.unwrap_or(jpeg.len());
                outline.has_end_marker = end.is_some_and(|end| jpeg[end + 1] == END_OF_IMAGE);
                at = outline.end;
                if outline.has_all_scans {
                    break;
                }
            }
            _ => {}
        }
    }
    outline.map(|outline| Outline {
        is_adobe,
        ..outline
    })
}

/// Where the next marker is: neither a stuffed byte, nor one that stands alone, nor filling.
fn next_marker(jpeg: &[u8], from: usize) -> Option<usize> {
    let is_marker = |b: &[u8]| b[0] == 0xff && !matches!(b[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff);
    let rest = jpeg.get(from..)?;
    rest.windows(2)
        .position(is_marker)
        .map(|found| from + found)
}

/// What follows a marker, behind its length.
fn segment(jpeg: &[u8], at: usize) -> Option<&[u8]> {
    let length = u16::from_be_bytes(jpeg.get(at..at + 2)?.try_into().ok()?);
    jpeg.get(at + 2..at + usize::from(length))
}

fn frame(code: u8, segment: &[u8]) -> Option<Outline> {
    let [bits, high, low, left, right, count, components @ ..] = segment else {
        return None;
    };
    let unread = match (code, bits) {
        (0xc3 | 0xc7 | 0xcb | 0xcf, _) => Some("lossless coding"),
        (0xc9.., _) => Some("arithmetic coding"),
        (0xc5.., _) => Some("hierarchical coding"),
        (_, 8) => None,
        _ => Some("more than 8 bits a value"),
    };
    let components = components.chunks_exact(3).take(usize::from(*count));
    Some(Outline {
        width: u16::from_be_bytes([*left, *right]).into(),
        height: u16::from_be_bytes([*high, *low]).into(),
        unread,
        is_adobe: false,
        end: 0,
        has_end_marker: false,
        has_all_scans: false,
        components: components.map(|component| (component[0], 0)).collect(),
    })
}

impl Outline {
    /// How many values a pixel has.
    pub fn channels(&self) -> usize {
        self.components.len()
    }

    /// Takes note of a scan. False where it is none of this picture.
    fn adds(&mut self, scan: &[u8]) -> bool {
        let Some((&count, rest)) = scan.split_first() else {
            return false;
        };
        let Some((names, &[first, last, bits])) = rest.split_last_chunk::<3>() else {
            return false;
        };
        if names.len() != 2 * usize::from(count) || first > last || last > 63 {
            return false;
        }
        // Bits of less weight than these come in a later scan.
        let is_last = bits & 0x0f == 0;
        let coefficients = (ALL_COEFFICIENTS >> (63 - last)) & (ALL_COEFFICIENTS << first);
        for name in names.iter().step_by(2) {
            let Some((_, there)) = self.components.iter_mut().find(|(known, _)| known == name)
            else {
                return false;
            };
            if is_last {
                *there |= coefficients;
            }
        }
        self.has_all_scans = self
            .components
            .iter()
            .all(|(_, there)| *there == ALL_COEFFICIENTS);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 5 x 3 pixels, one component; its scan has a stuffed byte and a restart marker in it.
    fn start(code: u8, bits: u8) -> Vec<u8> {
        let frame = [0xff, code, 0, 11, bits, 0, 3, 0, 5, 1, 1, 0x11, 0];
        // A thumbnail, with markers of its own.
        let thumbnail = [0xff, 0xe1, 0, 8, 0xff, 0xd8, 0xff, 0xd9, 0, 0];
        [&[0xff, 0xd8], &thumbnail[..], &frame].concat()
    }

    fn scan(first: u8, last: u8, bits: u8) -> Vec<u8> {
        let header = [0xff, START_OF_SCAN, 0, 8, 1, 1, 0, first, last, bits];
        [&header[..], &[7, 0xff, 0, 8, 0xff, 0xd0, 9]].concat()
    }

    fn read(parts: &[Vec<u8>]) -> Outline {
        outline(&parts.concat()).expect("has a frame")
    }

    #[test]
    fn the_end_is_where_the_last_scan_ends() {
        let whole = [start(0xc0, 8), scan(0, 63, 0)];
        let length = whole.concat().len();
        let film = b"\xff\xd9\0\0\0\x18ftyp\xff\xd9".to_vec();
        for (behind, has_end_marker) in
            [(vec![], false), (b"\xff\xd9".to_vec(), true), (film, true)]
        {
            let found = read(&[whole.concat(), behind]);
            assert_eq!((found.width, found.height, found.unread), (5, 3, None));
            assert!(found.has_all_scans);
            assert_eq!((found.end, found.has_end_marker), (length, has_end_marker));
        }
    }

    #[test]
    fn a_missing_scan_is_missed() {
        let frame = start(0xc2, 8);
        let coarse = scan(0, 0, 1);
        let (low, high) = (scan(1, 5, 0), scan(6, 63, 0));
        let fine = scan(0, 0, 0x10);
        let all = [frame, coarse, low, high, fine];
        assert!(read(&all).has_all_scans);
        for count in 1..all.len() {
            let end = b"\xff\xd9".to_vec();
            assert!(
                !read(&[all[..count].concat(), end]).has_all_scans,
                "{count}"
            );
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (code, bits, unread) in [
            (0xc1, 8, None),
            (0xc2, 8, None),
            (0xc1, 12, Some("more than 8 bits a value")),
            (0xc3, 16, Some("lossless coding")),
            (0xc6, 8, Some("hierarchical coding")),
            (0xc9, 8, Some("arithmetic coding")),
            (0xca, 8, Some("arithmetic coding")),
        ] {
            assert_eq!(read(&[start(code, bits)]).unread, unread, "{code:x}");
        }
    }

    #[test]
    fn no_file_does_harm() {
        let whole = [start(0xc2, 8), scan(0, 63, 0), b"\xff\xd9".to_vec()].concat();
        for length in 0..whole.len() {
            outline(&whole[..length]);
            for flip in 0..8 {
                let mut flipped = whole.clone();
                flipped[length] ^= 1 << flip;
                outline(&flipped);
            }
        }
    }
}

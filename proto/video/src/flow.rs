//! Optical flow of others: as they write it, a `.flo` file each (Middlebury's format), and as a
//! chunk's go to a worker, in one file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::f16;

use crate::Error;

/// What a `.flo` file begins with: 202021.25.
const FLO: [u8; 4] = 202_021.25_f32.to_le_bytes();
/// Bytes of a `.flo` file before its samples: that, the width, the height.
const FLO_HEADER: usize = 12;
/// What a file of several begins with.
const PACKED: [u8; 8] = *b"flows\0\0\x01";
/// Bytes of such a file before its samples: that, the width, the height.
const PACKED_HEADER: usize = 16;
/// Longest side.
const MOST: u32 = 1 << 16;

/// Looks at all of a `.flo` file. Returns its width and its height.
///
/// # Errors
///
/// If it is missing, is none, is cut off, or has samples that are no numbers.
pub fn check_flow(path: &Path) -> Result<[u32; 2], Error> {
    read_flo(path).map(|(size, _)| size)
}

/// Writes the flows of these `.flo` files, which are of one size, into one file. Samples become
/// 16-bit floats, the low byte first. Where a flow is not known, as the format has it, it leads far
/// out of the picture.
///
/// # Errors
///
/// If one of them cannot be read, or is of another size, or if the file cannot be written.
pub fn pack_flows(paths: &[PathBuf], out: &Path) -> Result<(), Error> {
    let unwritten = |source| Error::Io {
        action: "write",
        path: out.into(),
        source,
    };
    let mut file = BufWriter::new(File::create(out).map_err(unwritten)?);
    let mut size = None;
    for path in paths {
        let (found, samples) = read_flo(path)?;
        if size.is_none() {
            let [width, height] = found.map(u32::to_le_bytes);
            let header = [&PACKED[..], &width, &height].concat();
            file.write_all(&header).map_err(unwritten)?;
        }
        expect_size(path, found, &[*size.get_or_insert(found)])?;
        let halved = samples.into_iter().map(|sample| {
            let most = f32::from(f16::MAX);
            f16::from_f32(sample.clamp(-most, most)).to_le_bytes()
        });
        let halved: Vec<_> = halved.flatten().collect();
        file.write_all(&halved).map_err(unwritten)?;
    }
    file.flush().map_err(unwritten)
}

/// Fails unless a flow is of one of these sizes.
///
/// # Errors
///
/// If it is of another.
pub fn expect_size(path: &Path, found: [u32; 2], sizes: &[[u32; 2]]) -> Result<(), Error> {
    if sizes.contains(&found) {
        return Ok(());
    }
    let words = |[width, height]: &[u32; 2]| format!("{width}x{height}");
    let wanted: Vec<_> = sizes.iter().map(words).collect();
    let reason = format!("is of {}, not of {}", words(&found), wanted.join(" or "));
    Err(bad(path, reason))
}

/// The flows that [`pack_flows`] has written.
#[derive(Debug)]
pub struct Flows {
    file: File,
    /// Width and height.
    size: [u32; 2],
    count: usize,
}

impl Flows {
    /// Those in a file.
    ///
    /// # Errors
    ///
    /// If it is none of that kind, or cannot be read.
    pub fn open(file: File) -> io::Result<Self> {
        let mut header = [0; PACKED_HEADER];
        file.read_exact_at(&mut header, 0)?;
        let side = |at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            u32::from_le_bytes(bytes)
        };
        let size = [side(8), side(12)];
        if header[..8] != PACKED || size.iter().any(|side| !(1..=MOST).contains(side)) {
            return Err(damaged());
        }
        let length = file.metadata()?.len() - PACKED_HEADER as u64;
        let each = bytes(size) as u64;
        if !length.is_multiple_of(each) {
            return Err(damaged());
        }
        Ok(Self {
            count: usize::try_from(length / each).map_err(|_| damaged())?,
            file,
            size,
        })
    }

    /// Width and height.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One of them, by its number from 0: row by row, to the right and down for each pixel.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be read.
    pub fn read(&self, number: usize) -> io::Result<Vec<f32>> {
        if number >= self.count {
            return Err(damaged());
        }
        let mut samples = vec![0; bytes(self.size)];
        let at = PACKED_HEADER as u64 + number as u64 * samples.len() as u64;
        self.file.read_exact_at(&mut samples, at)?;
        let (samples, _) = samples.as_chunks();
        let samples = samples
            .iter()
            .map(|&sample| f32::from(f16::from_le_bytes(sample)));
        Ok(samples.collect())
    }
}

/// Bytes of a packed flow.
fn bytes([width, height]: [u32; 2]) -> usize {
    2 * size_of::<f16>() * width as usize * height as usize
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}

fn bad(path: &Path, found: String) -> Error {
    Error::Flow {
        path: path.into(),
        found,
    }
}

/// The width, the height and the samples of a `.flo` file.
fn read_flo(path: &Path) -> Result<([u32; 2], Vec<f32>), Error> {
    let unread = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => bad(path, "is missing".to_owned()),
        io::ErrorKind::UnexpectedEof => bad(path, "is cut off".to_owned()),
        _ => Error::Io {
            action: "read",
            path: path.into(),
            source,
        },
    };
    let mut file = File::open(path).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len();
    let mut header = [0; FLO_HEADER];
    file.read_exact(&mut header).map_err(unread)?;
    let [a, b, c, d, sides @ ..] = header;
    if [a, b, c, d] != FLO {
        return Err(bad(path, "is no .flo file".to_owned()));
    }
    let (sides, _) = sides.as_chunks();
    let size = [sides[0], sides[1]].map(u32::from_le_bytes);
    let [width, height] = size;
    if size.iter().any(|side| !(1..=MOST).contains(side)) {
        return Err(bad(path, format!("is of {width}x{height}")));
    }
    let expected = 8 * u64::from(width) * u64::from(height);
    let found = length.saturating_sub(FLO_HEADER as u64);
    if found < expected {
        return Err(bad(path, "is cut off".to_owned()));
    }
    if found > expected {
        let reason = format!("has more in it than a flow of {width}x{height}");
        return Err(bad(path, reason));
    }
    let mut samples = vec![0; usize::try_from(expected).unwrap_or(usize::MAX)];
    file.read_exact(&mut samples).map_err(unread)?;
    let (samples, _) = samples.as_chunks();
    let samples: Vec<_> = samples.iter().copied().map(f32::from_le_bytes).collect();
    if let Some(at) = samples.iter().position(|sample| sample.is_nan()) {
        let (row, column) = (at / 2 / width as usize, at / 2 % width as usize);
        let reason = format!("has what is no number at column {column}, row {row}");
        return Err(bad(path, reason));
    }
    Ok((size, samples))
}

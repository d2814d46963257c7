//! From bytes to samples.

use ::tiff::tags::ByteOrder;
use half::f16;

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    /// So many bits: one byte, two or four in the file's order, or else packed, the highest first.
    Unsigned(u8),
    /// IEEE 754 of so many bits.
    Float(u8),
}

impl Format {
    pub fn bits(self) -> usize {
        match self {
            Self::Unsigned(bits) | Self::Float(bits) => bits.into(),
        }
    }

    /// What stands for full intensity.
    pub fn white(self) -> f32 {
        match self {
            Self::Unsigned(bits) => ((1_u64 << bits) - 1) as f32,
            Self::Float(_) => 1.0,
        }
    }

    /// Writes the samples of a row, as the numbers that they are, into `to`.
    pub fn unpack<'a>(self, row: &[u8], order: ByteOrder, to: impl Iterator<Item = &'a mut f32>) {
        let words = row
            .chunks_exact(self.bits().div_ceil(8))
            .map(|word| integer(word, order));
        match self {
            Self::Unsigned(8) => set(to, row.iter().map(|byte| f32::from(*byte))),
            Self::Unsigned(16 | 32) => set(to, words.map(|word| word as f32)),
            Self::Unsigned(bits) => set(to, packed(row, bits.into()).map(|bits| bits as f32)),
            Self::Float(16) => set(to, words.map(|word| f16::from_bits(word as u16).to_f32())),
            Self::Float(32) => set(to, words.map(|word| f32::from_bits(word as u32))),
            Self::Float(_) => set(to, words.map(|word| f64::from_bits(word) as f32)),
        }
    }
}

fn set<'a>(to: impl Iterator<Item = &'a mut f32>, values: impl Iterator<Item = f32>) {
    to.zip(values).for_each(|(to, value)| *to = value);
}

fn packed(row: &[u8], bits: usize) -> impl Iterator<Item = u32> {
    let bit = |at: usize| u32::from(row[at / 8] >> (7 - at % 8) & 1);
    (0..8 * row.len() / bits).map(move |index| {
        (index * bits..(index + 1) * bits).fold(0, |value, at| value << 1 | bit(at))
    })
}

fn integer(word: &[u8], order: ByteOrder) -> u64 {
    let append = |value, byte: &u8| value << 8 | u64::from(*byte);
    match order {
        ByteOrder::BigEndian => word.iter().fold(0, append),
        ByteOrder::LittleEndian => word.iter().rev().fold(0, append),
    }
}

/// What was done to the rows before they were compressed (TIFF 6.0, section 14; Adobe's technical
/// note 3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Predictor {
    None,
    /// Samples are differences to the pixel before.
    Horizontal,
    /// The same byte by byte, once the first bytes of all samples stand before the second ones.
    Float,
}

impl Predictor {
    /// Undoes it in a row of pixels of so many `samples`, of so many `bytes` each.
    pub fn undo(self, row: &mut [u8], samples: usize, bytes: usize, order: ByteOrder) {
        match self {
            Self::None => {}
            Self::Horizontal => undo_differences(row, samples * bytes, bytes, order),
            Self::Float => {
                undo_differences(row, samples, 1, order);
                let bytewise = row.to_vec();
                let count = row.len() / bytes;
                for (index, word) in row.chunks_exact_mut(bytes).enumerate() {
                    for (rank, byte) in word.iter_mut().enumerate() {
                        *byte = bytewise[rank * count + index];
                    }
                    if order == ByteOrder::LittleEndian {
                        word.reverse();
                    }
                }
            }
        }
    }
}

/// Adds to each word of so many `bytes` the one that stands `distance` bytes before it.
fn undo_differences(row: &mut [u8], distance: usize, bytes: usize, order: ByteOrder) {
    for at in (distance..row.len()).step_by(bytes) {
        let word = |at| integer(&row[at..at + bytes], order);
        let sum = word(at - distance).wrapping_add(word(at));
        for (rank, byte) in row[at..at + bytes].iter_mut().enumerate() {
            let rank = match order {
                ByteOrder::LittleEndian => rank,
                ByteOrder::BigEndian => bytes - 1 - rank,
            };
            *byte = (sum >> (8 * rank)) as u8;
        }
    }
}

/// One row after the other of a picture whose colour differences are subsampled, `across` by
/// `down`, as Y, Cb, Cr of each pixel. In the file, each block of pixels has its Ys, then one Cb,
/// one Cr; the last blocks of a row or column may reach beyond the picture.
pub(super) fn resample(blocks: &[u8], width: usize, [across, down]: [usize; 2]) -> Vec<u8> {
    let length = across * down + 2;
    let mut rows = Vec::new();
    for line in blocks.chunks_exact(width.div_ceil(across) * length) {
        for y in 0..down {
            rows.extend((0..width).flat_map(|x| {
                let block = &line[x / across * length..][..length];
                [
                    block[y * across + x % across],
                    block[length - 2],
                    block[length - 1],
                ]
            }));
        }
    }
    rows
}

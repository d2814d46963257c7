//! How large the pictures are that a HEIC or AVIF file holds in coded form. Its container may say
//! something else, but decoders allocate for what is coded.

use stylefleet_formats::Kind;

/// Pixels of the largest coded picture that the file announces, be it in its container's properties
/// or with the picture's data.
pub(super) fn largest(kind: Kind, file: &[u8]) -> u64 {
    let meta = boxes(file).find(|(name, _)| *name == b"meta");
    let Some(meta) = meta.and_then(|(_, content)| content.get(4..)) else {
        return 0;
    };
    let of_data = |data| match kind {
        Kind::Avif => of_obus(data),
        _ => of_units(data),
    };
    let inside = |content, name: [u8; 4]| boxes(content).filter(move |(found, _)| **found == name);
    let properties = inside(meta, *b"iprp")
        .flat_map(|(_, iprp)| inside(iprp, *b"ipco"))
        .flat_map(|(_, ipco)| boxes(ipco));
    let configured = properties.filter_map(|(name, content)| match name {
        b"hvcC" => of_configuration(content),
        b"av1C" => of_obus(content.get(4..)?),
        _ => None,
    });
    let own = inside(meta, *b"idat")
        .map(|(_, idat)| idat)
        .next()
        .unwrap_or_default();
    let items = inside(meta, *b"iloc").filter_map(|(_, iloc)| extents(iloc, file, own));
    let coded = items.flatten().filter_map(of_data);
    configured.chain(coded).max().unwrap_or(0)
}

/// Name and content of each box (ISO/IEC 14496-12, section 4.2).
fn boxes(mut data: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = match u32::from_be_bytes(*length) {
            0 => (rest.len(), rest),
            1 => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
                (length.checked_sub(16)?, rest)
            }
            length => ((length as usize).checked_sub(8)?, rest),
        };
        let (content, rest) = rest.split_at(length.min(rest.len()));
        data = rest;
        Some((name, content))
    })
}

/// The pieces of the file, or of the box for data beside it, that make up items (section 8.11.3).
fn extents<'a>(iloc: &[u8], file: &'a [u8], own: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let mut bits = Bits(iloc, 0);
    let version = bits.take(8)?;
    bits.take(24)?;
    let [for_offset, for_length, for_base, for_index] =
        [bits.take(4)?, bits.take(4)?, bits.take(4)?, bits.take(4)?].map(|bytes| 8 * bytes as u32);
    let wide = if version < 2 { 16 } else { 32 };
    let count = bits.take(wide)?;
    let mut found = Vec::new();
    for _ in 0..count {
        bits.take(wide)?;
        let is_own = version > 0 && bits.take(16)? & 0xf == 1;
        bits.take(16)?;
        let base = bits.take(for_base)?;
        for _ in 0..bits.take(16)? {
            if version > 0 {
                bits.take(for_index)?;
            }
            let from = base.saturating_add(bits.take(for_offset)?);
            let length = bits.take(for_length)?;
            let whole = if is_own { own } else { file };
            let piece = usize::try_from(from)
                .ok()
                .and_then(|from| whole.get(from..));
            let piece = piece.unwrap_or_default();
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            found.push(if length == 0 {
                piece
            } else {
                &piece[..length.min(piece.len())]
            });
        }
    }
    Some(found)
}

/// Of HEVC's decoder configuration (ISO/IEC 14496-15, section 8.3.3).
fn of_configuration(content: &[u8]) -> Option<u64> {
    let mut rest = content.get(23..)?;
    let mut largest = None;
    while let [_, high, low, units @ ..] = rest {
        rest = units;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            let (length, units) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length)).min(units.len());
            largest = largest.max(of_unit(&units[..length]));
            rest = &units[length..];
        }
    }
    largest
}

/// Of HEVC units, each with its length before it.
fn of_units(mut data: &[u8]) -> Option<u64> {
    let mut largest = None;
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = (u32::from_be_bytes(*length) as usize).min(rest.len());
        largest = largest.max(of_unit(&rest[..length]));
        data = &rest[length..];
    }
    largest
}

/// Of a sequence parameter set (ITU-T H.265, section 7.3.2.2).
fn of_unit(unit: &[u8]) -> Option<u64> {
    const SEQUENCE_PARAMETERS: u8 = 33;
    if (unit.first()? >> 1) & 0x3f != SEQUENCE_PARAMETERS {
        return None;
    }
    // Threes that are there only so that the data do not look like the beginning of a unit.
    let mut plain = Vec::new();
    let mut zeros = 0;
    for &byte in unit.iter().skip(2).take(200) {
        if byte == 3 && zeros >= 2 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    let mut bits = Bits(&plain, 0);
    bits.take(4)?;
    let layers = bits.take(3)?;
    bits.take(1 + 88 + 8)?;
    let present: Vec<_> = (0..layers)
        .map(|_| Some([bits.take(1)?, bits.take(1)?]))
        .collect();
    if layers > 0 {
        bits.take(2 * (8 - layers as u32))?;
    }
    for layer in present {
        let [profile, level] = layer?;
        bits.take((88 * profile + 8 * level) as u32)?;
    }
    bits.exponential()?;
    if bits.exponential()? == 3 {
        bits.take(1)?;
    }
    Some(bits.exponential()?.saturating_mul(bits.exponential()?))
}

/// Of AV1's sequence header (AV1 specification, section 5.5.1).
fn of_obus(mut data: &[u8]) -> Option<u64> {
    const SEQUENCE_HEADER: u8 = 1;
    let mut largest = None;
    while let Some((&header, mut rest)) = data.split_first() {
        if header & 4 != 0 {
            rest = rest.get(1..)?;
        }
        let mut length = rest.len();
        if header & 2 != 0 {
            length = 0;
            for at in 0..8 {
                let (&byte, left) = rest.split_first()?;
                length |= usize::from(byte & 0x7f) << (7 * at);
                rest = left;
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        let (obu, rest) = rest.split_at(length.min(rest.len()));
        if (header >> 3) & 0xf == SEQUENCE_HEADER {
            largest = largest.max(of_sequence(obu));
        }
        data = rest;
    }
    largest
}

fn of_sequence(obu: &[u8]) -> Option<u64> {
    let mut bits = Bits(obu, 0);
    bits.take(4)?;
    let is_reduced = bits.take(1)? == 1;
    if is_reduced {
        bits.take(5)?;
    } else {
        let mut is_modelled = 0;
        let mut for_delay = 0;
        if bits.take(1)? == 1 {
            bits.take(64)?;
            if bits.take(1)? == 1 {
                bits.exponential()?;
            }
            is_modelled = bits.take(1)?;
            if is_modelled == 1 {
                for_delay = bits.take(5)? as u32 + 1;
                bits.take(32 + 10)?;
            }
        }
        let has_delays = bits.take(1)?;
        for _ in 0..=bits.take(5)? {
            bits.take(12)?;
            if bits.take(5)? > 7 {
                bits.take(1)?;
            }
            if is_modelled == 1 && bits.take(1)? == 1 {
                bits.take(2 * for_delay + 1)?;
            }
            if has_delays == 1 && bits.take(1)? == 1 {
                bits.take(4)?;
            }
        }
    }
    let [for_width, for_height] = [bits.take(4)? as u32 + 1, bits.take(4)? as u32 + 1];
    Some((bits.take(for_width)? + 1) * (bits.take(for_height)? + 1))
}

/// Bits from the front of bytes, and how many were taken.
struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    /// The next bits; of more than 64, the last ones.
    fn take(&mut self, count: u32) -> Option<u64> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.0.get(self.1 / 8)?;
            value = (value << 1) | u64::from((byte >> (7 - self.1 % 8)) & 1);
            self.1 += 1;
        }
        Some(value)
    }

    /// An unsigned Exp-Golomb code (ITU-T H.265, section 9.2).
    fn exponential(&mut self) -> Option<u64> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
        }
        (zeros < 33).then_some(())?;
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }
}

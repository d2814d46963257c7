//! Cameras' raw files that are TIFF files too.

const NEW_SUBFILE_TYPE: u16 = 254;
const SUB_DIRECTORIES: u16 = 330;
const DNG_VERSION: u16 = 50706;

/// Whether a TIFF file holds what a sensor saw, and as a TIFF file no more than a small preview:
/// it says that it is a DNG or a CR2, or that its first picture is a smaller version of another one
/// in a sub-directory, as NEF, ARW and others do.
pub(crate) fn is_raw(head: &[u8]) -> bool {
    if head.get(8..11) == Some(b"CR\x02") {
        return true;
    }
    let Some(entries) = first_directory(head) else {
        return false;
    };
    let has = |tag| entries.iter().any(|(found, _)| *found == tag);
    let is_reduced = entries
        .iter()
        .any(|(tag, value)| *tag == NEW_SUBFILE_TYPE && value & 1 == 1);
    has(DNG_VERSION) || is_reduced && has(SUB_DIRECTORIES)
}

/// Tag and value of what stands of the first directory in `head`: cameras write it at the front.
fn first_directory(head: &[u8]) -> Option<Vec<(u16, u32)>> {
    let is_little = head.first() == Some(&b'I');
    let short = |at: usize| {
        let bytes = head.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if is_little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let long = |at: usize| {
        let bytes = head.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if is_little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    };
    if short(2)? != 42 {
        return None; // BigTIFF: no camera writes it
    }
    let directory = long(4)? as usize;
    let count = usize::from(short(directory)?);
    let entry = |index: usize| {
        let at = directory + 2 + 12 * index;
        Some((short(at)?, long(at + 8)?))
    };
    Some((0..count).map_while(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, kind_of};

    /// A TIFF file with longs in its first directory.
    fn tiff(entries: &[(u16, u32)]) -> Vec<u8> {
        let mut bytes = b"MM\0*\0\0\0\x08".to_vec();
        bytes.extend((entries.len() as u16).to_be_bytes());
        for (tag, value) in entries {
            bytes.extend(tag.to_be_bytes());
            bytes.extend(b"\0\x04\0\0\0\x01");
            bytes.extend(value.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn raw_files_are_told_from_pictures() {
        for (entries, kind) in [
            ([(DNG_VERSION, 0x0104_0000), (256, 4000)], Kind::Raw),
            ([(NEW_SUBFILE_TYPE, 1), (SUB_DIRECTORIES, 99)], Kind::Raw),
            ([(NEW_SUBFILE_TYPE, 0), (SUB_DIRECTORIES, 99)], Kind::Tiff),
            ([(NEW_SUBFILE_TYPE, 1), (256, 4000)], Kind::Tiff),
        ] {
            assert_eq!(kind_of(&tiff(&entries)), Some(kind), "{entries:?}");
        }
        assert_eq!(kind_of(b"II*\0\x10\0\0\0CR\x02\0"), Some(Kind::Raw));
        assert_eq!(kind_of(b"II*\0\xff\xff\xff\xff"), Some(Kind::Tiff));
        assert!(!is_raw(b"II+\0\x08\0\0\0"));
    }
}

//! Optical flow of others: what is read, what is refused, and what becomes of it.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::path::{Path, PathBuf};

use stylefleet_video::{Flows, check_flow, pack_flows};

/// A `.flo` file, written as its description has it.
fn flo(size: [i32; 2], samples: &[f32]) -> Vec<u8> {
    let sides = size.map(i32::to_le_bytes).concat();
    let samples = samples.iter().flat_map(|sample| sample.to_le_bytes());
    [b"PIEH".to_vec(), sides, samples.collect()].concat()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("writes");
    path
}

#[test]
fn what_is_packed_is_read_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let one = [0.0, 1.0, -2.5, 100.25, 3.0, 4.0];
    // Above 1e9 it is not known, and leads out of any picture.
    let two = [1e10, -1e10, f32::INFINITY, 0.0, 7.0, 8.0];
    let paths = [
        write(folder, "one.flo", &flo([3, 1], &one)),
        write(folder, "two.flo", &flo([3, 1], &two)),
    ];
    assert_eq!(check_flow(&paths[1]).expect("is one"), [3, 1]);
    let packed = folder.join("packed");
    pack_flows(&paths, &packed).expect("packs");
    let length = packed.metadata().expect("is there").len();
    assert_eq!(length, 16 + 2 * 12);
    let flows = Flows::open(File::open(&packed).expect("opens")).expect("is whole");
    assert_eq!((flows.size(), flows.count()), ([3, 1], 2));
    assert_eq!(flows.read(0).expect("is there"), one);
    let far = 65504.0;
    let read = flows.read(1).expect("is there");
    assert_eq!(read, [far, -far, far, 0.0, 7.0, 8.0]);
    assert!(flows.read(2).is_err());
}

#[test]
fn what_is_no_flow_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let whole = flo([2, 1], &[1.0, 2.0, 3.0, 4.0]);
    let mut other = whole.clone();
    other[0] = b'Q';
    for (bytes, expected) in [
        (other, "a.flo is no .flo file"),
        (whole[..27].to_vec(), "a.flo is cut off"),
        (whole[..7].to_vec(), "a.flo is cut off"),
        (
            [&whole[..], &[0]].concat(),
            "a.flo has more in it than a flow of 2x1",
        ),
        (flo([0, 1], &[]), "a.flo is of 0x1"),
        (flo([-1, -1], &[]), "a.flo is of 4294967295x4294967295"),
        (
            flo([2, 1], &[1.0, 2.0, 3.0, f32::NAN]),
            "a.flo has what is no number at column 1, row 0",
        ),
    ] {
        let path = write(folder, "a.flo", &bytes);
        let refused = check_flow(&path).expect_err(expected).to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    let missing = check_flow(&folder.join("none.flo")).expect_err("is missing");
    assert!(missing.to_string().contains("none.flo is missing"));

    let (small, large) = (flo([1, 1], &[0.0; 2]), flo([2, 1], &[0.0; 4]));
    let paths = [
        write(folder, "small.flo", &small),
        write(folder, "large.flo", &large),
    ];
    let refused = pack_flows(&paths, &folder.join("packed")).expect_err("two sizes");
    let expected = "large.flo is of 2x1, not of 1x1";
    assert!(refused.to_string().contains(expected), "{refused}");
}

#[test]
fn what_is_damaged_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let path = write(folder, "one.flo", &flo([2, 1], &[0.0; 4]));
    let packed = folder.join("packed");
    pack_flows(&[path], &packed).expect("packs");
    let bytes = std::fs::read(&packed).expect("is there");
    let opens = |bytes: &[u8]| {
        let path = write(folder, "damaged", bytes);
        Flows::open(File::open(path).expect("opens")).is_ok()
    };
    assert!(opens(&bytes));
    for length in 0..bytes.len() {
        // With no flow it is whole too.
        assert_eq!(opens(&bytes[..length]), length == 16, "{length}");
    }
    assert!(!opens(&[b"x", &bytes[1..]].concat()));
}

//! Which frames of a clip make a chunk.

use std::ops::Range;

use stylefleet_video::Frame;

/// From this difference on, a frame begins another scene.
const SCENE: f64 = 10.0;

/// Some frames of a clip, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The frames that are made.
    pub frames: Range<usize>,
    /// Whether the last of them is the next chunk's first.
    pub is_shared: bool,
}

/// Chunks of scenes, in which frames are held to each other: of at most `most` frames each beside
/// the one that is shared.
pub fn of_scenes(frames: &[Frame], most: usize) -> Vec<Chunk> {
    let is_cut = |at: &usize| frames[*at].scene >= SCENE;
    let mut cuts: Vec<usize> = (1..frames.len()).filter(is_cut).collect();
    cuts.insert(0, 0);
    cuts.push(frames.len());
    let scenes = cuts.windows(2).map(|cut| cut[0]..cut[1]);
    let chunks = scenes.flat_map(|scene| {
        let end = scene.end;
        even(scene, most).map(move |part| {
            let is_shared = part.end < end;
            Chunk {
                frames: part.start..part.end + usize::from(is_shared),
                is_shared,
            }
        })
    });
    chunks.collect()
}

/// Chunks of at most `most` frames, each of which is made by itself.
pub fn of_frames(frames: usize, most: usize) -> Vec<Chunk> {
    let chunk = |frames| Chunk {
        frames,
        is_shared: false,
    };
    even(0..frames, most).map(chunk).collect()
}

/// Parts of about the same length, as few as can be.
fn even(whole: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = whole.len().div_ceil(most);
    let at = move |part: usize| whole.start + whole.len() * part / count;
    (0..count).map(move |part| at(part)..at(part + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(chunks: Vec<Chunk>) -> String {
        let shown = chunks.into_iter().map(|chunk| {
            let mark = if chunk.is_shared { "+" } else { "" };
            format!("{}-{}{mark}", chunk.frames.start, chunk.frames.end)
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn scenes_are_cut_apart_and_long_ones_share_a_frame() {
        let frame = |pts: i64| Frame {
            pts,
            scene: match pts {
                // Where a clip begins is no cut.
                0 | 30 => 50.0,
                31 => 9.9,
                _ => 0.0,
            },
        };
        let frames: Vec<_> = (0..50).map(frame).collect();
        assert_eq!(shown(of_scenes(&frames, 100)), "0-30 30-50");
        assert_eq!(
            shown(of_scenes(&frames, 12)),
            "0-11+ 10-21+ 20-30 30-41+ 40-50"
        );
        assert_eq!(shown(of_scenes(&frames[..1], 12)), "0-1");
    }

    #[test]
    fn frames_by_themselves_share_none() {
        assert_eq!(shown(of_frames(10, 4)), "0-3 3-6 6-10");
        assert_eq!(shown(of_frames(4, 4)), "0-4");
    }
}

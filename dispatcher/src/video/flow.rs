//! Optical flow that others have computed: two files for each two frames.

use std::path::{Path, PathBuf};

use stylefleet_model::video::Temporal;
use stylefleet_video::{check_flow, expect_size, pack_flows};
use tempfile::NamedTempFile;

use super::chunks::Chunk;
use super::join::VideoError;

/// A folder of `.flo` files, as the scripts of Ruder et al. name them: `forward_1_2.flo` leads from
/// the pixels of frame 1 to where they are in frame 2, and `backward_2_1.flo` back. Frames count
/// from 1.
#[derive(Debug, Clone)]
pub struct FlowFolder(pub PathBuf);

impl FlowFolder {
    /// Looks at all files that these chunks take: they have to be there, and of one of the sizes.
    pub fn check(
        &self,
        chunks: &[Chunk],
        temporal: &Temporal,
        sizes: &[[u32; 2]],
    ) -> Result<(), VideoError> {
        for chunk in chunks {
            for path in self.files(chunk, temporal) {
                let size = check_flow(&path)?;
                expect_size(&path, size, sizes)?;
            }
        }
        Ok(())
    }

    /// What a chunk takes, in one file; none if it has one frame alone.
    pub fn packed(
        &self,
        chunk: &Chunk,
        temporal: &Temporal,
    ) -> Result<Option<NamedTempFile>, VideoError> {
        let files = self.files(chunk, temporal);
        if files.is_empty() {
            return Ok(None);
        }
        let packed = NamedTempFile::new().map_err(VideoError::Disk)?;
        pack_flows(&files, packed.path())?;
        Ok(Some(packed))
    }

    /// The files that a chunk takes, in the order in which workers have them.
    fn files(&self, chunk: &Chunk, temporal: &Temporal) -> Vec<PathBuf> {
        let pairs = temporal.pairs(chunk.frames.len());
        let both = pairs.into_iter().flat_map(|[from, to]| {
            let [from, to] = [from, to].map(|frame| chunk.frames.start + frame + 1);
            [("forward", from, to), ("backward", to, from)]
        });
        both.map(|(way, from, to)| file(&self.0, way, from, to))
            .collect()
    }
}

fn file(folder: &Path, way: &str, from: usize, to: usize) -> PathBuf {
    folder.join(format!("{way}_{from}_{to}.flo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_by_the_frames_of_the_video() {
        let chunk = Chunk {
            frames: 4..7,
            is_shared: true,
        };
        let files = |long_term| {
            let temporal = Temporal {
                long_term,
                ..Temporal::default()
            };
            let files = FlowFolder("flows".into()).files(&chunk, &temporal);
            let files = files
                .iter()
                .map(|file| file.display().to_string())
                .collect::<Vec<_>>();
            files.join(" ")
        };
        assert_eq!(
            files(false),
            "flows/forward_5_6.flo flows/backward_6_5.flo \
             flows/forward_6_7.flo flows/backward_7_6.flo"
        );
        assert_eq!(
            files(true),
            "flows/forward_5_6.flo flows/backward_6_5.flo \
             flows/forward_5_7.flo flows/backward_7_5.flo \
             flows/forward_6_7.flo flows/backward_7_6.flo"
        );
    }
}

//! From what CONTENT says to the files that it means.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::asking::remote::is_remote;

/// Endings of the images taken from folders and globs.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "tif", "tiff"];

/// Why a CONTENT means no file.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// The folder cannot be listed.
    #[error("cannot list the folder: {0}")]
    Folder(std::io::Error),
    /// The folder or glob has no image.
    #[error("no image there: looked for names that end in .{}", ENDINGS.join(", ."))]
    Empty,
    /// It looks like a glob, but is none.
    #[error("no such file, and no glob either: {0}")]
    Glob(#[from] glob::PatternError),
    /// A folder that the glob leads through cannot be listed.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] glob::GlobError),
}

/// The files that `content` means: itself, also where it lies in a bucket, or the images of a folder or glob in the order of
/// their names. A file need not exist: the door says so.
pub fn expand(content: &Path) -> Result<Vec<PathBuf>, ExpandError> {
    if is_remote(content) {
        return Ok(vec![content.to_owned()]);
    }
    let images = if content.is_dir() {
        folder(content).map_err(ExpandError::Folder)?
    } else {
        match content.to_str() {
            Some(pattern) if pattern.contains(['*', '?', '[']) && !content.exists() => {
                matches(pattern)?
            }
            _ => return Ok(vec![content.to_owned()]),
        }
    };
    if images.is_empty() {
        Err(ExpandError::Empty)
    } else {
        Ok(images)
    }
}

fn folder(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for entry in std::fs::read_dir(path)? {
        images.push(entry?.path());
    }
    images.retain(|path| is_image(path) && !is_ours(path));
    images.sort();
    Ok(images)
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>, ExpandError> {
    let mut images = glob::glob(pattern)?.collect::<Result<Vec<_>, _>>()?;
    images.retain(|path| is_image(path) && !is_ours(path));
    Ok(images)
}

/// Whether a run left this picture: its story lies beside it, and the store. Redrawing those too
/// would make more of them with every run into the folder of contents.
fn is_ours(path: &Path) -> bool {
    path.with_extension("json").exists() && path.with_file_name(".stylefleet").is_dir()
}

/// Whether the path is that of an image, by its ending.
pub fn is_image(path: &Path) -> bool {
    let is_ending = |ending: &OsStr| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    };
    path.extension().is_some_and(is_ending) && !path.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photos() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.JPG", "a.png", "c.webp", "notes.txt", "e[1].tif"] {
            std::fs::write(folder.path().join(name), "").expect("writes");
        }
        std::fs::create_dir(folder.path().join("d.png")).expect("a folder");
        folder
    }

    fn names(folder: &tempfile::TempDir, content: &str) -> Vec<String> {
        let files = expand(&folder.path().join(content)).expect("expands");
        let name = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned());
        files.iter().filter_map(name).collect()
    }

    #[test]
    fn takes_a_folders_images_in_order() {
        let images = names(&photos(), "");
        assert_eq!(images, ["a.png", "b.JPG", "c.webp", "e[1].tif"]);
    }

    #[test]
    fn takes_globs_where_no_file_has_that_name() {
        let folder = photos();
        assert_eq!(names(&folder, "[ab].*"), ["a.png", "b.JPG"]);
        assert_eq!(names(&folder, "e[1].tif"), ["e[1].tif"]);
        assert_eq!(names(&folder, "gone.png"), ["gone.png"]);
    }

    #[test]
    fn passes_over_what_earlier_runs_left() {
        let folder = photos();
        std::fs::write(folder.path().join("a.json"), "{}").expect("writes");
        assert_eq!(
            names(&folder, "a.*"),
            ["a.png"],
            "a story alone proves nothing"
        );
        std::fs::create_dir(folder.path().join(".stylefleet")).expect("a folder");
        assert_eq!(names(&folder, ""), ["b.JPG", "c.webp", "e[1].tif"]);
    }

    #[test]
    fn says_when_there_is_no_image() {
        let folder = photos();
        for content in ["d.png", "*.gif"] {
            let refused = expand(&folder.path().join(content));
            assert!(matches!(refused, Err(ExpandError::Empty)), "{content}");
        }
        let refused = expand(&folder.path().join("[.png"));
        assert!(matches!(refused, Err(ExpandError::Glob(_))));
    }
}

//! What lies in folders.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::output_folder::PREVIEWS;
use crate::output_folder::record_file::RecordFile;

/// A folder that cannot be looked into, and why.
pub type Unreadable = (PathBuf, io::Error);

/// The files and folders in `folder` by their names, with `deep` also those below; links are
/// followed, but not back up. What is hidden is left out unless `hidden`, and so are progress
/// pictures.
pub fn walk(
    folder: &Path,
    deep: bool,
    hidden: bool,
) -> impl Iterator<Item = Result<PathBuf, Unreadable>> {
    let here = Path::new(".");
    let is_here = folder.as_os_str().is_empty();
    let named = move |path: &Path| match path.strip_prefix(here) {
        Ok(path) if is_here => path.to_owned(),
        _ => path.to_owned(),
    };
    let is_wanted = move |entry: &DirEntry| {
        entry.depth() == 0
            || (hidden || !is_hidden(entry.file_name()))
                && !(entry.file_type().is_dir() && is_previews(entry.path()))
    };
    WalkDir::new(if is_here { here } else { folder })
        .follow_links(true)
        .min_depth(1)
        .max_depth(if deep { usize::MAX } else { 1 })
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_wanted)
        .filter_map(move |entry| match entry {
            Ok(entry) => Some(Ok(named(entry.path()))),
            // A link back up: what is there has its turn anyway.
            Err(error) if error.loop_ancestor().is_some() => None,
            Err(error) => {
                let path = named(error.path().unwrap_or(here));
                // Of a link that leads nowhere, whoever opens it can tell more.
                if path.is_symlink() {
                    return Some(Ok(path));
                }
                let reason = error.into_io_error();
                let reason = reason.unwrap_or_else(|| io::ErrorKind::Other.into());
                Some(Err((path, reason)))
            }
        })
}

/// Whether a name is that of a hidden file: of those that macOS leaves beside others too.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether a folder holds the progress pictures of a picture beside it.
fn is_previews(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == PREVIEWS) && RecordFile::beside(path).is_some()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What a walk comes by, and how many folders it cannot look into.
    fn walked(folder: &Path, deep: bool) -> (Vec<String>, usize) {
        let (found, unreadable): (Vec<_>, Vec<_>) =
            walk(folder, deep, false).partition(Result::is_ok);
        let name = |path: PathBuf| {
            let path = path.strip_prefix(folder).expect("below");
            path.to_string_lossy().into_owned()
        };
        (
            found.into_iter().flatten().map(name).collect(),
            unreadable.len(),
        )
    }

    #[test]
    fn hidden_files_links_back_up_and_progress_pictures_are_no_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a/b", ".hidden", "p.previews", "q.previews"] {
            std::fs::create_dir_all(path(name)).expect("a folder");
            std::fs::write(path(name).join("x.jpg"), "").expect("writes");
        }
        let record = format!("{{\"job\": \"{}\"}}", "0".repeat(64));
        std::fs::write(path("p.json"), record).expect("writes");
        std::fs::write(path("._x.jpg"), "").expect("writes");
        symlink("..", path("a/b/back")).expect("links");
        symlink("nowhere", path("a/gone.jpg")).expect("links");
        let (found, unreadable) = walked(folder.path(), true);
        let all = [
            "a",
            "a/b",
            "a/b/x.jpg",
            "a/gone.jpg",
            "p.json",
            "q.previews",
        ];
        assert_eq!(found, [&all[..], &["q.previews/x.jpg"]].concat());
        assert_eq!(unreadable, 0);
        let (found, _) = walked(folder.path(), false);
        assert_eq!(found, ["a", "p.json", "q.previews"]);
    }

    #[test]
    fn a_folder_that_cannot_be_reached_stops_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        // So deep that no path leads there: put together from two halves.
        let half: PathBuf = std::iter::repeat_n("d".repeat(200), 15).collect();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "b"] {
            std::fs::create_dir_all(path(name).join(&half)).expect("folders");
        }
        std::fs::rename(path("b"), path("a").join(&half).join("b")).expect("moves");
        std::fs::write(folder.path().join("y.jpg"), "").expect("writes");
        let (found, unreadable) = walked(folder.path(), true);
        assert_eq!(unreadable, 1);
        assert_eq!(found.last().map(String::as_str), Some("y.jpg"));
    }
}

//! From what CONTENT says to the files that it means.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use stylefleet_formats::{ENDINGS, HEAD, readable};

use crate::images::buckets::{Listings, is_remote};
use crate::images::pattern::{self, is_pattern};
use crate::images::walk::{is_hidden, walk};
use crate::output_folder::record_file::is_ours;

/// Longest path from a CONTENT to the folder of an image, in bytes: what a name leaves room for.
const DEEPEST: usize = 750;

/// What a CONTENT means.
#[derive(Debug, Default)]
pub struct Expansion {
    /// The images.
    pub images: Vec<Found>,
    /// Files that are no images by their names.
    pub passed_over: PassedOver,
    /// What could not be looked at, and why.
    pub absent: Vec<(PathBuf, ExpandError)>,
}

/// An image that a CONTENT means.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// The subfolder of the CONTENT that it is in.
    pub subfolder: PathBuf,
}

/// How many files were passed over, by their endings in small letters, dot included.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PassedOver(BTreeMap<String, usize>);

/// Why a CONTENT means no image.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// The folder cannot be listed.
    #[error("cannot list the folder: {0}")]
    Folder(std::io::Error),
    /// The folder has no image.
    #[error("no image there{}{}", after(": ", .passed_over), if *.subfolders {
        "; --recursive looks into its subfolders too"
    } else {
        ""
    })]
    Empty {
        /// What it has.
        passed_over: PassedOver,
        /// Whether it has folders that were not looked into.
        subfolders: bool,
    },
    /// There is nothing of that name, and nothing that matches it.
    #[error("is not there, and as a pattern it matches no image{}", after(": ", .0))]
    NoMatch(PassedOver),
    /// There is nothing of that name, and it only looks like a pattern.
    #[error("is not there, and is no pattern either: {0}")]
    Pattern(#[from] globset::Error),
    /// The picture's name would be too long.
    #[error(
        "its folder is more than {DEEPEST} bytes of path below the one that was named: name one \
         further down"
    )]
    TooDeep,
}

/// The images that `content` means: itself, or those of a folder, with `recursive` in its
/// subfolders too, or those that match a pattern, in the order of their names. A file need not
/// exist: whoever reads it says so.
pub fn expand(
    content: &Path,
    recursive: bool,
    buckets: &Listings,
) -> Result<Expansion, ExpandError> {
    if let Some(names) = buckets.get(content) {
        bucket(content, names, recursive)
    } else if content.is_dir() {
        folder(content, recursive)
    } else if is_pattern(content) && !content.exists() && !is_remote(content) {
        matches(content)
    } else {
        let mut expansion = Expansion::default();
        expansion.add(content.to_owned(), Path::new(""));
        Ok(expansion)
    }
}

fn folder(content: &Path, recursive: bool) -> Result<Expansion, ExpandError> {
    let mut expansion = Expansion::default();
    let mut subfolders = false;
    for entry in walk(content, recursive, false) {
        match entry {
            Ok(path) if path.is_dir() => subfolders |= !recursive,
            Ok(path) => {
                let folder = path.parent().and_then(|p| p.strip_prefix(content).ok());
                let folder = folder.unwrap_or(Path::new("")).to_owned();
                expansion.add_if_image(path, &folder);
            }
            Err((path, reason)) if path == content => return Err(ExpandError::Folder(reason)),
            Err((path, reason)) => expansion.absent.push((path, ExpandError::Folder(reason))),
        }
    }
    expansion.or(|passed_over| ExpandError::Empty {
        passed_over,
        subfolders,
    })
}

fn matches(content: &Path) -> Result<Expansion, ExpandError> {
    let matches = pattern::find(content)?;
    let mut expansion = Expansion::default();
    for (path, reason) in matches.unreadable {
        expansion.absent.push((path, ExpandError::Folder(reason)));
    }
    for path in matches.paths.into_iter().filter(|path| !path.is_dir()) {
        expansion.add_if_image(path, Path::new(""));
    }
    expansion.or(ExpandError::NoMatch)
}

fn bucket(content: &Path, names: &[String], recursive: bool) -> Result<Expansion, ExpandError> {
    let root = content.to_string_lossy();
    let root = root.trim_end_matches('/');
    let mut expansion = Expansion::default();
    let mut subfolders = false;
    for name in names {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        if name.split('/').any(|part| is_hidden(OsStr::new(part))) {
            continue;
        }
        if !folder.is_empty() && !recursive {
            subfolders = true;
        } else if has_images_ending(Path::new(file)) {
            let path = format!("{root}/{name}");
            expansion.add(path.into(), Path::new(folder));
        } else {
            expansion.passed_over.count(Path::new(file));
        }
    }
    expansion.or(|passed_over| ExpandError::Empty {
        passed_over,
        subfolders,
    })
}

impl Expansion {
    /// Adds a file of a folder if it is an image and none that was made here. Redrawing those too
    /// would make more of them with every run into the folder of contents.
    fn add_if_image(&mut self, path: PathBuf, subfolder: &Path) {
        if is_ours(&path) {
            return;
        }
        if has_images_ending(&path) || ending(&path).is_none() && is_image_inside(&path) {
            self.add(path, subfolder);
        } else {
            self.passed_over.count(&path);
        }
    }

    fn add(&mut self, path: PathBuf, subfolder: &Path) {
        if subfolder.to_string_lossy().len() > DEEPEST {
            self.absent.push((path, ExpandError::TooDeep));
        } else {
            let subfolder = subfolder.to_owned();
            self.images.push(Found { path, subfolder });
        }
    }

    /// This, or the reason why there is nothing in it.
    fn or(self, reason: impl FnOnce(PassedOver) -> ExpandError) -> Result<Self, ExpandError> {
        if self.images.is_empty() && self.absent.is_empty() {
            Err(reason(self.passed_over))
        } else {
            Ok(self)
        }
    }
}

impl PassedOver {
    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn files(&self) -> usize {
        self.0.values().sum()
    }

    fn count(&mut self, path: &Path) {
        *self.0.entry(ending(path).unwrap_or_default()).or_default() += 1;
    }
}

impl fmt::Display for PassedOver {
    /// As in `3 files passed over: 2 .psd, 1 .txt`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files();
        let plural = if files == 1 { "" } else { "s" };
        write!(f, "{files} file{plural} passed over: ")?;
        for (number, (ending, count)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let ending = match ending.as_str() {
                "" => "without an ending",
                ending => ending,
            };
            match self.0.len() {
                1 => write!(f, "{ending}")?,
                _ => write!(f, "{comma}{count} {ending}")?,
            }
        }
        Ok(())
    }
}

/// What was passed over, if anything, after a mark.
fn after(mark: &str, passed_over: &PassedOver) -> String {
    if passed_over.is_empty() {
        String::new()
    } else {
        format!("{mark}{passed_over}")
    }
}

fn has_images_ending(path: &Path) -> bool {
    let is_known = |ending: &OsStr| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    };
    path.extension().is_some_and(is_known)
}

/// What a file's name ends in. Numbers are no ending, as in `Scan 3.12.2024`.
fn ending(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_string_lossy().to_lowercase();
    ending
        .contains(char::is_alphabetic)
        .then(|| format!(".{ending}"))
}

/// Whether a file begins as an image does.
fn is_image_inside(path: &Path) -> bool {
    let mut start = Vec::new();
    // Looked at before it is opened: opening a named pipe would wait for its other end.
    path.is_file()
        && std::fs::File::open(path)
            .and_then(|file| file.take(HEAD as u64).read_to_end(&mut start))
            .is_ok_and(|_| readable(&start).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photos() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "b.JPG",
            "a.png",
            "c.webp",
            "notes.txt",
            "e[1].tif",
            "f.jfif",
            "g.jpe",
            "h.PSD",
            "i.psd",
            "j",
            ".x.png",
            "._a.png",
            ".DS_Store",
        ] {
            std::fs::write(folder.path().join(name), "").expect("writes");
        }
        for name in ["k", "Scan 3.12.2024"] {
            std::fs::write(folder.path().join(name), b"\x89PNG\r\n\x1a\n").expect("writes");
        }
        for name in ["d.png", "sub/deep", ".hidden"] {
            let folder = folder.path().join(name);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("a.png"), "").expect("writes");
        }
        folder
    }

    fn found(folder: &tempfile::TempDir, content: &str, recursive: bool) -> Expansion {
        let content = folder.path().join(content);
        expand(&content, recursive, &Listings::new()).expect("expands")
    }

    /// The images, each with its subfolder before it.
    fn names(expansion: &Expansion) -> Vec<String> {
        let name = |found: &Found| {
            let file = found.path.file_name().map(OsStr::to_owned);
            let name = found.subfolder.join(file.unwrap_or_default());
            name.to_string_lossy().into_owned()
        };
        expansion.images.iter().map(name).collect()
    }

    #[test]
    fn takes_a_folders_images_in_order() {
        let images = [
            "Scan 3.12.2024",
            "a.png",
            "b.JPG",
            "c.webp",
            "e[1].tif",
            "f.jfif",
            "g.jpe",
            "k",
        ];
        let expansion = found(&photos(), "", false);
        assert_eq!(names(&expansion), images);
        let passed_over = expansion.passed_over.to_string();
        assert_eq!(
            passed_over,
            "4 files passed over: 1 without an ending, 2 .psd, 1 .txt"
        );

        let expansion = found(&photos(), "", true);
        let mut all = [&images[..], &["d.png/a.png", "sub/deep/a.png"]].concat();
        all.sort_unstable();
        let mut names = names(&expansion);
        names.sort_unstable();
        assert_eq!(names, all);
    }

    #[test]
    fn takes_patterns_where_no_file_has_that_name() {
        let folder = photos();
        let names = |content| names(&found(&folder, content, false));
        assert_eq!(names("[ab].*"), ["a.png", "b.JPG"]);
        assert_eq!(names("e[1].tif"), ["e[1].tif"]);
        assert_eq!(names("gone.png"), ["gone.png"]);
        let expansion = found(&folder, "[ah].*", false);
        assert_eq!(
            expansion.passed_over.to_string(),
            "1 file passed over: .psd"
        );
    }

    #[test]
    fn passes_over_what_was_made_here() {
        let folder = photos();
        std::fs::write(folder.path().join("a.json"), "{}").expect("writes");
        let expansion = found(&folder, "a.*", false);
        assert_eq!(names(&expansion), ["a.png"], "any JSON proves nothing");
        let files = r#"{"picture": "a.png", "other": "a.other.png"}"#;
        let record = format!("{{\"job\": \"{}\", \"files\": {files}}}", "0".repeat(64));
        for name in ["a.json", "b.json"] {
            std::fs::write(folder.path().join(name), &record).expect("writes");
        }
        for name in ["a.svg", "a.other.png"] {
            std::fs::write(folder.path().join(name), "").expect("writes");
        }
        let expansion = found(&folder, "[ab]*", false);
        // It is the record of another file.
        assert_eq!(names(&expansion), ["b.JPG"]);
        assert_eq!(expansion.passed_over, PassedOver::default());
    }

    #[test]
    fn says_why_there_is_no_image() {
        let folder = photos();
        std::fs::remove_file(folder.path().join("sub/deep/a.png")).expect("removes");
        std::fs::write(folder.path().join("sub/deep/b.psd"), "").expect("writes");
        for (content, reason) in [
            (
                "sub",
                "no image there; --recursive looks into its subfolders too",
            ),
            ("sub/deep", "no image there: 1 file passed over: .psd"),
            (
                "*.gif",
                "is not there, and as a pattern it matches no image",
            ),
            (
                "*.txt",
                "is not there, and as a pattern it matches no image: 1 file passed over: .txt",
            ),
            (
                "gone[1].png",
                "is not there, and as a pattern it matches no image",
            ),
        ] {
            let refused = expand(&folder.path().join(content), false, &Listings::new());
            assert_eq!(refused.expect_err(content).to_string(), reason);
        }
        let refused = expand(&folder.path().join("[.png"), false, &Listings::new());
        assert!(matches!(refused, Err(ExpandError::Pattern(_))));
    }

    #[test]
    fn folders_of_buckets_are_folders() {
        let content = PathBuf::from("s3://bucket/album/");
        let names_there = ["a.jpg", "b.psd", ".c.jpg", "2024/d.jpg", ".x/e.jpg"];
        let listing = names_there.map(str::to_owned).to_vec();
        let buckets = Listings::from([(content.clone(), listing)]);
        let expansion = expand(&content, false, &buckets).expect("expands");
        assert_eq!(names(&expansion), ["a.jpg"]);
        assert_eq!(
            expansion.passed_over.to_string(),
            "1 file passed over: .psd"
        );
        let expansion = expand(&content, true, &buckets).expect("expands");
        assert_eq!(names(&expansion), ["a.jpg", "2024/d.jpg"]);
        let path = &expansion.images[1].path;
        assert_eq!(path, Path::new("s3://bucket/album/2024/d.jpg"));
        // An object's name may have stars in it.
        let content = Path::new("s3://bucket/*.jpg");
        let expansion = expand(content, true, &buckets).expect("expands");
        assert_eq!(expansion.images[0].path, content);
    }

    #[test]
    fn says_what_lies_too_deep() {
        let mut expansion = Expansion::default();
        expansion.add("a.png".into(), Path::new(&"d/".repeat(400)));
        assert!(matches!(expansion.absent[..], [(_, ExpandError::TooDeep)]));
    }
}

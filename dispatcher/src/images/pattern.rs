//! Patterns as shells have them: `*`, `?`, `[...]` and `{...}` in a part of a path, `**` for
//! folders however deep. A part that is there by that very name means itself.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::images::walk::{Unreadable, is_hidden, walk};

/// What makes a pattern.
const WILDCARDS: &[u8] = b"*?[{";

/// What a pattern means.
#[derive(Debug, Default)]
pub struct Matches {
    /// Files and folders, in the order of their names.
    pub paths: Vec<PathBuf>,
    /// Folders that could not be looked into.
    pub unreadable: Vec<Unreadable>,
}

/// A part of a pattern, between slashes.
enum Part {
    /// What is called so.
    Name(OsString),
    /// What is called so, or else what matches.
    Pattern(OsString, GlobMatcher),
    /// `**`: the folder, and those in it, however deep.
    Folders,
}

/// Whether a path may be meant as a pattern.
pub fn is_pattern(path: &Path) -> bool {
    has_wildcards(path.as_os_str())
}

/// Finds what `pattern` means.
pub fn find(pattern: &Path) -> Result<Matches, globset::Error> {
    let parts = pattern.components().map(part);
    let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
    if let Some(Part::Folders) = parts.last() {
        parts.push(part(Component::Normal(OsStr::new("*")))?);
    }
    let mut matches = Matches::default();
    matches.add(Path::new(""), &parts);
    matches.paths.sort();
    matches.paths.dedup();
    Ok(matches)
}

fn part(component: Component<'_>) -> Result<Part, globset::Error> {
    let name = component.as_os_str();
    Ok(match name.to_str() {
        Some("**") => Part::Folders,
        Some(text) if has_wildcards(name) => {
            let glob = GlobBuilder::new(text).literal_separator(true).build()?;
            Part::Pattern(name.to_owned(), glob.compile_matcher())
        }
        _ => Part::Name(name.to_owned()),
    })
}

fn has_wildcards(text: &OsStr) -> bool {
    let mut bytes = text.as_encoded_bytes().iter();
    bytes.any(|byte| WILDCARDS.contains(byte))
}

impl Matches {
    /// Adds what the parts mean from `base` on.
    fn add(&mut self, base: &Path, parts: &[Part]) {
        let Some((part, rest)) = parts.split_first() else {
            self.paths.push(base.to_owned());
            return;
        };
        match part {
            Part::Name(name) | Part::Pattern(name, _) if base.join(name).exists() => {
                self.add(&base.join(name), rest);
            }
            Part::Name(_) => {}
            Part::Pattern(name, matcher) => {
                for path in self.walk(base, false, is_hidden(name)) {
                    if path.file_name().is_some_and(|name| matcher.is_match(name)) {
                        self.add(&path, rest);
                    }
                }
            }
            Part::Folders => {
                self.add(base, rest);
                for path in self.walk(base, true, false) {
                    if path.is_dir() {
                        self.add(&path, rest);
                    }
                }
            }
        }
    }

    /// What lies in a folder; nothing where `base` is none.
    fn walk(&mut self, base: &Path, deep: bool, hidden: bool) -> Vec<PathBuf> {
        let is_folder = base.as_os_str().is_empty() || base.is_dir();
        let found = is_folder.then(|| walk(base, deep, hidden));
        let mut paths = Vec::new();
        for entry in found.into_iter().flatten() {
            match entry {
                Ok(path) => paths.push(path),
                Err(unreadable) => self.unreadable.push(unreadable),
            }
        }
        paths
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn photos() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "[2024] trip/a.jpg",
            "[2024] trip/b.png",
            "[2024] trip/.c.jpg",
            "2/day/[1]/a.jpg",
            "2/day/1/a.jpg",
            "2/a.jpg",
            "a*.jpg",
            "ab.jpg",
            "{x}.jpg",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "").expect("writes");
        }
        let odd = folder.path().join(OsStr::from_bytes(b"2/\xff.jpg"));
        std::fs::write(odd, "").expect("writes");
        folder
    }

    #[test]
    fn parts_that_are_there_mean_themselves_and_the_others_what_matches() {
        let folder = photos();
        let found = |pattern: &str| {
            let matches = find(&folder.path().join(pattern)).expect(pattern);
            assert_eq!(matches.unreadable.len(), 0);
            let name = |path: &PathBuf| {
                let path = path.strip_prefix(folder.path()).expect("below");
                path.to_string_lossy().into_owned()
            };
            matches.paths.iter().map(name).collect::<Vec<_>>()
        };
        for (pattern, names) in [
            ("[2024] trip/*.jpg", &["[2024] trip/a.jpg"][..]),
            (
                "[2024] trip/*.{jpg,png}",
                &["[2024] trip/a.jpg", "[2024] trip/b.png"],
            ),
            ("[2024] trip/.*.jpg", &["[2024] trip/.c.jpg"]),
            ("[2024] tripp/*.jpg", &[]),
            ("[0-9]/*.jpg", &["2/a.jpg", "2/\u{fffd}.jpg"]),
            ("*/day/[1]/?.jpg", &["2/day/[1]/a.jpg"]),
            ("*/*/[!1]/?.jpg", &[]),
            (
                "2/**/a.jpg",
                &["2/a.jpg", "2/day/1/a.jpg", "2/day/[1]/a.jpg"],
            ),
            (
                "2/day/**",
                &["2/day/1", "2/day/1/a.jpg", "2/day/[1]", "2/day/[1]/a.jpg"],
            ),
            ("a*.jpg", &["a*.jpg"]),
            ("a?.jpg", &["a*.jpg", "ab.jpg"]),
            ("{x}.jpg", &["{x}.jpg"]),
            ("ab.jpg/*", &[]),
            ("./2/../a?.jpg", &["./2/../a*.jpg", "./2/../ab.jpg"]),
        ] {
            let found: Vec<_> = found(pattern);
            let plain = |name: &&str| name.replace("./2", "2");
            assert_eq!(
                found,
                names.iter().map(plain).collect::<Vec<_>>(),
                "{pattern}"
            );
        }
        assert!(find(Path::new("[a")).is_err());
        assert!(find(Path::new("{a")).is_err());
    }
}

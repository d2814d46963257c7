//! What pictures are called.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use stylefleet_proto::{Invalid, Name};

/// Longest name given, in bytes: leaves room for a number and an ending in the 255 of a file name.
const LONGEST: usize = 200;

/// The name of a picture of `content` in `styles`, without an ending.
pub fn of_picture<'a>(content: &Path, styles: impl Iterator<Item = &'a Path>) -> String {
    let styles: Vec<_> = styles.map(stem).collect();
    format!("{}.{}", stem(content), styles.join("+"))
}

/// The name by which people know the file at `path`.
pub fn of_file(path: &Path) -> Result<Name, Invalid> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    clean(&name.to_string_lossy()).parse()
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}

/// `name` without what no file name may have, and not too long.
fn clean(name: &str) -> String {
    let plain = |c: char| {
        if c.is_control() || "/\\".contains(c) {
            '_'
        } else {
            c
        }
    };
    let name: String = name.chars().map(plain).collect();
    match name.as_str() {
        "" => "_".to_owned(),
        name => name[..name.floor_char_boundary(LONGEST)].to_owned(),
    }
}

/// Whether a name can be a file's: one that is not ours may hold anything.
pub fn is_plain(name: &Name) -> bool {
    clean(name.as_ref()) == name.as_ref()
}

/// Keeps names apart, for file systems that do not tell capitals from small letters too.
#[derive(Debug, Default)]
pub struct Names {
    /// Names in small letters, each with the last number that was tried as its ending.
    taken: HashMap<String, u32>,
}

impl Names {
    /// `wanted` if it is free, or else with the first free one of the endings -2, -3, ...
    pub fn apart(&mut self, wanted: &str) -> Result<Name, Invalid> {
        let wanted = clean(wanted);
        let known = wanted.to_lowercase();
        let mut number = self.taken.get(&known).copied().unwrap_or(0);
        loop {
            number += 1;
            let name = match number {
                1 => wanted.clone(),
                _ => format!("{wanted}-{number}"),
            };
            if let Entry::Vacant(free) = self.taken.entry(name.to_lowercase()) {
                free.insert(1);
                self.taken.insert(known, number);
                return name.parse();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_named_after_content_and_styles() {
        let name = |content: &str, styles: &[&str]| {
            of_picture(Path::new(content), styles.iter().map(Path::new))
        };
        assert_eq!(
            name("in/harbour.at.dawn.jpg", &["x/a.png"]),
            "harbour.at.dawn.a"
        );
        assert_eq!(name("h.jpg", &["a.png", "b"]), "h.a+b");
    }

    #[test]
    fn names_are_kept_apart() {
        let mut names = Names::default();
        let given: Vec<_> = ["a.s", "A.s", "a.s-2", "a.s", "b.s"]
            .map(|name| names.apart(name).expect("a name").to_string())
            .into();
        assert_eq!(given, ["a.s", "A.s-2", "a.s-2-2", "a.s-3", "b.s"]);
    }

    #[test]
    fn names_are_safe_and_short() {
        let mut names = Names::default();
        let mut name = |wanted: &str| names.apart(wanted).expect("a name").to_string();
        assert_eq!(name("a\n/../b\\c"), "a__.._b_c");
        assert_eq!(name(""), "_");
        let long = "é".repeat(150);
        assert_eq!(name(&long).len(), 200);
        assert_eq!(name(&long).len(), 202);
    }
}

//! What inputs and results are called.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use stylefleet_proto::{Invalid, Name};

/// Longest part of a name given, in bytes: leaves room for a number.
const LONGEST: usize = 200;

/// The name by which people know the file at `path`.
pub fn of_file(path: &Path) -> Result<Name, Invalid> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    clean(&name.to_string_lossy()).parse()
}

/// The file's name without its ending.
pub fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}

/// `name` without what no name of a visible file may have, and not too long.
fn clean(name: &str) -> String {
    let plain = |c: char| {
        if c.is_control() || "/\\".contains(c) {
            '_'
        } else {
            c
        }
    };
    let mut name: String = name.chars().map(plain).collect();
    if name.is_empty() || name.starts_with('.') {
        name.replace_range(..name.len().min(1), "_");
    }
    name.truncate(name.floor_char_boundary(LONGEST));
    name
}

/// Keeps names apart, for file systems that do not tell capitals from small letters too.
#[derive(Debug, Default)]
pub struct Names {
    /// Names in small letters, each with the last number that was tried as its ending.
    taken: HashMap<String, u32>,
}

impl Names {
    /// `wanted` in a subfolder if it is free, or else with the first free one of the endings -2,
    /// -3, ...
    pub fn apart(&mut self, subfolder: &Path, wanted: &str) -> Result<Name, Invalid> {
        let folders = subfolder
            .iter()
            .map(|part| clean(&part.to_string_lossy()) + "/");
        let wanted = folders.collect::<String>() + &clean(wanted);
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
    fn names_are_kept_apart() {
        let mut names = Names::default();
        let given: Vec<_> = ["a.s", "A.s", "a.s-2", "a.s", "b.s"]
            .map(|name| {
                names
                    .apart(Path::new(""), name)
                    .expect("a name")
                    .to_string()
            })
            .into();
        assert_eq!(given, ["a.s", "A.s-2", "a.s-2-2", "a.s-3", "b.s"]);
        let given: Vec<_> = ["x", "x/y", "X"]
            .map(|folder| names.apart(Path::new(folder), "a.s").expect("a name"))
            .map(String::from)
            .into();
        assert_eq!(given, ["x/a.s", "x/y/a.s", "X/a.s-2"]);
    }

    #[test]
    fn names_are_safe_and_short() {
        let mut names = Names::default();
        let mut name_in = |subfolder: &str, wanted: &str| {
            let name = names.apart(Path::new(subfolder), wanted).expect("a name");
            assert!(name.is_plain(), "{name}");
            name.to_string()
        };
        assert_eq!(name_in("b\n/.c/d\\e", "a"), "b_/_c/d_e/a");
        assert_eq!(name_in(&"e/".repeat(375), "a").len(), 751);
        let mut name = |wanted: &str| name_in("", wanted);
        assert_eq!(name("a\n/../b\\c"), "a__.._b_c");
        assert_eq!(name(""), "_");
        assert_eq!(name(".stylefleet"), "_stylefleet");
        assert_eq!(name(".."), "_.");
        let long = "é".repeat(150);
        assert_eq!(name(&long).len(), 200);
        assert_eq!(name(&long).len(), 202);
    }
}

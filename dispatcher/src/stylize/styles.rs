//! Styles as people write them, on the command line and in batch files alike.

use std::path::{Path, PathBuf};

use crate::order::BadOption;

/// A style image and, where one was given, its weight in the blend.
#[derive(Debug, Clone, PartialEq)]
pub struct StyleImage {
    /// The file.
    pub path: PathBuf,
    /// Its share, relative to the other styles.
    pub weight: Option<f64>,
}

impl StyleImage {
    /// Reads `file` or `file=weight`. A file whose name has an `=` in it keeps it.
    pub fn parse(written: &Path) -> Self {
        let split = written.to_str().and_then(|text| {
            let (path, weight) = text.rsplit_once('=')?;
            Some((path, weight.parse().ok()?))
        });
        match split {
            Some((path, weight)) if !written.exists() => Self {
                path: path.into(),
                weight: Some(weight),
            },
            _ => Self {
                path: written.to_owned(),
                weight: None,
            },
        }
    }
}

/// What is written for a style that has no mask.
pub const NO_MASK: &str = "none";

/// The mask of each of the `styles`, where any were given.
pub fn masks(given: Option<&[PathBuf]>, styles: usize) -> Result<Vec<Option<PathBuf>>, BadOption> {
    let Some(masks) = given else {
        return Ok(vec![None; styles]);
    };
    if masks.len() != styles {
        let reason = format!(
            "{} masks for {styles} styles: give as many, {NO_MASK} where a style counts everywhere",
            masks.len()
        );
        return Err(BadOption::new("mask", reason));
    }
    let mask = |path: &PathBuf| (path.as_os_str() != NO_MASK).then(|| path.clone());
    Ok(masks.iter().map(mask).collect())
}

/// A style of a blend.
#[derive(Debug, Clone, PartialEq)]
pub struct Blended {
    /// The file.
    pub path: PathBuf,
    /// Its share, relative to the other styles.
    pub weight: f64,
    /// The file that says where it counts; none: everywhere.
    pub mask: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_keeps_the_equals_sign_of_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let odd = folder.path().join("e=2");
        let plain = StyleImage::parse(&odd);
        assert_eq!(plain.weight, Some(2.0));
        std::fs::write(&odd, "").expect("writes");
        let odd_file = StyleImage::parse(&odd);
        assert_eq!((odd_file.path, odd_file.weight), (odd.clone(), None));
        let weighted = StyleImage::parse(&folder.path().join("e=2=0.5"));
        assert_eq!((weighted.path, weighted.weight), (odd, Some(0.5)));
        assert_eq!(StyleImage::parse(Path::new("a=b.png")).weight, None);
    }
}

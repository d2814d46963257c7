//! From what was typed to what is to be done: every option resolved and in its range, every
//! content a file, every picture named. Files are not opened yet.

use std::path::{Path, PathBuf};

use stylefleet_model::stylize::{Preset, Start, Stylize};
use stylefleet_proto::{Invalid, Name, Valid};

use crate::images::buckets::Listings;
use crate::images::contents::LeftOut;
use crate::images::expand::Found;
use crate::local::Machine;
use crate::names::{Names, stem};
use crate::order::BadOption;
use crate::stylize::batch_file::{BatchFile, BatchFileError, Entry};
use crate::stylize::options::Options;
use crate::stylize::styles::{Blended, StyleImage, masks};

/// The pictures to make.
pub struct PicturePlan {
    /// How to use this machine, by the batch file.
    pub machine: Machine,
    /// The pictures to make.
    pub pictures: Vec<Picture>,
    /// What there are none of.
    pub left_out: LeftOut,
}

/// A picture to make.
#[derive(Debug)]
pub struct Picture {
    /// Its file name without ending.
    pub name: Name,
    /// The image to redraw.
    pub content: PathBuf,
    /// The styles to blend.
    pub styles: Vec<Blended>,
    /// The image to start from, where that is a file.
    pub start: Option<PathBuf>,
    /// What its parameters are based on.
    pub preset: Preset,
    /// How to redraw it.
    pub specification: Valid<Stylize>,
}

/// What was typed is invalid.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The batch file is no use.
    #[error(transparent)]
    BatchFile(#[from] BatchFileError),
    /// An option is out of its range.
    #[error("{place}{option}")]
    Option {
        /// Where in the batch file, if there is one.
        place: String,
        /// The option.
        option: BadOption,
    },
}

/// What was typed, with the batch file's defaults laid under it.
#[derive(Debug)]
pub struct Asked {
    /// What holds for all pictures.
    whole: Options,
    /// What each table of options asks for.
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    /// Where in the batch file, if there is one.
    place: String,
    options: Options,
}

impl Asked {
    /// Reads the options of the command line, over those of the batch file if there is one.
    pub fn read(command_line: Options, file: Option<&Path>) -> Result<Self, PlanError> {
        if let Some(path) = file {
            return Ok(Self::of_file(command_line, BatchFile::read(path)?, path));
        }
        let part = Part {
            place: String::new(),
            options: command_line.clone(),
        };
        Ok(Self {
            whole: command_line,
            parts: vec![part],
        })
    }

    /// The options of the command line over those of the batch file at `path`.
    pub fn of_file(command_line: Options, file: BatchFile, path: &Path) -> Self {
        let whole = command_line.over(&file.defaults);
        let part = |job: Entry| Part {
            place: format!("{}:{}: ", path.display(), job.line),
            options: job.options.over(&whole),
        };
        Self {
            parts: file.jobs.into_iter().map(part).collect(),
            whole,
        }
    }

    /// The contents.
    pub fn contents(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let lists = self
            .parts
            .iter_mut()
            .flat_map(|part| &mut part.options.content);
        lists.flatten()
    }
}

impl PicturePlan {
    /// Resolves what was asked. `buckets` has the folders of buckets that [`Asked::contents`]
    /// names.
    pub fn new(asked: Asked, buckets: &Listings) -> Result<Self, PlanError> {
        let mut plan = Self::empty(&asked.whole);
        let mut names = Names::default();
        for part in asked.parts {
            plan.add(&part.options, buckets, &mut names)
                .map_err(|option| PlanError::Option {
                    place: part.place,
                    option,
                })?;
        }
        Ok(plan)
    }

    fn empty(options: &Options) -> Self {
        Self {
            machine: Machine {
                out: options.out.clone(),
                device: options.device.clone(),
                threads: options.threads,
                memory: options.memory,
                max_pixels: options.max_pixels,
            },
            pictures: Vec::new(),
            left_out: LeftOut::default(),
        }
    }

    /// Adds the pictures that one table of options asks for.
    fn add(
        &mut self,
        options: &Options,
        buckets: &Listings,
        names: &mut Names,
    ) -> Result<(), BadOption> {
        let blends = blends(options)?;
        let parameters = options.parameters.parameters();
        let asked = |blend: Blend| {
            let specification = Valid::new(Stylize {
                weights: blend.iter().map(|style| style.weight).collect(),
                parameters: parameters.clone(),
            })?;
            Ok::<_, Invalid>((blend, specification))
        };
        let blends = blends
            .into_iter()
            .map(asked)
            .collect::<Result<Vec<_>, _>>()?;
        let recursive = options.recursive.unwrap_or(false);
        for content in options.content.iter().flatten() {
            for image in &self.left_out.find(content, recursive, buckets) {
                for (blend, specification) in &blends {
                    let picture = picture(options, specification, image, blend, names)?;
                    self.pictures.push(picture);
                }
            }
        }
        Ok(())
    }
}

type Blend = Vec<Blended>;

/// The blends that each content is redrawn in: one of all styles, or each style on its own.
fn blends(options: &Options) -> Result<Vec<Blend>, BadOption> {
    let written = options.style.iter().flatten();
    let styles: Vec<_> = written.map(|style| StyleImage::parse(style)).collect();
    if styles.is_empty() {
        let reason = "is missing: name at least one image";
        return Err(BadOption::new("style", reason));
    }
    let weighted = styles.iter().any(|style| style.weight.is_some());
    let masks = masks(options.mask.as_deref(), styles.len())?;
    let masked = masks.iter().any(Option::is_some);
    let blended = styles.into_iter().zip(masks).map(|(style, mask)| Blended {
        path: style.path,
        weight: style.weight.unwrap_or(1.0),
        mask,
    });
    Ok(if options.blend.unwrap_or(weighted || masked) {
        vec![blended.collect()]
    } else {
        blended.map(|style| vec![style]).collect()
    })
}

fn picture(
    options: &Options,
    specification: &Valid<Stylize>,
    content: &Found,
    blend: &Blend,
    names: &mut Names,
) -> Result<Picture, BadOption> {
    let styles = blend.iter().map(|style| style.path.as_path());
    let usual = || name(&content.path, styles);
    let name = options.name.clone().unwrap_or_else(usual);
    Ok(Picture {
        name: names.apart(&content.subfolder, &name)?,
        content: content.path.clone(),
        styles: blend.clone(),
        start: match &options.parameters.init {
            Some(Start::File(path)) => Some(path.clone()),
            _ => None,
        },
        preset: options.parameters.preset.unwrap_or_default(),
        specification: specification.clone(),
    })
}

/// The name of a picture of `content` in `styles`, without an ending and without a folder.
pub fn name<'a>(content: &Path, styles: impl Iterator<Item = &'a Path>) -> String {
    let styles: Vec<_> = styles.map(stem).collect();
    format!("{}.{}", stem(content), styles.join("+"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(contents: &[&str], styles: &[&str]) -> Options {
        let paths = |list: &[&str]| Some(list.iter().map(PathBuf::from).collect());
        Options {
            content: paths(contents),
            style: paths(styles),
            ..Options::default()
        }
    }

    fn plan(options: Options) -> Result<PicturePlan, PlanError> {
        PicturePlan::new(Asked::read(options, None)?, &Listings::new())
    }

    fn refused(options: Options) -> String {
        let error = plan(options).map(drop).expect_err("refused");
        error.to_string()
    }

    fn names(options: Options) -> Vec<String> {
        let plan = plan(options).expect("a plan");
        plan.pictures.iter().map(|p| p.name.to_string()).collect()
    }

    #[test]
    fn pictures_are_named_after_content_and_styles() {
        let name =
            |content: &str, styles: &[&str]| name(Path::new(content), styles.iter().map(Path::new));
        assert_eq!(
            name("in/harbour.at.dawn.jpg", &["x/a.png"]),
            "harbour.at.dawn.a"
        );
        assert_eq!(name("h.jpg", &["a.png", "b"]), "h.a+b");
    }

    #[test]
    fn styles_multiply_unless_they_blend() {
        let two = options(&["a.png", "b.png"], &["s.png", "t.png"]);
        assert_eq!(names(two.clone()), ["a.s", "a.t", "b.s", "b.t"]);
        let blend = Options {
            blend: Some(true),
            ..two
        };
        assert_eq!(names(blend), ["a.s+t", "b.s+t"]);
        let weighted = options(&["a.png"], &["s.png=2", "t.png"]);
        assert_eq!(names(weighted.clone()), ["a.s+t"]);
        let apart = Options {
            blend: Some(false),
            ..weighted
        };
        assert_eq!(names(apart), ["a.s", "a.t"]);
    }

    #[test]
    fn pictures_of_subfolders_are_named_so() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("x")).expect("a folder");
        for file in ["a.png", "x/a.png", "x/b.svg"] {
            std::fs::write(folder.path().join(file), "").expect("writes");
        }
        let flat = options(&[&folder.path().to_string_lossy()], &["s.png"]);
        assert_eq!(names(flat.clone()), ["a.s"]);
        let recursive = Options {
            recursive: Some(true),
            ..flat
        };
        assert_eq!(names(recursive.clone()), ["a.s", "x/a.s"]);
        let left_out = plan(recursive).expect("a plan").left_out;
        assert_eq!(
            left_out.passed_over[0].1.to_string(),
            "1 file passed over: .svg"
        );
    }

    #[test]
    fn names_the_option_that_is_wrong() {
        let base = options(&["a.png"], &["s.png"]);
        let with = |change: fn(&mut Options)| {
            let mut options = base.clone();
            change(&mut options);
            refused(options)
        };
        let parameter = |name: &str, written: &str| {
            let mut options = base.clone();
            assert_eq!(options.parameters.0.set(name, written), Ok(true));
            refused(options)
        };
        for (message, option) in [
            (parameter("style-weight", "NaN"), "style-weight: "),
            (parameter("tv-weight", "-1"), "tv-weight: "),
            (parameter("evaluations", "0"), "evaluations: "),
            (parameter("size", "9"), "size: "),
            (parameter("size", "9x99"), "size.width: "),
            (
                parameter("style-layers", "conv1_1=inf"),
                "style-layers.conv1_1: ",
            ),
            (parameter("init", "style:2"), "init: "),
            (parameter("style-scale", "5"), "style-scale: "),
            (
                with(|o| o.style = Some(vec!["s=nan".into()])),
                "styles.weight: ",
            ),
            (with(|o| o.style = Some(Vec::new())), "style: "),
        ] {
            assert!(message.starts_with(option), "{message}");
        }
    }
}

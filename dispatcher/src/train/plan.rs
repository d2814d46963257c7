//! From what was typed to the network that is to be trained. Files are not opened yet.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use stylefleet_model::MAX_PART;
use stylefleet_model::stylize::Preset;
use stylefleet_model::train::{Train, objective_of};
use stylefleet_model::trained::StyleName;
use stylefleet_proto::{Invalid, Name, Valid};

use super::options::TrainOptions;
use crate::images::buckets::Listings;
use crate::images::expand::{ExpandError, PassedOver, expand};
use crate::models::file::ENDING;
use crate::names::stem;
use crate::order::{BadOption, OrderError};

/// The network to train.
#[derive(Debug)]
pub struct TrainPlan {
    /// The model's file name without its ending.
    pub name: Name,
    /// The images of the styles.
    pub styles: Vec<PathBuf>,
    /// The photographs.
    pub photographs: Vec<PathBuf>,
    /// What could not be looked at for photographs, and why.
    pub absent: Vec<(PathBuf, ExpandError)>,
    /// Folders and patterns with other files than images.
    pub passed_over: Vec<(PathBuf, PassedOver)>,
    /// Largest image accepted, in pixels.
    pub max_pixels: Option<NonZero<u64>>,
    /// What the objective is based on.
    pub preset: Preset,
    /// How to train it.
    pub specification: Valid<Train>,
}

impl TrainPlan {
    /// Resolves what was asked. `buckets` has the folders of buckets among the photographs.
    pub fn new(asked: TrainOptions, buckets: &Listings) -> Result<Self, BadOption> {
        let styles = asked.style.iter().map(|style| parse(style));
        let styles = styles.collect::<Result<Vec<_>, _>>()?;
        let (styles, names): (Vec<_>, Vec<_>) = styles.into_iter().unzip();
        let given = asked.objective.0.0;
        let words: Vec<_> = names.iter().map(AsRef::as_ref).collect();
        let mut plan = Self {
            name: named(&words.join("+"))?,
            styles,
            photographs: Vec::new(),
            absent: Vec::new(),
            passed_over: Vec::new(),
            max_pixels: asked.max_pixels,
            preset: given.preset.unwrap_or_default(),
            specification: Valid::new(Train {
                styles: names,
                training: asked.training.training(),
                objective: objective_of(&given.parameters()),
            })?,
        };
        for photos in asked.photos {
            plan.add(photos, asked.recursive, buckets)?;
        }
        Ok(plan)
    }

    /// Adds the photographs that `photos` means.
    fn add(
        &mut self,
        photos: PathBuf,
        recursive: bool,
        buckets: &Listings,
    ) -> Result<(), BadOption> {
        let expansion = expand(&photos, recursive, buckets)
            .map_err(|error| BadOption::new("photos", format!("{}: {error}", photos.display())))?;
        let found = expansion.images.into_iter();
        self.photographs.extend(found.map(|image| image.path));
        self.absent.extend(expansion.absent);
        if !expansion.passed_over.is_empty() {
            self.passed_over.push((photos, expansion.passed_over));
        }
        Ok(())
    }

    /// Takes the model's name from the file that it is to be in. Returns that file's folder.
    pub fn name_after(&mut self, file: &Path) -> Result<PathBuf, OrderError> {
        if file.extension().is_none_or(|ending| ending != ENDING) {
            let reason = format!("{file:?} is no NAME.{ENDING}, as models are called");
            return Err(BadOption::new("out", reason).into());
        }
        self.name = named(&stem(file))?;
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        Ok(folder.unwrap_or(Path::new(".")).to_owned())
    }
}

/// The name of a model's file, without its ending.
fn named(stem: &str) -> Result<Name, BadOption> {
    let name = stem.parse::<Name>().ok().filter(Name::is_plain);
    name.ok_or_else(|| {
        let reason = format!(
            "{stem:?} is no name for a model: name a file NAME.{ENDING}, where NAME has at most \
             {MAX_PART} bytes, no control characters, no \\ and no full stop at the beginning"
        );
        BadOption::new("out", reason)
    })
}

/// Reads `IMAGE` or `IMAGE=NAME`. An image whose name has an `=` in it keeps it.
fn parse(written: &Path) -> Result<(PathBuf, StyleName), BadOption> {
    let split = written.to_str().and_then(|text| text.rsplit_once('='));
    let (path, name) = match split {
        Some((path, name)) if !written.exists() => (path.into(), name.to_owned()),
        _ => (written.to_owned(), stem(written)),
    };
    let style = name.parse().map_err(|invalid: Invalid| {
        let reason = invalid.reason;
        let remedy = "call it otherwise with IMAGE=NAME";
        BadOption::new(
            "style",
            format!("\"{name}\" is no name for one: it {reason}: {remedy}"),
        )
    })?;
    Ok((path, style))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(allow_negative_numbers = true)]
    struct Program {
        #[command(flatten)]
        options: TrainOptions,
    }

    fn plan(args: &[&str]) -> Result<TrainPlan, String> {
        let required = [
            "train",
            "--style",
            "art/wave.png",
            "--photos",
            "a.jpg",
            "b.jpg",
        ];
        let program = Program::try_parse_from(required.iter().chain(args)).expect("parses");
        let plan = TrainPlan::new(program.options, &Listings::new());
        plan.map_err(|error| error.to_string())
    }

    fn refused(args: &[&str]) -> String {
        plan(args).map(drop).expect_err("refused")
    }

    #[test]
    fn styles_are_called_after_their_files_unless_told() {
        let plan = plan(&["--style", "art/a,b.jpg=night", "--photos", "c.jpg"]).expect("a plan");
        let names: Vec<_> = plan
            .specification
            .styles
            .iter()
            .map(AsRef::as_ref)
            .collect();
        assert_eq!(names, ["wave", "night"]);
        assert_eq!(
            plan.styles,
            ["art/wave.png", "art/a,b.jpg"].map(PathBuf::from)
        );
        assert_eq!(
            plan.photographs,
            ["a.jpg", "b.jpg", "c.jpg"].map(PathBuf::from)
        );
        assert_eq!(plan.name.as_ref(), "wave+night");
    }

    #[test]
    fn the_model_is_called_after_its_file() {
        let mut plan = plan(&[]).expect("a plan");
        let mut folder = |file: &str| plan.name_after(Path::new(file)).map_err(|e| e.to_string());
        assert_eq!(folder("sea.safetensors"), Ok(".".into()));
        assert_eq!(folder("a/b/sea.v2.safetensors"), Ok("a/b".into()));
        for file in ["sea.pt", "models/", ".safetensors", "sea"] {
            let message = folder(file).expect_err(file);
            assert!(
                message.starts_with(&format!("out: {file:?} is no NAME.safetensors")),
                "{message}"
            );
        }
        for name in [".sea", "s\nea", "s\\ea", &"s".repeat(MAX_PART + 1)] {
            let message = folder(&format!("{name}.safetensors")).expect_err(name);
            assert!(
                message.starts_with(&format!("out: {name:?} is no name for a model")),
                "{message}"
            );
        }
        assert_eq!(plan.name.as_ref(), "sea.v2");
    }

    #[test]
    fn the_objective_is_a_presets_and_the_rest_nobodys() {
        let asked = |args: &[&str]| plan(args).expect("a plan").specification.into_inner();
        let studio = Preset::Studio.parameters();
        assert_eq!(asked(&[]).objective, studio);
        let neural = asked(&["--preset", "neural-style", "--tv-weight", "2"]).objective;
        assert_eq!((neural.style_weight, neural.tv_weight), (100.0, 2.0));
        assert_eq!(neural.init, studio.init);
        let measured = asked(&["--style-loss", "wasserstein"]).objective;
        assert_eq!(measured.style_weight, 1.0);
        let trained = asked(&["--size", "128", "--steps", "10", "--learning-rate", "0.01"]);
        assert_eq!((trained.training.size, trained.training.steps), (128, 10));
        assert_eq!(trained.training.learning_rate, 0.01);
    }

    #[test]
    fn names_what_is_wrong() {
        for (args, message) in [
            (&["--style", "a,b.png"][..], "style: \"a,b\" is no name"),
            (&["--style", "x/wave.jpg"], "styles: name wave twice"),
            (&["--size", "30"], "size: is 30, must be"),
            (&["--width", "1000000000"], "width: is "),
            (&["--learning-rate", "0"], "learning-rate: is 0"),
            (&["--style-weight", "-1"], "style-weight: is -1"),
            (
                &["--photos", "gone/*.jpg"],
                "photos: gone/*.jpg: is not there",
            ),
        ] {
            let refused = refused(args);
            assert!(refused.starts_with(message), "{refused}");
        }
    }
}

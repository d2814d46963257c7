//! From what was typed to what is to be done: every style found in the model, every content a file,
//! every picture named. Contents are not opened yet.

use std::collections::HashSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use stylefleet_model::apply::{Apply, Share};
use stylefleet_model::did_you_mean;
use stylefleet_model::trained::{Header, StyleName};
use stylefleet_proto::{Invalid, Name, Valid};

use super::Asked;
use crate::images::buckets::Listings;
use crate::images::contents::LeftOut;
use crate::models::file::ModelFile;
use crate::names::{Names, stem};
use crate::order::BadOption;
use crate::stylize::styles::masks;

/// The pictures to make.
#[derive(Debug)]
pub struct ApplyPlan {
    /// What makes them.
    pub model: ModelFile,
    /// Largest image accepted, in pixels.
    pub max_pixels: Option<NonZero<u64>>,
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
    /// Where each style counts; none: everywhere.
    pub masks: Vec<Option<PathBuf>>,
    /// How to redraw it.
    pub specification: Valid<Apply>,
}

/// A style of a blend.
#[derive(Debug, Clone)]
struct Blended {
    share: Share,
    mask: Option<PathBuf>,
}

impl ApplyPlan {
    /// Resolves what was asked. `buckets` has the folders of buckets among the contents.
    pub fn new(asked: Asked, model: ModelFile, buckets: &Listings) -> Result<Self, BadOption> {
        let blends = blends(&asked, &model.header)?;
        let specifications = blends.into_iter().map(|blend| specification(&asked, blend));
        let specifications = specifications.collect::<Result<Vec<_>, _>>()?;
        let mut plan = Self {
            model,
            max_pixels: asked.max_pixels,
            pictures: Vec::new(),
            left_out: LeftOut::default(),
        };
        let mut names = Names::default();
        for content in &asked.contents {
            for image in plan.left_out.find(content, asked.recursive, buckets) {
                for (specification, masks) in &specifications {
                    let name = name(&image.path, specification);
                    plan.pictures.push(Picture {
                        name: names.apart(&image.subfolder, &name)?,
                        content: image.path.clone(),
                        masks: masks.clone(),
                        specification: specification.clone(),
                    });
                }
            }
        }
        Ok(plan)
    }
}

/// The blends that each content is redrawn in: one of all styles, or each style on its own.
fn blends(asked: &Asked, model: &Header) -> Result<Vec<Vec<Blended>>, BadOption> {
    let every = || model.styles.iter().map(|style| Ok((style.clone(), None)));
    let styles: Vec<_> = match &asked.styles[..] {
        [] => every().collect(),
        written => written.iter().map(|style| parse(style, model)).collect(),
    };
    let styles = styles.into_iter().collect::<Result<Vec<_>, BadOption>>()?;
    let mut seen = HashSet::new();
    if let Some((twice, _)) = styles.iter().find(|(style, _)| !seen.insert(style)) {
        return Err(BadOption::new("styles", format!("name {twice} twice")));
    }
    let weighted = styles.iter().any(|(_, weight)| weight.is_some());
    let masks = masks(asked.masks.as_deref(), styles.len())?;
    let masked = masks.iter().any(Option::is_some);
    let blended = styles
        .into_iter()
        .zip(masks)
        .map(|((style, weight), mask)| {
            let weight = weight.unwrap_or(1.0);
            Blended {
                share: Share { style, weight },
                mask,
            }
        });
    Ok(if asked.blend.unwrap_or(weighted || masked) {
        vec![blended.collect()]
    } else {
        blended.map(|style| vec![style]).collect()
    })
}

/// Reads `NAME` or `NAME=WEIGHT`: a style that the model has.
fn parse(written: &str, model: &Header) -> Result<(StyleName, Option<f64>), BadOption> {
    let (name, weight) = match written.split_once('=') {
        Some((name, weight)) => (name, Some(weight)),
        None => (written, None),
    };
    let known = model.styles.iter().find(|style| style.as_ref() == name);
    let style = known.ok_or_else(|| {
        let known: Vec<_> = model.styles.iter().map(AsRef::as_ref).collect();
        let hint = did_you_mean(name, known.iter().copied());
        let reason = format!(
            "the model has no \"{name}\": it has {}{hint}",
            known.join(", ")
        );
        BadOption::new("style", reason)
    })?;
    let number = |weight: &str| {
        let no_number = |_| BadOption::new("style", format!("\"{weight}\" is no weight"));
        weight.parse::<f64>().map_err(no_number)
    };
    Ok((style.clone(), weight.map(number).transpose()?))
}

/// What is asked for one blend, and where its styles count.
fn specification(
    asked: &Asked,
    blend: Vec<Blended>,
) -> Result<(Valid<Apply>, Vec<Option<PathBuf>>), Invalid> {
    let parameters = asked.parameters();
    let (styles, masks) = blend
        .into_iter()
        .map(|style| (style.share, style.mask))
        .unzip();
    let specification = Valid::new(Apply {
        styles,
        size: asked.parameters.size.as_ref().map(|_| parameters.size),
        keep_colors: parameters.keep_colors,
        format: parameters.format,
        precision: parameters.precision,
    })?;
    Ok((specification, masks))
}

/// The name of a picture, without an ending and without a folder.
fn name(content: &Path, asked: &Apply) -> String {
    let styles: Vec<_> = asked
        .styles
        .iter()
        .map(|share| share.style.as_ref())
        .collect();
    format!("{}.{}", stem(content), styles.join("+"))
}

#[cfg(test)]
mod tests {
    use stylefleet_model::stylize::{Overrides, Size};
    use stylefleet_model::trained::{FORMAT, Layout};

    use super::*;
    use crate::stylize::options::Options;
    use crate::table::TableArgs;

    fn asked(styles: &[&str]) -> Asked {
        Asked {
            contents: vec!["a.png".into(), "b.jpg".into()],
            styles: styles.iter().map(|style| (*style).to_owned()).collect(),
            ..Asked::default()
        }
    }

    fn plan(asked: Asked) -> Result<ApplyPlan, String> {
        let model = ModelFile {
            path: "sea.safetensors".into(),
            bytes: Default::default(),
            header: Header {
                format: FORMAT,
                layout: Layout::Johnson,
                width: 4,
                styles: ["night", "wave.2"]
                    .map(|s| s.parse().expect("a name"))
                    .into(),
                objective: None,
                training: None,
                licence: String::new(),
            },
        };
        ApplyPlan::new(asked, model, &Listings::new()).map_err(|error| error.to_string())
    }

    fn names(asked: Asked) -> Vec<String> {
        let plan = plan(asked).expect("a plan");
        plan.pictures.iter().map(|p| p.name.to_string()).collect()
    }

    fn refused(asked: Asked) -> String {
        plan(asked).map(drop).expect_err("refused")
    }

    #[test]
    fn styles_multiply_unless_they_blend() {
        let each = ["a.night", "a.wave.2", "b.night", "b.wave.2"];
        assert_eq!(names(asked(&[])), each);
        assert_eq!(names(asked(&["night", "wave.2"])), each);
        assert_eq!(names(asked(&["wave.2"])), ["a.wave.2", "b.wave.2"]);
        let weighted = asked(&["wave.2=3", "night"]);
        let plan = plan(weighted).expect("a plan");
        let first = &plan.pictures[0];
        assert_eq!(first.name.as_ref(), "a.wave.2+night");
        let shares = first.specification.styles.iter();
        let shares: Vec<_> = shares
            .map(|share| (share.style.as_ref(), share.weight))
            .collect();
        assert_eq!(shares, [("wave.2", 3.0), ("night", 1.0)]);
        let blend = Asked {
            blend: Some(true),
            ..asked(&[])
        };
        assert_eq!(names(blend), ["a.night+wave.2", "b.night+wave.2"]);
        let apart = Asked {
            blend: Some(false),
            ..asked(&["night=2", "wave.2"])
        };
        assert_eq!(names(apart), each);
    }

    #[test]
    fn masks_blend() {
        let masked = Asked {
            masks: Some(vec!["m.png".into(), "none".into()]),
            ..asked(&[])
        };
        let plan = plan(masked).expect("a plan");
        let first = &plan.pictures[0];
        assert_eq!(first.name.as_ref(), "a.night+wave.2");
        assert_eq!(first.masks, [Some("m.png".into()), None]);
    }

    #[test]
    fn a_picture_has_its_contents_size_unless_told() {
        let size = |asked| plan(asked).expect("a plan").pictures[0].specification.size;
        assert_eq!(size(asked(&[])), None);
        let mut sized = asked(&[]);
        assert_eq!(sized.parameters.set("size", "512"), Ok(true));
        assert_eq!(size(sized), Some(Size::Longest(512)));
    }

    #[test]
    fn names_what_is_wrong() {
        let message = refused(asked(&["day"]));
        assert_eq!(
            message,
            "style: the model has no \"day\": it has night, wave.2"
        );
        let hint = "; did you mean night?";
        assert!(refused(asked(&["nigth=2"])).ends_with(hint));
        assert_eq!(refused(asked(&["night=x"])), "style: \"x\" is no weight");
        assert!(refused(asked(&["night=0"])).starts_with("styles.weight: is 0, must be"));
        for styles in [["night=1", "night"], ["night", "night"]] {
            assert_eq!(refused(asked(&styles)), "styles: name night twice");
        }
        let masked = Asked {
            masks: Some(vec!["m.png".into()]),
            ..asked(&[])
        };
        assert!(refused(masked).starts_with("mask: 1 masks for 2 styles"));
        let mut recoloured = asked(&[]);
        assert_eq!(recoloured.parameters.set("keep-colors", "match"), Ok(true));
        assert!(refused(recoloured).starts_with("keep-colors: is match"));
    }

    #[test]
    fn options_of_the_optimiser_have_no_meaning() {
        let of = |name: &str, written: &str| {
            let mut given = Overrides::default();
            assert_eq!(given.set(name, written), Ok(true));
            let options = Options {
                parameters: TableArgs(given),
                ..Options::default()
            };
            Asked::of_pictures(options).map_err(|error| error.to_string())
        };
        for (name, written) in [("size", "64"), ("keep-colors", "none"), ("format", "tiff")] {
            of(name, written).expect(name);
        }
        for (name, written) in [
            ("evaluations", "9"),
            ("style-weight", "1"),
            ("init", "noise"),
        ] {
            let message = of(name, written).map(drop).expect_err("refused");
            assert_eq!(message, format!("--{name}: has no meaning with --model"));
        }
    }
}

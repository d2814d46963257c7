//! What can be asked for: one struct for the command line, for `[defaults]` and for each `[[job]]`
//! of a batch file. Every option may be absent, so that they can be laid over each other.

use std::fmt::{self, Display};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytesize::ByteSize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use stylefleet_model::stylize::{Overrides, Start};

use crate::images::buckets::is_remote;
use crate::local::{Devices, WHOLE};
use crate::stylize::parameters::WithParameters;
use crate::stylize::styles::NO_MASK;
use crate::table::TableArgs;

/// Everything that can be asked for.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, serde::Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    remote = "Self"
)]
pub struct Options {
    /// Pictures to redraw: files, folders (the images in them) or patterns, as in 'photos/*.jpg'
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    #[serde(deserialize_with = "one_or_many")]
    pub content: Option<Vec<PathBuf>>,

    /// Take the images in subfolders of a folder too; the pictures land in subfolders of the same
    /// names [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub recursive: Option<bool>,

    /// Style to redraw them in; give it several times for several styles
    ///
    /// Without weights, every content is redrawn in every style. With a weight on any style, or
    /// with --blend, every content is redrawn once, in a blend of all styles. WEIGHT: share in
    /// the blend relative to the others, greater than 0, at most 1e6, 1 where there is none. At
    /// most 16 styles blend.
    #[arg(long, aliases = ["style-image", "styles"], value_name = "IMAGE[=WEIGHT]",
          required_unless_present = "file")]
    #[serde(deserialize_with = "one_or_many")]
    pub style: Option<Vec<PathBuf>>,

    /// Where in the picture a style counts: an image, white for everywhere, black for nowhere,
    /// greys between; as many as styles, in their order, none for a style that counts everywhere
    ///
    /// Masks are stretched to the picture, and styles that have any blend.
    #[arg(long, value_name = "IMAGE")]
    #[serde(deserialize_with = "one_or_many")]
    pub mask: Option<Vec<PathBuf>>,

    /// Name of the picture's file without its ending; only in a batch file's `[[job]]`.
    #[arg(skip)]
    pub name: Option<String>,

    /// Blend all styles into one picture per content [default: only if a style has a weight]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub blend: Option<bool>,

    /// Folder for the pictures; see `Machine`.
    #[arg(skip)]
    pub out: Option<PathBuf>,

    /// How to redraw them.
    #[command(flatten)]
    #[serde(skip)]
    pub parameters: TableArgs<Overrides>,

    /// Where to compute; see `Machine`.
    #[arg(skip)]
    #[serde(deserialize_with = "written")]
    pub device: Option<Devices>,

    /// CPU threads of each worker; see `Machine`.
    #[arg(skip)]
    pub threads: Option<NonZero<u32>>,

    /// Memory of each worker's job; see `Machine`.
    #[arg(skip)]
    #[serde(deserialize_with = "written")]
    pub memory: Option<ByteSize>,

    /// Largest image accepted, in pixels, 1 or more; it is checked before decoding, which takes a
    /// worker up to 28 bytes a pixel [default: 100 million]
    #[arg(long, value_name = "N", help_heading = WHOLE)]
    pub max_pixels: Option<NonZero<u64>>,
}

impl Options {
    /// These options, and those of `base` where these say nothing.
    pub fn over(self, base: &Self) -> Self {
        macro_rules! over {
            ($($option:ident)*) => {
                Self {
                    $($option: self.$option.or_else(|| base.$option.clone()),)*
                    ..Self::default()
                }
            };
        }
        let parameters = self.parameters.0.clone().over(&base.parameters);
        Self {
            parameters: TableArgs(parameters),
            ..over! {
                content recursive style mask name blend out device threads memory max_pixels
            }
        }
    }

    /// These options with every relative path taken from `folder`.
    pub fn rooted(mut self, folder: &Path) -> Self {
        for content in self.content.iter_mut().flatten() {
            if !is_remote(content) {
                *content = folder.join(&*content);
            }
        }
        let start = match &mut self.parameters.init {
            Some(Start::File(path)) => Some(path),
            _ => None,
        };
        let styles = self.style.iter_mut().flatten();
        let masks = self.mask.iter_mut().flatten();
        let masks = masks.filter(|path| path.as_os_str() != NO_MASK);
        for path in styles.chain(masks).chain(&mut self.out).chain(start) {
            if !is_remote(path) {
                *path = folder.join(&*path);
            }
        }
        self
    }
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Table)
    }
}

/// Reads a table of a batch file: the parameters, and everything else.
struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = Options;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of options")
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Options, A::Error> {
        let mut parameters = TableArgs::<Overrides>::default();
        let given = &mut parameters.0;
        let rest = MapAccessDeserializer::new(WithParameters { table, given });
        // What the derive makes; it knows nothing of parameters.
        let options = Options::deserialize(rest)?;
        Ok(Options {
            parameters,
            ..options
        })
    }
}

/// Reads a value from what a flag would say: text, or a whole number.
fn written<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "expected text or a whole number")]
    enum Written {
        Number(u64),
        Text(String),
    }
    let text = match Written::deserialize(from)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    };
    text.parse().map(Some).map_err(D::Error::custom)
}

/// Reads a path or a list of paths.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<PathBuf>>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "expected a path or a list of paths")]
    enum Paths {
        One(PathBuf),
        Many(Vec<PathBuf>),
    }
    Ok(Some(match Paths::deserialize(from)? {
        Paths::One(path) => vec![path],
        Paths::Many(paths) => paths,
    }))
}

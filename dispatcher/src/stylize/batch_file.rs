//! Batch files: what the command line says of pictures, for many jobs at once.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::stylize::options::Options;

/// A batch file, its relative paths taken from its folder.
#[derive(Debug)]
pub struct BatchFile {
    /// Options of the whole run, and of jobs that do not say otherwise.
    pub defaults: Options,
    /// The jobs.
    pub jobs: Vec<Entry>,
}

/// A `[[job]]`.
#[derive(Debug)]
pub struct Entry {
    /// The line it begins on.
    pub line: usize,
    /// Its own options.
    pub options: Options,
}

/// Why a batch file is no use.
#[derive(Debug, thiserror::Error)]
pub enum BatchFileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not what a batch file should be.
    #[error("{}:{line}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    defaults: Options,
    job: Vec<Spanned<Options>>,
}

impl BatchFile {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, BatchFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| BatchFileError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::of_text(&text, path)
    }

    /// Reads what the file at `path` holds.
    pub fn of_text(text: &str, path: &Path) -> Result<Self, BatchFileError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(text, folder).map_err(|(line, reason)| BatchFileError::Content {
            path: path.to_owned(),
            line,
            reason,
        })
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, (usize, String)> {
        let ends: Vec<_> = text.match_indices('\n').map(|(end, _)| end).collect();
        let line_at = |offset| 1 + ends.partition_point(|&end| end < offset);
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(span.start));
            (line, error.message().replace('\n', " "))
        })?;
        let defaults = document.defaults;
        if defaults.content.is_some() || defaults.name.is_some() {
            let line = text.lines().position(|line| line.trim() == "[defaults]");
            let reason = "[defaults] takes no content and no name: give them in a [[job]]";
            return Err((line.map_or(1, |index| index + 1), reason.to_owned()));
        }
        let jobs = document
            .job
            .into_iter()
            .map(|job| {
                let line = line_at(job.span().start);
                let options = job.into_inner();
                check(&options).map_err(|reason| (line, reason))?;
                let options = options.rooted(folder);
                Ok(Entry { line, options })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            defaults: defaults.rooted(folder),
            jobs,
        })
    }
}

/// Refuses a job without content, and one that speaks for the whole run.
fn check(job: &Options) -> Result<(), String> {
    if job.content.as_ref().is_none_or(Vec::is_empty) {
        return Err("this job has no content: name a file, a folder or a pattern".to_owned());
    }
    let settings = [
        ("out", job.out.is_some()),
        ("device", job.device.is_some()),
        ("threads", job.threads.is_some()),
        ("memory", job.memory.is_some()),
        ("max-pixels", job.max_pixels.is_some()),
    ];
    match settings.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((name, _)) => Err(format!(
            "{name} is one setting for the whole run: move it to [defaults]"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{Arg, CommandFactory};
    use stylefleet_model::stylize::Size;

    use crate::cli::Args;

    use super::*;

    fn parse(text: &str) -> Result<BatchFile, (usize, String)> {
        BatchFile::parse(text, Path::new("/batches"))
    }

    #[test]
    fn reads_the_sample_of_the_manual() {
        let batch = parse(include_str!("batch.example.toml")).expect("parses");
        assert_eq!(batch.defaults.out, Some("/batches/out".into()));
        let job = &batch.jobs[1].options;
        assert_eq!(job.name.as_deref(), Some("harbour at night"));
        let styles = job.style.as_deref().expect("styles");
        assert_eq!(styles[0], Path::new("/batches/art/starry_night.jpg=2"));
        assert_eq!(
            job.content,
            Some(vec!["/batches/photos/harbour.jpg".into()])
        );
    }

    #[test]
    fn a_job_wins_over_the_command_line_over_the_defaults() {
        let batch =
            parse("[defaults]\nsize = 1\nseed = 1\nscales = 1\n[[job]]\ncontent = 'a'\nsize = 3")
                .expect("parses");
        let mut command_line = Options::default();
        for name in ["size", "seed"] {
            assert_eq!(command_line.parameters.0.set(name, "2"), Ok(true));
        }
        let job = batch.jobs[0].options.clone();
        let job = job.over(&command_line).over(&batch.defaults);
        assert_eq!(job.parameters.size, Some(Size::Longest(3)));
        assert_eq!(
            (job.parameters.seed, job.parameters.scales),
            (Some(2), Some(1))
        );
    }

    #[test]
    fn the_sample_names_the_options_that_no_batch_file_takes() {
        let mut refused = BTreeSet::new();
        for command in ["run", "submit"] {
            let commands = Args::command();
            let command = commands.find_subcommand(command).expect("a command");
            for option in command.get_arguments().filter_map(Arg::get_long) {
                let text = format!("[defaults]\n{option} = []\n[[job]]\ncontent = 'a'");
                if parse(&text).is_err_and(|(_, reason)| reason.contains("no option")) {
                    refused.insert(option.to_owned());
                }
            }
        }
        let named = include_str!("batch.example.toml")
            .lines()
            .find_map(|line| line.strip_prefix("# Only the command line takes "));
        let named = named.expect("is said").trim_end_matches('.');
        assert_eq!(refused, named.split(", ").map(str::to_owned).collect());
    }

    #[test]
    fn says_on_which_line_what_is_wrong() {
        for (text, line, mention) in [
            (
                "[[job]]\ncontent = 'a'\nsiez = 3",
                3,
                "siez: see stylefleet run --help; did you mean size?",
            ),
            ("[[job]]\ncontent = 'a'\n\nsize = 'big'", 4, "big"),
            (
                "[[job]]\ncontent = 'a'\nstyle-layers = 'conv9_9'",
                3,
                "conv9_9",
            ),
            ("[[job]]\ncontent = 'a'\npooling = 'min'", 3, "min"),
            (
                "[[job]]\ncontent = 'a'\npreset = 'studo'",
                3,
                "; did you mean studio?",
            ),
            ("[[job]]\ncontnt = 'a'", 2, "; did you mean content?"),
            ("[[job]]\ncontent = 'a'\npreset = 'monet'", 3, "monet"),
            ("[[job]]\ncontent = 'a'\nevaluations = 'x'", 3, "x"),
            ("[[job]]\ncontent = 3", 2, "a path or a list"),
            ("\n[[job]]\nsize = 3", 2, "no content"),
            ("[[job]]\ncontent = 'a'\ndevice = 'cpu'", 1, "[defaults]"),
            (
                "\n[defaults]\nname = 'a'\n[[job]]\ncontent = 'a'",
                2,
                "[[job]]",
            ),
            ("[default]\n", 1, "default"),
            ("[defaults]\n", 1, "job"),
            ("x = = 1", 1, ""),
        ] {
            let (at, reason) = parse(text).expect_err(text);
            assert_eq!(at, line, "{text}: {reason}");
            assert!(reason.contains(mention), "{text}: {reason}");
        }
    }
}

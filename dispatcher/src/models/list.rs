//! `stylefleet models list`: the models among files and in folders.

use std::path::{Path, PathBuf};

use serde::Serialize;
use stylefleet_model::Choice;
use stylefleet_model::trained::Layout;

use super::file::{ENDING, ModelFile};
use crate::commands::Ending;
use crate::images::walk::walk;
use crate::output::{self, Line};

/// Arguments of `stylefleet models list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Model files, and folders with such files in them [default: this folder]
    #[arg(value_name = "FOLDER|FILE")]
    places: Vec<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct List {
    models: Vec<Listed>,
    /// Files and folders that could not be listed.
    refused: Vec<Refused>,
}

/// A model in a few words.
#[derive(Debug, Serialize)]
struct Listed {
    file: String,
    styles: Vec<String>,
    width: u32,
    layout: Layout,
    /// Steps of training, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
    licence: String,
}

#[derive(Debug, Serialize)]
struct Refused {
    file: String,
    reason: String,
}

/// Runs the command. What is in a folder and is no model concerns nobody; what was named does.
pub fn run(args: ListArgs) -> Ending {
    let mut list = List::default();
    let here = [PathBuf::new()];
    let places = match &args.places[..] {
        [] => &here[..],
        places => places,
    };
    let mut is_good = true;
    for place in places {
        if place.as_os_str().is_empty() || place.is_dir() {
            list.add_folder(place);
        } else {
            is_good &= list.add(place);
        }
    }
    output::answer(&list, args.json, List::print);
    if is_good {
        Ending::AllDone
    } else {
        Ending::SomeFailed
    }
}

impl List {
    /// Adds the models in a folder.
    fn add_folder(&mut self, folder: &Path) {
        for found in walk(folder, false, false) {
            match found {
                Ok(path) if path.extension().is_some_and(|ending| ending == ENDING) => {
                    self.add(&path);
                }
                Ok(_) => {}
                Err((path, reason)) => self.refuse(&path, reason.to_string()),
            }
        }
    }

    /// Adds a file; false if that is no model.
    fn add(&mut self, path: &Path) -> bool {
        match ModelFile::read(path) {
            Ok(model) => {
                self.models.push(Listed::of(model));
                true
            }
            Err(error) => {
                self.refuse(path, error.to_string());
                false
            }
        }
    }

    fn refuse(&mut self, path: &Path, reason: String) {
        let file = path.to_string_lossy().into_owned();
        self.refused.push(Refused { file, reason });
    }

    fn print(&self) {
        let head = ["file", "styles", "width", "layout", "steps", "licence"];
        let rows = self.models.iter().map(Listed::row);
        let rows: Vec<_> = [head.map(str::to_owned)].into_iter().chain(rows).collect();
        if rows.len() > 1 {
            output::table(&rows);
        }
        if self.models.is_empty() && self.refused.is_empty() {
            Line::Remark(format!("note      no files NAME.{ENDING} there")).print();
        }
        for Refused { reason, .. } in &self.refused {
            Line::Remark(format!("note      {reason}")).print();
        }
    }
}

impl Listed {
    fn of(model: ModelFile) -> Self {
        let header = model.header;
        Self {
            file: model.path.to_string_lossy().into_owned(),
            styles: header.styles.into_iter().map(String::from).collect(),
            width: header.width,
            layout: header.layout,
            steps: header.training.map(|training| training.steps),
            licence: header.licence,
        }
    }

    fn row(&self) -> [String; 6] {
        [
            self.file.clone(),
            self.styles.join(", "),
            self.width.to_string(),
            self.layout.word().to_owned(),
            self.steps.map_or("-".to_owned(), |steps| steps.to_string()),
            self.licence.clone(),
        ]
    }
}

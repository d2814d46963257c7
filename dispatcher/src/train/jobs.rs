//! From the network that is to be trained to its job, once styles and photographs are in the store.

use std::collections::HashSet;
use std::path::PathBuf;

use stylefleet_model::Choice;
use stylefleet_model::train::{MAX_PHOTOGRAPHS, MIN_PHOTOGRAPHS, Photograph, Photographs, Train};
use stylefleet_proto::{Input, Invalid};

use super::plan::TrainPlan;
use crate::images::upload::{Image, upload};
use crate::local::Machine;
use crate::order::{OrderError, Plan, Request, Uploader};
use crate::reporter::Reporter;

/// The label that says what the objective is based on.
const PRESET: &str = "preset";
/// What the list of photographs is called.
const LIST: &str = "photographs.json";

impl Plan for TrainPlan {
    fn machine(&self) -> Machine {
        Machine {
            max_pixels: self.max_pixels,
            ..Machine::default()
        }
    }

    fn folder(&mut self, out: PathBuf) -> Result<PathBuf, OrderError> {
        self.name_after(&out)
    }

    fn results(&self) -> usize {
        1
    }

    /// A photograph that is no use is left out. A style that is none, or too few photographs, and
    /// there is nothing to train.
    async fn requests(
        self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Vec<Request>, OrderError> {
        let Some(mut inputs) = self.style_inputs(uploader, reporter).await? else {
            return Ok(Vec::new());
        };
        let photographs = self.photographs(uploader, reporter).await?;
        let found = photographs.len();
        if !(MIN_PHOTOGRAPHS..=MAX_PHOTOGRAPHS).contains(&found) {
            let reason = format!(
                "there are {found} photographs to train on, each counted once: \
                 {MIN_PHOTOGRAPHS} to {MAX_PHOTOGRAPHS} are needed: name others with --photos"
            );
            reporter.refuse(self.name.as_ref(), &reason);
            return Ok(Vec::new());
        }
        let list = list(&Photographs { photographs })?;
        inputs.push(Input {
            role: Train::photographs(),
            sha256: uploader.upload(list.into()).await?,
            name: LIST.parse()?,
        });
        let request = Request::new(self.name.clone(), &self.specification, inputs)?;
        Ok(vec![request.labelled(PRESET, self.preset.word())])
    }
}

impl TrainPlan {
    /// Uploads the photographs, each once. Says which are left out.
    async fn photographs(
        &self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Vec<Photograph>, OrderError> {
        for (photos, files) in &self.passed_over {
            reporter.pass_over(photos, files);
        }
        for (path, reason) in &self.absent {
            reporter.leave_out(path, &format!("{}: {reason}", path.display()));
        }
        let paths = self.photographs.iter().collect();
        let uploaded = upload(paths, self.machine().max_pixels(), uploader).await?;
        let (mut paths, mut digests) = (HashSet::new(), HashSet::new());
        let mut photographs = Vec::new();
        for path in self.photographs.iter().filter(|path| paths.insert(*path)) {
            match uploaded[path].clone() {
                Ok(Image { sha256, name }) if digests.insert(sha256) => {
                    photographs.push(Photograph { sha256, name });
                }
                Ok(_) => {}
                Err(refusal) => reporter.leave_out(path, &refusal.to_string()),
            }
        }
        Ok(photographs)
    }

    /// Uploads the images of the styles. None if one is refused.
    async fn style_inputs(
        &self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Option<Vec<Input>>, OrderError> {
        let paths = self.styles.iter().collect();
        let uploaded = upload(paths, self.machine().max_pixels(), uploader).await?;
        let styles = self.styles.iter().enumerate();
        let inputs = styles.map(|(index, path)| {
            let image = uploaded[path].clone();
            image.map(|image| image.input(Train::style(index)))
        });
        Ok(match inputs.collect::<Result<_, _>>() {
            Ok(inputs) => Some(inputs),
            Err(refusal) => {
                reporter.refuse(self.name.as_ref(), &refusal.to_string());
                None
            }
        })
    }
}

fn list(photographs: &Photographs) -> Result<Vec<u8>, Invalid> {
    let list = serde_json::to_vec(photographs);
    list.map_err(|error| Invalid::new("photographs", error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use stylefleet_proto::keys;
    use stylefleet_transport::store::{FolderStore, Store};

    use super::*;
    use crate::images::buckets::{Buckets, Listings};
    use crate::order::{Ordered, Title};
    use crate::output;
    use crate::train::TrainOptions;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        options: TrainOptions,
    }

    /// A folder with a style, `wave.png`, and so many photographs, of which no two are the same.
    fn folder(photographs: u8) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("photos")).expect("a folder");
        for grey in 0..photographs {
            let photograph = image::GrayImage::from_pixel(4, 4, image::Luma([grey]));
            let file = path(&format!("photos/{grey:03}.png"));
            photograph.save(file).expect("saves");
        }
        image::GrayImage::new(4, 4)
            .save(path("wave.png"))
            .expect("saves");
        folder
    }

    /// What is asked of a folder, and how many results are refused.
    async fn ordered(folder: &tempfile::TempDir) -> (Ordered, usize, Arc<FolderStore>) {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let args = [
            "train",
            "--style",
            &path("wave.png"),
            "--photos",
            &path("photos"),
        ];
        let options = Program::try_parse_from(args).expect("parses").options;
        let mut plan = TrainPlan::new(options, &Listings::new()).expect("a plan");
        plan.folder("x/sea.safetensors".into()).expect("a folder");
        let store = Arc::new(FolderStore::new(path("store")));
        let uploader = Uploader::new(store.clone(), Buckets::new(Default::default()), true);
        let mut reporter = Reporter::new(plan.results(), output::lines(false));
        let requests = plan.requests(&uploader, &mut reporter).await;
        let ordered = Ordered::new(requests.expect("uploads"), Title::Derived("run"));
        (ordered.expect("is valid"), reporter.tally().failed, store)
    }

    #[tokio::test]
    async fn a_network_is_a_job_with_a_list_of_photographs() {
        let folder = folder(9);
        let photos = folder.path().join("photos");
        std::fs::write(photos.join("004.png"), "no image").expect("writes");
        std::fs::copy(photos.join("000.png"), photos.join("again.png")).expect("copies");
        let (ordered, failed, store) = ordered(&folder).await;
        let [job] = &ordered.jobs[..] else {
            panic!("not one job: {:?}", ordered.jobs);
        };
        assert_eq!(
            (job.kind.as_ref(), job.name.as_ref(), failed),
            ("train", "sea", 0)
        );
        assert_eq!(ordered.manifest.jobs[0].labels[PRESET], *"studio");
        let list = job.input(&Train::photographs()).expect("has one");
        let list = store.get(&keys::input(&list.sha256)).await.expect("reads");
        let list = Photographs::read(&list.expect("is there")).expect("is a list");
        let names = list
            .photographs
            .iter()
            .map(|photograph| photograph.name.to_string());
        let expected = [0, 1, 2, 3, 5, 6, 7, 8].map(|number| format!("{number:03}.png"));
        assert_eq!(names.collect::<Vec<_>>(), expected);
        for photograph in list.photographs {
            let key = keys::input(&photograph.sha256);
            assert!(store.contains(&key).await.expect("looks"));
        }
    }

    #[tokio::test]
    async fn too_few_photographs_or_a_style_that_is_none_come_to_no_job() {
        let few = folder(7);
        let (ordered, failed, _) = ordered(&few).await;
        assert_eq!((ordered.jobs.len(), failed), (0, 1));
        let bad = folder(8);
        std::fs::write(bad.path().join("wave.png"), "no image").expect("writes");
        let (ordered, failed, store) = super::tests::ordered(&bad).await;
        assert_eq!((ordered.jobs.len(), failed), (0, 1));
        assert!(store.list("inputs/").await.expect("lists").is_empty());
    }
}

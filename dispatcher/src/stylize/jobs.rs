//! From planned pictures to jobs, once their images are in the store.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use stylefleet_model::Choice;
use stylefleet_model::stylize::Stylize;
use stylefleet_proto::{Input, Invalid};

use crate::images::upload::{Images, Refusal, Uploaded};
use crate::local::Machine;
use crate::order::{OrderError, Plan, Request, Uploader};
use crate::reporter::Reporter;
use crate::stylize::plan::{Picture, PicturePlan};

/// The label that says what a picture's parameters are based on.
const PRESET: &str = "preset";

impl Plan for PicturePlan {
    fn machine(&self) -> Machine {
        self.machine.clone()
    }

    fn results(&self) -> usize {
        self.pictures.len() + self.absent.len()
    }

    /// A picture with a bad image is refused alone.
    async fn requests(
        self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Vec<Request>, OrderError> {
        for (content, files) in &self.passed_over {
            reporter.pass_over(content, files);
        }
        for (content, reason) in &self.absent {
            reporter.refuse(&content.to_string_lossy(), &reason.to_string());
        }
        let images = Images {
            buckets: self.buckets.as_deref(),
            max_pixels: self.machine.max_pixels(),
        };
        let paths = self.pictures.iter().flat_map(Picture::images).collect();
        let images = images.upload(paths, uploader).await?;
        let mut requests = Vec::new();
        for picture in self.pictures {
            match inputs(&picture, &images) {
                Ok(inputs) => requests.push(request(picture, inputs)?),
                Err(refusal) => reporter.refuse(picture.name.as_ref(), &refusal.to_string()),
            }
        }
        Ok(requests)
    }
}

impl Picture {
    /// The paths of all images that it is made of.
    fn images(&self) -> HashSet<&PathBuf> {
        let styles = self.styles.iter();
        let styles = styles.flat_map(|style| [Some(&style.path), style.mask.as_ref()]);
        let others = [Some(&self.content), self.start.as_ref()];
        others.into_iter().chain(styles).flatten().collect()
    }
}

fn inputs(picture: &Picture, images: &Uploaded) -> Result<Vec<Input>, Arc<Refusal>> {
    let input = |role, path: &PathBuf| images[path].clone().map(|image| image.input(role));
    let mut inputs = vec![input(Stylize::content(), &picture.content)?];
    for (index, style) in picture.styles.iter().enumerate() {
        inputs.push(input(Stylize::style(index), &style.path)?);
        if let Some(mask) = &style.mask {
            inputs.push(input(Stylize::mask(index), mask)?);
        }
    }
    if let Some(start) = &picture.start {
        inputs.push(input(Stylize::start(), start)?);
    }
    Ok(inputs)
}

fn request(picture: Picture, inputs: Vec<Input>) -> Result<Request, Invalid> {
    let request = Request::new(picture.name, &picture.specification, inputs)?;
    Ok(request.labelled(PRESET, picture.preset.word()))
}

#[cfg(test)]
mod tests {
    use stylefleet_proto::keys;
    use stylefleet_transport::store::{FolderStore, Store};

    use super::*;
    use crate::images::buckets::Listings;
    use crate::order::{Ordered, Title};
    use crate::output;
    use crate::stylize::options::Options;
    use crate::stylize::plan::Asked;

    #[tokio::test]
    async fn the_same_ask_under_two_names_is_one_job() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        image::GrayImage::new(4, 4)
            .save(path("a.png"))
            .expect("saves");
        std::fs::copy(path("a.png"), path("b.png")).expect("copies");
        std::fs::write(path("c.png"), "no image").expect("writes");
        let options = Options {
            content: Some(vec![path("a.png"), path("b.png"), path("c.png")]),
            style: Some(vec![path("a.png")]),
            max_pixels: std::num::NonZero::new(16),
            ..Options::default()
        };
        let asked = Asked::read(options, None).expect("is read");
        let plan = PicturePlan::new(asked, &Listings::new()).expect("a plan");
        let store = Arc::new(FolderStore::new(path("store")));
        let uploader = Uploader::new(store.clone(), true);
        let mut reporter = Reporter::new(plan.results(), output::lines(false));
        let requests = plan.requests(&uploader, &mut reporter).await;
        let ordered = Ordered::new(requests.expect("uploads"), Title::Derived("run"));
        let Ordered { jobs, manifest } = ordered.expect("is valid");

        let [job] = jobs.as_slice() else {
            panic!("one job, not {jobs:?}");
        };
        let names = manifest.jobs.iter().map(|entry| {
            assert_eq!(entry.job, job.id);
            assert_eq!(entry.labels[PRESET], "studio");
            entry.name.as_ref()
        });
        assert_eq!(names.collect::<Vec<_>>(), ["a.a", "b.a"]);
        assert_eq!(reporter.tally().failed, 1, "c.a is refused");
        let input = keys::input(&job.input(&Stylize::content()).expect("has one").sha256);
        assert!(store.contains(&input).await.expect("looks"));
        assert_eq!(manifest.batch, job.batch);
        assert!(job.batch.as_ref().starts_with("run-"), "{}", job.batch);
    }
}

//! From planned pictures to jobs, once their images are in the store.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use stylefleet_model::Choice;
use stylefleet_model::stylize::Stylize;
use stylefleet_proto::{Input, Invalid};

use crate::images::upload::{Refusal, Uploaded, upload};
use crate::local::Machine;
use crate::order::{OrderError, Plan, Request, Uploader};
use crate::reporter::Reporter;
use crate::stylize::plan::{Picture, PicturePlan};

/// The label that says what a picture's parameters are based on.
pub const PRESET: &str = "preset";

impl Plan for PicturePlan {
    fn machine(&self) -> Machine {
        self.machine.clone()
    }

    fn results(&self) -> usize {
        self.pictures.len() + self.left_out.refused()
    }

    /// A picture with a bad image is refused alone.
    async fn requests(
        self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Vec<Request>, OrderError> {
        self.left_out.report(reporter);
        let paths = self.pictures.iter().flat_map(Picture::images).collect();
        let images = upload(paths, self.machine.max_pixels(), uploader).await?;
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
    use crate::images::buckets::{Buckets, Listings};
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
        let buckets = Buckets::new(Default::default());
        let uploader = Uploader::new(store.clone(), buckets, true);
        let mut reporter = Reporter::new(plan.results(), output::lines(false));
        let requests = plan.requests(&uploader, &mut reporter).await;
        let ordered = Ordered::new(requests.expect("uploads"), Title::Derived("run"));
        let Ordered { jobs, manifest } = ordered.expect("is valid");

        let [job] = jobs.as_slice() else {
            panic!("one job, not {jobs:?}");
        };
        let names = manifest.jobs.iter().map(|entry| {
            assert_eq!(entry.job, job.id);
            assert_eq!(entry.labels[PRESET], *"studio");
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

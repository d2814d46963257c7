//! From planned pictures to jobs, once model and images are in the store.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use stylefleet_model::apply::Apply;
use stylefleet_proto::{Input, Invalid};

use super::plan::{ApplyPlan, Picture};
use crate::images::upload::{Refusal, Uploaded, upload};
use crate::local::Machine;
use crate::names;
use crate::order::{OrderError, Plan, Request, Uploader};
use crate::reporter::Reporter;

impl Plan for ApplyPlan {
    fn machine(&self) -> Machine {
        Machine {
            max_pixels: self.max_pixels,
            ..Machine::default()
        }
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
        let max_pixels = self.machine().max_pixels();
        let paths = self.pictures.iter().flat_map(Picture::images).collect();
        let images = upload(paths, max_pixels, uploader).await?;
        let model = Input {
            role: Apply::model(),
            sha256: uploader.upload(self.model.bytes).await?,
            name: names::of_file(&self.model.path)?,
        };
        let mut requests = Vec::new();
        for picture in self.pictures {
            match inputs(&picture, &images) {
                Ok(images) => requests.push(request(picture, model.clone(), images)?),
                Err(refusal) => reporter.refuse(picture.name.as_ref(), &refusal.to_string()),
            }
        }
        Ok(requests)
    }
}

impl Picture {
    /// The paths of all images that it is made of.
    fn images(&self) -> HashSet<&PathBuf> {
        let masks = self.masks.iter().flatten();
        masks.chain([&self.content]).collect()
    }
}

fn inputs(picture: &Picture, images: &Uploaded) -> Result<Vec<Input>, Arc<Refusal>> {
    let input = |role, path: &PathBuf| images[path].clone().map(|image| image.input(role));
    let mut inputs = vec![input(Apply::content(), &picture.content)?];
    for (index, mask) in picture.masks.iter().enumerate() {
        if let Some(mask) = mask {
            inputs.push(input(Apply::mask(index), mask)?);
        }
    }
    Ok(inputs)
}

fn request(picture: Picture, model: Input, images: Vec<Input>) -> Result<Request, Invalid> {
    let inputs = [model].into_iter().chain(images).collect();
    Request::new(picture.name, &picture.specification, inputs)
}

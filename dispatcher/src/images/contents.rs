//! The contents of an order, as people name them: what of them is an image, and what is not.

use std::path::{Path, PathBuf};

use crate::images::buckets::Listings;
use crate::images::expand::{ExpandError, Found, PassedOver, expand};
use crate::reporter::Reporter;

/// What no picture comes of.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Contents that mean no file, and why.
    absent: Vec<(PathBuf, ExpandError)>,
    /// Contents with files that were passed over.
    pub passed_over: Vec<(PathBuf, PassedOver)>,
}

impl LeftOut {
    /// The images that `content` means; the rest is added to this.
    pub fn find(&mut self, content: &Path, recursive: bool, buckets: &Listings) -> Vec<Found> {
        match expand(content, recursive, buckets) {
            Ok(expansion) => {
                self.absent.extend(expansion.absent);
                if !expansion.passed_over.is_empty() {
                    let passed_over = (content.to_owned(), expansion.passed_over);
                    self.passed_over.push(passed_over);
                }
                expansion.images
            }
            Err(error) => {
                self.absent.push((content.to_owned(), error));
                Vec::new()
            }
        }
    }

    /// How many contents will be refused.
    pub fn refused(&self) -> usize {
        self.absent.len()
    }

    /// Says what was passed over, and refuses what is absent.
    pub fn report(&self, reporter: &mut Reporter) {
        for (content, files) in &self.passed_over {
            reporter.pass_over(content, files);
        }
        for (content, reason) in &self.absent {
            reporter.refuse(&content.to_string_lossy(), &reason.to_string());
        }
    }
}

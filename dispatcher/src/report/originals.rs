//! Where a report's links lead.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use stylefleet_proto::{JobId, Role};

use crate::images::walk::walk;
use crate::output_folder::record_file::RecordFile;
use crate::report::ReportError;

/// What is written as it is in a link's path. A colon is not: it would make a scheme of what is
/// before it.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The scheme of places in buckets.
const S3: &str = "s3://";

/// Files of results in a folder.
#[derive(Debug, Default)]
pub struct Originals {
    files: HashMap<(JobId, Role), PathBuf>,
    /// The report's folder, from which links lead.
    from: PathBuf,
}

impl Originals {
    /// Finds the files in `folder`, as `run` and `fetch` left them there, for a report at `out`.
    pub fn find(folder: &Path, out: &Path) -> Result<Self, ReportError> {
        let mut files = HashMap::new();
        for path in walk(folder, true, false) {
            let path = path.map_err(|(path, source)| ReportError::Folder { path, source })?;
            let is_record = path
                .extension()
                .is_some_and(|ending| ending == RecordFile::ENDING);
            if is_record && let Some(record) = RecordFile::beside(&path) {
                for (role, file) in record.files() {
                    files.insert((record.job, role.clone()), path.with_file_name(file));
                }
            }
        }
        let from = out.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { files, from })
    }

    /// A link to what a job made: to its file if that was found, or else to its place in the store.
    pub fn link(&self, job: &JobId, role: &Role, place: &str) -> String {
        let file = self.files.get(&(*job, role.clone()));
        match file.and_then(|file| relative(file, &self.from)) {
            Some(path) => encode(&path),
            None => link_to(place),
        }
    }
}

/// A link to a place in a store: in a bucket, or a file.
pub fn link_to(place: &str) -> String {
    if let Some(key) = place.strip_prefix(S3) {
        return format!("{S3}{}", percent_encode(key.as_bytes(), &PLAIN));
    }
    let path = std::path::absolute(place).unwrap_or_else(|_| place.into());
    format!("file://{}", encode(&path))
}

fn relative(file: &Path, from: &Path) -> Option<PathBuf> {
    let absolute = |path: &Path| std::path::absolute(path).ok();
    // No path at all stands for where we are.
    let from = if from.as_os_str().is_empty() {
        Path::new(".")
    } else {
        from
    };
    pathdiff::diff_paths(absolute(file)?, absolute(from)?)
}

fn encode(path: &Path) -> String {
    percent_encode(path.as_os_str().as_encoded_bytes(), &PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn links_lead_from_the_report_to_the_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out/sub");
        fs::create_dir_all(&out).expect("a folder");
        let job: JobId = "1".repeat(64).parse().expect("an id");
        let record =
            format!("{{\"job\": \"{job}\", \"files\": {{\"picture\": \"javascript:a #1.png\"}}}}");
        fs::write(out.join("javascript:a #1.json"), record).expect("writes");
        fs::write(out.join("other.json"), "{}").expect("writes");
        let report = folder.path().join("report.html");
        let found = Originals::find(&folder.path().join("out"), &report).expect("finds");
        let link = |role: &str| found.link(&job, &role.parse().expect("a role"), "s3://b/k y");
        assert_eq!(link("picture"), "out/sub/javascript%3Aa%20%231.png");
        assert_eq!(link("curve"), "s3://b/k%20y");
        let report = folder.path().join("reports/report.html");
        let found = Originals::find(&folder.path().join("out"), &report).expect("finds");
        let link = found.link(&job, &"picture".parse().expect("a role"), "");
        assert_eq!(link, "../out/sub/javascript%3Aa%20%231.png");
    }

    #[test]
    fn places_in_folders_are_files() {
        assert_eq!(link_to("/a b/c\"d"), "file:///a%20b/c%22d");
        assert!(link_to("javascript:alert(1)").starts_with("file:///"));
    }
}

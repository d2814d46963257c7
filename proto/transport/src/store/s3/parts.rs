//! Objects too large for one request: the state of a very large job. They go up in parts, and
//! appear only once all are there.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::S3Store;
use crate::store::StoreError;

/// Objects larger than this go up in parts of this size. S3 takes 5 GiB at once, and 10,000 parts.
pub const PART: usize = 64 << 20;

const WRITE: &str = "write";

impl S3Store {
    /// Writes an object in parts, over whatever was there.
    pub(super) async fn write_parts(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let full = self.full(key)?;
        let begin = self.client.create_multipart_upload();
        let begun = begin.bucket(&self.bucket).key(&full).send().await;
        let begun = begun.map_err(|e| self.fault(WRITE, key, e))?;
        let upload = begun.upload_id().unwrap_or_default();
        let written = self.write_all(key, &full, upload, bytes).await;
        if written.is_err() {
            // Parts that never become an object cost room. If this fails too, the bucket's
            // lifecycle rule removes them.
            let abort = self.client.abort_multipart_upload();
            let abort = abort.bucket(&self.bucket).key(&full).upload_id(upload);
            let _ = abort.send().await;
        }
        written
    }

    async fn write_all(
        &self,
        key: &str,
        full: &str,
        upload: &str,
        mut bytes: Bytes,
    ) -> Result<(), StoreError> {
        let mut parts = CompletedMultipartUpload::builder();
        for number in 1.. {
            if bytes.is_empty() {
                break;
            }
            let part = bytes.split_to(bytes.len().min(PART));
            let request = self.client.upload_part().bucket(&self.bucket).key(full);
            let request = request.upload_id(upload).part_number(number);
            let sent = request.body(part.into()).send().await;
            let sent = sent.map_err(|e| self.fault(WRITE, key, e))?;
            let part = CompletedPart::builder().part_number(number);
            parts = parts.parts(part.set_e_tag(sent.e_tag).build());
        }
        let complete = self.client.complete_multipart_upload();
        let complete = complete.bucket(&self.bucket).key(full).upload_id(upload);
        let complete = complete.multipart_upload(parts.build());
        let completed = complete.send().await;
        completed.map(drop).map_err(|e| self.fault(WRITE, key, e))
    }
}

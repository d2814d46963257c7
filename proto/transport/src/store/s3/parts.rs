//! Objects too large for one request. They go up in parts, and appear only once all are there.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::abort_multipart_upload::builders::AbortMultipartUploadFluentBuilder;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::{S3Store, WRITER, new_writer};
use crate::store::StoreError;

/// Objects in memory that are larger than this go up in parts of this size.
pub const PART: usize = 64 << 20;
/// The same for files. Smaller, since each part is in memory while it is in flight.
pub const FILE_PART: u64 = 16 << 20;
/// The most parts that an object can have.
const MOST: u64 = 10_000;
/// Parts in flight at once.
const AT_ONCE: usize = 4;

const WRITE: &str = "write";

/// The size of the parts that a file of `size` bytes is uploaded in.
pub fn part_of_file(size: u64) -> u64 {
    size.div_ceil(MOST).max(FILE_PART)
}

/// Bytes in memory as parts, which share that memory.
pub fn parts(bytes: Bytes) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    let starts = (0..bytes.len()).step_by(PART);
    stream::iter(starts.map(move |start| {
        let end = bytes.len().min(start + PART);
        Ok(bytes.slice(start..end))
    }))
}

impl S3Store {
    /// Writes an object in parts, over whatever was there. If a part is an error, nothing is
    /// written.
    pub(super) async fn write_parts(
        &self,
        key: &str,
        parts: impl Stream<Item = Result<Bytes, StoreError>> + Send,
    ) -> Result<(), StoreError> {
        let mut upload = Upload::begin(self, key).await?;
        let written = upload.write(parts).await;
        if written.is_err() {
            let _ = upload.abort().send().await;
        }
        upload.is_open = false;
        written
    }
}

/// An upload in parts. Parts that never become an object take up space, so an upload that fails or
/// is dropped is aborted. Where that cannot be done (the process ends, the reply that the upload
/// has begun is lost, a part arrives late), a lifecycle rule of the bucket removes them.
struct Upload<'a> {
    store: &'a S3Store,
    key: &'a str,
    /// The key in the bucket.
    full: String,
    id: String,
    writer: String,
    is_open: bool,
}

impl<'a> Upload<'a> {
    async fn begin(store: &'a S3Store, key: &'a str) -> Result<Self, StoreError> {
        let full = store.full(key)?;
        let writer = new_writer();
        let request = store.client.create_multipart_upload();
        let request = request.bucket(&store.bucket).key(&full);
        let request = request.set_checksum_algorithm(store.checksum.clone());
        let begun = request.metadata(WRITER, &writer).send().await;
        let begun = begun.map_err(|e| store.fault(WRITE, key, e))?;
        Ok(Self {
            id: begun.upload_id.unwrap_or_default(),
            store,
            key,
            full,
            writer,
            is_open: true,
        })
    }

    async fn write(
        &self,
        parts: impl Stream<Item = Result<Bytes, StoreError>> + Send,
    ) -> Result<(), StoreError> {
        let numbered = stream::iter(1..).zip(parts);
        let sent = numbered
            .map(|(number, part)| Ok(self.send(number, part?)))
            .try_buffered(AT_ONCE)
            .try_collect()
            .await?;
        self.complete(sent).await
    }

    async fn send(&self, number: i32, part: Bytes) -> Result<CompletedPart, StoreError> {
        let request = self.store.client.upload_part();
        let request = request.bucket(&self.store.bucket).key(&self.full);
        let request = request.upload_id(&self.id).part_number(number);
        let sent = request.body(part.into()).send().await;
        let sent = sent.map_err(|e| self.store.fault(WRITE, self.key, e))?;
        let part = CompletedPart::builder().part_number(number);
        let part = part.set_checksum_crc32(sent.checksum_crc32);
        Ok(part.set_e_tag(sent.e_tag).build())
    }

    async fn complete(&self, parts: Vec<CompletedPart>) -> Result<(), StoreError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self.store.client.complete_multipart_upload();
        let request = request.bucket(&self.store.bucket).key(&self.full);
        let request = request.upload_id(&self.id).multipart_upload(parts.build());
        match request.send().await {
            Ok(_) => Ok(()),
            // It may be complete already: the client repeats the request if the reply is lost.
            Err(e) if is_gone(&e) && self.store.is_by(self.key, &self.writer).await? => Ok(()),
            Err(e) => Err(self.store.fault(WRITE, self.key, e)),
        }
    }

    fn abort(&self) -> AbortMultipartUploadFluentBuilder {
        let request = self.store.client.abort_multipart_upload();
        let request = request.bucket(&self.store.bucket).key(&self.full);
        request.upload_id(&self.id)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.is_open, tokio::runtime::Handle::try_current()) {
            runtime.spawn(self.abort().send());
        }
    }
}

/// Whether the server knows no such upload.
fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("NoSuchUpload")
}

//! A bucket of AWS S3, or of a server that speaks its language, as the store.

mod client;
mod fault;
mod parts;
mod present;
mod read;
mod silence;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::ChecksumAlgorithm;
use bytes::Bytes;
use stylefleet_proto::Digest;

use super::files::Source;
use super::{Options, Reading, Stat, Store, StoreError, Version, checked, checked_folder};
use crate::Cause;
use fault::status;

/// How often a request is tried that may succeed on another try.
const ATTEMPTS: u32 = 3;

/// What looking at an object is called in errors.
const LOOK: &str = "look for";

/// Under this name an object remembers which call wrote it: the reply may have been lost.
const WRITER: &str = "writer";

/// A store in a bucket, under a prefix.
#[derive(Debug)]
pub struct S3Store {
    client: Client,
    /// The server's address, for people.
    endpoint: String,
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
    /// What the parts of an upload are checked with, the client's choice where it sends checksums:
    /// at AWS (see [`client`]).
    checksum: Option<ChecksumAlgorithm>,
    /// Whether the server was seen to refuse a conditional write.
    conditions_hold: AtomicBool,
}

impl S3Store {
    /// The store in `bucket` under `prefix`.
    pub async fn open(bucket: &str, prefix: &str, options: &Options) -> Result<Self, StoreError> {
        Ok(Self {
            client: client::client(options).await?,
            endpoint: options.endpoint.as_deref().unwrap_or("AWS S3").to_owned(),
            bucket: bucket.to_owned(),
            prefix: match prefix {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            },
            checksum: options
                .endpoint
                .is_none()
                .then_some(ChecksumAlgorithm::Crc32),
            conditions_hold: AtomicBool::new(false),
        })
    }

    /// The object's key in the bucket.
    fn full(&self, key: &str) -> Result<String, StoreError> {
        Ok(format!("{}{}", self.prefix, checked(key)?))
    }

    /// The keys on a page of a listing, as far as they are this store's.
    fn keys<'a>(&'a self, page: &'a ListObjectsV2Output) -> impl Iterator<Item = &'a str> {
        let full = page.contents().iter().filter_map(|object| object.key());
        full.filter_map(|full| full.strip_prefix(&self.prefix))
    }

    /// Writes an object; with a writer's name, only if there is none.
    async fn write(
        &self,
        key: &str,
        bytes: Bytes,
        writer: Option<&str>,
    ) -> Result<(), SdkError<PutObjectError>> {
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        let request = match writer {
            Some(writer) => request.if_none_match("*").metadata(WRITER, writer),
            None => request,
        };
        request.body(bytes.into()).send().await.map(drop)
    }

    /// What the server knows of an object without reading it.
    async fn head(&self, key: &str) -> Result<Option<HeadObjectOutput>, StoreError> {
        let full = self.full(key)?;
        let request = self.client.head_object().bucket(&self.bucket).key(full);
        match request.send().await {
            Ok(head) => Ok(Some(head)),
            // Replies to this have no body, so a missing bucket looks the same.
            Err(e) if status(&e) == Some(404) => Ok(None),
            Err(e) => Err(self.fault_of_look(key, e).await),
        }
    }

    /// Whether the object is there, and written by this call.
    async fn is_by(&self, key: &str, writer: &str) -> Result<bool, StoreError> {
        let metadata = self.head(key).await?.and_then(|head| head.metadata);
        Ok(metadata.is_some_and(|data| data.get(WRITER).is_some_and(|by| by == writer)))
    }

    /// What went wrong when an object was looked for. The reply has no body, so where the server
    /// refused, it is asked again in a way that has it say why.
    async fn fault_of_look(&self, key: &str, error: SdkError<HeadObjectError>) -> StoreError {
        let first = self.fault(LOOK, key, error);
        let (StoreError::Denied { .. } | StoreError::Rejected { .. }, Ok(full)) =
            (&first, self.full(key))
        else {
            return first;
        };
        let request = self.client.get_object().bucket(&self.bucket).key(full);
        match request.range("bytes=0-0").send().await {
            Err(e) if e.code().is_some_and(|code| code != "NoSuchKey") => self.fault(LOOK, key, e),
            _ => first,
        }
    }
}

#[async_trait]
impl Store for S3Store {
    async fn read(
        &self,
        key: &str,
        range: Range<u64>,
        wanted: Option<&Version>,
    ) -> Result<Option<Reading>, StoreError> {
        self.begin_to_read(key, range, wanted).await
    }

    async fn stat(&self, key: &str) -> Result<Option<Stat>, StoreError> {
        let head = self.head(key).await?;
        Ok(head.map(|head| Stat {
            size: head.content_length.unwrap_or(0).unsigned_abs(),
            modified: head
                .last_modified
                .and_then(|time| time.try_into().ok())
                .unwrap_or(SystemTime::UNIX_EPOCH),
        }))
    }

    async fn present(&self, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        self.find(keys).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        if bytes.len() > parts::PART {
            return self.write_parts(key, parts::parts(bytes)).await;
        }
        let written = self.write(&self.full(key)?, bytes, None).await;
        written.map_err(|e| self.fault("write", key, e))
    }

    async fn put_file(&self, key: &str, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        let file = Source::open(path, digest).await?;
        let size = file.size();
        if size > parts::FILE_PART {
            let parts = file.pieces(parts::part_of_file(size));
            return self.write_parts(key, parts).await;
        }
        self.put(key, file.whole().await?).await
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let full = self.full(key)?;
        // A server may not know conditions, or ignore them: look first until one was seen to hold.
        if !self.conditions_hold.load(Ordering::Relaxed) && self.contains(key).await? {
            return Ok(false);
        }
        let writer = new_writer();
        let mut attempt = 1;
        loop {
            let Err(error) = self.write(&full, bytes.clone(), Some(&writer)).await else {
                return Ok(true);
            };
            match status(&error) {
                Some(412) => {
                    self.conditions_hold.store(true, Ordering::Relaxed);
                    // It may be there because of us: the client tries again when a reply is lost.
                    return self.is_by(key, &writer).await;
                }
                // Writers met, and the server decided for none of them yet.
                Some(409) if attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(50..200))).await;
                    attempt += 1;
                }
                Some(501) => return self.put(key, bytes).await.map(|()| true),
                _ => return Err(self.fault("write", key, error)),
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let full = self.full(key)?;
        let request = self.client.delete_object().bucket(&self.bucket).key(full);
        match request.send().await {
            Err(e) if e.code() != Some("NoSuchKey") => Err(self.fault("remove", key, e)),
            _ => Ok(()),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket);
        let request = request.prefix(format!("{}{}", self.prefix, checked_folder(folder)?));
        let mut pages = request.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| self.fault("list", folder, e))?;
            // Consoles make empty objects for folders.
            keys.extend(
                self.keys(&page)
                    .filter(|key| checked(key).is_ok())
                    .map(str::to_owned),
            );
        }
        keys.sort();
        Ok(keys)
    }

    async fn presigned_url(
        &self,
        key: &str,
        lifetime: Duration,
    ) -> Result<Option<String>, StoreError> {
        let full = self.full(key)?;
        let lifetime = PresigningConfig::expires_in(lifetime);
        let lifetime = lifetime.map_err(|e| StoreError::Setting {
            what: "this lifetime of a URL".to_owned(),
            source: Cause::of(e),
        })?;
        let request = self.client.get_object().bucket(&self.bucket).key(full);
        let signed = request.presigned(lifetime).await;
        let signed = signed.map_err(|e| self.fault("sign a URL of", key, e))?;
        Ok(Some(signed.uri().to_owned()))
    }

    fn locate(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }
}

/// A name for one call that writes.
fn new_writer() -> String {
    format!("{:016x}", fastrand::u64(..))
}

//! Reads objects, whole or in part.

use std::io;
use std::ops::Range;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::S3Store;
use super::fault::{innermost, status, unreachable};
use crate::store::{Reading, Store, StoreError, Version};

const READ: &str = "read";

impl S3Store {
    /// See [`crate::store::Store::read`].
    pub(super) async fn begin_to_read(
        &self,
        key: &str,
        range: Range<u64>,
        wanted: Option<&Version>,
    ) -> Result<Option<Reading>, StoreError> {
        let reading = if range.is_empty() {
            self.read_nothing(key).await?
        } else {
            self.read_range(key, &range, wanted).await?
        };
        // A server may not know conditions.
        match reading {
            Some(other) if wanted.is_some() && other.version.as_ref() != wanted => {
                Err(self.changed(key))
            }
            reading => Ok(reading),
        }
    }

    async fn read_range(
        &self,
        key: &str,
        range: &Range<u64>,
        wanted: Option<&Version>,
    ) -> Result<Option<Reading>, StoreError> {
        let full = self.full(key)?;
        let request = self.client.get_object().bucket(&self.bucket).key(full);
        let request = request.set_range(header(range));
        let request = request.set_if_match(wanted.map(|version| version.0.clone()));
        let reply = match request.send().await {
            Ok(reply) => reply,
            Err(e) if e.code() == Some("NoSuchKey") => return Ok(None),
            Err(e) => match status(&e) {
                Some(412) => return Err(self.changed(key)),
                // The object ends before the range begins.
                Some(416) => return self.read_nothing(key).await,
                _ => return Err(self.fault(READ, key, e)),
            },
        };
        if !is_range(range, &reply) {
            return Err(StoreError::Rejected {
                action: READ,
                what: self.locate(key),
                source: "the reply is not the range that was asked for".into(),
            });
        }
        let body = Body {
            left: reply.content_length.map_or(u64::MAX, i64::unsigned_abs),
            bytes: reply.body,
            what: self.locate(key),
            endpoint: self.endpoint.clone(),
        };
        Ok(Some(Reading {
            version: reply.e_tag.map(Version),
            bytes: stream::try_unfold(body, Body::next).boxed(),
        }))
    }

    /// None if there is no such object.
    async fn read_nothing(&self, key: &str) -> Result<Option<Reading>, StoreError> {
        let head = self.head(key).await?;
        Ok(head.map(|head| Reading {
            version: head.e_tag.map(Version),
            bytes: stream::empty().boxed(),
        }))
    }

    fn changed(&self, key: &str) -> StoreError {
        StoreError::Changed {
            what: self.locate(key),
        }
    }
}

/// The header that asks for the range; none for all of an object, which may be empty.
fn header(range: &Range<u64>) -> Option<String> {
    match (range.start, range.end) {
        (0, u64::MAX) => None,
        (start, u64::MAX) => Some(format!("bytes={start}-")),
        (start, end) => Some(format!("bytes={start}-{}", end - 1)),
    }
}

/// Whether the reply begins where the range does: a server may not know ranges.
fn is_range(range: &Range<u64>, reply: &GetObjectOutput) -> bool {
    let start = format!("bytes {}-", range.start);
    header(range).is_none()
        || reply
            .content_range()
            .is_some_and(|of| of.starts_with(&start))
}

/// The body of a reply. The client repeats a request until its reply begins; if the body is cut
/// off, that is for the caller to repair.
struct Body {
    bytes: ByteStream,
    /// Bytes still to come.
    left: u64,
    /// The object, for people.
    what: String,
    endpoint: String,
}

impl Body {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        match self.bytes.try_next().await {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(Some((bytes, self)))
            }
            // All bytes came, so it was no cut: their checksum is wrong.
            Err(e) if self.left == 0 => Err(StoreError::Io {
                action: READ,
                what: self.what,
                source: io::Error::other(innermost(e)),
            }),
            Err(e) => Err(unreachable(&self.endpoint, innermost(e))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use aws_sdk_s3::primitives::SdkBody;
    use futures_util::TryStreamExt;
    use http_body::Frame;

    use super::*;

    /// Four bytes and an error.
    struct Faulty(Option<Bytes>);

    impl http_body::Body for Faulty {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            let next = self.0.take().map(Frame::data);
            Poll::Ready(Some(next.ok_or(io::Error::other("a fault"))))
        }
    }

    #[tokio::test]
    async fn only_a_break_amid_an_object_is_an_outage() {
        for (size, is_outage) in [(5, true), (4, false)] {
            let body = Body {
                bytes: ByteStream::new(SdkBody::from_body_1_x(Faulty(Some("abcd".into())))),
                left: size,
                what: "a".to_owned(),
                endpoint: "b".to_owned(),
            };
            let read = stream::try_unfold(body, Body::next).try_collect::<Vec<_>>();
            let error = read.await.expect_err("there is a fault");
            assert_eq!(error.is_outage(), is_outage, "{error}");
            assert!(error.is_retryable());
            assert!(error.to_string().contains("a fault"), "{error}");
        }
    }
}

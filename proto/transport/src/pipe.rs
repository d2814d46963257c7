//! Protobuf frames over a pipe, each preceded by its length in 4 bytes, big-endian.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use prost::Message;
use std::marker::PhantomData;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// Largest frame; a job is a few kilobytes.
const MAX_FRAME: usize = 1 << 20;

/// What can go wrong on a pipe. None of it passes by itself: the peer is broken or gone.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The pipe broke, or a frame was too large.
    #[error("the pipe broke: {0}")]
    Io(#[from] std::io::Error),
    /// A frame was no message of the contract.
    #[error("a frame on the pipe is no message of the contract: {0}")]
    Decode(#[from] prost::DecodeError),
}

/// The reading end.
pub struct Receiver<R, M> {
    frames: FramedRead<R, LengthDelimitedCodec>,
    message: PhantomData<M>,
}

/// The writing end.
pub struct Sender<W, M> {
    frames: FramedWrite<W, LengthDelimitedCodec>,
    message: PhantomData<M>,
}

impl<R: AsyncRead + Unpin, M: Message + Default> Receiver<R, M> {
    /// Reads messages of type `M` from `from`.
    pub fn new(from: R) -> Self {
        Self {
            frames: FramedRead::new(from, codec()),
            message: PhantomData,
        }
    }

    /// The next message; none once the peer has closed the pipe. Safe to cancel.
    pub async fn recv(&mut self) -> Result<Option<M>, PipeError> {
        match self.frames.next().await {
            Some(frame) => Ok(Some(M::decode(frame?)?)),
            None => Ok(None),
        }
    }
}

impl<W: AsyncWrite + Unpin, M: Message> Sender<W, M> {
    /// Writes messages of type `M` to `to`.
    pub fn new(to: W) -> Self {
        Self {
            frames: FramedWrite::new(to, codec()),
            message: PhantomData,
        }
    }

    /// Writes one message and flushes it.
    pub async fn send(&mut self, message: &M) -> Result<(), PipeError> {
        let mut frame = BytesMut::with_capacity(message.encoded_len());
        message
            .encode(&mut frame)
            .map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(self.frames.send(Bytes::from(frame)).await?)
    }
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(MAX_FRAME)
        .new_codec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stylefleet_proto::wire::{Hello, ToWorker};
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn carries_messages_and_ends_with_the_pipe() {
        let (near, far) = tokio::io::duplex(64);
        let hello = Hello {
            worker: "w".repeat(300),
            ..Hello::default()
        };
        let sent = hello.clone();
        let writer = tokio::spawn(async move {
            let mut sender = Sender::new(near);
            sender.send(&sent).await.expect("sends");
            sender.send(&sent).await.expect("sends");
        });
        let mut receiver = Receiver::<_, Hello>::new(far);
        assert_eq!(receiver.recv().await.expect("reads"), Some(hello.clone()));
        assert_eq!(receiver.recv().await.expect("reads"), Some(hello));
        assert_eq!(receiver.recv().await.expect("ends"), None);
        writer.await.expect("writer ends");
    }

    #[tokio::test]
    async fn refuses_monstrous_and_garbled_frames() {
        for bytes in [&[0xff; 8][..], &[0, 0, 0, 2, 0xff, 0xff]] {
            let (mut near, far) = tokio::io::duplex(64);
            near.write_all(bytes).await.expect("writes");
            drop(near);
            let mut receiver = Receiver::<_, ToWorker>::new(far);
            assert!(receiver.recv().await.is_err());
        }
    }
}

//! What is asked for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use stylefleet_model::stylize::Format;
use stylefleet_model::video::{TimeBase, Video, Way};
use stylefleet_model::{Figures, Valid};
use stylefleet_video::{Clip, Depth, Encoder, Encoding, Tools};

use super::contents::Block;
use super::flows::{FlowFile, Flows};
use super::frame::{self, Frame};
use super::network;
use super::optimized::Chunk;
use crate::image::{self, Extent, pixels_of};
use crate::tasks::apply::Model;
use crate::tasks::curve;
use crate::tasks::stylize::Style;
use crate::{Cause, Engine, Error, Finished, Observer, Outcome, Output, Source, Task};

/// A chunk of a video to make.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identifies the request: it resumes only from a checkpoint of the same identity.
    pub identity: String,
    /// What is redrawn.
    pub clip: ClipFile,
    /// What reads the clip, and writes the video.
    pub tools: Tools,
    /// What it is redrawn with.
    pub inputs: Inputs,
    /// How to redraw it.
    pub asked: Valid<Video>,
}

/// What a video is redrawn with.
#[derive(Debug, Clone)]
pub enum Inputs {
    /// The styles to blend, and the optical flow, if others have computed it.
    Styles(Vec<Style>, Option<FlowFile>),
    /// A network, and where each of its styles counts.
    Model(Model, Vec<Option<Source>>),
}

/// The file of a clip.
#[derive(Debug, Clone)]
pub struct ClipFile {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Keeps it there, if it has no name in a folder.
    pub held: Option<Arc<File>>,
}

/// What a chunk is made into.
pub(super) struct Target {
    pub tools: Tools,
    pub file: ClipFile,
    pub clip: Clip,
    pub size: [u32; 2],
    pub depth: Depth,
    pub encoding: Encoding,
    /// The frames' times, from the video's first frame on.
    pub times: Vec<i64>,
}

impl Task for Request {
    fn run(
        &self,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let target = self.target(engine.max_pixels)?;
        match (&self.asked.way, &self.inputs) {
            (Way::Optimize { picture, temporal }, Inputs::Styles(styles, flows)) => {
                let [width, height] = target.size;
                let frames = self.asked.chunk.times.len();
                let opened = flows.as_ref();
                let opened = opened.map(|file| Flows::open(file, temporal, frames));
                let opened = opened.transpose()?;
                let chunk = Chunk {
                    identity: &self.identity,
                    name: &self.clip.name,
                    styles,
                    picture,
                    temporal,
                    flows: opened.as_ref(),
                    extent: Extent { width, height },
                    depth: target.depth,
                    frames,
                    is_shared: self.asked.chunk.is_shared,
                };
                self.optimize(&chunk, target, engine, checkpoint, observer)
            }
            (Way::Apply(apply), Inputs::Model(model, masks)) => {
                let times = &self.asked.chunk.times[..self.asked.chunk.written()];
                let network = network::Network {
                    identity: &self.identity,
                    model,
                    masks,
                    apply,
                    times,
                };
                let clock = Instant::now();
                let outcome = network.run(target, engine, checkpoint, observer)?;
                Ok(outcome.map(|finished| Finished {
                    seconds: clock.elapsed().as_secs_f64(),
                    ..finished
                }))
            }
            _ => Err(Error::Request("its inputs are those of another way".into())),
        }
    }
}

impl Request {
    /// Looks at the clip, and at what is to be made of it.
    fn target(&self, max_pixels: u64) -> Result<Target, Error> {
        let Video {
            chunk, encoding, ..
        } = &*self.asked;
        let failed = |error| self.clip.failed(error);
        let clip = Clip::probe(&self.tools, &self.clip.path, max_pixels).map_err(failed)?;
        let TimeBase {
            numerator,
            denominator,
        } = chunk.time_base;
        if [clip.time_base.num, clip.time_base.den] != [numerator, denominator] {
            let reason = format!(
                "{}: its unit of time is {} s here, and {numerator}/{denominator} s where the \
                 video was planned: take the same release of ffmpeg on all machines",
                self.clip.name, clip.time_base
            );
            return Err(Error::Clip(reason.into()));
        }
        let is_deep = encoding.depth > 8;
        Ok(Target {
            tools: self.tools.clone(),
            file: self.clip.clone(),
            size: self.asked.size(),
            depth: if is_deep {
                Depth::Sixteen
            } else {
                Depth::Eight
            },
            encoding: *encoding,
            times: chunk.times.iter().map(|time| time - chunk.start).collect(),
            clip,
        })
    }

    fn optimize(
        &self,
        chunk: &Chunk<'_>,
        target: Target,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let mut contents = Block {
            tools: &target.tools,
            file: &target.file,
            clip: &target.clip,
            times: &self.asked.chunk.times,
            size: target.size,
            depth: target.depth,
            kept: BTreeMap::new(),
        };
        let made = match chunk.run(&mut contents, engine, checkpoint, observer)? {
            Outcome::Finished(made) => made,
            Outcome::Interrupted { checkpoint, steps } => {
                return Ok(Outcome::Interrupted { checkpoint, steps });
            }
        };
        let vgg = engine.vgg(chunk.picture.parameters.network)?;
        let mut figures = made.figures();
        figures.extend(target.figures(self.asked.chunk.written()));
        let curve = curve::output(made.position.curve.points());
        let (frames, extent, written) = (made.frames, chunk.extent, self.asked.chunk.written());
        let missing = || Error::Request("it has no frame".into());
        let first = frames.get(&0).ok_or_else(missing)?;
        let first = Frame::unpacked(first, extent, target.depth)?.raw;
        let poster = poster(first, extent, target.depth);
        let encode = move || {
            let depth = target.depth;
            let frames = frames.into_values().take(written);
            target.encode(frames.map(|packed| Ok(Frame::unpacked(&packed, extent, depth)?.raw)))
        };
        Ok(Outcome::Finished(Finished {
            outputs: vec![output(encode), poster, curve],
            seconds: made.position.seconds,
            steps: made.position.evaluations,
            figures,
            made_with: [
                ("network".to_owned(), vgg.network().to_string()),
                ("weights".to_owned(), vgg.weights_sha256().to_owned()),
                ("ffmpeg".to_owned(), self.tools.version().to_owned()),
            ]
            .into(),
        }))
    }
}

impl Target {
    /// The figures of so many frames.
    pub fn figures(&self, frames: usize) -> Figures {
        let [width, height] = self.size;
        let figures = [
            ("frames", frames as f64),
            ("picture.width", width.into()),
            ("picture.height", height.into()),
        ];
        figures.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Begins to encode so many of its frames into a file.
    pub fn encoder(&self, file: &tempfile::NamedTempFile, frames: usize) -> Result<Encoder, Error> {
        let encoder = Encoder::create(
            &self.tools,
            file.path(),
            &self.clip,
            self.size,
            self.depth,
            &self.times[..frames],
            &self.encoding,
        );
        encoder.map_err(|error| self.file.failed(error))
    }

    /// The frames as a file.
    fn encode(
        &self,
        frames: impl ExactSizeIterator<Item = Result<Vec<u8>, Error>>,
    ) -> Result<Vec<u8>, Error> {
        let file = temporary()?;
        let mut encoder = self.encoder(&file, frames.len())?;
        let failed = |error| self.file.failed(error);
        for frame in frames {
            encoder.write(&frame?).map_err(failed)?;
        }
        encoder.finish().map_err(failed)?;
        read(&file)
    }
}

impl ClipFile {
    /// What went wrong with it, in which it is called as people call it.
    pub(super) fn failed(&self, error: stylefleet_video::Error) -> Error {
        let path = self.path.display().to_string();
        let words = error.to_string().replace(&path, &self.name);
        let is_retryable = error.is_retryable();
        let cause = Cause::new(words, error);
        if is_retryable {
            Error::Ffmpeg(cause)
        } else {
            Error::Clip(cause)
        }
    }
}

/// An empty file.
pub(super) fn temporary() -> Result<tempfile::NamedTempFile, Error> {
    tempfile::NamedTempFile::new().map_err(no_disk)
}

/// All that is in a file.
pub(super) fn read(file: &tempfile::NamedTempFile) -> Result<Vec<u8>, Error> {
    fs::read(file.path()).map_err(no_disk)
}

fn no_disk(error: std::io::Error) -> Error {
    let words = format!("no temporary file can be written or read: {error}");
    Error::Ffmpeg(Cause::new(words, error))
}

/// The first frame as a picture, for people who look at a job.
pub(super) fn poster(raw: Vec<u8>, extent: Extent, depth: Depth) -> Output {
    let encode = move || {
        let pixels = pixels_of(&frame::tensor(&raw, extent, depth)?)?;
        image::encode([extent.width, extent.height], &pixels, Format::Jpeg)
    };
    Output {
        role: "frame",
        media_type: "image/jpeg",
        ending: "jpg",
        encode: Box::new(encode),
    }
}

/// A chunk as an output of a job.
pub(super) fn output(encode: impl FnOnce() -> Result<Vec<u8>, Error> + Send + 'static) -> Output {
    Output {
        role: "video",
        media_type: "video/x-nut",
        ending: "nut",
        encode: Box::new(encode),
    }
}

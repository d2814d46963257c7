//! A chunk by a trained network: every frame by itself. While one is redrawn, those after it are
//! decoded, and those before it encoded.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use stylefleet_model::apply::Apply;
use stylefleet_model::{Figures, Progress, Valid};
use stylefleet_video::{Decoder, Encoder};

use super::frame;
use super::request::{Target, output, poster, read, temporary};
use crate::checkpoint::{self, Owner};
use crate::image::Extent;
use crate::observer::Halt;
use crate::tasks::apply::{self, Model};
use crate::{Control, Engine, Error, Finished, Observer, Outcome, Source, State};

/// The kind in checkpoints.
const KIND: &str = "video";
/// Frames that wait between decoder, network and encoder.
const AHEAD: usize = 2;

/// A chunk to be made.
pub(super) struct Network<'a> {
    pub identity: &'a str,
    pub model: &'a Model,
    pub masks: &'a [Option<Source>],
    pub apply: &'a Apply,
    /// The frames, by their times in the clip.
    pub times: &'a [i64],
}

/// What the network makes of a chunk.
#[derive(Default)]
struct Drawn {
    /// The bytes of its first frame.
    first: Vec<u8>,
    /// How long the network took, for all frames.
    time: Duration,
}

/// Watches a frame, and reports where its chunk stands.
struct Relay<'a> {
    observer: &'a mut dyn Observer,
    progress: Progress,
}

impl Network<'_> {
    /// Makes the chunk. A checkpoint holds nothing: a chunk takes about as long as its checkpoint
    /// would be of use.
    pub fn run(
        &self,
        target: Target,
        engine: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let owner = Owner {
            kind: KIND,
            identity: self.identity,
        };
        if let Some(bytes) = checkpoint {
            checkpoint::read(bytes, owner)?;
        }
        let [width, height] = target.size;
        let extent = Extent { width, height };
        match self.redraw(&target, engine, observer) {
            Ok((file, Drawn { first, time })) => {
                let mut figures = target.figures(self.times.len());
                figures.insert("network.seconds".to_owned(), time.as_secs_f64());
                Ok(Outcome::Finished(Finished {
                    outputs: vec![
                        output(move || Ok(file)),
                        poster(first, extent, target.depth),
                    ],
                    seconds: 0.0,
                    steps: self.times.len() as u64,
                    figures,
                    made_with: [
                        ("model".to_owned(), self.model.sha256.to_string()),
                        ("ffmpeg".to_owned(), target.tools.version().to_owned()),
                    ]
                    .into(),
                }))
            }
            Err(Halt::Interrupted) => Ok(Outcome::Interrupted {
                checkpoint: checkpoint::save(owner, 0, &())?,
                steps: 0,
            }),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    /// The chunk's file, and what the network made.
    fn redraw(
        &self,
        target: &Target,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<u8>, Drawn), Halt> {
        let file = temporary()?;
        let failed = |error| target.file.failed(error);
        let decoder = Decoder::open(
            &target.tools,
            &target.clip,
            self.times,
            target.size,
            target.depth,
        );
        let (decoder, encoder) = (
            decoder.map_err(failed)?,
            target.encoder(&file, self.times.len())?,
        );
        let drawn = thread::scope(|scope| {
            let (decoded, contents) = sync_channel(AHEAD);
            let (finished, results) = sync_channel(AHEAD);
            let reading = scope.spawn(move || decode(decoder, &decoded));
            let writing = scope.spawn(move || encode(encoder, &results));
            let redrawn = self.frames(target, engine, observer, &contents, &finished);
            // Both threads end once nobody is at the other end.
            drop((contents, finished));
            let ended = [reading.join(), writing.join()];
            let drawn = redrawn?;
            for end in ended {
                let panicked = |_| Error::Request("a thread of it panicked".into());
                end.map_err(panicked)?.map_err(failed)?;
            }
            Ok::<_, Halt>(drawn)
        })?;
        Ok((read(&file)?, drawn))
    }

    /// Redraws frame after frame, until there are no more, or nobody takes them.
    fn frames(
        &self,
        target: &Target,
        engine: &mut Engine,
        observer: &mut dyn Observer,
        contents: &Receiver<Vec<u8>>,
        results: &SyncSender<Vec<u8>>,
    ) -> Result<Drawn, Halt> {
        let [width, height] = target.size;
        let extent = Extent { width, height };
        let asked = Valid::new(self.apply.clone()).map_err(|e| Error::Request(e.to_string()))?;
        let clock = Instant::now();
        let total = self.times.len() as u64;
        let mut drawn = Drawn::default();
        for done in 0..total {
            let Ok(raw) = contents.recv() else {
                break;
            };
            let content = frame::tensor(&raw, extent, target.depth)?;
            let name = format!("{}, frame {}", target.file.name, done + 1);
            let request = apply::Request {
                identity: self.identity.to_owned(),
                content: Source::decoded(name, Vec::new(), content),
                model: self.model.clone(),
                masks: self.masks.to_vec(),
                asked: asked.clone(),
            };
            let pace = clock.elapsed().as_secs_f64() / done.max(1) as f64;
            let mut relay = Relay {
                observer,
                progress: Progress {
                    phase: format!("frames, {width}x{height}"),
                    done,
                    total,
                    unit: "frames".to_owned(),
                    steps: done,
                    figures: Figures::new(),
                    seconds_left: (done > 0).then(|| pace * (total - done) as f64),
                },
            };
            let began = Instant::now();
            let picture = request.picture(engine, &mut relay)?;
            let made = frame::raw(&picture, target.depth)?;
            drawn.time += began.elapsed();
            if done == 0 {
                drawn.first.clone_from(&made);
            }
            if results.send(made).is_err() {
                break;
            }
        }
        Ok(drawn)
    }
}

/// Hands on frame after frame, until there are no more, or nobody takes them.
fn decode(
    mut decoder: Decoder,
    contents: &SyncSender<Vec<u8>>,
) -> Result<(), stylefleet_video::Error> {
    loop {
        let mut raw = Vec::new();
        if !decoder.next(&mut raw)? || contents.send(raw).is_err() {
            return Ok(());
        }
    }
}

/// Writes frame after frame, until no more come.
fn encode(
    mut encoder: Encoder,
    results: &Receiver<Vec<u8>>,
) -> Result<(), stylefleet_video::Error> {
    for raw in results {
        encoder.write(&raw)?;
    }
    encoder.finish()
}

impl Observer for Relay<'_> {
    fn noted(&mut self, note: &str) {
        self.observer.noted(note);
    }

    fn progressed(&mut self, _: &Progress) -> Control {
        self.observer.progressed(&self.progress)
    }

    fn accepted(&mut self, _: &State<'_>) {}
}

//! Chunks of a photograph that moves, so that the true motion is known.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use stylefleet_model::Progress;
use stylefleet_model::stylize::{Init, Parameters, Precision, Preset, Size, Stylize};
use stylefleet_model::video::{Overrides, Temporal};
use stylefleet_video::Depth;
use tch::{Kind, Tensor};

use super::flows::{FlowFile, Flows};
use super::frame::{self, Frame};
use super::made::Made;
use super::optimized::{Chunk, Contents};
use crate::golden::{engine, source};
use crate::image::{Extent, fitted};
use crate::tasks::stylize::Style;
use crate::{Control, Engine, Error, Observer, Outcome, Source, State};

/// How far the photograph moves from frame to frame, right and down, in pixels.
const STEP: [i64; 2] = [3, 1];
/// The same where it moves far.
const FAR: [i64; 2] = [11, 4];
const EXTENT: Extent = Extent {
    width: 96,
    height: 64,
};

/// Frames in memory.
struct Frames(Vec<Vec<u8>>);

impl Contents for Frames {
    fn raw(&mut self, frame: usize) -> Result<Vec<u8>, Error> {
        Ok(self.0[frame].clone())
    }
}

/// A window that moves over a photograph.
fn moving(frames: i64) -> Frames {
    moving_by(STEP, frames)
}

/// A window that moves over a photograph, so far from frame to frame.
fn moving_by(step: [i64; 2], frames: i64) -> Frames {
    let name = "lighthouse.png";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/samples/contents");
    let file = std::fs::read(folder.join(name)).expect("is there");
    let image = Source::new(name, file).read(u64::MAX).expect("decodes");
    let extent = Extent::of(&image.pixels).expect("has a size").fitted(160.0);
    let photograph = fitted(&image.pixels, extent).expect("scales");
    let frame = |at: i64| {
        let rows = photograph.narrow(2, 8 + at * step[1], EXTENT.height.into());
        let window = rows.narrow(3, 8 + at * step[0], EXTENT.width.into());
        frame::raw(&window, Depth::Eight).expect("converts")
    };
    Frames((0..frames).map(frame).collect())
}

/// Interrupts at these steps.
#[derive(Default)]
struct Watcher {
    interrupt_at: Vec<u64>,
    seen: Vec<Progress>,
    checkpoints: u64,
}

impl Observer for Watcher {
    fn noted(&mut self, note: &str) {
        panic!("nothing is to be noted: {note}");
    }

    fn progressed(&mut self, progress: &Progress) -> Control {
        self.seen.push(progress.clone());
        if self.interrupt_at.contains(&progress.steps) {
            Control::Interrupt
        } else {
            Control::Continue
        }
    }

    fn accepted(&mut self, state: &State<'_>) {
        let last = self.seen.last().map_or(0, |seen| seen.steps);
        assert!(state.steps <= last);
        self.checkpoints += 1;
    }
}

struct Asked {
    picture: Stylize,
    temporal: Temporal,
    frames: usize,
    is_shared: bool,
    flows: Option<FlowFile>,
}

impl Asked {
    fn new(evaluations: u32, frames: usize) -> Self {
        let Extent { width, height } = EXTENT;
        let parameters = Parameters {
            size: Size::Exact { width, height },
            evaluations,
            coarse_evaluations: evaluations,
            precision: Precision::F32,
            init: Init::Content,
            ..Preset::Studio.parameters()
        };
        Self {
            picture: Stylize {
                weights: vec![1.0],
                parameters,
            },
            temporal: Overrides::default().temporal(evaluations),
            frames,
            is_shared: false,
            flows: None,
        }
    }

    fn run(
        &self,
        engine: &mut Engine,
        contents: &mut Frames,
        checkpoint: Option<&[u8]>,
        watcher: &mut Watcher,
    ) -> Outcome<Made> {
        let styles = [Style {
            image: source("starry_night_64x64.png"),
            share: 1.0,
            mask: None,
        }];
        let flows = self.flows.as_ref();
        let flows = flows.map(|file| Flows::open(file, &self.temporal, self.frames));
        let flows = flows.transpose().expect("is whole");
        let chunk = Chunk {
            identity: "a chunk",
            name: "clip.mp4",
            styles: &styles,
            picture: &self.picture,
            temporal: &self.temporal,
            flows: flows.as_ref(),
            extent: EXTENT,
            depth: Depth::Eight,
            frames: self.frames,
            is_shared: self.is_shared,
        };
        chunk
            .run(contents, engine, checkpoint, watcher)
            .expect("no error")
    }

    fn made(&self, engine: &mut Engine, contents: &mut Frames) -> Made {
        match self.run(engine, contents, None, &mut Watcher::default()) {
            Outcome::Finished(made) => made,
            Outcome::Interrupted { .. } => panic!("was interrupted"),
        }
    }
}

/// The frames, one by one: what a chunk of one frame is.
fn one_by_one(asked: &Asked, engine: &mut Engine, contents: &Frames) -> Vec<Tensor> {
    let alone = |raw: &Vec<u8>| {
        let asked = Asked {
            frames: 1,
            ..Asked::new(asked.picture.parameters.evaluations, 1)
        };
        let made = asked.made(engine, &mut Frames(vec![raw.clone()]));
        pictures(&made).remove(0)
    };
    contents.0.iter().map(alone).collect()
}

fn pictures(made: &Made) -> Vec<Tensor> {
    let picture = |packed: &Vec<u8>| {
        let frame = Frame::unpacked(packed, EXTENT, Depth::Eight).expect("is one");
        frame::tensor(&frame.raw, EXTENT, Depth::Eight).expect("is one")
    };
    made.frames.values().map(picture).collect()
}

/// Root of the mean squared difference between each picture and the one before, moved by the true
/// motion, in grey levels.
fn temporal_error(pictures: &[Tensor]) -> f64 {
    error_of(STEP, pictures)
}

/// The same, of a photograph that moves so far from frame to frame.
fn error_of([right, down]: [i64; 2], pictures: &[Tensor]) -> f64 {
    let (width, height) = (i64::from(EXTENT.width), i64::from(EXTENT.height));
    let squares = pictures.windows(2).map(|pair| {
        let before = pair[0]
            .narrow(2, down, height - down)
            .narrow(3, right, width - right);
        let after = pair[1]
            .narrow(2, 0, height - down)
            .narrow(3, 0, width - right);
        (before - after)
            .square()
            .mean(Kind::Double)
            .double_value(&[])
    });
    (squares.sum::<f64>() / (pictures.len() - 1) as f64).sqrt()
}

#[test]
fn frames_hold_together() {
    let (mut engine, mut contents) = (engine(), moving(4));
    let asked = Asked::new(24, 4);
    let made = asked.made(&mut engine, &mut contents);
    let together = temporal_error(&pictures(&made));
    let apart = temporal_error(&one_by_one(&asked, &mut engine, &contents));
    println!(
        "{together:.2} {apart:.2} {:?} {:?}",
        made.figures(),
        made.position.figures
    );
    assert!(
        together < 0.5 * apart,
        "{together:.2} and {apart:.2} one by one"
    );
}

/// The flows of a window that moves so far, of twice the size of the frames, as others write them.
fn flows(step: [i64; 2], temporal: &Temporal, frames: usize) -> FlowFile {
    let folder = tempfile::tempdir().expect("a folder");
    let [width, height] = [2 * EXTENT.width, 2 * EXTENT.height];
    let write = |from: usize, to: usize| {
        let frames = from as f32 - to as f32;
        let motion = step.map(|pixels| (2.0 * frames * pixels as f32).to_le_bytes());
        let pixels = motion.concat().repeat((width * height) as usize);
        let sides = [width, height].map(u32::to_le_bytes).concat();
        let path = folder.path().join(format!("{from}_{to}.flo"));
        std::fs::write(&path, [b"PIEH".to_vec(), sides, pixels].concat()).expect("writes");
        path
    };
    let pairs = temporal.pairs(frames).into_iter();
    let files: Vec<_> = pairs
        .flat_map(|[from, to]| [write(from, to), write(to, from)])
        .collect();
    let packed = folder.path().join("packed");
    stylefleet_video::pack_flows(&files, &packed).expect("packs");
    FlowFile(Arc::new(File::open(packed).expect("opens")))
}

#[test]
fn the_flow_of_others_leads_where_things_are() {
    let mut engine = engine();
    for (long_term, passes) in [(false, 1), (true, 2)] {
        let mut contents = moving_by(FAR, 3);
        let mut asked = Asked::new(24, 3);
        (asked.temporal.long_term, asked.temporal.passes) = (long_term, passes);
        let [right, down] = FAR;
        let (given, wrong) = ([right, down], [-right, -down]);
        let mut error = |step: Option<[i64; 2]>| {
            asked.flows = step.map(|step| flows(step, &asked.temporal, asked.frames));
            error_of(FAR, &pictures(&asked.made(&mut engine, &mut contents)))
        };
        let (own, given, wrong) = (error(None), error(Some(given)), error(Some(wrong)));
        println!("{own:.2} {given:.2} {wrong:.2}");
        assert!(given < 1.05 * own, "{given:.2} and {own:.2} by our own");
        assert!(given < 0.7 * wrong, "{given:.2} and {wrong:.2} backwards");
    }
}

#[test]
fn flows_of_another_chunk_are_refused() {
    let temporal = Temporal::default();
    let two = flows(STEP, &temporal, 2);
    let opened = Flows::open(&two, &temporal, 3).err().expect("refused");
    let expected = "its optical flow cannot be read: there are 2, and its frames take 4: submit \
                    the video again";
    assert_eq!(opened.to_string(), expected);
    let flows = Flows::open(&two, &temporal, 2).expect("is whole");
    let flow = flows.between(0, 1, EXTENT).expect("is there");
    assert_eq!(flow.size(), [1, 2, 64, 96]);
    let at = |channel| flow.double_value(&[0, channel, 10, 20]);
    assert_eq!([at(0), at(1)], [-3.0, -1.0]);
    assert!(flows.between(0, 2, EXTENT).is_err());
}

#[test]
fn the_temporal_term_holds_frames() {
    let (mut engine, mut contents) = (engine(), moving(3));
    let mut error = |weight| {
        let mut asked = Asked::new(24, 3);
        asked.temporal.temporal_weight = weight;
        temporal_error(&pictures(&asked.made(&mut engine, &mut contents)))
    };
    let (loose, held) = (error(0.0), error(3.0));
    assert!(held < 0.8 * loose, "{held:.2} and {loose:.2} without it");
}

/// Not a test: what weights come to, to choose one.
#[test]
#[ignore = "it measures"]
fn weights() {
    let mut engine = engine();
    let frames = 5;
    let mut contents = moving(frames as i64);
    let asked = Asked::new(60, frames);
    let apart = one_by_one(&asked, &mut engine, &contents);
    println!("one by one: {:.2}", temporal_error(&apart));
    for weight in [0.0, 0.1, 0.3, 1.0, 3.0] {
        for later in [10, 20] {
            let mut asked = Asked::new(60, frames);
            (
                asked.temporal.temporal_weight,
                asked.temporal.frame_evaluations,
            ) = (weight, later);
            let made = asked.made(&mut engine, &mut contents);
            let curve = made.position.curve.points().iter().map(|point| {
                let temporal = point.terms.get("loss.temporal").copied().unwrap_or(0.0);
                (point.loss - temporal) / made.position.first_loss
            });
            let losses: Vec<_> = curve.map(|loss| format!("{loss:.3}")).collect();
            println!(
                "weight {weight}, {later} evaluations: {:.2} losses {}",
                temporal_error(&pictures(&made)),
                losses.join(" ")
            );
        }
    }
}

//! What is asked of the fleet, and what should come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use stylefleet_proto::{Curve, Digest, JobId, Manifest, keys};
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::services::Services;
use stylefleet_tests::{PATIENCE, Run, Scene};

use crate::bucket;

/// Different contents and styles. Jobs that share both differ in their seeds.
const CONTENTS: usize = 8;
const STYLES: usize = 4;
/// Evaluations of most jobs: a fraction of a second.
const SHORT: u32 = 16;
/// Evaluations of every fourth: a second or two, so that there is something to resume.
const LONG: u32 = 80;
/// Steps of training, which take as long.
const TRAINING: u32 = 40;
/// Contents of each batch that a trained network redraws.
const APPLIED: usize = 2;
/// Chunks of each video.
const CHUNKS: usize = 2;
/// What all pictures share.
const DEFAULTS: &str = "[defaults]\nsize = '32x24'\nscales = 1\ninit = 'content'\n\
                        precision = 'f32'\ntolerance = 0\n";
/// The batch of jobs whose inputs are gone.
const LACKING: &str = "lacking";

/// Jobs, in batches, each of which has one job whose input is not what it should be, trains a
/// network, applies one, and redraws a clip.
#[derive(Debug)]
pub struct Asked {
    /// The jobs that can be done.
    pub good: usize,
    /// Batches of those.
    batches: usize,
    /// What the jobs make undisturbed: pictures by content and style, others by their names.
    undisturbed: BTreeMap<String, Made>,
    /// Times that a submit was killed and that it was run again.
    pub kills: AtomicUsize,
    pub again: AtomicUsize,
}

/// What a job makes.
#[derive(Debug, Clone)]
pub struct Made {
    /// The role of its main output, and the ending of the file's name.
    pub role: &'static str,
    pub ending: &'static str,
    pub digest: Digest,
    /// The roles of its other outputs.
    pub others: &'static [&'static str],
}

/// A video that is asked for.
#[derive(Debug)]
pub struct Film {
    /// The batch of its chunks.
    pub batch: String,
    /// The file that it makes undisturbed.
    pub undisturbed: String,
}

/// One result that was asked for.
#[derive(Debug)]
pub struct Entry {
    pub job: JobId,
    pub batch: String,
    pub name: String,
}

impl Asked {
    /// Writes batch files for so many jobs in so many batches, and makes here, in peace and in one
    /// go, what all jobs are to make.
    pub fn new(workshop: &Workshop<'_>, good: usize, batches: usize) -> Self {
        let scene = &workshop.scene;
        for content in 0..CONTENTS {
            scene.add_content(&format!("c{content}.png"), content as u32);
        }
        for style in 0..STYLES {
            scene.add_style(&format!("s{style}.png"), style as u32);
        }
        let jobs: Vec<_> = (0..good).map(|number| (number, pair(number))).collect();
        for batch in 0..batches {
            let mut text = DEFAULTS.to_owned();
            for (number, pair) in &jobs[batch * good / batches..(batch + 1) * good / batches] {
                text += &entry(*pair, &format!("{}-{number}", name(*pair)), *number);
            }
            scene.write(&format!("good-{batch}.toml"), text);
            spoil(workshop, batch);
        }
        let pairs: BTreeSet<_> = jobs.iter().map(|(_, pair)| *pair).collect();
        let mut text = DEFAULTS.to_owned();
        text.extend(pairs.iter().map(|pair| entry(*pair, &name(*pair), 0)));
        scene.write("undisturbed.toml", text);
        let run = |mut command: Command| {
            command.env("OMP_NUM_THREADS", "1");
            Run::start(command).end().expect_code(0);
        };
        run(scene.run_command(&["--file undisturbed.toml --out undisturbed"]));
        scene.add_photographs(8);
        let picture = |name: String, others| {
            let digest = Digest::of(&scene.read(format!("undisturbed/{name}.png")));
            let (role, ending) = ("picture", "png");
            let made = Made {
                role,
                ending,
                digest,
                others,
            };
            (name, made)
        };
        let pictures = pairs
            .iter()
            .map(|pair| picture(name(*pair), &[Curve::ROLE]));
        let mut undisturbed: BTreeMap<_, _> = pictures.collect();
        for batch in 0..batches {
            let file = format!("undisturbed/{}.safetensors", network(batch));
            run(scene.local_command("train", &[&training(batch), "--out", &file]));
            let made = Made {
                role: "model",
                ending: "safetensors",
                digest: Digest::of(&scene.read(file)),
                others: &["sample", Curve::ROLE],
            };
            undisturbed.insert(network(batch), made);
            run(scene.local_command("apply", &[&applying(batch), "--out undisturbed"]));
            let applied = applied(batch).map(|content| format!("c{content}.{}", style(batch)));
            undisturbed.extend(applied.map(|name| picture(name, &[])));
        }
        scene.add_clip("clip.mkv");
        for batch in 0..batches {
            let file = format!("undisturbed/{}", film(batch));
            let mut command = scene.local_command("video", &[&filming(batch), "--out", &file]);
            command.arg("--json").env("OMP_NUM_THREADS", "1");
            let ended = Run::start(command).end().expect_code(0);
            expect_like_the_clip(scene, &file);
            let chunk = |event: Value| {
                let text = |field: &str| event[field].as_str().expect("a text").to_owned();
                let made = Made {
                    role: "video",
                    ending: "nut",
                    digest: Digest::of(&scene.read(text("file"))),
                    others: &["frame", Curve::ROLE],
                };
                (text("name"), made)
            };
            undisturbed.extend(ended.events_of("finished").into_iter().map(chunk));
        }
        Self {
            good,
            batches,
            undisturbed,
            kills: AtomicUsize::new(0),
            again: AtomicUsize::new(0),
        }
    }

    /// Submits two jobs whose inputs then go. No worker may be there yet. Returns how long that
    /// takes at least.
    pub fn submit_what_lacks_inputs(&self, workshop: &Workshop<'_>) -> Duration {
        let scene = &workshop.scene;
        for (name, seed) in [("gone0.png", 90), ("gone1.png", 91)] {
            scene.add_content(name, seed);
        }
        let args = "gone0.png gone1.png --style s0.png --size 32x24 --batch";
        let began = Instant::now();
        workshop.submit(&[args, LACKING]);
        let took = began.elapsed();
        for name in ["gone0.png", "gone1.png"] {
            workshop.remove(&keys::input(&Digest::of(&scene.read(name))));
        }
        took
    }

    /// Submits a batch with a dispatcher that is killed after a while, then with others until all
    /// is accepted.
    pub fn submit(&self, workshop: &Workshop<'_>, batch: usize, killed_after: Duration) {
        let good = format!("submit --file good-{batch}.toml --batch good-{batch}");
        let run = workshop.start(&[&good]);
        sleep(killed_after);
        run.signal("KILL");
        if run.end().status.code().is_none() {
            self.kills.fetch_add(1, Ordering::Relaxed);
        }
        let spoilt = format!("submit bad{batch}.png --style s0.png --size 32x24");
        let training = format!("submit-train {} --out", training(batch));
        let network = network(batch);
        for args in [
            good,
            format!("{spoilt} --batch bad-{batch}"),
            format!("{training} {network}.safetensors --batch-name trained-{batch}"),
            format!("submit {} --batch applied-{batch}", applying(batch)),
            format!(
                "submit-video {} --out {} --batch film-{batch}",
                filming(batch),
                film(batch)
            ),
        ] {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let ended = workshop.start(&[&args]).end();
                if ended.code() == 0 {
                    break;
                }
                assert!(Instant::now() < deadline, "{}", ended.so_far());
                self.again.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(500)); // as a person would, the servers being away
            }
        }
    }

    /// The names of all batches.
    pub fn batches(&self) -> Vec<String> {
        let numbered = |kind: &'static str| (0..self.batches).map(move |n| format!("{kind}-{n}"));
        let kinds = ["good", "bad", "trained", "applied", "film"].into_iter();
        let all = kinds.flat_map(numbered);
        all.chain([LACKING.to_owned()]).collect()
    }

    /// The videos, when all is submitted.
    pub fn films(&self) -> impl Iterator<Item = Film> {
        (0..self.batches).map(|batch| Film {
            batch: format!("film-{batch}"),
            undisturbed: format!("undisturbed/{}", film(batch)),
        })
    }

    /// All jobs, when all is submitted.
    pub fn jobs(&self) -> usize {
        let of_a_batch = 1 + 1 + APPLIED + CHUNKS;
        self.good + of_a_batch * self.batches + 2
    }

    /// What the manifests in the store say was asked for.
    pub fn entries(&self, workshop: &Workshop<'_>, services: &Services) -> Vec<Entry> {
        let objects = bucket::list(&workshop.fleet, services).expect("the store answers");
        let mut entries = Vec::new();
        for batch in self.batches() {
            let is_manifest = |key: &&String| {
                key.starts_with(&format!("batches/{batch}/")) && key.ends_with(keys::MANIFEST)
            };
            let mut asked = BTreeSet::new();
            for key in objects.keys().filter(is_manifest) {
                let manifest = workshop.document(key).expect("a manifest");
                let manifest: Manifest = serde_json::from_value(manifest).expect("a manifest");
                // A submit that was cut off and done again may have written its own.
                asked.extend(
                    manifest
                        .jobs
                        .into_iter()
                        .map(|e| (e.name.to_string(), e.job)),
                );
            }
            entries.extend(asked.into_iter().map(|(name, job)| Entry {
                job,
                batch: batch.clone(),
                name,
            }));
        }
        entries
    }

    /// What the job should make; none where it should not make anything.
    pub fn undisturbed(&self, entry: &Entry) -> Option<&Made> {
        let name = entry.name.as_str();
        let pair = name.split_once('-').map_or(name, |(pair, _)| pair);
        self.undisturbed.get(pair)
    }
}

/// Whether a step may be a job's last.
pub fn is_last(step: u32) -> bool {
    [SHORT, LONG, TRAINING].contains(&step)
}

/// The content and the style of a job.
fn pair(number: usize) -> (usize, usize) {
    (number % CONTENTS, number / CONTENTS % STYLES)
}

fn name((content, style): (usize, usize)) -> String {
    format!("c{content}s{style}")
}

/// The name of the network that a batch trains.
fn network(batch: usize) -> String {
    format!("network{batch}")
}

/// What the styles of that network are called.
fn style(batch: usize) -> String {
    format!("n{batch}")
}

/// The options that train it.
fn training(batch: usize) -> String {
    let style = style(batch);
    format!(
        "--style s0.png={style} --photos photos --steps {TRAINING} --size 32 --batch 1 --width 4 \
         --precision f32 --seed {batch}"
    )
}

/// The options that apply it, as it was trained undisturbed.
fn applying(batch: usize) -> String {
    let contents = applied(batch).map(|content| format!("c{content}.png"));
    let (contents, network) = (contents.collect::<Vec<_>>().join(" "), network(batch));
    format!("{contents} --model undisturbed/{network}.safetensors --precision f32")
}

/// The contents that it redraws.
fn applied(batch: usize) -> impl Iterator<Item = usize> {
    (0..APPLIED).map(move |number| (batch * APPLIED + number) % CONTENTS)
}

/// The name of the video that a batch makes.
fn film(batch: usize) -> String {
    format!("film{batch}.mkv")
}

/// The options that make it.
fn filming(batch: usize) -> String {
    format!(
        "clip.mkv --style s0.png --chunk 3 --evaluations {SHORT} --frame-evaluations 6 --scales 1 \
         --precision f32 --crf 0 --seed {batch}"
    )
}

/// Fails unless a video has the sound, the subtitles and the length of the clip.
fn expect_like_the_clip(scene: &Scene, file: &str) {
    let [clip, made] = ["clip.mkv", file].map(|file| scene.probe(file));
    let kinds = |probed: &Value| {
        let streams = probed["streams"].as_array().expect("streams").iter();
        let kinds = streams.map(|stream| stream["codec_type"].to_string());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(&made), kinds(&clip));
    let seconds = |probed: &Value| -> f64 {
        let duration = probed["format"]["duration"].as_str().expect("a length");
        duration.parse().expect("seconds")
    };
    // A sound's last packet is rounded to milliseconds.
    let off = (seconds(&made) - seconds(&clip)).abs();
    assert!(off < 0.002, "{off} seconds");
}

fn entry((content, style): (usize, usize), name: &str, seed: usize) -> String {
    let evaluations = if content.is_multiple_of(4) {
        LONG
    } else {
        SHORT
    };
    let mut text = String::new();
    let _ = write!(
        text,
        "[[job]]\ncontent = 'c{content}.png'\nstyle = 's{style}.png'\nname = '{name}'\n\
         seed = {seed}\nevaluations = {evaluations}\n"
    );
    text
}

/// Puts something into the store that passes for an input, and is none.
fn spoil(workshop: &Workshop<'_>, batch: usize) {
    let scene = &workshop.scene;
    let name = format!("bad{batch}.png");
    scene.add_content(&name, (CONTENTS + batch) as u32);
    let mut bytes = scene.read(&name);
    let key = keys::input(&Digest::of(&bytes));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let spoilt = scene.path("spoilt");
    fs::write(&spoilt, bytes).expect("writes a file");
    workshop.put(&key, &spoilt);
}

use std::collections::BTreeMap;

use stylefleet_engine::{Control, Description, Observer, Precision, Progress};
use stylefleet_proto::{Event, Preset, Style};
use stylefleet_transport::store::FolderStore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::engine_thread::Stylize;

const CONTENT: &[u8] = b"content";
const STYLE: &[u8] = b"style";

/// A job whose inputs are [`CONTENT`] and [`STYLE`].
pub fn job() -> Job {
    let image = |bytes, name: &str| Image {
        sha256: Digest::of(bytes),
        name: name.parse().expect("a name"),
    };
    let style = Style {
        image: image(STYLE, "style.jpg"),
        weight: 1.0,
    };
    Job::new(
        "batch".parse().expect("a batch"),
        "job".parse().expect("a name"),
        image(CONTENT, "content.jpg"),
        vec![style],
        Preset::default().parameters(),
    )
    .expect("a job")
}

/// What is told of `job`, and the way to it.
pub fn events(job: &Job) -> (Events, UnboundedReceiver<Event>) {
    let (out, told) = unbounded_channel();
    (Events::new(job, "worker", out), told)
}

type Part = fn(Option<&[u8]>, &mut dyn Observer) -> Result<Outcome, Error>;

/// Stands in for the engine: plays the part that a test gives it.
struct Actor {
    description: Description,
    part: Part,
}

impl Stylize for Actor {
    fn description(&self) -> &Description {
        &self.description
    }

    fn stylize(
        &mut self,
        request: &Request,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        assert_eq!(request.content.bytes, CONTENT);
        assert_eq!(request.styles[0].0.bytes, STYLE);
        (self.part)(checkpoint, observer)
    }
}

/// A store with the inputs of a job, and an engine that plays a part.
struct Scene {
    folder: tempfile::TempDir,
    job: Job,
    drain: CancellationToken,
    engine: EngineThread,
}

impl Scene {
    async fn new(part: Part) -> Self {
        let description = Description {
            device: "cpu".into(),
            cuda_devices: 0,
            libtorch: "2".into(),
            threads: 1,
            cpu_capability: "none".into(),
            weights_sha256: "3".into(),
        };
        let actor = Actor { description, part };
        let scene = Self {
            folder: tempfile::tempdir().expect("a folder"),
            job: job(),
            drain: CancellationToken::new(),
            engine: EngineThread::start(|| Ok(actor)).await.expect("opens"),
        };
        for bytes in [CONTENT, STYLE] {
            scene.put(&keys::input(&Digest::of(bytes)), bytes).await;
        }
        scene
    }

    fn store(&self) -> FolderStore {
        FolderStore::new(self.folder.path())
    }

    async fn put(&self, key: &str, bytes: &'static [u8]) {
        self.store().put(key, bytes.into()).await.expect("writes");
    }

    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let bytes = self.store().get(key).await.expect("reads");
        bytes.map(Vec::from)
    }

    /// Runs an attempt; what was told of it.
    async fn attempt(&self) -> Vec<Happening> {
        let (events, mut told) = events(&self.job);
        let attempt = Attempt {
            job: &self.job,
            store: &self.store(),
            engine: &self.engine,
            events: &events,
            drain: &self.drain,
            checkpoint_every: Duration::ZERO,
        };
        attempt.run().await;
        drop(events);
        let mut happenings = Vec::new();
        while let Some(event) = told.recv().await {
            happenings.push(event.happening);
        }
        happenings
    }
}

const STARTED: Happening = Happening::Started {
    resumed_evaluations: 0,
};

fn picture() -> Picture {
    Picture {
        width: 1,
        height: 1,
        pixels: vec![0.0, 0.5, 1.0],
        seconds: 4.0,
        evaluations: 5,
        loss: 6.0,
        terms: BTreeMap::from([("tv".to_owned(), 6.0)]),
        precision: Precision::F32,
    }
}

fn progress(evaluation: u32) -> Progress {
    Progress {
        scale: 1,
        scales: 1,
        width: 1,
        height: 1,
        evaluation,
        evaluations: 5,
        total_evaluations: evaluation,
        loss: 6.0,
        seconds_left: None,
    }
}

#[tokio::test]
async fn a_finished_job_has_its_picture_and_its_result() {
    let scene = Scene::new(|checkpoint, observer| {
        assert_eq!(checkpoint, None);
        observer.noted("a note");
        assert_eq!(observer.evaluated(&progress(1)), Control::Continue);
        Ok(Outcome::Finished(picture()))
    })
    .await;
    let told = scene.attempt().await;
    let finished = Happening::Finished {
        seconds: 4.0,
        evaluations: 5,
        loss: 6.0,
    };
    assert_eq!(told[0], STARTED);
    assert_eq!(told[1], Happening::Note("a note".into()));
    assert!(matches!(told[2], Happening::Progress(_)));
    assert_eq!(told[3..], [finished]);

    let json = scene.get(&keys::result(&scene.job.id)).await;
    let record: Record = serde_json::from_slice(&json.expect("is there")).expect("parses");
    assert_eq!(record.notes, ["a note"]);
    assert!(scene.get(&record.picture).await.is_some());
    assert_eq!(scene.get(&keys::checkpoint(&scene.job.id)).await, None);

    // The second time nothing runs.
    assert_eq!(scene.attempt().await, told[3..]);
}

#[tokio::test]
async fn a_drain_leaves_a_checkpoint() {
    let scene = Scene::new(|_, observer| {
        assert_eq!(observer.evaluated(&progress(1)), Control::Interrupt);
        Ok(Outcome::Interrupted {
            checkpoint: b"state".to_vec(),
            evaluations: 1,
        })
    })
    .await;
    scene.drain.cancel();
    let told = scene.attempt().await;
    let interrupted = Happening::Interrupted { evaluations: 1 };
    assert_eq!(told.last(), Some(&interrupted));
    let kept = scene.get(&keys::checkpoint(&scene.job.id)).await;
    assert_eq!(kept.as_deref(), Some(&b"state"[..]));
}

#[tokio::test]
async fn a_checkpoint_of_no_use_is_noted_and_left_behind() {
    let scene = Scene::new(|checkpoint, _| {
        assert_eq!(checkpoint, None);
        Ok(Outcome::Finished(picture()))
    })
    .await;
    let key = keys::checkpoint(&scene.job.id);
    scene.put(&key, b"garbage").await;
    let told = scene.attempt().await;
    assert!(matches!(told[0], Happening::Note(_)), "{told:?}");
    assert_eq!(told[1], STARTED);
    assert!(matches!(told[2], Happening::Finished { .. }), "{told:?}");
    assert_eq!(scene.get(&key).await, None);
}

#[tokio::test]
async fn inputs_are_what_they_claim_to_be() {
    let scene = Scene::new(|_, _| unreachable!("nothing to run")).await;
    let key = keys::input(&Digest::of(STYLE));
    scene.put(&key, b"something else").await;
    let altered = scene.attempt().await;
    scene.store().delete(&key).await.expect("removes");
    let missing = scene.attempt().await;
    for told in [altered, missing] {
        let [Happening::Failed { retryable, reason }] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(!retryable);
        assert!(reason.starts_with("style.jpg: "), "{reason}");
    }
    assert!(scene.engine.is_alive());
}

#[tokio::test]
async fn an_error_fails_the_job_and_the_worker_lives_on() {
    let scene = Scene::new(|_, _| Err(Error::NotFinite(f64::NAN))).await;
    let failed = Happening::Failed {
        retryable: false,
        reason: Error::NotFinite(f64::NAN).to_string(),
    };
    assert_eq!(scene.attempt().await, [STARTED, failed]);
    assert!(scene.engine.is_alive());
}

#[tokio::test]
async fn a_panic_fails_the_job_and_ends_the_engine() {
    let scene = Scene::new(|_, _| panic!("it broke\nbacktrace")).await;
    let failed = Happening::Failed {
        retryable: true,
        reason: "the worker panicked: it broke: please report this".to_owned(),
    };
    assert_eq!(scene.attempt().await, [STARTED, failed]);
    assert!(!scene.engine.is_alive());
}

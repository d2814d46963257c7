use std::fs;
use std::path::{Path, PathBuf};

use stylefleet_model::stylize::{Format, KeepColors, Precision, Preset};
use stylefleet_model::train::{Photograph, Photographs, Training};
use stylefleet_model::trained::Trained;
use stylefleet_model::{Digest, Valid, apply, train};
use stylefleet_proto::{Ended, Input, Record, Specification, keys};

use super::*;
use crate::testing::{Scene, engine_with};

#[test]
fn an_unknown_kind_is_for_workers_that_know_it() {
    let kinds = Kinds::standard();
    let name = |name: &str| name.parse::<Role>().expect("a name");
    for known in ["stylize", "train", "apply"] {
        assert!(kinds.get(&name(known)).is_ok());
    }
    let refused = kinds.get(&name("dream")).err().expect("is unknown");
    assert!(refused.is_retryable());
    let refused = refused.to_string();
    for part in ["dream", "apply, stylize, train"] {
        assert!(refused.contains(part), "{refused}");
    }
}

/// The weights that set-up fetched.
fn weights() -> PathBuf {
    let path = std::env::var_os("STYLEFLEET_WEIGHTS");
    PathBuf::from(path.expect("STYLEFLEET_WEIGHTS names the weights: run the tests by `make test`"))
}

/// One of the engine's pictures of 64 x 64 pixels.
fn picture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/golden");
    fs::read(folder.join(format!("{name}_64x64.png"))).expect("is there")
}

/// A job that asks for that, whose inputs are these files.
fn job(asked: &impl Specification, files: &[(Role, &[u8])]) -> Job {
    let input = |(role, file): &(Role, &[u8])| Input {
        role: role.clone(),
        sha256: Digest::of(file),
        name: role.as_ref().parse().expect("a name"),
    };
    let inputs = files.iter().map(input).collect();
    let (batch, name) = ("batch".parse(), "job".parse());
    let (batch, name) = (batch.expect("a batch"), name.expect("a name"));
    Job::new(batch, name, asked, inputs).expect("is valid")
}

async fn keep(scene: &Scene, file: &[u8]) {
    let key = keys::input(&Digest::of(file));
    let put = scene.context.store.put(&key, file.to_vec().into());
    put.await.expect("writes");
}

/// Does the job; its main output, and its record.
async fn result(scene: &Scene) -> (Vec<u8>, Record) {
    let (updates, ended) = scene.attempt().await;
    assert!(
        matches!(ended, Ended::Finished { .. }),
        "{ended:?}, {updates:?}"
    );
    let json = scene.get(&keys::result(&scene.job.id)).await;
    let record: Record = serde_json::from_slice(&json.expect("is there")).expect("parses");
    let output = scene.get(&record.outputs[0].key).await.expect("is there");
    (output, record)
}

#[tokio::test]
async fn a_network_is_trained_and_then_applied() {
    let (style, content) = (picture("starry_night"), picture("astronaut"));
    let photograph = |n: usize| Photograph {
        sha256: Digest::of(&content),
        name: format!("{n}.png").parse().expect("a name"),
    };
    let photographs = (0..8).map(photograph).collect();
    let list = serde_json::to_vec(&Photographs { photographs }).expect("is written");
    let asked = Valid::new(train::Train {
        styles: vec!["starry".parse().expect("a name")],
        training: Training {
            steps: 2,
            size: 32,
            batch: 1,
            width: 4,
            ..Training::default()
        },
        objective: Preset::Studio.parameters(),
    });
    let files = [
        (train::Train::style(0), &style[..]),
        (train::Train::photographs(), &list[..]),
    ];
    let job_of_training = job(&asked.expect("is valid"), &files);
    let engine = engine_with(Some(weights())).await;
    let scene = Scene::of(job_of_training, Kinds::standard(), engine);
    for file in [&style, &content, &list] {
        keep(&scene, file).await;
    }
    let (model, record) = result(&scene).await;
    assert_eq!(record.outputs[0].role.as_ref(), "model");
    assert_eq!(record.steps, 2);
    let header = Trained::read(&model).expect("is a model").header;
    assert_eq!((header.width, header.styles.len()), (4, 1));

    let asked = Valid::new(apply::Apply {
        styles: vec![apply::Share {
            style: header.styles[0].clone(),
            weight: 1.0,
        }],
        size: None,
        keep_colors: KeepColors::None,
        format: Format::Png,
        precision: Precision::F32,
    });
    let files = [
        (apply::Apply::content(), &content[..]),
        (apply::Apply::model(), &model[..]),
    ];
    keep(&scene, &model).await;
    let scene = Scene {
        job: job(&asked.expect("is valid"), &files),
        ..scene.again()
    };
    let (picture, record) = result(&scene).await;
    assert!(picture.starts_with(b"\x89PNG"));
    assert_eq!(record.outputs[0].role.as_ref(), "picture");
    assert_eq!(record.figures["picture.width"], 64.0);
}

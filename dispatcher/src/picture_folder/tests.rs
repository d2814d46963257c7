use std::fs;

use futures_util::future::join_all;
use stylefleet_model::stylize::Preset;
use stylefleet_proto::Curve;
use stylefleet_transport::store::MemoryStore;
use tempfile::TempDir;

use super::*;
use crate::samples;

/// A folder, and a store to fill it from.
struct Scene {
    store: Arc<MemoryStore>,
    folder: TempDir,
}

fn job(number: u8) -> JobId {
    format!("{number:064x}").parse().expect("an id")
}

fn entry(number: u8, name: &str) -> ManifestEntry {
    ManifestEntry {
        job: job(number),
        name: name.parse().expect("a name"),
        preset: Preset::Studio,
    }
}

/// The record of a job that came to the `picture`.
fn record(number: u8, picture: &str) -> Record {
    samples::record(job(number), picture.as_bytes())
}

impl Scene {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::default()),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// What a command sees of the folder.
    fn open(&self) -> PictureFolder {
        let path = self.folder.path().to_owned();
        PictureFolder::new(path, self.store.clone(), true)
    }

    /// The job's picture as it is in the store; each job has its own.
    async fn made(&self, number: u8) -> Record {
        self.made_as(number, &format!("picture {number}")).await
    }

    async fn made_as(&self, number: u8, picture: &str) -> Record {
        let record = record(number, picture);
        let put = self.store.put(&record.picture, picture.to_owned().into());
        put.await.expect("puts");
        let curve = Curve {
            scale: vec![1, 1],
            evaluations: vec![1, 2],
            loss: vec![2.0, 1.0],
        };
        let key = keys::curve(&record.job, &record.picture).expect("a key");
        let written = documents::write(&*self.store, &key, &curve).await;
        written.expect("writes");
        record
    }

    /// One command that wants these pictures of jobs, by the names that it gives them. Returns the
    /// files that they have then, with a mark where one was kept.
    async fn command(&self, pictures: &[(u8, &str)]) -> Vec<String> {
        let folder = self.open();
        let mut files = Vec::new();
        for (number, name) in pictures {
            let record = self.made(*number).await;
            let saved = folder.save(&entry(*number, name), &record).await;
            let saved = saved.expect("saves");
            let bytes = fs::read_to_string(&saved.path).expect("reads");
            assert_eq!(
                bytes,
                format!("picture {number}"),
                "{}",
                saved.path.display()
            );
            assert!(saved.path.with_extension("svg").exists());
            files.push(self.name(&saved));
        }
        files
    }

    fn name(&self, saved: &Saved) -> String {
        let path = saved.path.strip_prefix(self.folder.path());
        let name = path.expect("in the folder").with_extension("");
        let mark = if saved.kept { " kept" } else { "" };
        format!("{}{mark}", name.display())
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).expect("writes");
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).expect("reads")
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.folder.path().join(file)).expect("removes");
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("lists");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut files: Vec<_> = entries
            .map(|entry| name(entry.expect("an entry")))
            .collect();
        files.sort();
        files
    }
}

#[tokio::test]
async fn a_job_keeps_its_name_whatever_the_order_of_commands() {
    let scene = Scene::new();
    assert_eq!(scene.command(&[(1, "a"), (2, "a-2")]).await, ["a", "a-2"]);
    assert_eq!(scene.command(&[(2, "a")]).await, ["a-2 kept"]);
    assert_eq!(
        scene.command(&[(2, "a"), (1, "a-2")]).await,
        ["a-2 kept", "a kept"]
    );
    assert_eq!(
        scene.command(&[(3, "a"), (2, "a-2")]).await,
        ["a-3", "a-2 kept"]
    );
    assert_eq!(scene.command(&[(4, "a-2")]).await, ["a-2-2"]);
    assert_eq!(
        scene.command(&[(4, "a"), (3, "a-2")]).await,
        ["a-2-2 kept", "a-3 kept"]
    );

    // Somebody took the first away: the others stay what they are, and the name is free again.
    for ending in ["png", "json", "svg"] {
        scene.remove(&format!("a.{ending}"));
    }
    assert_eq!(scene.command(&[(2, "a")]).await, ["a-2 kept"]);
    assert_eq!(scene.command(&[(5, "a")]).await, ["a"]);
    assert_eq!(scene.command(&[(1, "a")]).await, ["a-4"]);
}

#[tokio::test]
async fn one_job_may_have_several_names() {
    let scene = Scene::new();
    let both = [(1, "a"), (1, "a-2"), (1, "b")];
    assert_eq!(scene.command(&both).await, ["a", "a-2", "b"]);
    assert_eq!(scene.command(&both).await, ["a kept", "a-2 kept", "b kept"]);
}

#[tokio::test]
async fn names_lead_into_subfolders() {
    let scene = Scene::new();
    assert_eq!(
        scene.command(&[(1, "x/y/a"), (2, "x/a")]).await,
        ["x/y/a", "x/a"]
    );
    assert_eq!(
        scene.command(&[(2, "x/y/a"), (2, "x/a")]).await,
        ["x/y/a-2", "x/a kept"]
    );
}

#[tokio::test]
async fn what_a_person_left_there_stays() {
    for theirs in ["a.png", "a.jpg", "a.tiff", "a.json", "a.svg", "a.previews"] {
        let scene = Scene::new();
        scene.write(theirs, "theirs");
        assert_eq!(scene.command(&[(1, "a")]).await, ["a-2"], "{theirs}");
        assert_eq!(scene.command(&[(1, "a")]).await, ["a-2 kept"], "{theirs}");
        assert_eq!(scene.read(theirs), "theirs");
    }
}

#[tokio::test]
async fn what_a_person_changed_stays() {
    let scene = Scene::new();
    scene.command(&[(1, "a")]).await;
    scene.write("a.png", "edited");
    scene.write("a.svg", "edited too");
    for name in ["a-2", "a-2 kept"] {
        let record = scene.made(1).await;
        let saved = scene.open().save(&entry(1, "a"), &record).await;
        let saved = saved.expect("saves");
        assert_eq!(scene.name(&saved), name);
        assert_eq!(saved.changed, [scene.folder.path().join("a.png")]);
    }
    assert_eq!(scene.read("a.png"), "edited");
    assert_eq!(scene.read("a.svg"), "edited too");
    // A picture that was put where the record of a preview already was.
    let scene = Scene::new();
    scene.write("a.json", &format!("{{\"job\": \"{}\"}}", job(1)));
    scene.write("a.png", "theirs");
    assert_eq!(scene.command(&[(1, "a")]).await, ["a-2"]);
    assert_eq!(scene.read("a.png"), "theirs");
}

#[tokio::test]
async fn what_was_interrupted_or_lost_is_mended() {
    let scene = Scene::new();
    scene.command(&[(1, "a")]).await;
    let story = scene.read("a.json");
    // Only the name was taken; the story was written, the picture was not; it was taken away.
    scene.remove("a.png");
    for json in [format!("{{\"job\": \"{}\"}}", job(1)), story.clone()] {
        scene.write("a.json", &json);
        assert_eq!(scene.command(&[(1, "a")]).await, ["a"]);
        assert_eq!(scene.read("a.json"), story);
        scene.remove("a.png");
    }
    scene.command(&[(1, "a")]).await;
    // The story is lost, and what it says of the picture is known all the same.
    scene.remove("a.json");
    assert_eq!(scene.command(&[(1, "a")]).await, ["a kept"]);
    assert_eq!(scene.read("a.json"), story);
    assert_eq!(scene.files(), ["a.json", "a.png", "a.svg"]);
}

#[tokio::test]
async fn a_job_that_came_to_another_picture_replaces_its_own() {
    let scene = Scene::new();
    scene.command(&[(1, "a")]).await;
    let curve = scene.read("a.svg");
    let record = scene.made_as(1, "made anew").await;
    // As long as the new one is not to be had, the old one is left.
    scene.store.delete(&record.picture).await.expect("deletes");
    let refused = scene.open().save(&entry(1, "a"), &record).await;
    assert!(matches!(refused, Err(FolderError::Missing { .. })));
    assert_eq!(scene.read("a.png"), "picture 1");

    let record = scene.made_as(1, "made anew").await;
    let saved = scene.open().save(&entry(1, "a"), &record).await;
    assert_eq!(scene.name(&saved.expect("saves")), "a");
    assert_eq!(scene.read("a.png"), "made anew");
    assert_eq!(scene.read("a.svg"), curve);
    assert_eq!(scene.files(), ["a.json", "a.png", "a.svg"]);
}

#[tokio::test]
async fn progress_pictures_lie_under_the_name_that_the_picture_gets() {
    let scene = Scene::new();
    scene.command(&[(9, "a")]).await;
    for number in [1, 2] {
        let key = keys::preview(&job(number), 10);
        let put = scene.store.put(&key, format!("preview {number}").into());
        put.await.expect("puts");
        let folder = scene.open();
        let none = folder.save_preview(&entry(number, "a"), 11).await;
        assert_eq!(none.expect("looks"), None);
        folder
            .save_previews(&entry(number, "a"))
            .await
            .expect("saves");
    }
    assert_eq!(scene.read("a-2.previews/000010.jpg"), "preview 1");
    assert_eq!(scene.read("a-3.previews/000010.jpg"), "preview 2");
    assert_eq!(scene.command(&[(2, "a"), (1, "a-2")]).await, ["a-3", "a-2"]);
}

#[tokio::test]
async fn commands_at_once_come_to_one_picture_each() {
    let scene = Scene::new();
    let records = [scene.made(1).await, scene.made(2).await];
    // Each has looked at the folder before any writes.
    let folders: Vec<_> = std::iter::repeat_with(|| scene.open()).take(6).collect();
    let saves = folders.iter().enumerate().map(|(number, folder)| {
        let record = &records[number % 2];
        let entry = entry(number as u8 % 2 + 1, "a");
        async move { folder.save(&entry, record).await }
    });
    for saved in join_all(saves).await {
        saved.expect("saves");
    }
    let files = ["a-2.json", "a-2.png", "a-2.svg", "a.json", "a.png", "a.svg"];
    assert_eq!(scene.files(), files);
    let mut pictures = [scene.read("a.png"), scene.read("a-2.png")];
    pictures.sort();
    assert_eq!(pictures, ["picture 1", "picture 2"]);
}

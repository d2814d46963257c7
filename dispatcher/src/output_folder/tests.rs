use std::fs;

use futures_util::future::join_all;
use stylefleet_proto::{Digest, Labels, Name, testing};
use stylefleet_transport::store::MemoryStore;
use tempfile::TempDir;

use super::*;

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
        kind: None,
        labels: Labels::default().with("preset", "studio"),
    }
}

/// A further output of a job.
fn output(number: u8, role: &str, bytes: &[u8], ending: &str) -> Output {
    let role: Role = role.parse().expect("a role");
    Output {
        key: keys::output(&job(number), &role, &Digest::of(bytes), ending),
        role,
        media_type: "application/octet-stream".to_owned(),
    }
}

impl Scene {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::default()),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// What a command sees of the folder.
    fn open(&self) -> OutputFolder {
        let path = self.folder.path().to_owned();
        OutputFolder::new(path, self.store.clone(), true)
    }

    /// The job's picture as it is in the store; each job has its own.
    async fn made(&self, number: u8) -> Record {
        self.made_as(number, &format!("picture {number}")).await
    }

    async fn made_as(&self, number: u8, picture: &str) -> Record {
        let mut record = testing::record(job(number), picture.as_bytes());
        let picture = self
            .store
            .put(&record.outputs[0].key, picture.to_owned().into());
        picture.await.expect("puts");
        let curve = Curve {
            phase: vec![1, 1],
            steps: vec![1, 2],
            loss: vec![2.0, 1.0],
            ..Curve::default()
        };
        let curve = serde_json::to_vec(&curve).expect("JSON");
        self.add_output(&mut record, number, Curve::ROLE, &curve, "json")
            .await;
        record
    }

    /// Has the job make a further output.
    async fn add_output(
        &self,
        record: &mut Record,
        number: u8,
        role: &str,
        bytes: &[u8],
        ending: &str,
    ) {
        let output = output(number, role, bytes, ending);
        let put = self.store.put(&output.key, bytes.to_vec().into());
        put.await.expect("puts");
        record.outputs.push(output);
    }

    /// The record of a job with a picture and a mask, which differ with `version`.
    async fn made_two(&self, number: u8, version: &str) -> Record {
        let mut record = self.made_as(number, &format!("picture {version}")).await;
        let mask = format!("mask {version}");
        self.add_output(&mut record, number, "mask.1", mask.as_bytes(), "tiff")
            .await;
        record
    }

    async fn save(&self, number: u8, name: &str, record: &Record) -> Saved {
        let saved = self.open().save(&entry(number, name), record).await;
        saved.expect("saves")
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
            let [path] = &saved.files[..] else {
                panic!("not one file: {:?}", saved.files);
            };
            let bytes = fs::read_to_string(path).expect("reads");
            assert_eq!(bytes, format!("picture {number}"), "{}", path.display());
            assert!(path.with_extension("svg").exists());
            files.push(self.name(&saved));
        }
        files
    }

    fn name(&self, saved: &Saved) -> String {
        let path = saved.files[0].strip_prefix(self.folder.path());
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
    for theirs in [
        "a.png",
        "a.jpg",
        "a.tiff",
        "a.json",
        "a.svg",
        "a.previews",
        "a.txt",
    ] {
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
        let saved = scene.save(1, "a", &record).await;
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
    let picture = &record.outputs[0].key;
    scene.store.delete(picture).await.expect("deletes");
    let refused = scene.open().save(&entry(1, "a"), &record).await;
    assert!(matches!(refused, Err(FolderError::Missing { .. })));
    assert_eq!(scene.read("a.png"), "picture 1");

    let record = scene.made_as(1, "made anew").await;
    let saved = scene.save(1, "a", &record).await;
    assert_eq!(scene.name(&saved), "a");
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

#[tokio::test]
async fn every_output_is_a_file_of_its_own() {
    let scene = Scene::new();
    let record = scene.made_two(1, "1").await;
    let saved = scene.save(1, "a", &record).await;
    let path = |file: &str| scene.folder.path().join(file);
    assert_eq!(saved.files, [path("a.png"), path("a.mask.1.tiff")]);
    let files = ["a.json", "a.mask.1.tiff", "a.png", "a.svg"];
    assert_eq!(scene.files(), files);
    let story: serde_json::Value = serde_json::from_str(&scene.read("a.json")).expect("JSON");
    assert_eq!(story["file"], "a.png");
    let beside = serde_json::json!({"picture": "a.png", "mask.1": "a.mask.1.tiff"});
    assert_eq!(story["files"], beside);
    assert_eq!(story["labels"]["preset"], "studio");
    for file in files {
        assert!(record_file::is_ours(&path(file)), "{file}");
    }
    assert!(!record_file::is_ours(&path("a.mask.2.tiff")));

    assert!(scene.save(1, "a", &record).await.kept);
    scene.remove("a.mask.1.tiff");
    assert!(!scene.save(1, "a", &record).await.kept, "one was missing");
    assert_eq!(scene.files(), files);

    // The job came to something else: what it made before goes.
    let record = scene.made_two(1, "2").await;
    assert_eq!(scene.name(&scene.save(1, "a", &record).await), "a");
    assert_eq!(scene.read("a.png"), "picture 2");
    assert_eq!(scene.read("a.mask.1.tiff"), "mask 2");
}

#[tokio::test]
async fn no_output_is_written_over_what_a_person_left_or_changed() {
    let scene = Scene::new();
    let record = scene.made_two(1, "1").await;
    scene.write("a.mask.1.tiff", "theirs");
    assert_eq!(scene.name(&scene.save(1, "a", &record).await), "a-2");
    scene.write("a-2.mask.1.tiff", "edited");
    let saved = scene.save(1, "a", &record).await;
    assert_eq!(scene.name(&saved), "a-3");
    let changed = scene.folder.path().join("a-2.mask.1.tiff");
    assert_eq!(saved.changed, [changed]);
    // The name was taken before it was known what would be made.
    scene.write("b.json", &format!("{{\"job\": \"{}\"}}", job(1)));
    scene.write("b.mask.1.tiff", "theirs too");
    assert_eq!(scene.name(&scene.save(1, "b", &record).await), "b-2");
    assert_eq!(scene.read("a.mask.1.tiff"), "theirs");
    assert_eq!(scene.read("a-2.mask.1.tiff"), "edited");
    assert_eq!(scene.read("b.mask.1.tiff"), "theirs too");
    // Of what cannot be had, nothing is written.
    let record = scene.made_two(2, "3").await;
    let mask = &record.outputs[2].key;
    scene.store.delete(mask).await.expect("deletes");
    let refused = scene.open().save(&entry(2, "c"), &record).await;
    assert!(matches!(refused, Err(FolderError::Missing { .. })));
    assert!(!scene.files().contains(&"c.png".to_owned()));
}

#[tokio::test]
async fn an_output_does_not_take_the_place_of_the_record() {
    let scene = Scene::new();
    let mut record = scene.made(1).await;
    record.outputs.clear();
    scene
        .add_output(&mut record, 1, "report", b"{}", "json")
        .await;
    let saved = scene.save(1, "a", &record).await;
    assert_eq!(saved.files, [scene.folder.path().join("a.report.json")]);
    assert!(scene.save(1, "a", &record).await.kept);
    assert_eq!(scene.files(), ["a.json", "a.report.json"]);
}

#[tokio::test]
async fn an_output_that_is_damaged_in_the_store_does_not_reach_the_folder() {
    let scene = Scene::new();
    let record = scene.made_two(1, "1").await;
    let mask = &record.outputs[2].key;
    let put = scene.store.put(mask, "mask 2".into()).await;
    put.expect("puts");
    for _ in 0..2 {
        let refused = scene.open().save(&entry(1, "a"), &record).await;
        let reason = refused.expect_err("is damaged").into_reason();
        let reason = reason.expect("concerns this result alone");
        assert!(reason.contains(mask), "{reason}");
        assert_eq!(scene.files(), ["a.json"]);
    }
    let record = scene.made_two(1, "1").await;
    assert_eq!(scene.name(&scene.save(1, "a", &record).await), "a");
}

#[tokio::test]
async fn outputs_of_one_job_and_names_of_others_are_kept_apart() {
    let scene = Scene::new();
    let mut with_table = scene.made(1).await;
    scene
        .add_output(&mut with_table, 1, "table", b"of 1", "csv")
        .await;
    let mut table = scene.made(2).await;
    table.outputs.clear();
    scene.add_output(&mut table, 2, "all", b"of 2", "csv").await;
    for (first, second, expected) in [
        ((1, "a"), (2, "a.table"), "a.table-2.csv"),
        ((2, "b.table"), (1, "b"), "b-2.table.csv"),
    ] {
        // Found by two commands, and then by one.
        for _ in 0..2 {
            let folder = scene.open();
            for (number, name) in [first, second] {
                let record = if number == 1 { &with_table } else { &table };
                let saved = folder.save(&entry(number, name), record).await;
                assert!(saved.expect("saves").changed.is_empty(), "{name}");
            }
        }
        assert!(scene.files().contains(&expected.to_owned()));
    }
    let files = [
        "a.json",
        "a.png",
        "a.svg",
        "a.table-2.csv",
        "a.table-2.json",
        "a.table.csv",
        "b-2.json",
        "b-2.png",
        "b-2.svg",
        "b-2.table.csv",
        "b.table.csv",
        "b.table.json",
    ];
    assert_eq!(scene.files(), files);
}

#[tokio::test]
async fn outputs_that_a_job_no_longer_makes_go_unless_they_were_changed() {
    let scene = Scene::new();
    let mut record = scene.made_two(1, "1").await;
    scene
        .add_output(&mut record, 1, "notes", b"notes", "txt")
        .await;
    scene.save(1, "a", &record).await;
    scene.write("a.notes.txt", "edited");
    let mut record = scene.made_as(1, "picture 2").await;
    scene
        .add_output(&mut record, 1, "mask.1", b"mask 2", "png")
        .await;
    assert_eq!(scene.name(&scene.save(1, "a", &record).await), "a");
    let files = ["a.json", "a.mask.1.png", "a.notes.txt", "a.png", "a.svg"];
    assert_eq!(scene.files(), files);
    assert_eq!(scene.read("a.notes.txt"), "edited");
    // The same file by another role.
    record.outputs.remove(0);
    scene
        .add_output(&mut record, 1, "image", b"picture 2", "png")
        .await;
    record.outputs.reverse();
    assert_eq!(scene.name(&scene.save(1, "a", &record).await), "a kept");
    assert_eq!(scene.files(), files);
}

#[tokio::test]
async fn a_curve_that_cannot_be_drawn_does_not_cost_the_result() {
    let scene = Scene::new();
    let mut record = scene.made(1).await;
    record.outputs.truncate(1);
    let curve = serde_json::to_vec(&Curve::default()).expect("JSON");
    scene
        .add_output(&mut record, 1, Curve::ROLE, &curve, "json")
        .await;
    assert_eq!(scene.name(&scene.save(1, "a", &record).await), "a");
    assert_eq!(scene.files(), ["a.json", "a.png"]);
}

#[tokio::test]
async fn the_longest_names_have_room_for_the_longest_roles() {
    let scene = Scene::new();
    let is_plain = |name: &String| name.parse().is_ok_and(|name: Name| name.is_plain());
    let names = (1..).map(|length| "n".repeat(length));
    let name = names.take_while(is_plain).last().expect("there is one");
    for number in [1, 2] {
        let mut record = scene.made(number).await;
        scene
            .add_output(&mut record, number, &"r".repeat(32), b"it", &"e".repeat(12))
            .await;
        record.check(&job(number)).expect("is valid");
        let saved = scene.save(number, &name, &record).await;
        assert_eq!(saved.files.len(), 2);
    }
}

#[tokio::test]
async fn outputs_may_be_many_and_empty() {
    let scene = Scene::new();
    let mut record = scene.made(1).await;
    record.outputs.clear();
    for number in 0..100 {
        let role = format!("json.{number}");
        let ending = ["json", "svg", "previews"][number % 3];
        scene.add_output(&mut record, 1, &role, b"", ending).await;
    }
    record.check(&job(1)).expect("is valid");
    for kept in [false, true] {
        let saved = scene.save(1, "a", &record).await;
        assert_eq!((saved.files.len(), saved.kept), (100, kept));
        assert!(saved.files.iter().all(|file| record_file::is_ours(file)));
    }
    assert_eq!(scene.files().len(), 101);
}

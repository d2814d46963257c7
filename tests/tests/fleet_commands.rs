//! The commands of a fleet, with a real broker, a real store and real workers.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stylefleet_tests::processes::wait_until;
use stylefleet_tests::services::{Fleet, Server, Services, curl};
use stylefleet_tests::{Ended, Run, Scene, stylefleet, worker};

/// Small and quick.
const QUICK: &str = "--size 32 --scales 1 --evaluations 5";
/// As long as it takes.
const LONG: &str = "--size 64 --scales 1 --evaluations 100000 --tolerance 0";
/// How long a command may take to find out that it is set up wrongly.
const AT_ONCE: Duration = Duration::from_secs(15);

/// A folder with pictures, and a fleet whose queues are declared.
struct Stage<'a> {
    scene: Scene,
    fleet: Fleet<'a>,
}

impl<'a> Stage<'a> {
    fn of(services: &'a Services) -> Self {
        let stage = Self::undeclared(services);
        let declare = stage.command(&stage.fleet.broker, &["doctor", "--declare"]);
        Run::start(declare).end().expect_code(0);
        stage
    }

    fn undeclared(services: &'a Services) -> Self {
        let scene = Scene::with_pictures();
        scene.add_content("ship.png", 2);
        Self {
            scene,
            fleet: services.fleet(),
        }
    }

    /// `stylefleet`, with the broker at this URL; an argument may be several, parted by blanks.
    fn command(&self, broker: &str, args: &[&str]) -> Command {
        let mut command = self.scene.command(stylefleet());
        command.args(args.iter().flat_map(|arg| arg.split(' ')));
        command.envs(self.fleet.environment(broker));
        command
    }

    fn start(&self, args: &[&str]) -> Run {
        Run::start(self.command(&self.fleet.dispatcher, args))
    }

    /// Runs `stylefleet`, with a dispatcher's rights, to its end.
    fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    /// The one JSON document that a command prints.
    fn answer(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--json"]].concat());
        let text = ended.stdout.join("\n");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{}", ended.so_far()))
    }

    /// What `submit --json` says last.
    fn submit(&self, args: &[&str]) -> Value {
        let ended = self.run(&[&["submit", "--json"], args].concat());
        ended.expect_code(0).events().pop().expect("an event")
    }

    /// How many pictures of a batch are in a state.
    fn count(&self, batch: &str, state: &str) -> u64 {
        let status = self.answer(&["status", batch]);
        status["states"][state].as_u64().expect("a count")
    }

    fn worker(&self) -> Run {
        let mut command = self.scene.command(worker());
        command.arg("serve");
        command.envs(self.fleet.environment(&self.fleet.worker));
        command.env("STYLEFLEET_THREADS", "1");
        command.env("STYLEFLEET_CHECKPOINT_SECONDS", "0");
        command.env("STYLEFLEET_DEVICE", "cpu");
        Run::start(command)
    }
}

#[test]
fn what_is_submitted_twice_is_done_once() {
    let stage = Stage::of(Services::shared());
    let submit = ["boat.png ship.png --style wave.png --batch b", QUICK];
    let first = stage.submit(&submit);
    assert_eq!((&first["accepted"], &first["done"]), (&2.into(), &0.into()));
    let second = stage.submit(&submit);
    assert_eq!(
        (&second["accepted"], &second["pending"]),
        (&0.into(), &2.into())
    );
    let waiting = &stage.answer(&["queue"])["waiting"];
    assert_eq!(waiting["normal"], 2, "{waiting}");
    assert_eq!(stage.count("b", "waiting"), 2);
    let missing = stage.run(&["fetch b --out pictures"]).expect_code(1);
    assert_eq!(missing.stdout.len(), 0, "{}", missing.so_far());

    let worker = stage.worker();
    let watched = stage.run(&["watch b --json"]).expect_code(0);
    assert_eq!(watched.events_of("finished").len(), 2);
    assert_eq!(watched.events_of("summary")[0]["done"], 2);
    let late = stage.run(&["watch b --json"]).expect_code(0);
    assert_eq!(late.events_of("kept").len(), 2);
    let third = stage.submit(&submit);
    assert_eq!((&third["accepted"], &third["done"]), (&0.into(), &2.into()));

    for (fetched, kept) in [(2, 0), (0, 2)] {
        let answer = stage.answer(&["fetch b --out pictures"]);
        assert_eq!(
            (&answer["fetched"], &answer["kept"]),
            (&fetched.into(), &kept.into())
        );
    }
    let files = [
        "boat.wave.json",
        "boat.wave.png",
        "ship.wave.json",
        "ship.wave.png",
    ];
    assert_eq!(stage.scene.files("pictures"), files);
    let story = stage.scene.json("pictures/boat.wave.json");
    assert_eq!(story["labels"]["preset"], "studio");

    // Another batch of the same pictures is another name for the same jobs.
    let waited = [
        "submit boat.png --style wave.png --batch other --wait --out more",
        QUICK,
    ];
    stage.run(&waited).expect_code(0);
    let pictures = ["pictures/boat.wave.png", "more/boat.wave.png"];
    let [one, other] = pictures.map(|name| stage.scene.read(name));
    assert_eq!(one, other);
    let batches = stage.answer(&["status --all"])["batches"].clone();
    let done = |batch: &Value| batch["states"]["done"].as_u64();
    let done: Vec<_> = batches
        .as_array()
        .expect("a list")
        .iter()
        .map(done)
        .collect();
    assert_eq!(done.iter().flatten().sum::<u64>(), 3, "{batches}");

    let shown =
        "submit boat.png --style wave.png --seed 1 --preview-every 1 --curve --wait --out shown";
    stage.run(&[shown, QUICK]).expect_code(0);
    assert!(stage.scene.path("shown/boat.wave.svg").exists());
    let previews = std::fs::read_dir(stage.scene.path("shown/boat.wave.previews"));
    assert!(previews.expect("a folder").count() > 0);
    drop(worker);
}

#[test]
fn pictures_in_subfolders_are_fetched_into_subfolders_and_over_nothing() {
    let stage = Stage::of(Services::shared());
    for (folder, seed) in [
        ("photos/2024/trip", 3),
        ("photos/2025", 4),
        ("other/2025", 5),
    ] {
        std::fs::create_dir_all(stage.scene.path(folder)).expect("makes folders");
        stage.scene.add_content(&format!("{folder}/car.png"), seed);
    }
    for (folder, batch) in [("photos", "b"), ("other", "c")] {
        let submit = format!("{folder} --recursive --style wave.png --batch {batch}");
        stage.submit(&[&submit, QUICK]);
    }
    // The same pictures, from a folder of the bucket.
    for file in ["2024/trip/car.png", "2025/car.png"] {
        let path = stage.scene.path(format!("photos/{file}"));
        let url = stage.fleet.object_url(&format!("album/{file}"));
        curl(&["-T", path.to_str().expect("a plain path"), &url]);
    }
    let album = format!("{}/album/", stage.fleet.store);
    let options = format!("--style wave.png --batch d {QUICK}");
    let refused = stage.run(&["submit", &album, &options]).expect_code(1);
    let reason = "no image there; --recursive looks";
    assert!(refused.so_far().contains(reason), "{}", refused.so_far());
    stage.submit(&[&album, "--recursive", &options]);
    let names = |batch: &str| {
        let status = stage.answer(&["status --jobs", batch]);
        let jobs = status["jobs"].as_array().expect("a list").clone();
        jobs.iter()
            .map(|job| job["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("d"), names("b"));
    assert_eq!(names("d"), ["2024/trip/car.wave", "2025/car.wave"]);

    let _worker = stage.worker();
    for batch in ["b", "c"] {
        stage.run(&["watch", batch]).expect_code(0);
    }
    let status = stage.answer(&["status b/2024/trip/car.wave"]);
    assert_eq!(
        (&status["state"], &status["name"]),
        (&"done".into(), &"2024/trip/car.wave".into())
    );

    let files = |batch: &str| {
        let answer = stage.answer(&["fetch --out pictures --curve", batch]);
        let pictures = answer["results"].as_array().expect("a list").clone();
        let file = |picture: &Value| {
            let word = if picture["kept"] == true {
                "kept"
            } else {
                "fetched"
            };
            format!("{word} {}", picture["file"].as_str().expect("a path"))
        };
        pictures.iter().map(file).collect::<Vec<_>>()
    };
    assert_eq!(
        files("b"),
        [
            "fetched pictures/2024/trip/car.wave.png",
            "fetched pictures/2025/car.wave.png"
        ]
    );
    let before = stage.scene.read("pictures/2025/car.wave.png");
    assert_eq!(files("c"), ["fetched pictures/2025/car.wave-2.png"]);
    assert_eq!(
        files("b"),
        [
            "kept pictures/2024/trip/car.wave.png",
            "kept pictures/2025/car.wave.png"
        ]
    );
    assert_eq!(files("c"), ["kept pictures/2025/car.wave-2.png"]);
    assert_eq!(stage.scene.read("pictures/2025/car.wave.png"), before);

    // Somebody works on one; the batch's picture comes back beside it.
    stage.scene.write("pictures/2025/car.wave.png", "retouched");
    let shown = stage.run(&["fetch c --out pictures"]).expect_code(0);
    assert!(!shown.so_far().contains("changed"), "{}", shown.so_far());
    let shown = stage.run(&["fetch b --out pictures"]).expect_code(0);
    let note = "note     2025/car.wave: pictures/2025/car.wave.png was changed";
    assert!(shown.so_far().contains(note), "{}", shown.so_far());
    assert_eq!(
        files("b"),
        [
            "kept pictures/2024/trip/car.wave.png",
            "kept pictures/2025/car.wave-3.png"
        ]
    );
    assert_eq!(stage.scene.read("pictures/2025/car.wave.png"), b"retouched");
    assert_eq!(stage.scene.read("pictures/2025/car.wave-3.png"), before);

    // Two at once into one folder: each picture is there once, and whole.
    let fetches = ["b", "c", "b", "c"].map(|batch| stage.start(&["fetch --out shared", batch]));
    for fetch in fetches {
        fetch.end().expect_code(0);
    }
    let shared = stage.scene.files("shared/2025");
    let expected = [
        "car.wave-2.json",
        "car.wave-2.png",
        "car.wave.json",
        "car.wave.png",
    ];
    assert_eq!(shared, expected);
}

#[test]
fn running_and_queued_jobs_can_be_cancelled_and_taken_up_again() {
    let stage = Stage::of(Services::shared());
    let submit = ["boat.png ship.png --style wave.png --batch b", LONG];
    stage.submit(&submit);
    let _worker = stage.worker();
    wait_until("a job runs", || stage.count("b", "running") == 1);

    // Attached late, a watcher hears what happened before.
    let mut watch = stage.start(&["watch b --json"]);
    let started = watch.wait_for("its start", |event| event["event"] == "started");
    watch.wait_for("progress", |event| event["event"] == "progress");
    let name = started["name"].as_str().expect("a name").to_owned();
    wait_until("the queue shows its progress", || {
        let workers = stage.answer(&["queue"])["workers"].clone();
        workers[0]["job"] == started["job"] && workers[0]["progress"]["steps"].is_u64()
    });

    assert_eq!(
        stage.answer(&["cancel", &format!("b/{name}")])["cancelled"],
        1
    );
    watch.wait_for("its end", |event| event["event"] == "cancelled");
    wait_until("its worker goes on to the other", || {
        stage.count("b", "running") == 1
    });
    let status = stage.answer(&["status", &format!("b/{name}")]);
    assert_eq!(status["state"], "cancelled");
    assert!(status["checkpoint"]["bytes"].is_u64(), "{status}");
    assert_eq!(stage.answer(&["cancel b"])["cancelled"], 1);
    let ended = watch.end().expect_code(1);
    assert_eq!(ended.events_of("summary")[0]["cancelled"], 2);
    wait_until("the worker is idle", || {
        stage.answer(&["queue"])["workers"][0]["job"].is_null()
    });

    // Asked for again, they go on from where they were.
    assert_eq!(stage.submit(&submit)["accepted"], 2);
    let mut watch = stage.start(&["watch b --json"]);
    let resumed = |event: &Value| event["event"] == "started" && event["steps"].as_u64() > Some(0);
    watch.wait_for("a job that is resumed", resumed);
    watch.signal("INT");
    watch.end().expect_code(130);
    stage.run(&["cancel b"]).expect_code(0);
}

#[test]
fn a_queued_job_that_was_cancelled_is_never_begun() {
    let stage = Stage::of(Services::shared());
    stage.submit(&["boat.png --style wave.png --batch b", QUICK]);
    stage.submit(&["ship.png --style wave.png --batch b --priority low", QUICK]);
    stage.run(&["cancel b/boat.wave"]).expect_code(0);
    let _worker = stage.worker();
    let ended = stage.run(&["watch b --json"]).expect_code(1);
    let names = |kind| {
        let events = ended.events_of(kind).into_iter();
        events
            .map(|event| event["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("cancelled"), ["boat.wave"]);
    assert_eq!(names("finished"), ["ship.wave"]);
    assert!(!names("started").contains(&"boat.wave".into()));
    // That it was passed over leaves nothing behind.
    wait_until("the queue is empty", || {
        stage.answer(&["queue"])["waiting"]["normal"] == 0
    });
}

#[test]
fn people_decide_about_jobs_that_were_set_aside() {
    let stage = Stage::of(Services::shared());
    // Its header is good, the rest is missing.
    let boat = stage.scene.read("boat.png");
    stage.scene.write("torn.png", &boat[..boat.len() / 2]);
    let submit = ["torn.png boat.png --style wave.png --batch b", QUICK];
    stage.submit(&submit);
    let _worker = stage.worker();
    let ended = stage.run(&["watch b --json"]).expect_code(1);
    let failed = &ended.events_of("failed")[0];
    let reason = failed["reason"].as_str().expect("a reason");
    assert!(reason.contains("torn.png"), "{reason}");

    let list = stage.answer(&["dead list"])["dead"].clone();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list[0]["id"], failed["job"]);
    assert_eq!(list[0]["reason"], failed["reason"]);
    let id = &list[0]["id"].as_str().expect("an id")[..12];
    let shown = stage.run(&["dead show", id]).expect_code(0).stdout;
    assert!(
        shown.iter().any(|line| line.contains("b/torn.wave")),
        "{shown:?}"
    );

    // Tried anew it fails anew, and the letter is a new one.
    assert_eq!(stage.answer(&["dead retry", id])["retried"], 1);
    stage.run(&["watch b --json"]).expect_code(1);
    wait_until("it is set aside again", || {
        stage.answer(&["dead list"])["dead"][0]["letters"] == 1
    });
    assert_eq!(stage.answer(&["dead drop --batch other"])["dropped"], 0);
    assert_eq!(stage.answer(&["dead drop", id])["dropped"], 1);
    assert_eq!(
        stage.answer(&["dead list"])["dead"],
        Value::Array(Vec::new())
    );
    let gone = stage.run(&["dead retry", id]).expect_code(1);
    gone.expect_complaint(&["no job with id"]);
    assert_eq!(stage.count("b", "failed"), 1);
    assert_eq!(stage.count("b", "done"), 1);
}

#[test]
fn the_store_is_enough_for_most() {
    let services = Services::private();
    let stage = Stage::of(&services);
    stage.submit(&[
        "boat.png --style wave.png --batch a --preview-every 1",
        QUICK,
    ]);
    let worker = stage.worker();
    stage.run(&["watch a"]).expect_code(0);
    drop(worker);
    stage.submit(&["ship.png --style wave.png --batch b", QUICK]);
    let mut watch = stage.start(&["watch b --json"]);

    services.stop(Server::Broker);
    assert_eq!(stage.count("a", "done"), 1);
    assert_eq!(stage.count("b", "waiting"), 1);
    let fetch = "fetch a --out pictures --previews --curve";
    assert_eq!(stage.answer(&[fetch])["fetched"], 1);
    assert!(stage.scene.path("pictures/boat.wave.svg").exists());
    // The first is always kept; those after it only where the store keeps up.
    let previews = std::fs::read_dir(stage.scene.path("pictures/boat.wave.previews"));
    assert!(previews.expect("a folder").count() > 0);
    let refused = stage.run(&["submit boat.png --style wave.png --batch c", QUICK]);
    refused.expect_complaint(&["cannot be reached"]);
    let blind = stage.start(&["watch b --json"]);
    assert_eq!(stage.answer(&["cancel b"])["cancelled"], 1);
    // Those that were there before the broker went, and those that came after.
    watch.wait_for("the end", |event| event["event"] == "cancelled");
    watch.end().expect_code(1);
    let blind = blind.end().expect_code(1);
    assert_eq!(blind.events_of("summary")[0]["cancelled"], 1);
    services.start(Server::Broker);
    // Its queues come up one after the other.
    wait_until("the broker is all there", || {
        stage.run(&["queue"]).status.success()
    });
    assert_eq!(stage.answer(&["queue"])["waiting"]["normal"], 1);
}

#[test]
fn what_is_set_up_wrongly_is_said_in_one_line_at_once() {
    let services = Services::shared();
    let stage = Stage::of(services);
    let undeclared = Stage::undeclared(services);
    let good = &stage.fleet.dispatcher;
    let (login, place) = good.rsplit_once('@').expect("a URL");
    let (user, password) = login.rsplit_once(':').expect("a password");
    let wrong_password = format!("{user}:mistaken@{place}");
    let wrong_vhost = format!("{good}-not");
    let submit = "submit boat.png --style wave.png --batch b";
    let cases: [(&str, &str, &str, i32, &[&str]); 14] = [
        (
            &wrong_password,
            "",
            submit,
            1,
            &["refuses the login", "check user"],
        ),
        (
            &wrong_vhost,
            "",
            "queue",
            1,
            &["refuses the login", "vhost"],
        ),
        (
            "amqp://a:mistaken@127.0.0.1:1/v",
            "",
            "queue",
            1,
            &["cannot be reached"],
        ),
        (
            "http://a:mistaken@b",
            "",
            "queue",
            2,
            &["STYLEFLEET_BROKER", "amqp://user"],
        ),
        (
            "",
            "",
            "watch b",
            2,
            &["no broker is named", "STYLEFLEET_BROKER"],
        ),
        (
            &undeclared.fleet.dispatcher,
            "",
            submit,
            1,
            &["is missing", "doctor --declare"],
        ),
        (&stage.fleet.worker, "", "dead list", 1, &["no right to"]),
        (
            good,
            "STYLEFLEET_STORE=",
            "status",
            2,
            &["no store is named", "STYLEFLEET_STORE"],
        ),
        (
            good,
            "STYLEFLEET_STORE=ftp://a",
            "status",
            2,
            &["STYLEFLEET_STORE", "ftp://a"],
        ),
        (
            good,
            "STYLEFLEET_STORE=s3://not-there",
            submit,
            1,
            &["no bucket \"not-there\""],
        ),
        (
            good,
            "AWS_SECRET_ACCESS_KEY=mistaken",
            "status",
            1,
            &["AWS_SECRET_ACCESS_KEY"],
        ),
        (
            good,
            "AWS_ACCESS_KEY_ID=mistaken",
            "fetch b --out x",
            1,
            &["AWS_ACCESS_KEY_ID"],
        ),
        (good, "STYLEFLEET_CA=none.pem", "status", 2, &["none.pem"]),
        (
            good,
            "",
            "status not-there",
            1,
            &["no batch not-there", "stylefleet status"],
        ),
    ];
    for (broker, setting, command, code, parts) in cases {
        let mut command = stage.command(broker, &[command]);
        if let Some((name, value)) = setting.split_once('=') {
            command.env(name, value);
        }
        let begun = Instant::now();
        let ended = Run::start(command).end().expect_code(code);
        assert!(begun.elapsed() < AT_ONCE, "{}", ended.so_far());
        ended.expect_complaint(parts);
        assert_eq!(ended.stdout.len(), 0, "{}", ended.so_far());
        for secret in [password, "mistaken@"] {
            assert!(!ended.so_far().contains(secret), "{}", ended.so_far());
        }
    }
    // A store that is away may be back soon; why it cannot be reached is said at once.
    let mut command = stage.command(good, &["status"]);
    command.env("STYLEFLEET_S3_ENDPOINT", "http://127.0.0.1:1");
    let mut run = Run::start(command);
    run.wait_for_line("cannot reach http://127.0.0.1:1");
    run.signal("INT");
    run.end().expect_code(130);
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let stage = Stage::of(Services::shared());
    let report = stage.answer(&["doctor"]);
    let problems = |report: &Value| {
        let findings = report["findings"].as_array().expect("a list").clone();
        let is_problem = |finding: &Value| finding["verdict"] == "problem";
        findings.into_iter().filter(is_problem).collect::<Vec<_>>()
    };
    assert_eq!(problems(&report), Vec::<Value>::new());
    for of in ["store", "broker", "workers", "clocks", "ffmpeg"] {
        assert!(report.to_string().contains(of), "{report}");
    }

    let mut command = stage.command("amqp://a:mistaken@127.0.0.1:1/v", &["doctor --json"]);
    command.env("STYLEFLEET_STORE", "s3://not-there");
    command.env("PATH", "/nowhere");
    let ended = Run::start(command).end().expect_code(1);
    let report = serde_json::from_str(&ended.stdout.join("\n")).expect("JSON");
    let [store, broker] = &problems(&report)[..] else {
        panic!("not two problems: {report}");
    };
    assert!(store["text"].to_string().contains("not-there"), "{store}");
    assert!(
        broker["text"].to_string().contains("cannot be reached"),
        "{broker}"
    );
    let ffmpeg = report["findings"].as_array().expect("a list").last();
    let ffmpeg = ffmpeg.expect("is looked for");
    assert_eq!(
        (&ffmpeg["of"], &ffmpeg["verdict"]),
        (&json!("ffmpeg"), &json!("remark"))
    );
    let text = ffmpeg["text"].to_string();
    assert!(
        text.contains("no videos from here") && text.contains("package `ffmpeg`"),
        "{text}"
    );
    assert!(!ended.so_far().contains("mistaken"), "{}", ended.so_far());
}

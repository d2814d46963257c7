//! The dashboard's API over a real fleet: what it tells, what it does, and whom it refuses.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use prost::Message;
use serde_json::{Value, json};
use stylefleet_proto::queues::PROGRESS;
use stylefleet_proto::{Event, JobId, Memory, Progress, Pulse, wire};
use stylefleet_tests::amqp;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::{peak_memory, wait_until};
use stylefleet_tests::services::Services;
use stylefleet_tests::{Run, Scene, stylefleet};
use tokio::runtime::Runtime;
use tokio::time::interval;

/// Over in a moment.
const SHORT: &str = "--style wave.png --size 16 --scales 1 --evaluations 2";
/// Never over, unless somebody cancels it.
const ENDLESS: &str = "--style wave.png --size 32 --scales 1 --evaluations 100000 --optimizer adam";
/// What people give a token.
const TOKEN: &str = "correct horse battery";

/// An answer.
struct Answer {
    code: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        let json = serde_json::from_slice(&self.body);
        json.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().expect("an error").to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines();
        lines.find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Asks with curl, without the niceties of a library: paths are sent as they are.
fn ask(url: &str, args: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["-sS", "-i", "--path-as-is", "--max-time", "20", url]);
    let output = command.args(args).output().expect("curl runs");
    assert!(output.status.success(), "{url}: {output:?}");
    let end = output
        .stdout
        .windows(4)
        .position(|four| four == b"\r\n\r\n");
    let (head, body) = output.stdout.split_at(end.expect("has a head") + 4);
    let headers = String::from_utf8_lossy(head).into_owned();
    let code = headers.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        code: code.expect("a status"),
        headers,
        body: body.to_owned(),
    }
}

fn get(url: &str) -> Answer {
    ask(url, &[])
}

const JSON: &str = "Content-Type: application/json";
const ACTION: &str = "X-Stylefleet: 1";

fn post(url: &str, body: &Value) -> Answer {
    ask(url, &["-H", JSON, "-H", ACTION, "-d", &body.to_string()])
}

/// A dashboard, and its address.
fn open(mut command: Command, change: impl FnOnce(&mut Command)) -> (Run, String) {
    change(&mut command);
    let mut run = Run::start(command);
    let url = run.wait_for_output();
    (run, url)
}

fn dashboard(workshop: &Workshop, change: impl FnOnce(&mut Command)) -> (Run, String) {
    open(
        workshop.command(&["dashboard --listen 127.0.0.1:0"]),
        change,
    )
}

/// The address at which a run shows itself.
fn page_of(run: &mut Run) -> String {
    let line = run.wait_for_line("http://");
    let address = line.split_whitespace().last();
    address.expect("an address").to_owned()
}

/// Waits until what the address says is as wanted.
fn wait_for(url: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, || {
        let answer = get(url);
        answer.code == 200 && is_so(&answer.json())
    });
    get(url).json()
}

/// Server-sent events, as they come.
struct Listener {
    curl: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Listener {
    fn new(url: &str) -> Self {
        let mut command = Command::new("curl");
        command
            .args(["-sSN", "--max-time", "120", url])
            .stdout(Stdio::piped());
        let mut curl = command.spawn().expect("curl runs");
        let lines = BufReader::new(curl.stdout.take().expect("is piped")).lines();
        Self { curl, lines }
    }

    /// The next event of that name that is as wanted.
    fn wait_for(&mut self, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.next_line();
            if line != format!("event: {name}") {
                continue;
            }
            let data = self.next_line();
            let data = data.strip_prefix("data: ").expect("data follow the name");
            let data = serde_json::from_str(data).expect("JSON");
            if is_wanted(&data) {
                return data;
            }
        }
    }

    fn next_line(&mut self) -> String {
        let line = self.lines.next().expect("it goes on");
        line.expect("is text")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

#[test]
fn it_tells_what_the_fleet_does_as_it_does_it() {
    let workshop = Workshop::new(Services::shared());
    let (shown, url) = dashboard(&workshop, |_| {});
    let mut events = Listener::new(&format!("{url}api/events?batch=nightly"));
    events.wait_for("fleet", |fleet| fleet["batches"] == 0);
    let batch = ["boat.png", "car.png", SHORT, "--batch", "nightly"];
    workshop.submit(&batch);
    events.wait_for("batch", |batch| batch["states"]["waiting"] == 2);
    let worker = workshop.start_worker(&[]);
    events.wait_for("result", |result| {
        result["name"] == "boat.wave" && result["state"] == "done"
    });
    wait_for(&format!("{url}api/batches/nightly"), "the end", |batch| {
        batch["states"]["done"] == 2
    });
    let workers = wait_for(&format!("{url}api/workers"), "a worker", |workers| {
        workers["total"] == 1
    });
    assert_eq!(workers["workers"][0]["device"], "cpu");

    let results = get(&format!(
        "{url}api/batches/nightly/results?state=done&q=BOAT"
    ))
    .json();
    assert_eq!(results["total"], 1);
    let result = &results["results"][0];
    assert_eq!(result["kind"], "stylize");
    assert_eq!(result["labels"], json!({"preset": "studio"}));
    let id = result["job"].as_str().expect("an id");
    assert_eq!(
        get(&format!("{url}api/search?q={}", &id[..12])).json()["total"],
        1
    );

    let job = get(&format!("{url}api/jobs/{id}")).json();
    assert_eq!(job["state"], "done");
    assert_eq!(job["names"][0]["batch"], "nightly");
    let what: Vec<_> = job["diary"].as_array().expect("entries").iter().collect();
    let what: Vec<_> = what.iter().map(|entry| entry["what"].as_str()).collect();
    assert_eq!(what, [Some("started"), Some("finished")]);
    let inputs: Vec<_> = job["inputs"].as_array().expect("inputs").iter().collect();
    let roles: Vec<_> = inputs.iter().map(|input| input["role"].as_str()).collect();
    assert_eq!(roles, [Some("content"), Some("style.1")]);
    let curve = get(&format!("{url}api/jobs/{id}/curve")).json();
    let points = curve["steps"].as_array().expect("steps").len();
    for term in ["loss", "loss.content", "loss.conv1_1", "loss.tv"] {
        let values = curve["figures"][term].as_array();
        assert_eq!(values.map(Vec::len), Some(points), "{term}");
    }

    let picture = get(&format!("{url}api/jobs/{id}/outputs/picture"));
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert!(picture.body.starts_with(b"\x89PNG"));
    let part = ask(
        &format!("{url}api/jobs/{id}/outputs/picture"),
        &["-H", "Range: bytes=1-3"],
    );
    assert_eq!((part.code, &part.body[..]), (206, &b"PNG"[..]));
    for small in [
        "thumbnail?side=64",
        "outputs/picture?side=64",
        "inputs/content?side=64",
    ] {
        let small = get(&format!("{url}api/jobs/{id}/{small}"));
        assert_eq!(small.header("content-type"), Some("image/jpeg"));
        assert!(small.body.starts_with(b"\xff\xd8"));
    }
    worker.signal("TERM");
    worker.end().expect_code(0);
    shown.signal("TERM");
    shown.end().expect_code(130);

    // Or they come from the store itself, by addresses that expire.
    let (_sparing, url) = dashboard(&workshop, |command| {
        command.arg("--pictures-from-store");
    });
    let picture = get(&format!("{url}api/jobs/{id}/outputs/picture"));
    assert_eq!(picture.code, 307);
    let address = picture.header("location").expect("an address");
    assert!(get(address).body.starts_with(b"\x89PNG"));
    let origin = address.split('/').take(3).collect::<Vec<_>>().join("/");
    let page = get(&url);
    let policy = page.header("content-security-policy").expect("a policy");
    let pictures = format!("img-src 'self' blob: data: {origin};");
    assert!(policy.contains(&pictures), "{policy}");
}

#[test]
fn jobs_are_cancelled_and_those_set_aside_are_tried_again() {
    let workshop = Workshop::new(Services::shared());
    let (_dashboard, url) = dashboard(&workshop, |_| {});
    assert_eq!(get(&format!("{url}api/batches/endless")).code, 404);
    let boat = workshop.scene.read("boat.png");
    workshop.scene.write("torn.png", &boat[..boat.len() / 2]);
    workshop.submit(&["torn.png", SHORT, "--batch bad"]);
    workshop.submit(&["boat.png car.png", ENDLESS, "--batch endless"]);
    // It is known at once to whoever asks for it by name.
    let endless = get(&format!("{url}api/batches/endless"));
    assert_eq!((endless.code, &endless.json()["results"]), (200, &json!(2)));
    let _worker = workshop.start_worker(&[]);
    let results = format!("{url}api/batches/bad/results");
    let failed = wait_for(&results, "a failure", |found| {
        found["results"][0]["state"] == "failed"
    });
    let reason = failed["results"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("torn.png"), "{reason}");
    let dead = get(&format!("{url}api/dead")).json();
    assert_eq!(dead["dead"][0]["batch"], "bad");
    let id = dead["dead"][0]["id"].as_str().expect("an id");
    for (body, message) in [
        (json!({}), "exactly one of ids, batch and all"),
        (
            json!({"all": true, "batch": "bad"}),
            "exactly one of ids, batch and all",
        ),
        (json!({"ids": ["0123"]}), "is no id"),
        (json!({"batch": "../x"}), "batch"),
    ] {
        let refused = post(&format!("{url}api/dead/retry"), &body);
        assert_eq!(refused.code, 400, "{body}");
        assert!(refused.error().contains(message), "{}", refused.error());
    }

    // One at work, one waiting: only the latter is cancelled, and the worker goes on.
    let endless = format!("{url}api/batches/endless");
    wait_for(&endless, "work", |batch| batch["states"]["running"] == 1);
    let body = json!({"batch": "endless", "only_waiting": true});
    let cancelled = post(&format!("{url}api/cancel"), &body).json();
    assert_eq!(cancelled, json!({"cancelled": 1, "over": 0}));
    let states = get(&endless).json()["states"].clone();
    assert_eq!(
        (&states["running"], &states["cancelled"]),
        (&json!(1), &json!(1))
    );
    let cancelled = post(&format!("{url}api/cancel"), &json!({"batch": "endless"})).json();
    assert_eq!(cancelled, json!({"cancelled": 1, "over": 1}));

    let retried = post(&format!("{url}api/dead/retry"), &json!({"ids": [&id[..8]]})).json();
    assert_eq!(retried["retried"], 1);
    // The worker is free again, and fails once more.
    wait_until("another failure", || {
        let dead = get(&format!("{url}api/dead")).json();
        dead["dead"].as_array().is_some_and(|dead| dead.len() == 1)
    });
    let dropped = post(&format!("{url}api/dead/drop"), &json!({"batch": "bad"})).json();
    assert_eq!(dropped["dropped"], 1);
    assert_eq!(get(&format!("{url}api/dead")).json(), json!({"dead": []}));
}

#[test]
fn pictures_are_submitted() {
    let workshop = Workshop::new(Services::shared());
    let (_dashboard, url) = dashboard(&workshop, |_| {});
    let send = |file: &str, name: &str| {
        let file = format!("@{}", workshop.scene.path(file).display());
        let url = format!("{url}api/images?name={name}");
        let bytes = "Content-Type: application/octet-stream";
        ask(&url, &["-H", ACTION, "-H", bytes, "--data-binary", &file])
    };
    let boat = send("boat.png", "..%2Fboat%0A.png").json();
    assert_eq!(boat["name"], "boat_.png");
    assert!(boat["width"].as_u64() > Some(1));
    let wave = send("wave.png", "wave.png").json();
    workshop.scene.write("text.png", "no image");
    let refused = send("text.png", "text.png");
    assert_eq!(refused.code, 400);
    assert!(
        refused.error().starts_with("text.png"),
        "{}",
        refused.error()
    );

    let picked = |image: &Value| json!([{"sha256": image["sha256"], "name": image["name"]}]);
    let wish = |change: &dyn Fn(&mut Value)| {
        let mut wish = json!({
            "name": "dropped",
            "contents": picked(&boat),
            "styles": picked(&wave),
            "parameters": {"size": "16", "scales": "1", "evaluations": "2"},
            "priority": "high",
        });
        change(&mut wish);
        post(&format!("{url}api/batches"), &wish)
    };
    for (change, message) in [
        (
            &(|w: &mut Value| w["parameters"]["size"] = json!("0")) as &dyn Fn(&mut Value),
            "size",
        ),
        (
            &|w| w["parameters"]["sise"] = json!("1"),
            "there is no parameter sise",
        ),
        (
            &|w| w["parameters"]["init"] = json!("/etc/hostname"),
            "init: is no image",
        ),
        (&|w| w["preset"] = json!("monet"), "monet"),
        (&|w| w["name"] = json!("../x"), "batch"),
        (&|w| w["priority"] = json!("now"), "priority"),
        (&|w| w["contents"] = json!([]), "name contents and styles"),
        (
            &|w| w["styles"][0]["sha256"] = json!("0".repeat(64)),
            "is not in the store",
        ),
        (
            &|w| w["styles"][0]["sha256"] = json!("../identity"),
            "sha256: is not",
        ),
    ] {
        let refused = wish(change);
        assert_eq!(refused.code, 400, "{message}");
        assert!(refused.error().contains(message), "{}", refused.error());
    }
    let submitted = wish(&|_| ()).json();
    assert_eq!(submitted["batch"], "dropped");
    assert_eq!(submitted["accepted"], 1);
    assert_eq!(wish(&|_| ()).json()["accepted"], 0, "it is the same job");
    let _worker = workshop.start_worker(&[]);
    let watched = workshop.watch("dropped").end().expect_code(0);
    assert_eq!(watched.events_of("finished")[0]["name"], "boat_.wave");
}

/// The pulse of a worker that is at the job of this number.
fn pulse(number: u64, steps: u64) -> Vec<u8> {
    let worker = format!("worker-{number:04}");
    let progress = Event {
        job: job_of(number),
        worker: worker.clone(),
        attempt: 1,
        unix_millis: 1_790_000_000_000 + 1000 * steps,
        kind: Progress {
            phase: "scale 1/1, 512x384".to_owned(),
            done: steps,
            total: 1000,
            unit: "evaluations".to_owned(),
            steps,
            figures: [("loss".to_owned(), 1.0)].into(),
            seconds_left: None,
        },
    };
    let pulse = Pulse {
        worker,
        device: "cuda:0".to_owned(),
        progress: Some(progress),
        store: None,
        memory: Some(Memory { used: 2, size: 3 }),
    };
    wire::Pulse::from(pulse).encode_to_vec()
}

fn job_of(number: u64) -> JobId {
    format!("{number:064x}").parse().expect("an id")
}

/// Has so many workers tell every second that they live, for as long as this is polled.
async fn be_workers(broker: String, workers: u64) {
    let channel = amqp::connect(&broker).await;
    let mut seconds = interval(Duration::from_secs(1));
    for steps in 1.. {
        seconds.tick().await;
        for number in 1..=workers {
            let (options, properties) =
                (BasicPublishOptions::default(), BasicProperties::default());
            let body = pulse(number, steps);
            let sent =
                channel.basic_publish(PROGRESS.into(), "".into(), options, &body, properties);
            sent.await.expect("sends");
        }
    }
}

/// How long the server takes to answer, in milliseconds: the middle of several times.
fn milliseconds(url: &str) -> f64 {
    let time = || -> f64 {
        let args = [
            "-sS",
            "--fail",
            "-o",
            "/dev/null",
            "-w",
            "%{time_total}",
            url,
        ];
        let output = Command::new("curl").args(args).output().expect("curl runs");
        let seconds = String::from_utf8(output.stdout).expect("text");
        1000.0 * seconds.parse::<f64>().expect("a number")
    };
    let mut times: Vec<_> = (0..21).map(|_| time()).collect();
    times.sort_by(f64::total_cmp);
    times[10]
}

#[test]
fn a_thousand_workers_at_a_hundred_thousand_jobs_are_shown() {
    let workshop = Workshop::new(Services::shared());
    let entry = |number| json!({"job": job_of(number), "name": format!("picture-{number}")});
    let jobs: Vec<_> = (1..=100_000).rev().map(entry).collect();
    let manifest = json!({"batch": "huge", "jobs": jobs, "unix_seconds": 1_790_000_000});
    workshop.scene.write("manifest.json", manifest.to_string());
    let key = "batches/huge/01790000000000-0000000000000001.manifest.json";
    workshop.put(key, &workshop.scene.path("manifest.json"));
    let (dashboard, url) = dashboard(&workshop, |_| {});
    let runtime = Runtime::new().expect("a runtime");
    runtime.spawn(be_workers(workshop.fleet.worker.clone(), 1000));

    let workers = format!("{url}api/workers");
    let all = wait_for(&format!("{workers}?limit=1000"), "all workers", |found| {
        let shown = found["workers"].as_array().expect("a list");
        shown.len() == 1000 && shown.iter().all(|worker| worker["result"].is_string())
    });
    assert_eq!(all["total"], 1000);
    let worker = &all["workers"][41];
    for (field, value) in [
        ("name", json!("worker-0042")),
        ("batch", json!("huge")),
        ("result", json!("picture-42")),
        ("memory_bytes", json!(2)),
        ("memory_size_bytes", json!(3)),
    ] {
        assert_eq!(worker[field], value, "{worker}");
    }
    let fleet = get(&format!("{url}api/fleet")).json();
    assert_eq!(
        (&fleet["workers"], &fleet["busy"]),
        (&json!(1000), &json!(1000))
    );
    assert_eq!(fleet["jobs"]["running"], 1000);
    // It said that it got ahead within the last seconds.
    assert_eq!(fleet["stuck"], 0);
    let found = get(&format!("{workers}?q=worker-00&limit=10")).json();
    assert_eq!(found["total"], 99);

    for path in [
        "",
        "api/batches",
        "api/batches/huge/results",
        "api/workers",
        "api/workers?limit=1000",
        "metrics",
    ] {
        println!("{path:?}: {:.1} ms", milliseconds(&format!("{url}{path}")));
    }
    let memory = peak_memory(dashboard.id());
    println!("memory: at most {:.0} MB", memory as f64 / 1e6);
    assert!(memory < 150_000_000, "{memory} bytes");
}

#[test]
fn only_those_are_let_in_who_may() {
    let workshop = Workshop::new(Services::shared());
    workshop.submit(&["boat.png", SHORT, "--batch nightly"]);
    // Anyone on this machine, but no site of another name, and none that only pretends.
    let (_dashboard, url) = dashboard(&workshop, |_| {});
    let cancel = format!("{url}api/cancel");
    let body = json!({"batch": "nightly"}).to_string();
    for (headers, message) in [
        (&["-H", "Host: stylefleet.evil.example"][..], "--host"),
        (&["-H", JSON, "-d", &body], "X-Stylefleet"),
        (
            &[
                "-H",
                JSON,
                "-H",
                ACTION,
                "-H",
                "Origin: http://evil.example",
                "-d",
                &body,
            ],
            "another",
        ),
        (
            &["-H", JSON, "-H", ACTION, "-H", "Origin: null", "-d", &body],
            "another",
        ),
    ] {
        let refused = ask(&cancel, headers);
        assert_eq!(refused.code, 403, "{headers:?}");
        assert!(refused.error().contains(message), "{}", refused.error());
    }
    let page = get(&url);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    for path in [
        "../../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/x",
        "api/jobs/../x",
    ] {
        let code = get(&format!("{url}{path}")).code;
        assert!([400, 404].contains(&code), "{path}: {code}");
    }

    // With a token.
    let (_guarded, url) = dashboard(&workshop, |command| {
        command.env("STYLEFLEET_DASHBOARD_TOKEN", TOKEN);
    });
    let fleet = get(&format!("{url}api/fleet")).json();
    assert_eq!(
        fleet["may"],
        json!({"read": false, "act": false, "submit": false})
    );
    assert!(fleet.get("jobs").is_none(), "{fleet}");
    for path in [
        "api/batches",
        "api/events",
        "api/dead",
        "api/options",
        "api/history",
        "metrics",
    ] {
        assert_eq!(get(&format!("{url}{path}")).code, 401, "{path}");
    }
    let cancel = format!("{url}api/cancel");
    assert_eq!(post(&cancel, &json!({"batch": "nightly"})).code, 401);
    let session = format!("{url}api/session");
    assert_eq!(
        post(&session, &json!({"token": "wrong horse battery"})).code,
        401
    );
    let logged_in = post(&session, &json!({"token": TOKEN}));
    let cookie = logged_in.header("set-cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().expect("a value"));
    assert!(!cookie.contains("horse"), "{cookie}");
    let batches = format!("{url}api/batches");
    assert_eq!(ask(&batches, &["-H", &cookie]).code, 200);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(ask(&batches, &["-H", &bearer]).code, 200);
    assert_eq!(
        ask(&batches, &["-H", "Cookie: stylefleet-session="]).code,
        401
    );

    // Reading may be free.
    let (_open, url) = dashboard(&workshop, |command| {
        command
            .env("STYLEFLEET_DASHBOARD_TOKEN", TOKEN)
            .arg("--read-without-token");
    });
    for path in ["api/batches", "metrics"] {
        assert_eq!(get(&format!("{url}{path}")).code, 200, "{path}");
    }
    assert_eq!(
        post(&format!("{url}api/cancel"), &json!({"batch": "nightly"})).code,
        401
    );
    assert_eq!(workshop.ask(&["status nightly"])["states"]["cancelled"], 0);
}

#[test]
fn who_could_be_reached_by_all_needs_a_token() {
    let workshop = Workshop::new(Services::shared());
    let command = workshop.command(&["dashboard --listen 0.0.0.0:0"]);
    let ended = Run::start(command).end().expect_code(2);
    ended.expect_complaint(&["could be used by anyone", "STYLEFLEET_DASHBOARD_TOKEN"]);
    let mut command = workshop.command(&["dashboard"]);
    command.env("STYLEFLEET_DASHBOARD_TOKEN", "short");
    let ended = Run::start(command).end().expect_code(2);
    ended.expect_complaint(&["too short", "openssl rand"]);
}

#[test]
fn behind_a_proxy_all_is_below_its_path() {
    let workshop = Workshop::new(Services::shared());
    let (_dashboard, url) = dashboard(&workshop, |command| {
        command.args(["--base-path", "/fleet/night", "--host", "studio.example"]);
    });
    assert!(url.ends_with("/fleet/night/"), "{url}");
    let page = String::from_utf8(get(&url).body).expect("text");
    assert!(page.contains(r#"<base href="/fleet/night/">"#), "{page}");
    assert_eq!(get(&format!("{url}api/fleet")).code, 200);
    assert_eq!(get(&format!("{url}style.css")).code, 200);
    let known = ask(&format!("{url}api/fleet"), &["-H", "Host: studio.example"]);
    assert_eq!(known.code, 200);
    let root = url.strip_suffix("fleet/night/").expect("ends so");
    assert_eq!(get(&format!("{root}api/fleet")).code, 404);
    let bare = get(url.trim_end_matches('/'));
    assert_eq!(bare.header("location"), Some("/fleet/night/"));
}

#[test]
fn a_run_shows_itself_and_its_folder_later() {
    let scene = Scene::with_pictures();
    let mut command = scene.run_command(&["boat.png", ENDLESS, "--dashboard=127.0.0.1:0"]);
    command.arg("--preview-every").arg("5");
    let mut run = Run::start(command);
    let url = page_of(&mut run);
    let batches = wait_for(&format!("{url}api/batches"), "the batch", |batches| {
        batches["batches"][0]["states"]["running"] == 1
    });
    let batch = batches["batches"][0]["batch"]
        .as_str()
        .expect("a name")
        .to_owned();
    let results = format!("{url}api/batches/{batch}/results");
    let results = wait_for(&results, "a preview", |found| {
        found["results"][0]["preview"].is_string()
    });
    let preview = results["results"][0]["preview"].as_str().expect("a path");
    let preview = format!("{url}{preview}");
    assert_eq!(get(&preview).header("content-type"), Some("image/jpeg"));
    let part = ask(&preview, &["-H", "Range: bytes=0-3"]);
    assert_eq!((part.code, part.body.len()), (206, 4));
    let workers = wait_for(&format!("{url}api/workers"), "its memory", |workers| {
        workers["workers"][0]["memory_bytes"].is_u64()
    });
    let worker = &workers["workers"][0];
    assert_eq!(worker["device"], "cpu");
    assert!(worker["memory_size_bytes"].as_u64() > worker["memory_bytes"].as_u64());
    // Somebody who looks on does not keep it from ending.
    let _listener = Listener::new(&format!("{url}api/events"));
    let cancelled = post(&format!("{url}api/cancel"), &json!({"batch": batch})).json();
    assert_eq!(cancelled["cancelled"], 1);
    run.end().expect_code(1);

    let mut later = scene.command(stylefleet());
    later.args(["dashboard", "--folder", "out", "--listen", "127.0.0.1:0"]);
    let (_dashboard, url) = open(later, |_| {});
    let batch = wait_for(&format!("{url}api/batches/{batch}"), "the batch", |_| true);
    assert_eq!(batch["states"]["cancelled"], 1);
}

#[test]
fn an_interrupted_run_ends_though_somebody_looks_on() {
    let scene = Scene::with_pictures();
    let command = scene.run_command(&["boat.png", ENDLESS, "--dashboard=127.0.0.1:0"]);
    let mut run = Run::start(command);
    let url = page_of(&mut run);
    let mut listener = Listener::new(&format!("{url}api/events"));
    listener.wait_for("fleet", |fleet| fleet["jobs"]["running"] == 1);
    run.signal("INT");
    run.end().expect_code(130);
}

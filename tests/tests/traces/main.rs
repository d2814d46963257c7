//! Traces and logs of a real fleet: what a collector gets, and what stands in each line.

mod collector;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use stylefleet_tests::fleet::{Workshop, started};
use stylefleet_tests::services::Services;
use stylefleet_tests::{Ended, Programs, Run};

use collector::{Collector, Span};

/// Two scales, over in a moment.
const SHORT: &str = "--style wave.png --size 64 --scales 2 --coarse-evaluations 3 --evaluations 3 \
                     --precision f32";
/// The trace that commands are started in, and the span.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A workshop, and a collector that its commands and workers export to.
struct Traced {
    workshop: Workshop<'static>,
    collector: Collector,
}

impl Traced {
    fn new(programs: Programs) -> Self {
        Self {
            workshop: Workshop::of(Services::shared(), programs),
            collector: Collector::start(),
        }
    }

    /// Has a command of `stylefleet` succeed, within a trace.
    fn ask(&self, args: &[&str]) -> Value {
        let mut command = self.workshop.command(args);
        let (name, url) = self.collector.variable();
        command.arg("--json").env(name, url);
        command.env("TRACEPARENT", format!("00-{TRACE}-{CALLER}-01"));
        command.env("TRACESTATE", "shop=4");
        let ended = Run::start(command).end().expect_code(0);
        serde_json::from_str(&ended.stdout.concat()).expect("JSON")
    }

    /// Starts a worker that exports, and logs JSON.
    fn start_worker(&self, settings: &[(&str, &str)]) -> Run {
        let mut command = self.workshop.worker();
        let (name, url) = self.collector.variable();
        command.env(name, url).env("STYLEFLEET_LOG_FORMAT", "json");
        command.envs(settings.iter().copied());
        started(command)
    }
}

/// Has a worker end, with all that it has to export.
fn stop(worker: Run) -> Ended {
    worker.signal("TERM");
    worker.end().expect_code(0)
}

/// The only span of that name.
fn only(spans: &[Span]) -> &Span {
    let [span] = spans else {
        panic!("not one span but {spans:#?}");
    };
    span
}

/// That a span is linked to another, and to that alone.
fn expect_link(span: &Span, to: &Span) {
    let link = (to.trace.clone(), to.id.clone());
    assert_eq!(span.links, [link], "{span:#?}");
}

/// The lines about jobs, as objects.
fn lines_about_jobs(ended: &Ended) -> Vec<Value> {
    let lines = ended.stderr.iter();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON, all of it"));
    lines.filter(|line| line.get("job").is_some()).collect()
}

#[test]
fn one_trace_leads_from_the_submit_through_each_stage() {
    let traced = Traced::new(Programs::standard());
    let submitted = traced.ask(&["submit boat.png --batch nightly", SHORT]);
    assert_eq!(submitted["accepted"], 1);
    let worker = traced.start_worker(&[("STYLEFLEET_LOG", "stylefleet=trace")]);
    let done = traced.workshop.watch("nightly").end().expect_code(0);
    let job = done.events_of("finished")[0]["job"].clone();
    let log = stop(worker);

    let spans = traced.collector.spans();
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    let named = |name| traced.collector.named(name);
    let of = |name| only(&named(name)).clone();
    let [submit, publish, attempt] = ["submit", "publish", "attempt"].map(of);
    assert_eq!(submit.parent, CALLER);
    assert_eq!(publish.parent, submit.id);
    assert_eq!(attempt.parent, publish.id);
    assert_eq!(
        (submit.service, &*attempt.service),
        ("stylefleet".to_owned(), "stylefleet-worker")
    );
    assert_eq!(
        (publish.kind, attempt.kind),
        (SpanKind::Producer, SpanKind::Consumer)
    );
    for (name, value) in [
        ("batch", "nightly"),
        ("result", "boat.wave"),
        ("job", job.as_str().expect("an id")),
        ("kind", "stylize"),
        ("attempt", "1"),
        ("outcome", "finished"),
    ] {
        assert_eq!(
            attempt.attributes.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
    assert!(
        !attempt.has_failed && attempt.links.is_empty(),
        "{attempt:#?}"
    );

    let stages = ["prepare", "fetch", "wait", "compute", "upload", "settle"].map(of);
    for pair in stages.windows(2) {
        assert!(pair[0].time[1] <= pair[1].time[0], "{pair:#?}");
    }
    for stage in &stages {
        assert_eq!(stage.parent, attempt.id, "{stage:#?}");
        assert!(attempt.time[0] <= stage.time[0] && stage.time[1] <= attempt.time[1]);
    }
    let scales = named("scale");
    let phases: Vec<_> = scales
        .iter()
        .map(|scale| &*scale.attributes["phase"])
        .collect();
    assert_eq!(phases, ["scale 1/2, 32x24", "scale 2/2, 64x48"]);
    assert!(
        scales.iter().all(|scale| scale.parent == stages[3].id),
        "{scales:#?}"
    );
    assert!(scales[0].time[1] <= scales[1].time[0], "{scales:#?}");

    let lines = lines_about_jobs(&log);
    let says = |words: &str| {
        let message = |line: &&Value| line["message"].as_str().is_some_and(|m| m.contains(words));
        lines
            .iter()
            .find(message)
            .unwrap_or_else(|| panic!("{words}: {}", log.so_far()))
    };
    // Of the job's tasks, of the engine's thread, and of what is over.
    for words in ["at work", "got further", "done, "] {
        says(words);
    }
    for line in &lines {
        let [batch, id, attempt, trace] = ["batch", "job", "attempt", "trace_id"].map(|n| &line[n]);
        assert_eq!((batch, id), (&json!("nightly"), &job), "{line}");
        assert_eq!((attempt, trace), (&json!(1), &json!(TRACE)), "{line}");
    }
    assert_eq!(says("got further")["phase"], phases[0]);
}

#[test]
fn attempts_and_slices_are_linked_to_those_before() {
    let traced = Traced::new(Programs::counting());
    let scene = &traced.workshop.scene;
    scene.write("smooth", "smooth");
    scene.write("fail", "fail");
    scene.write(
        "stumble",
        format!("stumble {}", scene.path("flag").display()),
    );
    traced.ask(&["submit stumble --batch retried --to 1"]);
    // Little is logged, but it says what it is about.
    let little = "stylefleet=warn,stylefleet_worker::serve=info";
    let worker = traced.start_worker(&[("STYLEFLEET_LOG", little)]);
    traced.workshop.watch("retried").end().expect_code(0);
    let attempts = traced.collector.wait_for("attempt", 2);
    let [first, second] = &attempts[..] else {
        panic!("{attempts:#?}");
    };
    assert_eq!(first.attributes["outcome"], "retried");
    assert!(first.has_failed && !second.has_failed, "{attempts:#?}");
    assert_eq!(second.attributes["attempt"], "2");
    assert_eq!(second.attributes["outcome"], "finished");
    assert_eq!(
        (&second.trace, &second.parent),
        (&first.trace, &first.parent)
    );
    assert!(first.links.is_empty(), "{first:#?}");
    expect_link(second, first);

    // From the dead letters it goes on in its trace.
    traced.ask(&["submit fail --batch dead --to 1"]);
    traced.workshop.watch("dead").end().expect_code(1);
    traced.workshop.ask(&["dead retry --all"]);
    let attempts = traced.collector.wait_for("attempt", 4);
    let [.., dead, again] = &attempts[..] else {
        panic!("{attempts:#?}");
    };
    assert_eq!(dead.attributes["outcome"], "set_aside");
    assert_eq!((&again.trace, &again.parent), (&dead.trace, &dead.parent));
    expect_link(again, dead);
    let lines = lines_about_jobs(&stop(worker));
    let batches: Vec<_> = lines.iter().map(|line| &line["batch"]).collect();
    assert_eq!(batches, ["retried", "dead", "dead"], "{lines:#?}");

    // Two jobs that take turns.
    traced.ask(&["submit smooth --batch slices --to 300 --pause 10"]);
    traced.ask(&["submit smooth --batch others --to 301 --pause 10"]);
    let worker = traced.start_worker(&[("STYLEFLEET_SLICE_SECONDS", "1")]);
    traced.workshop.watch("slices").end().expect_code(0);
    stop(worker);
    let mut slices = traced.collector.named("attempt");
    slices.retain(|slice| slice.attributes["batch"] == "slices");
    assert!(slices.len() > 1, "{slices:#?}");
    for pair in slices.windows(2) {
        assert_eq!(pair[0].attributes["outcome"], "interrupted");
        assert_eq!(pair[1].parent, pair[0].parent);
        assert_eq!(pair[1].attributes["attempt"], "1");
        expect_link(&pair[1], &pair[0]);
    }
}

#[test]
fn on_one_machine_too() {
    let traced = Traced::new(Programs::standard());
    let mut command = traced
        .workshop
        .scene
        .run_command(&["boat.png --size 16 --evaluations 2"]);
    command.args(["--style", "wave.png"]);
    let (name, url) = traced.collector.variable();
    command.env(name, url);
    Run::start(command).end().expect_code(0);
    let [run] = &traced.collector.wait_for("run", 1)[..] else {
        panic!("{:#?}", traced.collector.spans());
    };
    let attempts = traced.collector.wait_for("attempt", 1);
    let attempt = only(&attempts);
    assert_eq!((&attempt.trace, &attempt.parent), (&run.trace, &run.id));
}

#[test]
fn a_retry_is_linked_to_the_attempt_before_on_one_machine_too() {
    let programs = Programs::counting();
    let traced = Traced::new(programs.clone());
    let scene = &traced.workshop.scene;
    let course = format!("stumble {}", scene.path("flag").display());
    scene.write("stumble", course);
    let mut command = scene.command(programs.dispatcher);
    command.args(["run", "stumble", "--to", "1", "--device", "cpu"]);
    let (name, url) = traced.collector.variable();
    command
        .env(name, url)
        .env("STYLEFLEET_WORKER", programs.worker);
    Run::start(command).end().expect_code(0);
    let attempts = traced.collector.wait_for("attempt", 2);
    let [first, second] = &attempts[..] else {
        panic!("{attempts:#?}");
    };
    assert_eq!(first.attributes["outcome"], "retried");
    assert_eq!(second.attributes["outcome"], "finished");
    assert_eq!(
        (&second.trace, &second.parent),
        (&first.trace, &first.parent)
    );
    expect_link(second, first);
}

/// The engine has a thread of its own.
#[test]
fn what_the_engine_says_belongs_to_its_job() {
    let traced = Traced::new(Programs::counting());
    traced.workshop.scene.write("hello", "say hello");
    let worker = traced.start_worker(&[("STYLEFLEET_LOG", "stylefleet=debug")]);
    traced.ask(&["submit hello --batch spoken --to 1"]);
    traced.workshop.watch("spoken").end().expect_code(0);
    let log = stop(worker);
    let lines = log.stderr.iter();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON, all of it"));
    let said: Vec<_> = lines.filter(|line| line["message"] == "hello").collect();
    let [said] = &said[..] else {
        panic!("{}", log.so_far());
    };
    let about = ["batch", "attempt", "trace_id", "name"].map(|field| &said[field]);
    assert_eq!(
        about,
        [
            &json!("spoken"),
            &json!(1),
            &json!(TRACE),
            &json!("compute")
        ],
        "{said}"
    );
}

#[test]
fn a_collector_is_reached_by_tls_if_its_authority_is_trusted() {
    let services = Services::shared();
    let authority = Path::new(services.setting("STYLEFLEET_TEST_CA"));
    let collector = Collector::with_tls(authority.parent().expect("a folder"));
    let workshop = Workshop::of(services, Programs::counting());
    let submit = |course: &str, authority: &Path| {
        workshop.scene.write(course, "smooth");
        let mut command = workshop.command(&["submit --to 1 --json", course]);
        let (name, url) = collector.variable();
        command.env(name, url).env("SSL_CERT_FILE", authority);
        Run::start(command).end().expect_code(0)
    };
    let none = workshop.scene.path("none.pem");
    workshop.scene.write("none.pem", "");
    let distrustful = submit("hidden", &none);
    assert!(
        distrustful.so_far().contains("traces are lost"),
        "{}",
        distrustful.so_far()
    );
    assert_eq!(collector.spans().len(), 0);
    submit("shown", authority);
    only(&collector.named("submit"));
    only(&collector.named("publish"));
}

/// Threads of a process that OpenTelemetry started.
fn exporters(process: u32) -> usize {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("Linux");
    let name = |thread: std::io::Result<fs::DirEntry>| {
        let name = thread.expect("a thread").path().join("comm");
        fs::read_to_string(name).unwrap_or_default()
    };
    threads
        .map(name)
        .filter(|name| name.starts_with("OpenTelemetry"))
        .count()
}

#[test]
fn nothing_is_started_unless_a_collector_is_named() {
    let traced = Traced::new(Programs::counting());
    traced.workshop.scene.write("smooth", "smooth");
    let exporting = traced.start_worker(&[]);
    assert_eq!(exporters(exporting.id()), 1, "the test would not notice");
    stop(exporting);
    let disabled = traced.start_worker(&[("OTEL_SDK_DISABLED", "true")]);
    assert_eq!(exporters(disabled.id()), 0);
    stop(disabled);

    let unnamed = traced.workshop.start_worker(&[
        ("OTEL_SERVICE_NAME", "me"),
        ("STYLEFLEET_LOG_FORMAT", "json"),
    ]);
    assert_eq!(exporters(unnamed.id()), 0);
    let mut submit = traced
        .workshop
        .command(&["submit smooth --batch b --to 5 --wait --json"]);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    submit.env("TRACEPARENT", &parent);
    Run::start(submit).end().expect_code(0);
    let lines = lines_about_jobs(&stop(unnamed));
    // The caller's trace is known all the same.
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line["trace_id"] == TRACE),
        "{lines:?}"
    );
    assert_eq!(traced.collector.spans().len(), 0);
}

/// Neither one that refuses connections nor one that never answers.
#[test]
fn a_collector_that_is_away_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let away = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addresses = [&silent, &away].map(|listener| listener.local_addr().expect("an address"));
    drop(away);
    for (place, address) in addresses.into_iter().enumerate() {
        let workshop = Workshop::of(Services::shared(), Programs::counting());
        workshop.scene.write("smooth", "smooth");
        let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
        let settings = [
            (collector.0, &*collector.1),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ];
        let mut worker = workshop.start_worker(&settings);
        let mut submit = workshop.command(&["submit smooth --batch b --to 5 --json"]);
        submit.envs(settings);
        Run::start(submit).end().expect_code(0);
        workshop.watch("b").end().expect_code(0);
        let lost = worker.wait_for_line("traces are lost");
        assert!(
            lost.contains("OTEL_EXPORTER_OTLP_ENDPOINT"),
            "{place}: {lost}"
        );
        stop(worker);
    }
}

//! The dashboard's page in a real browser, over a real fleet.

use std::process::Command;

use serde_json::{Value, json};
use stylefleet_tests::Run;
use stylefleet_tests::browser::Browser;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::wait_until;
use stylefleet_tests::services::Services;
use thirtyfour::Key;

/// Some seconds: long enough to be seen under way.
const SEEN: &str = "--style wave.png --size 48x40 --scales 2 --coarse-evaluations 60 \
                    --evaluations 300 --precision f32 --preview-every 40";
/// Over in a moment.
const SHORT: &str = "--style wave.png --size 16 --scales 1 --evaluations 2";
/// Never over, unless somebody cancels it.
const ENDLESS: &str = "--style wave.png --size 32 --scales 1 --evaluations 100000 --tolerance 0";
/// What the page may weigh: all its files together, in bytes.
const PAGE: u64 = 200_000;
/// What people give a token.
const TOKEN: &str = "correct horse battery";

/// A fleet, its dashboard, and a browser that shows it.
struct Shown<'a> {
    browser: Browser, // first: it is closed before what it shows
    dashboard: Run,
    url: String,
    workshop: Workshop<'a>,
}

impl<'a> Shown<'a> {
    /// None where no browser can be had.
    fn new(what: &str) -> Option<Self> {
        Self::of(what, |_| {})
    }

    /// The same of a dashboard with other settings.
    fn of(what: &str, change: impl FnOnce(&mut Command)) -> Option<Self> {
        let browser = Browser::open(what)?;
        let workshop = Workshop::new(Services::shared());
        let mut command = workshop.command(&["dashboard --listen 127.0.0.1:0"]);
        change(&mut command);
        let mut dashboard = Run::start(command);
        let url = dashboard.wait_for_output();
        Some(Self {
            workshop,
            dashboard,
            url,
            browser,
        })
    }

    /// Goes to a view.
    fn go(&self, view: &str) {
        self.browser.go(&format!("{}{view}", self.url));
    }

    /// Adds half a picture, which looks like one until a worker reads it.
    fn add_half(&self, picture: &str, name: &str) {
        let whole = self.workshop.scene.read(picture);
        self.workshop.scene.write(name, &whole[..whole.len() / 2]);
    }

    /// Submits a batch that a worker then ends.
    fn finish(&self, batch: &str, contents: &str) {
        let submit = [contents, SHORT, "--batch", batch];
        self.workshop.submit(&submit);
        let worker = self.workshop.start_worker(&[]);
        self.workshop.watch(batch).end();
        worker.signal("TERM");
        worker.end().expect_code(0);
    }

    fn state_of(&self, batch: &str, state: &str) -> Value {
        self.workshop.ask(&["status", batch])["states"][state].clone()
    }

    /// Fails if the browser's console has a warning or an error.
    fn expect_no_complaints(&self) {
        let complaints = self.browser.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

#[test]
fn a_batch_is_followed_from_its_submission_to_its_pictures() {
    let Some(shown) = Shown::new("the page, live") else {
        return;
    };
    let browser = &shown.browser;
    shown.go("");
    browser.wait_for(".empty", "no batches yet");
    browser.ask("window.isTheSamePage = true");

    shown
        .workshop
        .submit(&["boat.png car.png", SEEN, "--batch nightly"]);
    browser.wait_for(".batch .name", "nightly");
    browser.wait_for(".batch .share", "0/2");
    let _worker = shown.workshop.start_worker(&[]);
    browser.click(".batch a.name");
    browser.wait_for(".result .state", "running");
    browser.wait_for(".result .detail", "/300");
    browser.click(".result:has([data-state=running]) a.name");
    browser.wait_for("h1", ".wave");
    browser.wait_for(".state", "running");
    browser.wait_until("document.querySelector('.plot path.line')");
    browser.wait_until("document.querySelector('.strip img')?.naturalWidth > 0");
    browser.screenshot("job-running");

    // It ends while one looks on: the result takes the preview's place.
    browser.wait_for(".state", "done");
    let is_there = "[...document.querySelectorAll('.pane img')].filter((image) => \
                    image.naturalWidth > 0 && /inputs|outputs/.test(image.src)).length === 2";
    browser.wait_until(is_there);
    let lines = browser.count(".legend button");
    assert!(lines > 3, "the loss has {lines} lines, not one a term");
    browser.wait_for(".facts", "Made with");
    browser.click("nav [data-view=batches]");
    browser.wait_for(".batch .share", "2/2");
    browser.wait_until("document.querySelector('.batch img')?.naturalWidth > 0");
    assert_eq!(browser.ask("return window.isTheSamePage"), true);
    shown.expect_no_complaints();
}

#[test]
fn pictures_are_compared_by_mouse_and_by_keys() {
    let Some(shown) = Shown::new("the before/after slider and the zoom") else {
        return;
    };
    let browser = &shown.browser;
    shown.finish("b", "boat.png");
    shown.go("#/batches/b");
    browser.wait_for(".result .state", "done");
    browser.click(".result a.name");
    browser.wait_for("button", "Slider");
    browser.click(".switch button:nth-child(2)");
    browser.wait_until("document.querySelector('.compare .front img')?.naturalWidth > 0");

    let slider = || browser.ask("return document.querySelector('[role=slider]').ariaValueNow");
    assert_eq!(slider(), "50");
    browser.ask("document.querySelector('[role=slider]').focus()");
    browser.press(Key::Left);
    assert_eq!(slider(), "48");
    browser.press(Key::End);
    assert_eq!(slider(), "100");
    let clip = "return document.querySelector('.front').style.clipPath";
    assert_eq!(browser.ask(clip), "inset(0px 0% 0px 0px)");

    browser.ask("document.querySelector('.compare').focus()");
    let scales = "return [...document.querySelectorAll('.zoomed')].map((image) => \
                  new DOMMatrix(image.style.transform).a)";
    assert_eq!(browser.ask(scales), json!([1, 1]));
    browser.type_keys("++");
    let zoomed = browser.ask(scales);
    assert_eq!(zoomed[0], zoomed[1], "both show the same part");
    assert!(zoomed[0].as_f64().is_some_and(|scale| scale > 1.5));
    browser.type_keys("0");
    assert_eq!(browser.ask(scales), json!([1, 1]));
    browser.screenshot("job-slider");

    // The curve can be read point by point, and as a table.
    browser.ask("document.querySelector('.plot').focus()");
    browser.press(Key::Left);
    browser.wait_for(".readout", "content");
    browser.click(".numbers summary");
    browser.wait_for(".numbers th", "loss");
    shown.expect_no_complaints();
}

#[test]
fn buttons_retry_drop_and_cancel() {
    let Some(shown) = Shown::new("the page's actions") else {
        return;
    };
    let browser = &shown.browser;
    shown.add_half("boat.png", "torn.png");
    shown.add_half("car.png", "shred.png");
    shown.finish("b", "torn.png shred.png boat.png");

    // The reason stands in the list. One is retried: with no worker, it waits.
    shown.go("#/batches/b?state=failed");
    browser.wait_for(".result .reason", "torn.png");
    assert_eq!(browser.count(".result"), 2);
    browser.screenshot("batch-failed");
    browser.click("button[aria-label='Retry torn.wave']");
    browser.wait_for("#toast", "1 retried");
    browser.wait_until("document.querySelectorAll('.result').length === 1");
    wait_until("a job waits", || {
        shown.workshop.ask(&["queue"])["waiting"]["normal"] == 1
    });

    // The other one is dropped, after a question.
    shown.go("#/dead");
    browser.wait_for(".letter .reason", "shred.png");
    browser.click("button[aria-label='Drop shred.wave']");
    browser.wait_for("dialog", "cannot be retried");
    browser.press(Key::Escape);
    browser.wait_until("!document.querySelector('dialog')");
    assert_eq!(browser.count(".letter"), 1, "nothing is dropped unasked");
    browser.click("button[aria-label='Drop shred.wave']");
    browser.click("dialog .danger");
    browser.wait_for(".empty", "no dead letters");

    // What waits is cancelled, what runs goes on; then all of it.
    let submit = ["boat.png car.png", ENDLESS, "--batch endless"];
    shown.workshop.submit(&submit);
    let _worker = shown.workshop.start_worker(&[]);
    shown.go("#/batches/endless");
    browser.wait_for(".result .state", "running");
    browser.click(".view-header .buttons button:nth-child(2)");
    browser.wait_for("dialog", "What is under way goes on");
    browser.click("dialog .danger");
    browser.wait_for(".result .state", "cancelled");
    assert_eq!(shown.state_of("endless", "running"), 1);
    browser.click(".view-header .buttons .danger");
    browser.click("dialog .danger");
    browser.wait_until("document.querySelectorAll('.result [data-state=cancelled]').length === 2");
    assert_eq!(shown.state_of("endless", "cancelled"), 2);
    shown.expect_no_complaints();
}

#[test]
fn pictures_are_submitted_by_dropping_them() {
    let Some(shown) = Shown::new("submitting from the page") else {
        return;
    };
    let browser = &shown.browser;
    let _worker = shown.workshop.start_worker(&[]);
    shown.go("#/new");
    browser.wait_for(".drop", "Drop pictures");
    // A file as a desktop drops it.
    browser.ask(
        "const canvas = new OffscreenCanvas(40, 32);
         const paper = canvas.getContext('2d');
         paper.fillStyle = 'teal';
         paper.fillRect(0, 0, 20, 32);
         canvas.convertToBlob().then((blob) => {
             const dataTransfer = new DataTransfer();
             dataTransfer.items.add(new File([blob], 'dropped.png', { type: 'image/png' }));
             dataTransfer.items.add(new File(['no'], 'notes.txt', { type: 'text/plain' }));
             const drop = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
             document.querySelector('.drop').dispatchEvent(drop);
         });",
    );
    browser.wait_for("#toast", "1 file passed over");
    browser.wait_for(".upload .note", "40×32");
    let style = shown.workshop.scene.path("wave.png");
    browser.choose_file("section:nth-child(2) input[type=file]", &style);
    browser.wait_for(".upload .note", "32×32");
    browser.wait_for(".summary", "1 result");

    // A preview first, which is made in place.
    let button = "section:last-child > .buttons button";
    browser.click(&format!("{button}:first-child"));
    browser.wait_for(".trial .name", "dropped");
    browser.wait_for(".trial .state", "done");
    browser.wait_until("document.querySelector('.trial img')?.naturalWidth > 0");
    browser.screenshot("new");

    let dial = |field: &str, value: &str| {
        browser.ask(&format!(
            "document.querySelector('[aria-describedby=dial-{field}]').focus()"
        ));
        browser.type_keys(value);
    };
    dial("size", "24");
    dial("evaluations", "3");
    browser.ask("document.querySelector('section:last-child input').focus()");
    browser.type_keys("from-the-page");
    browser.click(&format!("{button}.main"));
    browser.wait_for("h1", "from-the-page");
    browser.wait_for(".result .state", "done");
    let status = shown.workshop.ask(&["status from-the-page/dropped.wave"]);
    let parameters = &status["record"]["specification"]["parameters"];
    assert_eq!(parameters["size"], json!({"longest": 24}));
    assert_eq!(parameters["evaluations"], 3);
    shown.expect_no_complaints();
}

#[test]
fn who_has_no_token_may_look_and_no_more() {
    let shown = Shown::of("the page without a token", |dashboard| {
        dashboard
            .arg("--read-without-token")
            .env("STYLEFLEET_DASHBOARD_TOKEN", TOKEN);
    });
    let Some(shown) = shown else {
        return;
    };
    let browser = &shown.browser;
    shown.add_half("boat.png", "torn.png");
    shown.finish("b", "torn.png boat.png");
    for view in ["#/batches/b", "#/dead"] {
        shown.go(view);
        browser.wait_for(".item .reason", "torn.png");
        browser.wait_for("#login", "Log in");
        assert_eq!(
            browser.count(".item button, .view-header button"),
            0,
            "{view}"
        );
    }
    shown.expect_no_complaints();

    browser.click("#login");
    browser.type_keys("a guess at the token");
    browser.press(Key::Enter);
    browser.wait_until("document.querySelector('dialog .error')?.textContent");
    // The browser itself notes what was refused.
    assert_eq!(browser.complaints().len(), 1);
    browser.type_keys(TOKEN);
    browser.press(Key::Enter);
    browser.wait_until("!document.querySelector('dialog')");
    browser.wait_for(".letter button", "Retry");
    assert_eq!(browser.count("#login"), 0);
    // No script can read what lets it act.
    assert_eq!(browser.ask("return document.cookie"), "");
    shown.expect_no_complaints();
}

#[test]
fn names_that_look_like_markup_are_names() {
    let Some(shown) = Shown::new("hostile names") else {
        return;
    };
    let browser = &shown.browser;
    let hostile = "<img src=x onerror=window.harm=1>";
    let scene = &shown.workshop.scene;
    let file = scene.path(format!("{hostile}.png"));
    std::fs::copy(scene.path("boat.png"), file).expect("copies a picture");
    let torn = format!("{hostile}<b>torn.png");
    shown.add_half("boat.png", &torn);
    scene.write(
        "batch.toml",
        format!(
            "[defaults]\nstyle = [\"wave.png\"]\nsize = 16\nevaluations = 2\n\
             [[job]]\ncontent = \"{hostile}.png\"\n[[job]]\ncontent = \"{torn}\"\n"
        ),
    );
    shown.workshop.submit(&["--file batch.toml --batch b"]);
    let _worker = shown.workshop.start_worker(&[]);
    shown.workshop.watch("b").end();

    for view in ["", "#/batches/b", "#/dead", "#/workers", "#/search?q=<img"] {
        shown.go(view);
        browser.wait_until("document.querySelector('.item')");
        shown.expect_no_complaints();
    }
    browser.wait_for(".result .name", hostile);
    browser.click(".result a.name");
    browser.wait_for("h1", hostile);
    browser.wait_for("figcaption", hostile);
    shown.go(&format!("#/batches/{hostile}"));
    browser.wait_for("h1", hostile);
    assert_eq!(browser.ask("return window.harm ?? null"), Value::Null);
    assert_eq!(browser.count("img[src=x], main b b"), 0);
}

#[test]
fn every_view_fits_a_phone_weighs_little_and_complains_of_nothing() {
    let Some(shown) = Shown::new("every view") else {
        return;
    };
    let browser = &shown.browser;
    shown.add_half("boat.png", "torn.png");
    shown.finish(
        "a-batch-with-a-rather-long-name-as-people-give-them",
        "torn.png boat.png",
    );
    let _worker = shown.workshop.start_worker(&[]);
    let batch = "#/batches/a-batch-with-a-rather-long-name-as-people-give-them";
    shown.go(batch);
    browser.wait_for(".result .state", "done");
    let done = "document.querySelector('.result:has([data-state=done]) a.name').hash";
    let job = browser.ask(&format!("return {done}"));
    let job = job.as_str().expect("an address");
    let views = [
        ("batches", "", ".batch"),
        ("batch", batch, ".result"),
        ("job", job, ".facts td"),
        ("workers", "#/workers", ".worker.item"),
        ("queue", "#/queue", ".plot path"),
        ("dead", "#/dead", ".letter"),
        ("new", "#/new", ".drop"),
        ("search", "#/search?q=boat", ".result"),
    ];
    for (color, width) in [("light", 1280), ("dark", 360), ("light", 320)] {
        browser.prefer("prefers-color-scheme", color);
        browser.resize(width, 800);
        for (name, view, css) in views {
            shown.go(view);
            browser.wait_until(&format!("document.querySelector({})", json!(css)));
            let wider = browser.ask("return document.documentElement.scrollWidth - innerWidth");
            assert!(
                wider.as_i64() <= Some(0),
                "{name} at {width} is {wider} too wide"
            );
            browser.screenshot(&format!("{name}-{width}-{color}"));
            shown.expect_no_complaints();
        }
    }
    let weight = browser.ask(
        "const files = performance.getEntriesByType('resource').filter((file) => \
         /[.](js|css|svg)$/.test(file.name)); \
         const page = performance.getEntriesByType('navigation'); \
         return [...page, ...files].reduce((sum, file) => sum + file.decodedBodySize, 0)",
    );
    let weight = weight.as_u64().expect("a number");
    assert!((50_000..PAGE).contains(&weight), "{weight} bytes");
    let elsewhere = format!(
        "return performance.getEntriesByType('resource').map((file) => file.name)\
         .filter((name) => /[.](js|css)$/.test(name) && !name.startsWith({}))",
        json!(shown.url)
    );
    assert_eq!(browser.ask(&elsewhere), json!([]));

    // The colours that somebody chose here win over the system's, and last.
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.ask(ground);
    browser.click("#theme");
    browser.click("#theme");
    let dark = browser.ask(ground);
    assert_ne!(dark, light);
    shown.go("");
    browser.wait_for(".batch", "a-batch");
    assert_eq!(browser.ask(ground), dark);
}

#[test]
fn a_keyboard_is_enough() {
    let Some(shown) = Shown::new("the page by keyboard alone") else {
        return;
    };
    let browser = &shown.browser;
    shown.finish("first", "boat.png");
    shown
        .workshop
        .submit(&["car.png", ENDLESS, "--batch second"]);
    shown.go("");
    browser.wait_for(".batch", "first");
    browser.wait_for(".batch", "second");

    let focused = || browser.ask("return document.activeElement.textContent");
    browser.press(Key::Tab);
    assert_eq!(focused(), "Skip to the content");
    browser.type_keys("j");
    assert_eq!(focused(), "second");
    browser.type_keys("j");
    assert_eq!(focused(), "first");
    browser.type_keys("k");
    browser.press(Key::Enter);
    browser.wait_for("h1", "second");
    // The focus is where the eye is: the next Tab is in the view.
    browser.wait_until("document.activeElement.id === 'main'");
    browser.wait_for(".view-header button", "Cancel all");
    browser.press(Key::Tab);
    assert_eq!(focused(), "Cancel what waits");
    browser.press(Key::Tab);
    browser.press(Key::Enter);
    browser.wait_for("dialog", "Cancel the batch?");
    browser.press(Key::Tab);
    browser.press(Key::Enter);
    browser.wait_for(".result .state", "cancelled");

    browser.type_keys("?");
    browser.wait_for("dialog", "next and last item");
    browser.press(Key::Escape);
    browser.wait_until("!document.querySelector('dialog')");
    browser.type_keys("/");
    browser.type_keys("boat");
    browser.press(Key::Enter);
    browser.wait_for(".result .name", "boat.wave");
    browser.press(Key::Escape);
    browser.type_keys("gw");
    browser.wait_for("h1", "Workers");
    shown.expect_no_complaints();
}

#[test]
fn a_hundred_thousand_results_are_a_window_of_them() {
    let Some(shown) = Shown::new("a batch of 100,000") else {
        return;
    };
    let browser = &shown.browser;
    let entry =
        |number: u32| json!({"job": format!("{number:064x}"), "name": format!("picture-{number}")});
    let jobs: Vec<_> = (1..=100_000).map(entry).collect();
    let manifest = json!({"batch": "huge", "jobs": jobs, "unix_seconds": 1_790_000_000});
    let scene = &shown.workshop.scene;
    scene.write("manifest.json", manifest.to_string());
    let key = "batches/huge/01790000000000-0000000000000001.manifest.json";
    shown.workshop.put(key, &scene.path("manifest.json"));

    shown.go("");
    browser.wait_for(".batch .share", "0/100,000");
    browser.click(".batch a.name");
    browser.wait_for(".filters", "100,000");
    browser.wait_for(".result .name", "picture-1");
    browser.ask("scrollTo(0, document.documentElement.scrollHeight)");
    browser.wait_for(".result .name", "picture-100000");
    let in_document = browser.count("main *");
    assert!(in_document < 1500, "{in_document} elements");
    browser
        .ask("document.querySelector('input[type=search][aria-label^=\"Search this\"]').focus()");
    browser.type_keys("picture-4242");
    browser.wait_until("document.querySelectorAll('.result').length === 11");
    shown.expect_no_complaints();
}

#[test]
fn a_connection_that_is_lost_is_said_and_found_again() {
    let Some(mut shown) = Shown::new("a dashboard that restarts") else {
        return;
    };
    shown.workshop.submit(&["boat.png", ENDLESS, "--batch b"]);
    shown.go("#/batches/b");
    shown.browser.wait_for(".result .state", "waiting");
    shown.dashboard.signal("KILL");
    shown.browser.wait_for("#connection", "Connection lost");
    // What the browser itself has to say of that is no fault of the page.
    shown.browser.complaints();

    shown.workshop.ask(&["cancel b"]);
    let address = shown
        .url
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let again = shown.workshop.command(&["dashboard --listen", address]);
    shown.dashboard = Run::start(again);
    shown.dashboard.wait_for_output();
    shown
        .browser
        .wait_until("document.querySelector('#connection').hidden");
    shown.browser.wait_for(".result .state", "cancelled");
}

#[test]
fn the_page_works_below_a_path() {
    let shown = Shown::of("the page below a path", |dashboard| {
        dashboard.args(["--base-path", "/studio/fleet"]);
    });
    let Some(shown) = shown else {
        return;
    };
    assert!(shown.url.ends_with("/studio/fleet/"), "{}", shown.url);
    shown.finish("b", "boat.png");
    shown.go("#/batches/b");
    shown.browser.wait_for(".result .state", "done");
    let is_there = "document.querySelector('.result img')?.naturalWidth > 0";
    shown.browser.wait_until(is_there);
    shown.expect_no_complaints();
}

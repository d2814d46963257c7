//! `stylefleet report`: one HTML file about real jobs, in a real browser.

use std::path::Path;

use serde_json::Value;
use stylefleet_tests::browser::Browser;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::services::Services;
use stylefleet_tests::{Run, Scene, stylefleet};
use thirtyfour::Key;

/// Over in a moment.
const SHORT: &str = "--size 64 --scales 2 --evaluations 6 --coarse-evaluations 6";
/// As much as a file may hold that browsers open at once.
const PAGE: u64 = 50_000_000;

/// The page's data, as its script reads them.
fn data(page: &str) -> Value {
    let data = page
        .split("<script id=\"data\" type=\"application/json\">")
        .nth(1);
    let data = data.and_then(|rest| rest.split("</script>").next());
    serde_json::from_str(data.expect("has data")).expect("JSON")
}

/// Fails if the page would load anything from anywhere.
fn expect_self_contained(page: &str) {
    let namespace = "http://www.w3.org/2000/svg";
    let page = page.replace(namespace, "");
    for word in [
        "http://", "https://", "<link", "<img", "<iframe", "@import", "url(",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
}

fn open(browser: &Browser, file: &Path) {
    browser.go(&format!("file://{}", file.display()));
}

/// In both colours, on a desk and on a phone.
fn expect_accessible(browser: &Browser, name: &str) {
    for (width, color, back) in [
        (1280, "light", "rgb(246, 245, 242)"),
        (1280, "dark", "rgb(22, 23, 26)"),
        (360, "dark", "rgb(22, 23, 26)"),
        (360, "light", "rgb(246, 245, 242)"),
    ] {
        browser.prefer("prefers-color-scheme", color);
        browser.resize(width, 800);
        browser.wait_until(&format!(
            "getComputedStyle(document.body).backgroundColor === '{back}'"
        ));
        browser.screenshot(&format!("{name}-{width}-{color}"));
        browser.expect_accessible(name);
    }
    browser.resize(1280, 900);
}

#[test]
fn a_folder_of_results_is_one_page_that_a_browser_shows() {
    let scene = Scene::with_pictures();
    let hostile = "<img src=x onerror=window.harm=1>.png";
    scene.add_content(hostile, 3);
    // It looks like a picture until a worker reads it.
    let boat = scene.read("boat.png");
    scene.write("torn.png", &boat[..boat.len() / 2]);
    let contents = ["boat.png torn.png", "--style wave.png", SHORT];
    scene.run(&contents).expect_code(1);
    let mut run = scene.run_command(&["--style wave.png", SHORT]);
    run.arg(hostile);
    Run::start(run).end().expect_code(0);

    let mut report = scene.command(stylefleet());
    report.args(["report", "--folder", "out", "--json"]);
    let ended = Run::start(report).end().expect_code(0);
    let written: Value = serde_json::from_str(&ended.stdout.concat()).expect("JSON");
    assert_eq!(written["results"], 3);
    let page = String::from_utf8(scene.read("report.html")).expect("is text");
    assert_eq!(written["bytes"], page.len());
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    expect_self_contained(&page);
    let results = data(&page)["results"].clone();
    let states: Vec<_> = (0..3)
        .map(|index| results[index]["state"].clone())
        .collect();
    assert_eq!(states, ["done", "failed", "done"]);
    assert_eq!(results[0]["outputs"][0]["link"], "out/boat.wave.png");
    let reason = results[1]["reason"].as_str().expect("a reason");
    assert!(reason.contains("torn.png"), "{reason}");

    let Some(browser) = Browser::open("the report in a browser") else {
        return;
    };
    open(&browser, &scene.path("report.html"));
    browser.wait_for("#totals dd", "3");
    browser.wait_for("#failures li", "torn.png");
    browser.wait_until("document.querySelector('.card img')?.naturalWidth === 64");
    assert_eq!(browser.count(".card"), 3);
    expect_accessible(&browser, "report");

    browser.click("#query");
    browser.type_keys("torn");
    browser.wait_for("#count", "1 of 3");
    browser.ask(
        "const query = document.querySelector('#query'); query.value = ''; \
                 query.dispatchEvent(new Event('input'))",
    );
    browser.click("#states button:nth-child(1)");
    browser.wait_for("#count", "2 of 3");

    browser.click(".card");
    browser.wait_for("#result h2", "boat.wave");
    browser.wait_until("document.querySelectorAll('.compare img').length === 2");
    browser.wait_for("#curve .legend button", "loss.content");
    browser.wait_for("#curve .mark + text", "phase 2");
    browser.wait_for("#facts", "device");
    browser.ask("document.querySelector('[role=slider]').focus()");
    browser.press(Key::End);
    browser
        .wait_until("document.querySelector('.front').style.clipPath === 'inset(0px 0% 0px 0px)'");
    browser.type_keys("+");
    browser.wait_until("document.querySelector('.zoomed').style.transform.includes('scale(1.25)')");
    expect_accessible(&browser, "report-result");
    browser.type_keys("j");
    browser.wait_for("#result h2", "onerror");
    browser.press(Key::Escape);
    browser.wait_until("!document.querySelector('#result').open");

    browser.resize(320, 700);
    browser.wait_until("document.documentElement.scrollWidth <= 320");
    assert_eq!(browser.ask("return window.harm ?? null"), Value::Null);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_batch_of_a_fleet_is_reported_with_links_to_where_its_files_are() {
    let workshop = Workshop::new(Services::shared());
    let submit = ["boat.png car.png --style wave.png --batch nightly", SHORT];
    workshop.submit(&submit);
    let report = |args: &str| {
        let written = workshop.ask(&[&format!("report nightly {args}")]);
        let file = written["file"].as_str().expect("a file");
        data(&String::from_utf8(workshop.scene.read(file)).expect("is text"))["results"].clone()
    };
    let waiting = report("--out before.html");
    assert_eq!(
        (&waiting[0]["state"], &waiting[0]["outputs"]),
        (&"waiting".into(), &Value::Array(vec![]))
    );

    let worker = workshop.start_worker(&[]);
    workshop.watch("nightly").end().expect_code(0);
    worker.signal("TERM");
    worker.end().expect_code(0);
    let done = report("--out after.html");
    let link = |results: &Value| {
        let link = results[1]["outputs"][0]["link"].as_str();
        link.expect("a link").to_owned()
    };
    assert!(link(&done).starts_with("s3://"), "{}", link(&done));
    Run::start(workshop.command(&["fetch nightly --out pictures"]))
        .end()
        .expect_code(0);
    let fetched = report("--out reports/linked.html --link-originals pictures");
    assert_eq!(link(&fetched), "../pictures/car.wave.png");

    // A file that is something else stays, and a batch that is misspelt is guessed.
    workshop.scene.write("mine.html", "<!doctype html>");
    let refused = Run::start(workshop.command(&["report nightly --out mine.html"])).end();
    refused
        .expect_code(1)
        .expect_complaint(&["mine.html", "no report"]);
    let refused = Run::start(workshop.command(&["report nigthly"])).end();
    refused
        .expect_code(1)
        .expect_complaint(&["nigthly", "did you mean nightly?"]);
}

/// Photographs and results as large as people make them: noise, which no encoder makes small.
#[test]
fn two_hundred_pictures_are_a_page_of_less_than_50_megabytes() {
    let scene = Scene::new();
    scene.add_style("wave.png", 1);
    std::fs::create_dir(scene.path("photos")).expect("makes a folder");
    for seed in 0..10 {
        let noise = image::RgbImage::from_fn(1000, 750, |_, _| {
            image::Rgb([fastrand::u8(..), fastrand::u8(..), fastrand::u8(..)])
        });
        let file = scene.path(format!("photos/{seed}.png"));
        noise.save(file).expect("saves a picture");
    }
    let run = ["photos --style wave.png --size 16 --scales 1 --evaluations 1"];
    scene.run(&run).expect_code(0);
    let results = multiply(&scene, 20);
    assert_eq!(results, 200);

    let mut report = scene.command(stylefleet());
    report.args(["report", "--folder", "out", "--json"]);
    let ended = Run::start(report).end().expect_code(0);
    let written: Value = serde_json::from_str(&ended.stdout.concat()).expect("JSON");
    assert_eq!(
        (&written["results"], &written["pictures"]),
        (&200.into(), &401.into())
    );
    let bytes = written["bytes"].as_u64().expect("a number");
    assert!((20_000_000..PAGE).contains(&bytes), "{bytes} bytes");
}

/// Gives each result of a run's folder so many copies, each with a content and a picture of its
/// own, of 1000 x 750 pixels. How many there are then.
fn multiply(scene: &Scene, copies: usize) -> usize {
    let store = scene.path("out/.stylefleet");
    let batches = std::fs::read_dir(store.join("batches"))
        .expect("lists")
        .next();
    let batch = batches.expect("has a batch").expect("an entry").path();
    let manifest = std::fs::read_dir(&batch).expect("lists").next();
    let manifest = manifest.expect("has a manifest").expect("an entry").path();
    let read = |path: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(path).expect("reads")).expect("JSON")
    };
    let mut asked = read(&manifest);
    let entries = asked["jobs"].as_array().expect("a list").clone();
    let mut all = Vec::new();
    for (number, entry) in entries
        .iter()
        .cycle()
        .take(entries.len() * copies)
        .enumerate()
    {
        let job = entry["job"].as_str().expect("an id");
        let copy = format!("{number:064x}");
        let record = store.join(format!("results/{job}.json"));
        let mut record = read(&record);
        let sha = record["inputs"][0]["sha256"].as_str().expect("a hash");
        let content = std::fs::read(store.join(format!("inputs/{sha}"))).expect("reads");
        let picture = format!("jobs/{copy}/picture.{number:016x}.png");
        for key in [&picture, &format!("inputs/{copy}")] {
            let path = store.join(key);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("makes it");
            std::fs::write(path, &content).expect("writes");
        }
        record["job"] = copy.clone().into();
        record["inputs"][0]["sha256"] = copy.clone().into();
        let mut output = record["outputs"][0].clone();
        output["key"] = picture.into();
        record["outputs"] = vec![output].into();
        let path = store.join(format!("results/{copy}.json"));
        std::fs::write(path, record.to_string()).expect("writes");
        let mut entry = entry.clone();
        entry["job"] = copy.into();
        entry["name"] = format!("copy {number}").into();
        all.push(entry);
    }
    let count = all.len();
    asked["jobs"] = all.into();
    std::fs::write(&manifest, asked.to_string()).expect("writes");
    count
}

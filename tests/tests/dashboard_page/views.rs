//! The page on every screen, for eyes, hands and ears of all kinds.

use serde_json::json;
use thirtyfour::Key;

use crate::{ENDLESS, Shown, job};

/// What the page may weigh: all its files together, in bytes.
const PAGE: u64 = 200_000;

#[test]
fn every_view_fits_a_phone_is_accessible_and_complains_of_nothing() {
    let Some(shown) = Shown::new("every view") else {
        return;
    };
    let browser = &shown.browser;
    shown.add_half("boat.png", "torn.png");
    shown.finish(
        "a-batch-with-a-rather-long-name-as-people-give-them",
        "torn.png boat.png",
    );
    let cancelled = ["car.png", ENDLESS, "--batch cancelled"];
    shown.workshop.submit(&cancelled);
    shown.workshop.ask(&["cancel cancelled"]);
    // A job that a worker has begun, and none is at.
    shown.record("stuck", 1);
    shown.put(&format!("started/{}.json", job(1)), &json!({}));
    let _worker = shown.workshop.start_worker(&[]);
    let batch = "#/batches/a-batch-with-a-rather-long-name-as-people-give-them";
    shown.go(batch);
    browser.wait_for(".result .state", "done");
    browser.wait_for("#stuck", "1 stuck");
    let done = "document.querySelector('.result:has(.state[data-state=done]) a.name').hash";
    let job = browser.ask(&format!("return {done}"));
    let job = job.as_str().expect("an address");
    let views = [
        ("batches", "", ".batch .name"),
        ("batch", batch, ".result"),
        (
            "cancelled",
            "#/batches/cancelled",
            ".result .state[data-state=cancelled]",
        ),
        ("job", job, ".facts td"),
        ("workers", "#/workers", ".worker.item"),
        ("queue", "#/queue", ".plot path"),
        ("dead", "#/dead", ".letter"),
        ("new", "#/new", ".drop"),
        ("search", "#/search?q=boat", ".result"),
    ];
    for (color, width) in [
        ("light", 1280),
        ("dark", 1280),
        ("light", 360),
        ("dark", 360),
        ("light", 320),
    ] {
        browser.prefer("prefers-color-scheme", color);
        browser.resize(width, 800);
        let expect_fit = |name: &str| {
            let name = format!("{name}-{width}-{color}");
            let wider = browser.ask("return document.documentElement.scrollWidth - innerWidth");
            assert!(wider.as_i64() <= Some(0), "{name} is {wider} too wide");
            browser.screenshot(&name);
            browser.expect_accessible(&name);
            shown.expect_no_complaints();
        };
        for (name, view, css) in views {
            shown.go(view);
            browser.wait_for(css, "");
            expect_fit(name);
        }
        browser.type_keys("?");
        browser.wait_for("dialog", "Keys");
        expect_fit("help");
        browser.press(Key::Escape);
    }
}

#[test]
fn the_page_weighs_little_and_comes_from_one_place() {
    let Some(shown) = Shown::new("what the page weighs") else {
        return;
    };
    let browser = &shown.browser;
    shown.go("");
    browser.wait_for(".empty", "no batches yet");
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
}

#[test]
fn the_page_looks_and_moves_as_people_want_it() {
    let Some(shown) = Shown::new("what people want of pages") else {
        return;
    };
    let browser = &shown.browser;
    shown.go("");
    browser.wait_for(".empty", "no batches yet");
    // Nothing moves for those who do not want it.
    let toast = "getComputedStyle(document.querySelector('#toast'))";
    let takes = format!("return parseFloat({toast}.transitionDuration)");
    assert_eq!(browser.ask(&takes), 0.2);
    browser.prefer("prefers-reduced-motion", "reduce");
    assert_eq!(browser.ask(&takes), 0);

    // The colours that somebody chose here win over the system's, and last.
    browser.prefer("prefers-color-scheme", "light");
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.ask(ground);
    browser.click("#theme");
    browser.click("#theme");
    let dark = browser.ask(ground);
    assert_ne!(dark, light);
    shown.go("");
    browser.wait_for(".empty", "no batches yet");
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

//! What people do: follow, compare, retry, cancel, submit.

use serde_json::json;
use stylefleet_tests::processes::wait_until;
use thirtyfour::Key;

use crate::{ENDLESS, SHORT, Shown};

/// Some seconds: long enough to be seen under way.
const SEEN: &str = "--style wave.png --size 48x40 --scales 2 --coarse-evaluations 40 \
                    --evaluations 200 --precision f32 --preview-every 40";

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
        .submit(&["boat.png", SEEN, "--batch nightly"]);
    shown
        .workshop
        .submit(&["car.png", SHORT, "--batch nightly"]);
    browser.wait_for(".batch .name", "nightly");
    browser.wait_for(".batch .share", "0/2");
    let _worker = shown.workshop.start_worker(&[]);
    browser.click(".batch a.name");
    browser.wait_for(".result .state", "running");
    browser.wait_for(".result .detail", "/200");
    browser.click(".result:has(.state[data-state=running]) a.name");
    browser.wait_for("h1", ".wave");
    browser.wait_for(".state", "running");
    browser.wait_until("document.querySelector('.plot path.line')");
    browser.wait_until("document.querySelector('.strip img')?.naturalWidth > 0");
    browser.screenshot("job-running");
    browser.expect_accessible("job-running");

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
    browser.expect_accessible("dialog");
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
    browser.wait_for("#preset-help", "This project's own");
    browser.wait_for("#dial-size", "Longer side");
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
fn a_hundred_thousand_results_are_a_window_of_them() {
    let Some(shown) = Shown::new("a batch of 100,000") else {
        return;
    };
    let browser = &shown.browser;
    shown.record("huge", 100_000);

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
fn all_that_failed_is_retried_at_once() {
    let Some(shown) = Shown::new("retrying all") else {
        return;
    };
    let browser = &shown.browser;
    shown.add_half("boat.png", "torn.png");
    shown.add_half("car.png", "shred.png");
    shown.finish("b", "torn.png shred.png boat.png");
    shown.go("#/batches/b");
    browser.wait_for(".view-header button", "Retry 2 failed");
    browser.click(".view-header button");
    browser.wait_for("#toast", "2 retried");
    browser.wait_until("document.querySelectorAll('.result [data-state=waiting]').length === 2");

    // They fail again, and are dead letters, which one button retries too.
    let _worker = shown.workshop.start_worker(&[]);
    browser.wait_until("document.querySelectorAll('.result [data-state=failed]').length === 2");
    shown.go("#/dead");
    browser.wait_until("document.querySelectorAll('.letter').length === 2");
    browser.click(".toolbar .buttons button");
    browser.wait_for("#toast", "2 retried");
    shown.expect_no_complaints();
}

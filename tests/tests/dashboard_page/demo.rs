//! `make dashboard-demo`, and the pictures in the README, which show it.

use std::fs::File;

use image::codecs::jpeg::JpegEncoder;
use stylefleet_tests::browser::Browser;
use stylefleet_tests::health::free_address;
use stylefleet_tests::services::root;
use stylefleet_tests::{Run, Scene, stylefleet};

/// How well the README's pictures are kept, of 100.
const QUALITY: u8 = 80;

/// The demo in a browser, once its page is there.
struct Demo {
    browser: Browser, // first: it is closed before what it shows
    run: Run,
    _scene: Scene,
}

impl Demo {
    /// None where no browser can be had.
    fn new(options: &str) -> Option<Self> {
        let browser = Browser::open("the demo of the dashboard")?;
        let scene = Scene::new();
        let mut demo = scene.command(root().join("deploy/samples/dashboard.sh"));
        let programs = stylefleet();
        demo.arg(programs.parent().expect("lies in a folder"))
            .arg(scene.path("demo"))
            .arg(free_address())
            .args(options.split(' '));
        let mut run = Run::start(demo);
        let line = run.wait_for_line("The dashboard is at");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http"));
        let url = url.expect("an address").to_owned();
        run.wait_for_line("it is shown at");
        browser.go(&url);
        Some(Self {
            browser,
            run,
            _scene: scene,
        })
    }

    /// Goes to the batch of this kind.
    fn open_batch(&self, kind: &str) {
        self.browser.click("nav [data-view=batches]");
        self.browser.wait_for(".batch .note", kind);
        let name = format!(
            "[...document.querySelectorAll('.batch')].find((batch) => \
             batch.textContent.includes('{kind}')).querySelector('a.name')"
        );
        self.browser.ask(&format!("{name}.click()"));
        self.browser.wait_for(".result .name", "lighthouse");
    }
}

#[test]
fn the_demo_shows_a_filled_page() {
    let small = "--size 32 --scales 1 --evaluations 60 --optimizer adam --threads 1 --device cpu";
    let Some(mut demo) = Demo::new(small) else {
        return;
    };
    let browser = &demo.browser;
    demo.open_batch("stylize");
    browser.wait_for(".result .reason", "damaged.png");
    demo.open_batch("apply");
    browser.wait_for(".share", "6/6");
    browser.wait_until("document.querySelector('.result img')?.naturalWidth > 0");

    // Once all is made, it is shown at the same address.
    while !demo.run.wait_for_output().starts_with("http") {}
    browser.wait_until("document.querySelector('#connection').hidden");
    demo.open_batch("stylize");
    browser.wait_for(".share", "9/9");
    browser.wait_for(".filters", "3");
    demo.run.signal("INT");
    demo.run.end().expect_code(130);
}

#[test]
#[ignore = "takes the pictures in the README anew, in some minutes"]
fn pictures_in_the_readme() {
    let demo = Demo::new("--size 128 --coarse-evaluations 40 --evaluations 80").expect("a browser");
    let browser = &demo.browser;
    let keep = |name: &str, color: &str, (width, height): (u32, u32)| {
        browser.prefer("prefers-color-scheme", color);
        browser.resize(width, height);
        let picture = image::open(browser.screenshot(name)).expect("was taken");
        let file = root().join(format!("docs/images/{name}.jpg"));
        let file = File::create(file).expect("can be written");
        let encoder = JpegEncoder::new_with_quality(file, QUALITY);
        let written = picture.into_rgb8().write_with_encoder(encoder);
        written.expect("is written");
    };
    demo.open_batch("stylize");
    browser.wait_for(".result .state", "done");
    browser.wait_until("document.querySelectorAll('.result img.loaded').length === 2");
    keep("dashboard-batch", "light", (1280, 700));
    browser.click(".result:has(.state[data-state=running]) a.name");
    browser.wait_until("document.querySelectorAll('.strip img').length > 3");
    browser.wait_until("document.querySelector('.plot path.line')");
    keep("dashboard-job", "light", (1280, 1100));
    keep("dashboard-phone", "dark", (360, 720));
}

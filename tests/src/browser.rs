//! A real browser without a window, steered by WebDriver.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};
use thirtyfour::{
    By, ChromiumLikeCapabilities, DesiredCapabilities, Key, LoggingPrefsLogLevel, WebDriver,
    WebElement,
};
use tokio::runtime::Runtime;

use crate::processes::wait_until;
use crate::services::root;
use crate::{Run, build_folder, skip};

/// What services.sh exits with where something cannot be had.
const UNAVAILABLE: i32 = 69;

/// Headless Chromium, as tests need it: alone, offline, and as root too.
const OPTIONS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with one tab. It closes when this is dropped; if a test fails, after a picture of it.
pub struct Browser {
    /// None only while it is dropped.
    driver: Option<WebDriver>,
    runtime: Runtime,
    /// The program between us and the browser.
    _chromedriver: Run,
}

impl Browser {
    /// A browser; none where none can be had, after saying that this part of a test is skipped.
    pub fn open(what: &str) -> Option<Self> {
        install(what, "browser")?;
        let mut chromedriver = Command::new("chromedriver");
        chromedriver.arg("--port=0");
        let mut chromedriver = Run::start(chromedriver);
        let port = loop {
            let line = chromedriver.wait_for_output();
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let runtime = Runtime::new().expect("a runtime");
        let driver = runtime.block_on(async {
            let mut wanted = DesiredCapabilities::chrome();
            for option in OPTIONS {
                wanted.add_arg(option)?;
            }
            wanted.set_browser_log_level(LoggingPrefsLogLevel::All)?;
            WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await
        });
        let browser = Self {
            driver: Some(driver.expect("the browser starts")),
            runtime,
            _chromedriver: chromedriver,
        };
        browser.resize(1280, 900);
        Some(browser)
    }

    /// Goes to an address, and waits until it has loaded.
    pub fn go(&self, url: &str) {
        let went = self.runtime.block_on(self.driver().goto(url));
        went.unwrap_or_else(|e| panic!("{url}: {e}"));
    }

    /// Another size of the page's window, in CSS pixels. Windows cannot be as narrow as a phone.
    pub fn resize(&self, width: u32, height: u32) {
        self.send(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
    }

    /// What the system wants of pages, as in `prefers-color-scheme` and `dark`.
    pub fn prefer(&self, feature: &str, value: &str) {
        let features = json!({"features": [{"name": feature, "value": value}]});
        self.send("Emulation.setEmulatedMedia", features);
    }

    /// What the page answers to a script, which returns it.
    pub fn ask(&self, script: &str) -> Value {
        let answer = self.runtime.block_on(self.driver().execute(script, []));
        let answer = answer.unwrap_or_else(|e| panic!("{script}: {e}"));
        answer.json().clone()
    }

    /// Waits until an expression is true in the page.
    pub fn wait_until(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        wait_until(&format!("the page has {expression}"), || {
            self.ask(&script) == true
        });
    }

    /// Waits until the page has an element with these words in it.
    pub fn wait_for(&self, css: &str, words: &str) {
        let (css, words) = (json!(css), json!(words));
        self.wait_until(&format!(
            "[...document.querySelectorAll({css})].some((e) => e.textContent.includes({words}) \
             && e.checkVisibility())"
        ));
    }

    /// The words of the first such element.
    pub fn text(&self, css: &str) -> String {
        let script = format!("return document.querySelector({}).textContent", json!(css));
        self.ask(&script).as_str().expect("a text").to_owned()
    }

    /// How many such elements people can see.
    pub fn count(&self, css: &str) -> u64 {
        let script = format!(
            "return [...document.querySelectorAll({})].filter((e) => e.checkVisibility()).length",
            json!(css)
        );
        self.ask(&script).as_u64().expect("a number")
    }

    /// Clicks the first such element, as a mouse does: something above it fails the test.
    pub fn click(&self, css: &str) {
        let clicked = self
            .runtime
            .block_on(async { self.element(css).await.click().await });
        clicked.unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    /// Chooses a file in a field for files.
    pub fn choose_file(&self, css: &str, file: &Path) {
        let path = file.to_str().expect("a plain path");
        let typed = self
            .runtime
            .block_on(async { self.element(css).await.send_keys(path).await });
        typed.unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    /// Types where the focus is.
    pub fn type_keys(&self, keys: &str) {
        let typed = self.runtime.block_on(async {
            let chain = self.driver().action_chain();
            chain.send_keys(keys).perform().await
        });
        typed.unwrap_or_else(|e| panic!("{keys}: {e}"));
    }

    /// Presses a key where the focus is.
    pub fn press(&self, key: Key) {
        self.type_keys(&char::from(key).to_string());
    }

    /// What the browser's console has said since the last time, warnings and errors alone.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.runtime.block_on(self.driver().browser_log());
        let log = log.expect("the console's log").into_iter();
        let is_bad = |level: &str| ["WARNING", "SEVERE"].contains(&level);
        let bad = log.filter(|entry| is_bad(&entry.level));
        bad.map(|entry| entry.message).collect()
    }

    /// Fails if the page breaks one of axe-core's rules.
    pub fn expect_accessible(&self, what: &str) {
        static AXE: LazyLock<Option<String>> = LazyLock::new(|| {
            let file = install("axe-core's rules", "axe")?;
            Some(std::fs::read_to_string(file).expect("was installed"))
        });
        let Some(axe) = AXE.as_ref() else {
            return;
        };
        if self.ask("return typeof axe") == "undefined" {
            self.ask(axe);
        }
        let found = self.ask(
            "const { violations } = await axe.run({ resultTypes: ['violations'] }); \
             return violations.flatMap(({ id, nodes }) => nodes.map((node) => \
             [id, node.target.join(' '), node.failureSummary].join(': ')))",
        );
        assert_eq!(found, json!([]), "{what}: {found:#}");
    }

    /// The value of a cookie, which the page's scripts need not be able to read.
    pub fn cookie(&self, name: &str) -> String {
        let cookie = self.runtime.block_on(self.driver().get_named_cookie(name));
        cookie.unwrap_or_else(|e| panic!("{name}: {e}")).value
    }

    /// Keeps a picture of the page in `screenshots`, beside the programs that were built. Gives the
    /// file.
    pub fn screenshot(&self, name: &str) -> PathBuf {
        let folder = build_folder().join("screenshots");
        let file = folder.join(format!("{name}.png"));
        let taken = self.runtime.block_on(async {
            tokio::fs::create_dir_all(&folder).await?;
            self.driver().screenshot(&file).await
        });
        // A failed test wants one too: no reason to fail by itself.
        if let Err(e) = taken {
            skip(&format!("a picture in {}", file.display()), &e.to_string());
        }
        file
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("is open")
    }

    async fn element(&self, css: &str) -> WebElement {
        let found = self.driver().find(By::Css(css)).await;
        found.unwrap_or_else(|e| panic!("{css}: {e}"))
    }

    fn send(&self, command: &str, parameters: Value) {
        let sent = self
            .runtime
            .block_on(self.driver().cdp().send_raw(command, parameters));
        sent.unwrap_or_else(|e| panic!("{command}: {e}"));
    }
}

/// Has services.sh install something, and gives what it prints; none where that cannot be had,
/// after saying that this part of a test is skipped.
fn install(what: &str, part: &str) -> Option<String> {
    let mut install = Command::new(root().join("deploy/services/services.sh"));
    let installed = install.args(["install", part]).output();
    let installed = installed.expect("services.sh runs");
    let said = String::from_utf8_lossy(&installed.stderr);
    if installed.status.code() == Some(UNAVAILABLE) {
        skip(what, said.trim());
        return None;
    }
    assert!(installed.status.success(), "{said}");
    let printed = String::from_utf8_lossy(&installed.stdout);
    Some(printed.trim().to_owned())
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let test = std::thread::current();
            self.screenshot(&format!("failed-{}", test.name().unwrap_or("test")));
        }
        if let Some(driver) = self.driver.take() {
            // A browser that is gone by itself needs no closing.
            let _ = self.runtime.block_on(driver.quit());
        }
    }
}

//! Who may do what, and what others try all the same.

use serde_json::{Value, json};
use stylefleet_tests::Run;
use stylefleet_tests::services::curl;
use thirtyfour::Key;

use crate::{ENDLESS, Shown};

/// What people give a token.
const TOKEN: &str = "correct horse battery";

impl Shown<'_> {
    /// A page that people may look at without the token.
    fn readable(what: &str) -> Option<Self> {
        Self::of(what, |dashboard| {
            dashboard
                .arg("--read-without-token")
                .env("STYLEFLEET_DASHBOARD_TOKEN", TOKEN);
        })
    }

    /// Gives the token to the dialog that asks for it.
    fn log_in(&self) {
        self.browser.wait_for("dialog", "Token");
        self.browser.expect_accessible("log-in");
        self.browser.type_keys(TOKEN);
        self.browser.press(Key::Enter);
        self.browser.wait_until("!document.querySelector('dialog')");
    }
}

#[test]
fn who_has_no_token_may_look_and_no_more() {
    let Some(shown) = Shown::readable("the page without a token") else {
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
    shown.log_in();
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
    // Addresses that lead out of the API lead nowhere.
    for path in ["..%2F..%2Fapi%2Fdead", "..%2F..%2F..%2Fidentity", "%2e%2e"] {
        for view in ["jobs", "batches"] {
            shown.go(&format!("#/{view}/{path}"));
            browser.wait_for(".error", "");
        }
    }
    assert_eq!(browser.ask("return window.harm ?? null"), Value::Null);
    assert_eq!(browser.count("img[src=x], main b b"), 0);
}

#[test]
fn no_other_site_acts_in_the_name_of_who_has_logged_in() {
    let shown = Shown::of("another site's attempts", |dashboard| {
        dashboard.env("STYLEFLEET_DASHBOARD_TOKEN", TOKEN);
    });
    let Some(shown) = shown else {
        return;
    };
    let browser = &shown.browser;
    shown.workshop.submit(&["boat.png", ENDLESS, "--batch b"]);
    shown.go("");
    shown.log_in();
    browser.wait_for(".batch .name", "b");
    browser.complaints(); // of what was refused before

    let scene = &shown.workshop.scene;
    scene.write("site.html", "<!doctype html><title>Another site</title>");
    browser.go(&format!("file://{}", scene.path("site.html").display()));
    let attempts = format!(
        "const url = {};
         const body = JSON.stringify({{ batch: 'b' }});
         const told = (answer) => answer.then(({{ type }}) => type, () => 'refused');
         const act = {{ method: 'POST', body, credentials: 'include' }};
         return Promise.all([
             told(fetch(`${{url}}api/cancel`, {{ ...act, mode: 'no-cors' }})),
             told(fetch(`${{url}}api/cancel`, {{ ...act, headers: {{ 'x-stylefleet': '1' }} }})),
             told(fetch(`${{url}}api/batches`, {{ credentials: 'include' }})),
         ]);",
        json!(shown.url)
    );
    // One is sent, but its answer cannot be read.
    assert_eq!(
        browser.ask(&attempts),
        json!(["opaque", "refused", "refused"])
    );
    browser.ask(&format!(
        "const frame = document.createElement('iframe');
         frame.src = {};
         document.body.append(frame);
         return new Promise((resolve) => {{ frame.onload = resolve; }});",
        json!(shown.url)
    ));
    let complaints = browser.complaints();
    assert!(
        complaints.iter().any(|line| line.contains("frame")),
        "{complaints:#?}"
    );
    browser.ask(&format!(
        "const form = document.createElement('form');
         Object.assign(form, {{ method: 'POST', action: {}, enctype: 'text/plain' }});
         const field = document.createElement('input');
         Object.assign(field, {{ name: '{{\"batch\": \"b\", \"', value: '\": 1}}' }});
         form.append(field);
         document.body.append(form);
         form.submit();",
        json!(format!("{}api/cancel", shown.url))
    ));
    browser.wait_for("body", "X-Stylefleet");

    // Nothing has come of it, though whoever is logged in still is.
    assert_eq!(shown.state_of("b", "cancelled"), 0);
    shown.go("#/batches/b");
    browser.wait_for(".view-header button", "Cancel all");
}

#[test]
fn a_session_ends_with_the_log_out_and_with_its_token() {
    let Some(shown) = Shown::readable("logging out") else {
        return;
    };
    let browser = &shown.browser;
    shown.workshop.submit(&["boat.png", ENDLESS, "--batch b"]);
    shown.go("#/batches/b");
    browser.click("#login");
    shown.log_in();
    browser.wait_for(".view-header button", "Cancel all");
    browser.resize(320, 700);
    browser.wait_until("document.documentElement.scrollWidth <= innerWidth");
    browser.screenshot("logged-in-320");
    let stolen = browser.cookie("stylefleet-session");
    browser.click("#logout");
    browser.wait_for("#login", "Log in");
    assert_eq!(browser.count(".view-header button"), 0);

    // Who has stolen the cookie may act until the token is another one.
    let other = format!("{TOKEN}, staple");
    let address = &stylefleet_tests::health::free_address();
    let mut again = shown.workshop.command(&["dashboard --listen", address]);
    again.env("STYLEFLEET_DASHBOARD_TOKEN", other);
    let mut again = Run::start(again);
    let url = again.wait_for_output();
    let session = format!("Cookie: stylefleet-session={stolen}");
    let status = |url: &str| {
        let code = ["-o", "/dev/null", "-w", "%{http_code}", "--no-fail"];
        let action = ["-H", "X-Stylefleet: 1", "-H", &session, "-d", "{}"];
        curl(&[&code[..], &action, &[&format!("{url}api/cancel")]].concat())
    };
    assert_ne!(status(&shown.url), "401");
    assert_eq!(status(&url), "401");
}

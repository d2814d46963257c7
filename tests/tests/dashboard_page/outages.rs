//! A page whose dashboard, broker or store is away for a while.

use std::process::Command;

use stylefleet_tests::Run;
use stylefleet_tests::relay::Relay;

use crate::{ENDLESS, SHORT, Shown};

/// Has a command reach the server that a setting of it names by way of a relay.
fn relay(command: &mut Command, setting: &str) -> Relay {
    let mut settings = command.get_envs();
    let url = settings.find_map(|(name, url)| (name == setting).then_some(url?.to_str()?));
    let relay = Relay::before(url.expect("is set"));
    command.env(setting, &relay.url);
    relay
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
fn a_broker_or_a_store_that_is_away_is_said_and_found_again() {
    let mut relays = None;
    let shown = Shown::of("servers that are away", |dashboard| {
        let [broker, store] = ["STYLEFLEET_BROKER", "STYLEFLEET_S3_ENDPOINT"];
        relays = Some((relay(dashboard, broker), relay(dashboard, store)));
    });
    let (Some(shown), Some((broker, store))) = (shown, relays) else {
        return;
    };
    let browser = &shown.browser;
    shown.finish("first", "boat.png");
    shown.go("");
    browser.wait_for(".batch .share", "1/1");

    // Without the broker, what the store has is shown, new work included.
    broker.block();
    browser.wait_for("#connection", "Broker away");
    shown.finish("second", "car.png");
    browser.wait_for(".batch:has(.share) .name", "second");
    browser.wait_until(
        "[...document.querySelectorAll('.batch .share')].every((e) => e.textContent === '1/1')",
    );
    shown.go("#/queue");
    browser.wait_for(".error", "");
    broker.open();
    browser.wait_until("document.querySelector('#connection').hidden");

    // Without the store, what is known of it stays.
    store.block();
    shown.go("");
    browser.wait_for("#connection", "Store away");
    browser.wait_for(".batch .name", "second");
    browser.screenshot("store-away");
    store.open();
    browser.wait_until("document.querySelector('#connection').hidden");
    shown
        .workshop
        .submit(&["boat.png car.png", SHORT, "--batch third"]);
    browser.wait_for(".batch .name", "third");
}

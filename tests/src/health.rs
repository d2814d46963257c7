//! What a worker answers at the address in `STYLEFLEET_HEALTH`.

use std::net::TcpListener;

use crate::processes::wait_until;
use crate::services::curl;

/// An address of this machine with a port that is free.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("is bound").to_string()
}

/// A worker's address for questions about its health.
#[derive(Debug)]
pub struct Health {
    /// The address.
    pub address: String,
}

impl Health {
    /// At a free address.
    pub fn at_a_free_address() -> Self {
        Self {
            address: free_address(),
        }
    }

    /// The setting that has a worker answer there.
    pub fn setting(&self) -> (&'static str, &str) {
        ("STYLEFLEET_HEALTH", &self.address)
    }

    /// What it answers: the status and the text.
    pub fn ask(&self, path: &str) -> (String, String) {
        let url = format!("http://{}{path}", self.address);
        let answer = curl(&["--no-fail", "-w", "\n%{http_code}", &url]);
        let (text, status) = answer.rsplit_once('\n').expect("a line of ours");
        (status.to_owned(), text.trim().to_owned())
    }

    /// Waits for this answer to the question whether it is ready.
    pub fn wait_until_ready(&self, status: &str, text: &str) {
        let answer = (status.to_owned(), text.to_owned());
        wait_until(&format!("/readyz says {answer:?}"), || {
            self.ask("/readyz") == answer
        });
    }

    /// Its metrics.
    pub fn metrics(&self) -> Metrics {
        Metrics::at(&format!("http://{}/metrics", self.address))
    }

    /// Waits until its metrics are so.
    pub fn wait_for_metrics(&self, what: &str, is_so: impl Fn(&Metrics) -> bool) {
        wait_until(what, || is_so(&self.metrics()));
    }
}

/// Metrics as Prometheus reads them.
#[derive(Debug)]
pub struct Metrics {
    /// All lines.
    pub text: String,
}

impl Metrics {
    /// Those at an address.
    pub fn at(url: &str) -> Self {
        let text = curl(&[url]);
        Self { text }
    }

    /// The value of a series, with its labels in the order of the table; none if it is not there.
    pub fn get(&self, series: &str) -> Option<f64> {
        self.samples()
            .find(|(name, _)| *name == series)
            .map(|(_, value)| value)
    }

    /// The same, 0 if it is not there.
    pub fn value(&self, series: &str) -> f64 {
        self.get(series).unwrap_or_default()
    }

    /// All series, with their values.
    pub fn samples(&self) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.text.lines();
        let samples = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        samples.map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            (series, value.parse().expect("a number"))
        })
    }
}

//! What the environment says about traces. The rest of OpenTelemetry's variables, such as
//! `OTEL_TRACES_SAMPLER` and `OTEL_EXPORTER_OTLP_HEADERS`, are read by its own crates.

use std::time::Duration;

use stylefleet_proto::Trace;

/// Addresses of a collector, that for traces first.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
/// How long a request to it may take, in milliseconds.
const TIMEOUTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
];
/// The same where nothing is said, as OpenTelemetry has it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How traces are exported.
#[derive(Debug, PartialEq)]
pub(crate) struct Export {
    /// How long a request may take.
    pub timeout: Duration,
}

impl Export {
    /// Whether traces are wanted: if a collector is named, and nothing forbids it.
    pub(crate) fn wanted() -> Option<Self> {
        Self::from_variables(variable)
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let first = |names: [&str; 2]| names.into_iter().find_map(&variable);
        let says = |name, word: &str| variable(name).is_some_and(|v| v.eq_ignore_ascii_case(word));
        if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        first(ENDPOINTS)?;
        let millis = first(TIMEOUTS).and_then(|text| text.trim().parse().ok());
        Some(Self {
            timeout: millis.map_or(TIMEOUT, Duration::from_millis),
        })
    }
}

/// The trace that this process was started in, by `TRACEPARENT` and `TRACESTATE`.
pub(crate) fn callers_trace() -> Trace {
    let text = |name| variable(name).unwrap_or_default();
    Trace::of(&text("TRACEPARENT"), &text("TRACESTATE"), "")
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(variables: &[(&str, &str)]) -> Option<Export> {
        Export::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn traces_are_exported_only_to_a_collector_that_is_named() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let default = Export { timeout: TIMEOUT };
        assert_eq!(wanted(&[]), None);
        assert_eq!(wanted(&[("OTEL_SERVICE_NAME", "me")]), None);
        assert_eq!(wanted(&[endpoint]), Some(default));
        assert_eq!(wanted(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), None);
        let general = ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500");
        let timeout = Duration::from_millis(500);
        assert_eq!(wanted(&[endpoint, general, own]), Some(Export { timeout }));
    }
}

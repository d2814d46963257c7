//! What programs say with `--json`.

use serde_json::Value;
use stylefleet_proto::JobId;

/// Whether an event is of that kind.
pub fn is(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == kind
}

/// The steps that an event tells of.
pub fn steps(event: &Value) -> u64 {
    event["steps"].as_u64().expect("a number")
}

/// The job that an event is of.
pub fn job(event: &Value) -> JobId {
    let id = event["job"].as_str().expect("a job");
    id.parse().expect("an id")
}

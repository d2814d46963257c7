//! Metrics, in Prometheus' format.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use stylefleet_proto::Ended;

const JOBS: &str = "stylefleet_jobs_total";
const STEPS: &str = "stylefleet_steps_total";
const BUSY: &str = "stylefleet_busy_milliseconds_total";
const CONNECTED: &str = "stylefleet_connected";

/// Starts to collect metrics. Earlier values are lost.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    describe_counter!(JOBS, "Jobs that this worker let go of, by kind and outcome");
    describe_counter!(STEPS, "Steps of jobs that this worker finished, by kind");
    describe_counter!(BUSY, "Milliseconds in which the device had a job");
    describe_gauge!(CONNECTED, "1 while the broker can be reached, else 0");
    Ok(handle)
}

/// Counts time in which the device had a job.
pub fn was_busy(time: Duration) {
    counter!(BUSY).increment(time.as_millis() as u64);
}

/// Counts a job of that kind, and how its attempt ended.
pub fn ended(kind: &'static str, ended: &Ended) {
    let outcome = match ended {
        Ended::Finished { steps, .. } => {
            counter!(STEPS, "kind" => kind).increment(*steps);
            "finished"
        }
        Ended::Failed {
            retryable: true, ..
        } => "retried",
        Ended::Failed { .. } => "failed",
        Ended::Interrupted { .. } => "interrupted",
        Ended::Cancelled => "cancelled",
    };
    counter!(JOBS, "kind" => kind, "outcome" => outcome).increment(1);
}

/// Notes whether the broker can be reached.
pub fn connected(is_connected: bool) {
    gauge!(CONNECTED).set(if is_connected { 1.0 } else { 0.0 });
}

//! Counts what a worker does, under the names in [`stylefleet_proto::metrics`].

use std::iter::zip;
use std::time::{Duration, Instant, SystemTime};

use metrics::{
    Label, SharedString, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use stylefleet_engine::Description;
use stylefleet_proto::lifecycle::{self, Settlement};
use stylefleet_proto::metrics::{
    BUILD, BUSY, CHECKPOINT_AGE, CHECKPOINT_SIZE, CONNECTED, DEAD_LETTERS, JOBS, MEMORY_SIZE,
    MEMORY_USED, Metric, OUTPUTS, Outcome, QUEUE_WAIT, RETRIES, Reason, STAGES, STEP_AGE, STEPS,
    Service, Shape, Stage, WORK, WORKER,
};
use stylefleet_proto::{Build, Ended, Memory, Progress, Record};
use stylefleet_transport::broker::Claim;
use tracing::Instrument;

use crate::activity::{Activity, Ages};
use crate::kinds::Kinds;
use crate::spans;

/// Starts to collect metrics of such a worker for jobs of these kinds. Earlier values are lost.
pub fn install(
    build: Build,
    kinds: &Kinds,
    engine: &Description,
) -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in WORKER {
        if let Shape::Histogram(bounds) = metric.shape {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, bounds)?;
        }
    }
    let handle = builder.install_recorder()?;
    for metric in WORKER {
        match metric.shape {
            Shape::Counter => describe_counter!(metric.name, metric.help),
            Shape::Gauge => describe_gauge!(metric.name, metric.help),
            Shape::Histogram(_) => describe_histogram!(metric.name, metric.help),
        }
    }
    let program = [
        build.version.into(),
        build.commit.unwrap_or_default().into(),
        engine.libtorch.clone().into(),
        engine.device.clone().into(),
    ];
    gauge!(BUILD.name, by(&BUILD, program)).set(1.0);
    begin_at_zero(kinds);
    Ok(handle)
}

/// Makes counters that may stay at 0 for long: nobody sees that one grew which was not there
/// before.
fn begin_at_zero(kinds: &Kinds) {
    for kind in kinds.labels() {
        for outcome in Outcome::ALL {
            let labels = by(&JOBS, [kind.into(), outcome.word().into()]);
            counter!(JOBS.name, labels).absolute(0);
        }
    }
    for metric in [&RETRIES, &DEAD_LETTERS] {
        for reason in Reason::ALL {
            counter!(metric.name, by(metric, [reason.word().into()])).absolute(0);
        }
    }
}

/// Counts a job of that kind that the worker lets go of after an attempt. Returns what became of
/// it.
pub fn ended(kind: &'static str, attempt: u32, ended: &Ended, reason: Option<Reason>) -> Outcome {
    let because = |metric: &'static Metric| {
        let reason = reason.unwrap_or(Reason::Worker).word();
        counter!(metric.name, by(metric, [reason.into()])).increment(1);
    };
    let outcome = match lifecycle::settle(attempt, ended) {
        Settlement::Over if *ended == Ended::Cancelled => Outcome::Cancelled,
        Settlement::Over => Outcome::Finished,
        Settlement::Continue => Outcome::Interrupted,
        Settlement::Retry => {
            because(&RETRIES);
            Outcome::Retried
        }
        Settlement::SetAside { .. } => {
            because(&DEAD_LETTERS);
            Outcome::SetAside
        }
    };
    let labels = by(&JOBS, [kind.into(), outcome.word().into()]);
    counter!(JOBS.name, labels).increment(1);
    outcome
}

/// Counts what a job of that kind made.
pub fn finished(kind: &'static str, record: &Record) {
    histogram!(WORK.name, by(&WORK, [kind.into()])).record(record.seconds);
    for output in &record.outputs {
        let labels = by(&OUTPUTS, [kind.into(), output.role.to_string().into()]);
        counter!(OUTPUTS.name, labels).increment(1);
    }
}

/// Notes how long a job waited that was just claimed. After a failed attempt it was meant to wait;
/// after a worker's death, nobody knows since when it did.
pub fn claimed(claim: &Claim) {
    let Some(published) = claim.published else {
        return;
    };
    if claim.job.attempt == 1 && !claim.redelivered {
        // Clocks may differ.
        let wait = SystemTime::now().duration_since(published);
        let labels = by(&QUEUE_WAIT, [claim.job.priority.word().into()]);
        histogram!(QUEUE_WAIT.name, labels).record(wait.unwrap_or_default());
    }
}

/// Does the `work` of a stage in a span of its own, and notes how long it took, whatever it came
/// to.
pub async fn timed<T>(kind: &'static str, stage: Stage, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.instrument(spans::stage(stage)).await;
    took(kind, stage, began.elapsed());
    done
}

/// Notes how long a stage took.
pub fn took(kind: &'static str, stage: Stage, time: Duration) {
    let labels = by(&STAGES, [kind.into(), stage.word().into()]);
    histogram!(STAGES.name, labels).record(time);
}

/// Notes the size of a checkpoint that was stored.
pub fn stored(kind: &'static str, bytes: usize) {
    let labels = by(&CHECKPOINT_SIZE, [kind.into()]);
    histogram!(CHECKPOINT_SIZE.name, labels).record(bytes as f64);
}

/// Notes how the device stands.
pub fn device(ages: Ages, memory: Option<Memory>) {
    counter!(BUSY.name).absolute(ages.busy.as_secs());
    gauge!(STEP_AGE.name).set(ages.step);
    gauge!(CHECKPOINT_AGE.name).set(ages.checkpoint);
    if let Some(Memory { used, size }) = memory {
        gauge!(MEMORY_USED.name).set(used as f64);
        gauge!(MEMORY_SIZE.name).set(size as f64);
    }
}

/// Notes how many messages were set aside that were no jobs.
pub fn refused(messages: u64) {
    let labels = by(&DEAD_LETTERS, [Reason::Message.word().into()]);
    counter!(DEAD_LETTERS.name, labels).absolute(messages);
}

/// Notes whether a service can be reached.
pub fn connected(to: Service, is_connected: bool) {
    let labels = by(&CONNECTED, [to.word().into()]);
    gauge!(CONNECTED.name, labels).set(if is_connected { 1.0 } else { 0.0 });
}

/// Counts what the job at work does.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    /// The job's kind.
    pub kind: &'static str,
    /// What the device is at.
    pub activity: Activity,
}

impl Meter {
    /// It got so far.
    pub fn stepped(&self, progress: &Progress) {
        let steps = self.activity.stepped(progress.steps);
        let labels = by(&STEPS, [self.kind.into(), progress.unit.clone().into()]);
        counter!(STEPS.name, labels).increment(steps);
    }

    /// A checkpoint of so many bytes was stored.
    pub fn stored(&self, bytes: usize) {
        self.activity.stored();
        stored(self.kind, bytes);
    }
}

/// The metric's labels with these values.
fn by<const N: usize>(metric: &Metric, values: [SharedString; N]) -> Vec<Label> {
    let labels = zip(metric.labels, values);
    labels
        .map(|(label, value)| Label::new(label.name, value))
        .collect()
}

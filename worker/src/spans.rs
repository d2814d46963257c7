//! Spans: they say in each line of the log which job it is about, and traces consist of them.

use stylefleet_proto::Job;
use stylefleet_proto::metrics::Stage;
use tracing::{Span, field, info_span};

/// What is done for a job from its claim until it is settled, as a part of the job's trace.
pub fn attempt(job: &Job) -> Span {
    let span = info_span!(
        parent: None,
        "attempt",
        otel.kind = "consumer",
        batch = %job.batch,
        result = job.name.as_ref(),
        job = %job.id,
        kind = %job.kind,
        attempt = job.attempt,
        trace_id = field::Empty,
        outcome = field::Empty,
    );
    stylefleet_telemetry::follow(&span, &job.trace);
    span
}

/// A stage of the current attempt.
pub fn stage(stage: Stage) -> Span {
    match stage {
        Stage::Prepare => info_span!("prepare"),
        Stage::Fetch => info_span!("fetch"),
        Stage::Wait => info_span!("wait"),
        Stage::Compute => info_span!("compute"),
        Stage::Upload => info_span!("upload"),
        Stage::Settle => info_span!("settle"),
    }
}

/// The phases of a job, one after the other, as the engine comes to them.
#[derive(Debug)]
pub struct Phases {
    within: Span,
    current: Option<(String, Span)>,
}

impl Phases {
    /// Phases within the current span.
    pub fn within_current() -> Self {
        Self {
            within: Span::current(),
            current: None,
        }
    }

    /// The span of this phase, which the job is at now. A new one ends the last.
    pub fn at(&mut self, phase: &str) -> Span {
        match &self.current {
            Some((at, span)) if at == phase => return span.clone(),
            _ => self.current = None,
        }
        let span = info_span!(parent: &self.within, "phase", phase);
        stylefleet_telemetry::rename(&span, name(phase));
        self.current = Some((phase.to_owned(), span.clone()));
        span
    }
}

/// What phases of a sort are called, so that they can be compared: the first word, as in
/// "scale 2/3, 512x384".
fn name(phase: &str) -> &str {
    let word = phase.split(' ').next().unwrap_or_default();
    if word.chars().all(char::is_alphabetic) {
        word
    } else {
        "phase"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_of_a_sort_have_one_name() {
        assert_eq!(name("scale 2/3, 512x384"), "scale");
        assert_eq!(name("training"), "training");
        assert_eq!(name("512x384 in tiles"), "phase");
    }
}

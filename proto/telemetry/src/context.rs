//! Between spans and the [`Trace`] that travels with a job.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, Status, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use stylefleet_proto::Trace;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::config;

/// W3C's names of what a carrier has.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The trace that the current span is in, for jobs that are submitted in it. Without an exporter,
/// that which this process was started in.
pub fn current() -> Trace {
    let trace = of(&Span::current().context());
    if trace.parent.is_some() {
        trace
    } else {
        config::callers_trace()
    }
}

/// A program's outermost span, in the trace that the process was started in, if any.
pub fn root(span: Span) -> Span {
    join(&span, &config::callers_trace());
    span
}

/// Puts the span of an attempt into its job's trace, and links it to the attempt before. What is
/// logged in it has the trace's id.
pub fn follow(span: &Span, trace: &Trace) {
    join(span, trace);
    if let Some(before) = &trace.before {
        let before = Trace {
            parent: Some(before.clone()),
            ..Trace::default()
        };
        span.add_link(remote(&before));
    }
    let begun = of(&span.context()).parent;
    if let Some(parent) = begun.as_ref().or(trace.parent.as_ref()) {
        span.record("trace_id", tracing::field::display(parent.trace_id()));
    }
}

/// The same trace for the attempt after the current one.
pub fn after(trace: Trace) -> Trace {
    let this = of(&Span::current().context()).parent;
    let before = this.or(trace.before);
    Trace { before, ..trace }
}

/// Marks the current span as failed.
pub fn fail(reason: &str) {
    let reason = reason.to_owned();
    Span::current().set_status(Status::error(reason));
}

/// Gives a span a name that is known only now.
pub fn rename(span: &Span, name: &str) {
    span.context().span().update_name(name.to_owned());
}

fn join(span: &Span, trace: &Trace) {
    let parent = remote(trace);
    if parent.is_valid() {
        // Fails only where no traces are exported.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// The span that a trace has for its parent; an invalid one if it has none.
fn remote(trace: &Trace) -> SpanContext {
    let parent = trace.parent.as_ref();
    let carrier = HashMap::from([
        (
            TRACEPARENT.to_owned(),
            parent.map(ToString::to_string).unwrap_or_default(),
        ),
        (TRACESTATE.to_owned(), trace.state.clone()),
    ]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    context.span().span_context().clone()
}

/// The trace that has the span of a context for its parent.
fn of(context: &Context) -> Trace {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    let text = |name| carrier.get(name).map(String::as_str).unwrap_or_default();
    Trace::of(text(TRACEPARENT), text(TRACESTATE), "")
}

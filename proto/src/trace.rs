//! Where a job stands in distributed traces, in the words of W3C Trace Context. It travels beside
//! the job: what is asked does not change by who looks on.

use std::fmt;
use std::str::FromStr;

use crate::{Invalid, wire};

/// Longest `tracestate` that is passed on, as W3C asks for at least.
const MAX_STATE: usize = 512;

/// The trace of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The span that submitted it; none: nobody traces it so far.
    pub parent: Option<TraceParent>,
    /// What tracing systems add to that.
    pub state: String,
    /// The span of the attempt or slice before.
    pub before: Option<TraceParent>,
}

/// A span, by the ids of its trace and its own, and whether it is recorded: W3C's `traceparent`, as
/// in `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl Trace {
    /// A trace by its parts. As W3C wants it, those that are invalid are left out.
    pub fn of(parent: &str, state: &str, before: &str) -> Self {
        let parent = parent.parse().ok();
        let is_state = state.len() <= MAX_STATE && state.bytes().all(|b| matches!(b, 0x20..=0x7e));
        let state = if parent.is_some() && is_state {
            state.to_owned()
        } else {
            String::new()
        };
        Self {
            parent,
            state,
            before: before.parse().ok(),
        }
    }
}

impl TraceParent {
    /// The trace's id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.0.split('-').nth(1).unwrap_or_default()
    }
}

impl FromStr for TraceParent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_id = |part: &str, digits| {
            part.len() == digits && is_hex(part) && part.bytes().any(|b| b != b'0')
        };
        match text.split('-').collect::<Vec<_>>()[..] {
            ["00", trace, span, flags]
                if is_id(trace, 32) && is_id(span, 16) && flags.len() == 2 && is_hex(flags) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Invalid::new(
                "traceparent",
                "is none of W3C Trace Context 1",
            )),
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<wire::Trace> for Trace {
    fn from(from: wire::Trace) -> Self {
        Self::of(&from.traceparent, &from.tracestate, &from.before)
    }
}

impl From<&Trace> for wire::Trace {
    fn from(from: &Trace) -> Self {
        let text = |span: &Option<TraceParent>| span.as_ref().map(ToString::to_string);
        Self {
            traceparent: text(&from.parent).unwrap_or_default(),
            tracestate: from.state.clone(),
            before: text(&from.before).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_no_traceparent_is_left_out() {
        let trace = Trace::of(PARENT, "vendor=1", PARENT);
        let parent = trace.parent.as_ref().expect("is valid");
        assert_eq!(parent.to_string(), PARENT);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.state, "vendor=1");
        assert_eq!(trace.before, trace.parent);
        assert_eq!(Trace::from(wire::Trace::from(&trace)), trace);
        for (good, bad) in [
            ("00-", "01-"),
            ("4bf9", "4BF9"),
            ("4bf9", "bf9"),
            ("-01", "-1"),
            ("-01", "-01-"),
            ("00f067aa0ba902b7", "0000000000000000"),
            ("4bf92f3577b34da6a3ce929d0e0e4736", "é"),
        ] {
            let text = PARENT.replacen(good, bad, 1);
            assert_eq!(
                Trace::of(&text, "vendor=1", &text),
                Trace::default(),
                "{text}"
            );
        }
        for state in ["a=\u{1}", "a=é", &"a".repeat(513)] {
            assert_eq!(Trace::of(PARENT, state, "").state, "", "{state}");
        }
    }
}

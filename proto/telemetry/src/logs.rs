//! Logs, as text for people or as JSON for machines.

use std::fmt;

use serde::Deserialize;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::is_ours;

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, in which the fields of all spans stand beside the message.
    Json,
}

/// What is logged, and how.
#[derive(Debug)]
pub struct Logs<'a> {
    /// What to log, as in `debug` or `stylefleet_worker=trace`.
    pub filter: &'a str,
    /// How lines look.
    pub format: LogFormat,
    /// Whether text has colours.
    pub colours: bool,
}

/// The layer that writes logs.
pub(crate) fn layer<S, W>(logs: &Logs<'_>, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A line is to say which job it is about however little is logged.
    let spans = filter_fn(|about| about.is_span() && is_ours(about))
        .with_max_level_hint(LevelFilter::from_level(Level::INFO));
    let filter = EnvFilter::new(logs.filter).or(spans);
    match logs.format {
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_ansi(logs.colours)
            .fmt_fields(TextFields)
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => json_subscriber::fmt::layer()
            .flatten_event(true)
            .with_span_list(false)
            .with_current_span(false)
            .flatten_span_list_on_top_level(true)
            .with_writer(writer)
            .with_filter(filter)
            .boxed(),
    }
}

/// Writes fields for people: without those that tell OpenTelemetry something.
struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = Text {
            writer,
            is_begun: false,
            written: Ok(()),
        };
        fields.record(&mut text);
        text.written
    }
}

/// Fields, one after the other.
struct Text<'writer> {
    writer: Writer<'writer>,
    is_begun: bool,
    written: fmt::Result,
}

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.written.is_err() || field.name().starts_with("otel.") {
            return;
        }
        let blank = if self.is_begun { " " } else { "" };
        self.is_begun = true;
        self.written = match field.name() {
            "message" => write!(self.writer, "{blank}{value:?}"),
            name => write!(self.writer, "{blank}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("is not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What a warning and less look like, in a span of a job, where only warnings are logged.
    fn logged(format: LogFormat) -> String {
        let lines = Lines::default();
        let logs = Logs {
            filter: "stylefleet=warn",
            format,
            colours: false,
        };
        let writer = lines.clone();
        let layer = layer(&logs, move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let of_kind = "consumer";
            let span = tracing::info_span!("attempt", otel.kind = of_kind, job = 7, name = "a b");
            span.in_scope(|| {
                tracing::info!("hardly worth a word");
                tracing::warn!(steps = 5, "it failed");
            });
        });
        let bytes = lines.0.lock().expect("is not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_line_says_what_it_is_about_though_little_is_logged() {
        let text = logged(LogFormat::Text);
        let said = r#"WARN attempt{job=7 name="a b"}: stylefleet_telemetry::logs::tests: "#;
        assert!(text.contains(said), "{text}");
        assert!(text.ends_with("it failed steps=5\n"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        let json = logged(LogFormat::Json);
        for said in [r#""job":7"#, r#""message":"it failed""#, r#""steps":5"#] {
            assert!(json.contains(said), "{json}");
        }
        assert_eq!(json.lines().count(), 1, "{json}");
    }
}

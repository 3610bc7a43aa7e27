//! Numbers of apps and reactors in the text format of Prometheus.

use std::fmt::{self, Write};
use std::time::{Duration, Instant};

use crate::meter::ReactorStats;
use crate::stats::Stats;

/// A metric, and its value in the numbers of an app or a reactor, if they have one.
struct Metric<T> {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&T) -> Option<Value>,
}

enum Value {
    Integer(u64),
    Seconds(Duration),
    Ratio(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Seconds(time) => write!(f, "{}.{:09}", time.as_secs(), time.subsec_nanos()),
            Self::Ratio(value) => write!(f, "{value}"),
        }
    }
}

macro_rules! metrics {
    ($($name:literal $kind:ident $help:literal $value:expr;)*) => {
        &[$(Metric { name: $name, kind: stringify!($kind), help: $help, value: $value }),*]
    };
}

const APP: &[Metric<Stats>] = metrics! {
    "websocket_received_messages_total" counter "Messages received." |it| integer(it.received.messages);
    "websocket_sent_messages_total" counter "Messages queued for sending." |it| integer(it.sent.messages);
    "websocket_received_frames_total" counter "Frames of messages received." |it| integer(it.received.frames);
    "websocket_sent_frames_total" counter "Frames of messages queued for sending." |it| integer(it.sent.frames);
    "websocket_received_payload_bytes_total" counter "Bytes of messages received, after decompression."
        |it| integer(it.received.payload_bytes);
    "websocket_sent_payload_bytes_total" counter "Bytes of messages queued for sending, before compression."
        |it| integer(it.sent.payload_bytes);
    "websocket_received_wire_bytes_total" counter "Bytes read from the stream, without those of TLS."
        |it| integer(it.received.wire_bytes);
    "websocket_sent_wire_bytes_total" counter "Bytes written to the stream, without those of TLS."
        |it| integer(it.sent.wire_bytes);
    "websocket_received_pings_total" counter "Pings received." |it| integer(it.received.pings);
    "websocket_sent_pings_total" counter "Pings queued for sending." |it| integer(it.sent.pings);
    "websocket_received_compression_ratio" gauge "Bytes of compressed messages received, over what they were compressed to."
        |it| it.received.compression_ratio().map(Value::Ratio);
    "websocket_sent_compression_ratio" gauge "Bytes of compressed messages sent, over what they were compressed to."
        |it| it.sent.compression_ratio().map(Value::Ratio);
    "websocket_queued_bytes" gauge "Bytes that wait to be written." |it| size(it.queued_bytes);
    "websocket_peak_queued_bytes" gauge "The most bytes that ever waited to be written."
        |it| size(it.peak_queued_bytes);
    "websocket_rtt_last_seconds" gauge "The latest round-trip time of a ping."
        |it| it.rtt.last.map(Value::Seconds);
    "websocket_rtt_smoothed_seconds" gauge "The smoothed round-trip time of pings."
        |it| it.rtt.smoothed.map(Value::Seconds);
    "websocket_rtt_min_seconds" gauge "The shortest round-trip time of a ping."
        |it| it.rtt.min.map(Value::Seconds);
    "websocket_last_byte_age_seconds" gauge "Time since bytes were read last." |it| age(it, it.last_byte);
    "websocket_last_message_age_seconds" gauge "Time since a message was read last."
        |it| age(it, it.last_message);
    "websocket_attempts_total" counter "Attempts to connect." |it| integer(it.attempts.started.into());
    "websocket_opened_connections_total" counter "Attempts that led to an open connection."
        |it| integer(it.attempts.opened.into());
    "websocket_attempt_resolve_seconds" gauge "Time to resolve the name, in the last attempt."
        |it| it.phases.resolve.map(Value::Seconds);
    "websocket_attempt_connect_seconds" gauge "Time to connect, in the last attempt."
        |it| it.phases.connect.map(Value::Seconds);
    "websocket_attempt_proxy_seconds" gauge "Time until the proxy consented, in the last attempt."
        |it| it.phases.proxy.map(Value::Seconds);
    "websocket_attempt_tls_seconds" gauge "Time for the handshake of TLS, in the last attempt."
        |it| it.phases.tls.map(Value::Seconds);
    "websocket_attempt_upgrade_seconds" gauge "Time until the server's response to the upgrade request, in the last attempt."
        |it| it.phases.upgrade.map(Value::Seconds);
};

const REACTOR: &[Metric<ReactorStats>] = metrics! {
    "websocket_reactor_turns_total" counter "Turns taken." |it| integer(it.turns);
    "websocket_reactor_ready_streams_total" counter "Streams reported as ready." |it| integer(it.ready_streams);
    "websocket_reactor_callback_seconds_total" counter "Time spent on apps' events."
        |it| Some(Value::Seconds(it.time_in_callbacks));
    "websocket_reactor_longest_callback_seconds" gauge "The longest time that a callback held the loop."
        |it| Some(Value::Seconds(it.longest_callback?.took));
    "websocket_reactor_reads_stopped_early_total" counter "Reads that stopped so that other apps had their turn."
        |it| integer(it.reads_stopped_early);
};

#[allow(clippy::unnecessary_wraps, reason = "as the other values of a metric")]
const fn integer(value: u64) -> Option<Value> {
    Some(Value::Integer(value))
}

const fn size(value: usize) -> Option<Value> {
    integer(value as u64)
}

fn age(stats: &Stats, at: Option<Instant>) -> Option<Value> {
    Some(Value::Seconds(stats.taken_at.saturating_duration_since(at?)))
}

/// Writes the numbers of apps to `out` in the text format of Prometheus, version 0.0.4: for each metric its help, its type, and a line
/// for each app with that app's labels. Durations are in seconds. A metric that an app has no value of has no line for that app.
///
/// Two apps must differ in their labels. Values of labels may be any text and are escaped; in names of labels, bytes other than ASCII letters, digits and
/// underscores become underscores.
///
/// # Errors
/// What `out` returned. A [`String`] returns none.
///
/// ```
/// use websocket_app::{Context, write_prometheus};
///
/// fn metrics(app: &mut Context<'_>) -> String {
///     let (url, stats) = (app.url().to_string(), app.total_stats());
///     let mut text = String::new();
///     write_prometheus(&mut text, &[(&[("feed", url.as_str())], stats)]).unwrap();
///     text // websocket_received_messages_total{feed="wss://feed.example/prices"} 1234 ...
/// }
/// ```
pub fn write_prometheus(out: &mut impl Write, apps: &[(&[(&str, &str)], Stats)]) -> fmt::Result {
    write_metrics(out, APP, apps)
}

/// Writes the numbers of a reactor as [`write_prometheus`] writes those of apps.
///
/// # Errors
/// What `out` returned. A [`String`] returns none.
pub fn write_reactor_prometheus(
    out: &mut impl Write,
    labels: &[(&str, &str)],
    stats: ReactorStats,
) -> fmt::Result {
    write_metrics(out, REACTOR, &[(labels, stats)])
}

/// Labels, and the numbers of what has them.
type Labelled<'a, T> = (&'a [(&'a str, &'a str)], T);

fn write_metrics<T>(out: &mut impl Write, metrics: &[Metric<T>], numbers: &[Labelled<'_, T>]) -> fmt::Result {
    for Metric { name, kind, help, value } in metrics {
        let mut values = numbers.iter().filter_map(|(labels, it)| Some((labels, value(it)?))).peekable();
        if values.peek().is_some() {
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        }
        for (labels, value) in values {
            out.write_str(name)?;
            write_labels(out, labels)?;
            writeln!(out, " {value}")?;
        }
    }
    Ok(())
}

fn write_labels(out: &mut impl Write, labels: &[(&str, &str)]) -> fmt::Result {
    for (number, (name, value)) in labels.iter().enumerate() {
        out.write_char(if number == 0 { '{' } else { ',' })?;
        // A name may not begin with a digit.
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            out.write_char('_')?;
        }
        for byte in name.bytes() {
            out.write_char(if byte.is_ascii_alphanumeric() { char::from(byte) } else { '_' })?;
        }
        out.write_str("=\"")?;
        for char in value.chars() {
            match char {
                '\\' => out.write_str("\\\\")?,
                '"' => out.write_str("\\\"")?,
                '\n' => out.write_str("\\n")?,
                char => out.write_char(char)?,
            }
        }
        out.write_char('"')?;
    }
    if labels.is_empty() { Ok(()) } else { out.write_char('}') }
}

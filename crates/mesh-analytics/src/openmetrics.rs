//! Counters and gauges as OpenMetrics 1.0 text.
//!
//! By hand, because it is a page of code and needs no registry of shared, locked metrics. Serve it as
//! [`CONTENT_TYPE`]. Invariant: whatever the label values, the text stays well formed.

use std::fmt::Write;

use crate::counters::Counters;

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A value that goes up and down, given by whoever renders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    /// Its name without unit, `mesh_…`. Characters that a name can't have become `_`.
    pub name: &'static str,
    /// Its unit, which ends the name: `bytes`, `seconds`; empty for a plain number.
    pub unit: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// One value per set of labels.
    pub samples: Vec<GaugeSample>,
}

/// One value of a gauge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GaugeSample {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: i64,
}

/// The whole exposition, `# EOF` included. Give each gauge name once.
#[must_use]
pub fn render(counters: &Counters, gauges: &[Gauge]) -> String {
    let mut text = String::with_capacity(16 * 1024);
    write_head(&mut text, "mesh_traffic", "bytes", "counter", "Bytes by source, purpose and direction.");
    for (class, purpose, direction, value) in counters.iter_bytes() {
        let labels = [("source", class.name()), ("purpose", purpose.name()), ("direction", direction.name())];
        write_sample(&mut text, "mesh_traffic_bytes_total", &labels, value);
    }
    write_head(&mut text, "mesh_events", "", "counter", "What happened, by kind.");
    for (kind, value) in counters.iter_events() {
        write_sample(&mut text, "mesh_events_total", &[("kind", kind.name())], value);
    }
    for gauge in gauges {
        let name = write_head(&mut text, gauge.name, gauge.unit, "gauge", gauge.help);
        for sample in &gauge.samples {
            let labels: Vec<(&str, &str)> = sample.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            write_sample(&mut text, &name, &labels, sample.value);
        }
    }
    text.push_str("# EOF\n");
    text
}

/// Writes the lines that describe a metric and says its full name.
fn write_head(text: &mut String, name: &str, unit: &str, kind: &str, help: &str) -> String {
    let mut full = clean_name(name);
    if !unit.is_empty() {
        full.push('_');
        full.push_str(&clean_name(unit));
    }
    push_line(text, format_args!("# TYPE {full} {kind}"));
    if !unit.is_empty() {
        push_line(text, format_args!("# UNIT {full} {}", clean_name(unit)));
    }
    push_line(text, format_args!("# HELP {full} {}", escape(help)));
    full
}

fn write_sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{}=\"{}\"", clean_name(name), escape(value))).collect();
    if labels.is_empty() {
        push_line(text, format_args!("{name} {value}"));
    } else {
        push_line(text, format_args!("{name}{{{}}} {value}", labels.join(",")));
    }
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}

/// Backslash, quote and line feed, as the format asks.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

fn clean_name(name: &str) -> String {
    let clean = |(index, letter): (usize, char)| match letter {
        'a'..='z' | 'A'..='Z' | '_' => letter,
        '0'..='9' if index > 0 => letter,
        _ => '_',
    };
    name.chars().enumerate().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{Direction, EventKind, Purpose, SourceClass};

    fn sample_text() -> String {
        let mut counters = Counters::new();
        counters.add_bytes(SourceClass::Farther, Purpose::Payload, Direction::Received, 42);
        counters.add_events(EventKind::DialFailed, 2);
        let samples = vec![GaugeSample { labels: vec![("name", "a\"b\\c\nd{}é,=".to_owned())], value: -5 }];
        let plain = vec![GaugeSample { labels: vec![], value: 3 }];
        render(
            &counters,
            &[
                Gauge { name: "mesh_window", unit: "bytes", help: "A \"window\"\nin \\ bytes.", samples },
                Gauge { name: "mesh_peers-connected", unit: "", help: "Peers.", samples: plain },
            ],
        )
    }

    #[test]
    fn counters_end_in_total_and_the_text_in_eof() {
        let text = sample_text();
        let line = "mesh_traffic_bytes_total{source=\"farther\",purpose=\"payload\",direction=\"received\"} 42\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("# UNIT mesh_traffic_bytes bytes\n"));
        assert!(text.contains("mesh_events_total{kind=\"dial_failed\"} 2\n"));
        assert!(text.ends_with("\n# EOF\n") && !text.contains("\n\n"));
        println!("{text}");
    }

    #[test]
    fn labels_are_escaped_and_names_cleaned() {
        let text = sample_text();
        assert!(text.contains("mesh_window_bytes{name=\"a\\\"b\\\\c\\nd{}é,=\"} -5\n"), "{text}");
        assert!(text.contains("\nmesh_peers_connected 3\n"));
        assert!(text.contains("# HELP mesh_window_bytes A \\\"window\\\"\\nin \\\\ bytes.\n"));
        assert_eq!(clean_name("9a b"), "_a_b");
    }
}

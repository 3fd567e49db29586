//! Counters and gauges as OpenMetrics 1.0 text, for Prometheus and its relatives.
//!
//! By hand, because it is a page of code and needs no registry of shared, locked metrics. Serve it as
//! [`CONTENT_TYPE`]. Invariant: whatever the names and label values, the text stays well formed: names are made valid,
//! a family is said once and in one place, and what would be said twice is added up.

use std::collections::BTreeMap;
use std::fmt::Write;

use mesh_proto::port::view::CounterView;

use crate::counters::Counters;

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const TRAFFIC: &str = "mesh_traffic_bytes";
const EVENTS: &str = "mesh_events";
/// Units that end a name and are said beside it, too.
const UNITS: [&str; 2] = ["bytes", "seconds"];

/// What a family's values do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They go up and down.
    Gauge,
}

/// Values that tell the same of different things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name, `mesh_…`, the unit last. Characters that a name can't have become `_`.
    pub name: String,
    /// What its values do.
    pub kind: Kind,
    /// What it tells.
    pub help: String,
    /// One value per set of labels.
    pub samples: Vec<Sample>,
}

/// One value of a family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: u64,
}

impl Family {
    /// A gauge without labels.
    #[must_use]
    pub fn gauge(name: &str, help: &str, value: u64) -> Self {
        let samples = vec![Sample { labels: Vec::new(), value }];
        Self { name: name.to_owned(), kind: Kind::Gauge, help: help.to_owned(), samples }
    }
}

/// All counters, under the names they are shown by everywhere: also those at zero, so that a rate of what has just begun
/// is not unknown.
#[must_use]
pub fn views(counters: &Counters) -> Vec<CounterView> {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let bytes = counters.iter_bytes().map(|(class, purpose, direction, value)| CounterView {
        name: TRAFFIC.to_owned(),
        labels: vec![
            label("source", class.name()),
            label("purpose", purpose.name()),
            label("direction", direction.name()),
        ],
        value,
    });
    let events = counters.iter_events().map(|(kind, value)| CounterView {
        name: EVENTS.to_owned(),
        labels: vec![label("kind", kind.name())],
        value,
    });
    bytes.chain(events).collect()
}

/// Counters as [`views`] shows them, by family.
#[must_use]
pub fn counters(views: &[CounterView]) -> Vec<Family> {
    let family = |view: &CounterView| Family {
        name: view.name.clone(),
        kind: Kind::Counter,
        help: help_of(&view.name).to_owned(),
        samples: vec![Sample { labels: view.labels.clone(), value: view.value }],
    };
    views.iter().map(family).collect()
}

fn help_of(counter: &str) -> &'static str {
    match counter {
        TRAFFIC => "Bytes by source, purpose and direction, since the node was first started.",
        EVENTS => "What happened, by kind, since the node was first started.",
        _ => "Counted since the node was first started.",
    }
}

/// The whole exposition, `# EOF` included. Of families of one name the first says kind and help.
#[must_use]
pub fn render(families: &[Family]) -> String {
    let mut order: Vec<String> = Vec::new();
    let mut merged: BTreeMap<String, (&Family, BTreeMap<Labels, u64>)> = BTreeMap::new();
    for family in families {
        let name = family_name(family);
        if !merged.contains_key(&name) {
            order.push(name.clone());
        }
        let (_, samples) = merged.entry(name).or_insert((family, BTreeMap::new()));
        for sample in &family.samples {
            let sum = samples.entry(labels_of(sample)).or_default();
            *sum = sum.saturating_add(sample.value);
        }
    }
    let mut text = String::with_capacity(16 * 1024);
    for name in order {
        if let Some((family, samples)) = merged.get(&name) {
            write_family(&mut text, &name, family, samples);
        }
    }
    text.push_str("# EOF\n");
    text
}

/// Valid names and any values, by name.
type Labels = Vec<(String, String)>;

fn labels_of(sample: &Sample) -> Labels {
    let labels: BTreeMap<String, String> =
        sample.labels.iter().map(|(name, value)| (clean_name(name), value.clone())).collect();
    labels.into_iter().collect()
}

/// The name without what the format adds to each counter by itself.
fn family_name(family: &Family) -> String {
    let name = clean_name(&family.name);
    match family.kind {
        Kind::Counter => name.strip_suffix("_total").map_or(name.clone(), ToOwned::to_owned),
        Kind::Gauge => name,
    }
}

fn write_family(text: &mut String, name: &str, family: &Family, samples: &BTreeMap<Labels, u64>) {
    let (kind, suffix) = match family.kind {
        Kind::Counter => ("counter", "_total"),
        Kind::Gauge => ("gauge", ""),
    };
    push_line(text, format_args!("# TYPE {name} {kind}"));
    if let Some(unit) = UNITS.iter().find(|unit| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_'))) {
        push_line(text, format_args!("# UNIT {name} {unit}"));
    }
    push_line(text, format_args!("# HELP {name} {}", escape(&family.help)));
    for (labels, value) in samples {
        push_line(text, format_args!("{name}{suffix}{} {value}", label_text(labels)));
    }
}

fn label_text(labels: &Labels) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
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
    let name: String = name.chars().enumerate().map(clean).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{Direction, EventKind, Purpose, SourceClass};

    fn family(name: &str, kind: Kind, labels: &[(&str, &str)], value: u64) -> Family {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let help = "A \"window\"\nin \\ bytes.".to_owned();
        Family { name: name.to_owned(), kind, help, samples: vec![Sample { labels, value }] }
    }

    #[test]
    fn counters_end_in_total_and_the_text_in_eof() {
        let mut kept = Counters::new();
        kept.add_bytes(SourceClass::Farther, Purpose::Payload, Direction::Received, 42);
        kept.add_events(EventKind::DialFailed, 2);
        let text = render(&counters(&views(&kept)));
        let line = "mesh_traffic_bytes_total{direction=\"received\",purpose=\"payload\",source=\"farther\"} 42\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("# UNIT mesh_traffic_bytes bytes\n"), "{text}");
        assert!(text.contains("mesh_events_total{kind=\"dial_failed\"} 2\n"), "{text}");
        assert!(text.contains("mesh_events_total{kind=\"chunk_mismatch\"} 0\n"), "what is zero is said, too: {text}");
        assert!(text.ends_with("\n# EOF\n") && !text.contains("\n\n"));
    }

    #[test]
    fn labels_are_escaped_and_names_cleaned() {
        let text = render(&[
            family("mesh_window_bytes", Kind::Gauge, &[("9 name", "a\"b\\c\nd{}é,=")], 5),
            Family::gauge("mesh_peers-connected", "Peers.", 3),
        ]);
        assert!(text.contains("mesh_window_bytes{__name=\"a\\\"b\\\\c\\nd{}é,=\"} 5\n"), "{text}");
        assert!(text.contains("\nmesh_peers_connected 3\n"), "{text}");
        assert!(text.contains("# HELP mesh_window_bytes A \\\"window\\\"\\nin \\\\ bytes.\n"), "{text}");
        assert_eq!(clean_name("9a b"), "_a_b");
    }

    #[test]
    fn a_family_is_said_once_and_the_same_sample_added_up() {
        let text = render(&[
            family("mesh_given_total", Kind::Counter, &[("to", "x")], 2),
            Family::gauge("mesh_between", "Between.", 1),
            family("mesh_given", Kind::Counter, &[("to", "x")], 3),
            family("mesh_given", Kind::Counter, &[("to", "y")], 4),
        ]);
        assert_eq!(text.matches("# TYPE mesh_given counter\n").count(), 1, "{text}");
        assert!(text.contains("mesh_given_total{to=\"x\"} 5\nmesh_given_total{to=\"y\"} 4\n"), "{text}");
    }
}

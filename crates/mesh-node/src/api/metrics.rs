//! Counters and gauges as OpenMetrics text, for Prometheus and its relatives.
//!
//! Names are made valid and families kept together, as the format asks; each text ends in `# EOF`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mesh_proto::port::view::StatusView;

/// What the text is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PREFIX: &str = "mesh_";

type Labels = Vec<(String, String)>;

/// The node's numbers as OpenMetrics.
#[must_use]
pub fn render(status: &StatusView) -> String {
    let mut out = String::new();
    let families = counters(status);
    for (family, samples) in &families {
        let _ = writeln!(out, "# TYPE {family} counter");
        let _ = writeln!(out, "# HELP {family} Counted since the node was first started.");
        for (labels, value) in samples {
            let _ = writeln!(out, "{family}_total{} {value}", label_text(labels));
        }
    }
    for (name, help, value) in gauges(status) {
        let family = format!("{PREFIX}{name}");
        if !families.contains_key(&family) {
            let _ = write!(out, "# TYPE {family} gauge\n# HELP {family} {help}\n{family} {value}\n");
        }
    }
    out.push_str("# EOF\n");
    out
}

fn gauges(status: &StatusView) -> [(&'static str, &'static str, u64); 10] {
    let transfers = status.transfers.len() as u64;
    let rate = status.transfers.iter().map(|transfer| transfer.rate_bytes_per_s).sum();
    [
        ("uptime_ms", "Milliseconds since the node began.", status.uptime_ms),
        ("peers_connected", "Peers connected.", status.peers_connected.into()),
        ("nodes_known", "Nodes known.", status.nodes_known.into()),
        ("contents", "Contents here.", status.contents.into()),
        ("transfers_open", "Transfers that are not complete.", transfers),
        ("transfers_rate_bytes_per_s", "Bytes per second over all transfers.", rate),
        ("requests_waiting", "Requests of peers that wait for a grant.", status.requests_waiting.into()),
        ("unreceipted_bytes", "Bytes granted and not yet receipted.", status.unreceipted_bytes),
        ("limit_up_bytes_per_s", "The limit on sending; 0 = none.", status.limit_up_bytes_per_s),
        ("limit_down_bytes_per_s", "The limit on receiving; 0 = none.", status.limit_down_bytes_per_s),
    ]
}

/// Families by name, samples by labels; what would be said twice is added up.
fn counters(status: &StatusView) -> BTreeMap<String, BTreeMap<Labels, u64>> {
    let mut families: BTreeMap<String, BTreeMap<Labels, u64>> = BTreeMap::new();
    for counter in &status.counters {
        let labels: BTreeMap<String, String> =
            counter.labels.iter().map(|(name, value)| (valid_name(name), value.clone())).collect();
        let samples = families.entry(family_name(&counter.name)).or_default();
        let sum = samples.entry(labels.into_iter().collect()).or_default();
        *sum = sum.saturating_add(counter.value);
    }
    families
}

fn family_name(name: &str) -> String {
    let name = valid_name(name);
    let name = name.strip_suffix("_total").unwrap_or(&name);
    match name.starts_with(PREFIX) {
        true => name.to_owned(),
        false => format!("{PREFIX}{name}"),
    }
}

fn valid_name(name: &str) -> String {
    let valid = |(index, letter): (usize, char)| match letter {
        'a'..='z' | 'A'..='Z' | '_' => letter,
        '0'..='9' if index > 0 => letter,
        _ => '_',
    };
    let name: String = name.chars().enumerate().map(valid).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

fn label_text(labels: &Labels) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use mesh_proto::port::view::CounterView;

    use super::*;
    use crate::api::samples::status;

    fn counter(name: &str, labels: &[(&str, &str)], value: u64) -> CounterView {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CounterView { name: name.into(), labels, value }
    }

    #[test]
    fn families_stay_together_and_values_are_escaped() {
        let mut view = status();
        view.counters = vec![
            counter("mesh_received_bytes_total", &[("source", "a\"b\\c\nd")], 5),
            counter("7 strange-name", &[], 1),
            counter("received_bytes", &[("source", "other")], 2),
            counter("received_bytes", &[("source", "other")], 3),
        ];
        let text = render(&view);
        assert_eq!(text.matches("# TYPE mesh_received_bytes counter").count(), 1, "{text}");
        assert!(text.contains("mesh_received_bytes_total{source=\"a\\\"b\\\\c\\nd\"} 5\n"), "{text}");
        assert!(text.contains("mesh_received_bytes_total{source=\"other\"} 5\n"), "{text}");
        assert!(text.contains("mesh___strange_name_total 1\n"), "{text}");
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn every_line_is_a_comment_or_a_sample() {
        for line in render(&status()).lines() {
            let sample = line
                .rsplit_once(' ')
                .is_some_and(|(name, value)| name.starts_with(PREFIX) && value.parse::<u64>().is_ok());
            assert!(line.starts_with("# ") || sample, "{line}");
        }
    }
}

//! What a monitoring system is shown of the node: its counters, and how it stands now.

use mesh_analytics::openmetrics::{self, Family};
use mesh_proto::port::view::StatusView;

pub use mesh_analytics::openmetrics::CONTENT_TYPE;

/// The node's numbers as OpenMetrics, with the number of tasks that its runtime has.
#[must_use]
pub fn render(status: &StatusView, tasks: usize) -> String {
    let mut families = openmetrics::counters(&status.counters);
    families.extend(gauges(status));
    // What leaks tasks shows here first.
    families.push(Family::gauge("mesh_tasks", "Tasks of the program that have not ended.", tasks as u64));
    openmetrics::render(&families)
}

fn gauges(status: &StatusView) -> [Family; 10] {
    let transfers = status.transfers.len() as u64;
    let rate = status.transfers.iter().map(|transfer| transfer.rate_bytes_per_s).sum();
    let gauge = Family::gauge;
    [
        gauge("mesh_uptime_ms", "Milliseconds since the node began.", status.uptime_ms),
        gauge("mesh_peers_connected", "Peers connected.", status.peers_connected.into()),
        gauge("mesh_nodes_known", "Nodes known.", status.nodes_known.into()),
        gauge("mesh_contents", "Contents here.", status.contents.into()),
        gauge("mesh_transfers_open", "Transfers that are not complete.", transfers),
        gauge("mesh_transfers_rate_bytes_per_s", "Bytes per second over all transfers.", rate),
        gauge("mesh_requests_waiting", "Requests of peers that wait for a grant.", status.requests_waiting.into()),
        gauge("mesh_unreceipted_bytes", "Bytes granted and not yet receipted.", status.unreceipted_bytes),
        gauge("mesh_limit_up_bytes_per_s", "The limit on sending; 0 = none.", status.limit_up_bytes_per_s),
        gauge("mesh_limit_down_bytes_per_s", "The limit on receiving; 0 = none.", status.limit_down_bytes_per_s),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::samples::status;

    #[test]
    fn every_line_is_a_comment_or_a_sample() {
        let mut view = status();
        view.counters[0].name = "mesh_events".to_owned();
        for line in render(&view, 7).lines() {
            let sample = line
                .rsplit_once(' ')
                .is_some_and(|(name, value)| name.starts_with("mesh_") && value.parse::<u64>().is_ok());
            assert!(line.starts_with("# ") || sample, "{line}");
        }
    }

    #[test]
    fn counters_and_gauges_are_shown() {
        let text = render(&status(), 7);
        assert!(text.contains("text_total{text=\"text\"} 1\n"), "{text}");
        assert!(text.contains("# TYPE mesh_peers_connected gauge\n"), "{text}");
        assert!(text.contains("\nmesh_limit_down_bytes_per_s 0\n"), "{text}");
        assert!(text.ends_with("\nmesh_tasks 7\n# EOF\n"), "{text}");
    }
}

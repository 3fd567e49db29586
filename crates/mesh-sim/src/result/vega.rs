//! A plot as a Vega-Lite specification, with its data inline.
//!
//! Only what versions 5 and 6 have in common is used; JupyterLab shows it as `application/vnd.vegalite.v5+json`.
//! Invariant: keys are written in the order of the alphabet, whatever map `serde_json` was built with.

use serde_json::{Value, json};

use super::plot::{Axis, Bar, Bin, Drawn, Line, Place, Plot, Shape};

const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v5.json";
const WIDTH: u32 = 600;
const HEIGHT: u32 = 360;

/// The specification, as the text of a file.
///
/// # Panics
/// Never: a bounded plot has finite numbers only.
#[must_use]
pub fn vega(plot: &Plot) -> String {
    let plot = plot.bounded();
    let mut spec = match &plot.shape {
        Shape::Lines(drawn, lines) => lines_spec(&plot, *drawn, lines),
        Shape::Bars(bars) => bars_spec(&plot, bars),
        Shape::Histogram(bins) => histogram_spec(&plot, bins),
        Shape::Network(places, links) => network_spec(places, links),
    };
    spec["$schema"] = json!(SCHEMA);
    spec["title"] = json!({"subtitle": plot.note, "text": plot.title});
    (spec["width"], spec["height"]) = (json!(WIDTH), json!(HEIGHT));
    let mut text = serde_json::to_string_pretty(&in_order(spec)).expect("finite values under text keys are JSON");
    text.push('\n');
    text
}

/// Puts keys in order, also where `serde_json` keeps the order of insertion.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            fields.into_iter().map(|(key, value)| (key, in_order(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        other => other,
    }
}

fn quantity(field: &str, axis: &Axis, from_zero: bool) -> Value {
    json!({"field": field, "scale": {"zero": from_zero}, "title": axis.title(&axis.unit), "type": "quantitative"})
}

fn lines_spec(plot: &Plot, drawn: Drawn, lines: &[Line]) -> Value {
    let rows = lines.iter().flat_map(|line| line.points.iter().map(move |point| (line, point)));
    let values: Vec<Value> = rows
        .map(|(line, point)| {
            let mut row = json!({"name": line.name, "x": point.x, "y": point.y});
            if let Some((low, high)) = point.interval {
                (row["low"], row["high"]) = (json!(low), json!(high));
            }
            row
        })
        .collect();
    let mut encoding = json!({"x": quantity("x", &plot.x, false)});
    if lines.len() > 1 {
        // In the order of the lines: sorted as text, 10 would stand before 2.
        encoding["color"] = json!({"field": "name", "sort": null, "title": null, "type": "nominal"});
    }
    let y = quantity("y", &plot.y, false);
    let mut spread = json!({"y": quantity("low", &plot.y, false), "y2": {"field": "high"}});
    // A point without an interval has no ends, and must not be drawn down to zero.
    let has_ends = json!([{"filter": "isValid(datum.low)"}]);
    let has_intervals = lines.iter().any(|line| line.points.iter().any(|point| point.interval.is_some()));
    let mut layer = Vec::new();
    match drawn {
        _ if !has_intervals => {}
        Drawn::Band | Drawn::Steps => {
            spread["opacity"] = json!({"value": 0.25});
            layer.push(json!({"encoding": spread, "mark": {"type": "area"}, "transform": has_ends}));
        }
        Drawn::ErrorBars => {
            layer.push(json!({"encoding": spread, "mark": {"type": "rule"}, "transform": has_ends}));
        }
    }
    layer.push(json!({"encoding": {"y": y}, "mark": match drawn {
        Drawn::Band => json!({"type": "line"}),
        Drawn::ErrorBars => json!({"point": true, "type": "line"}),
        Drawn::Steps => json!({"interpolate": "step-after", "type": "line"}),
    }}));
    json!({"data": {"values": values}, "encoding": encoding, "layer": layer})
}

fn bars_spec(plot: &Plot, bars: &[Bar]) -> Value {
    let values: Vec<Value> = bars
        .iter()
        .map(|bar| {
            let mut row = json!({"name": bar.name, "y": bar.value});
            if let Some((low, high)) = bar.interval {
                (row["low"], row["high"]) = (json!(low), json!(high));
            }
            row
        })
        .collect();
    let x = json!({"field": "name", "sort": null, "title": plot.x.title(&plot.x.unit), "type": "nominal"});
    let spread = json!({"y": quantity("low", &plot.y, true), "y2": {"field": "high"}});
    json!({
        "data": {"values": values},
        "encoding": {"x": x},
        "layer": [
            {"encoding": {"y": quantity("y", &plot.y, true)}, "mark": {"type": "bar"}},
            {"encoding": spread, "mark": {"type": "rule"}, "transform": [{"filter": "isValid(datum.low)"}]},
        ],
    })
}

fn histogram_spec(plot: &Plot, bins: &[Bin]) -> Value {
    let values: Vec<Value> =
        bins.iter().map(|bin| json!({"count": bin.count, "from": bin.from, "to": bin.to})).collect();
    let mut x = quantity("from", &plot.x, false);
    x["bin"] = json!("binned");
    json!({
        "data": {"values": values},
        "encoding": {"x": x, "x2": {"field": "to"}, "y": quantity("count", &plot.y, true)},
        "mark": {"type": "bar"},
    })
}

fn network_spec(places: &[Place], links: &[(usize, usize)]) -> Value {
    let ends = links.iter().filter_map(|(from, to)| Some((places.get(*from)?, places.get(*to)?)));
    let lines: Vec<Value> = ends.map(|(from, to)| json!({"x": from.x, "x2": to.x, "y": from.y, "y2": to.y})).collect();
    let nodes: Vec<Value> = places
        .iter()
        .map(|place| json!({"group": place.group, "name": place.name, "x": place.x, "y": place.y}))
        .collect();
    let place = |field: &str| json!({"axis": null, "field": field, "scale": {"zero": false}, "type": "quantitative"});
    let mut encoding = json!({
        "tooltip": [{"field": "name", "type": "nominal"}, {"field": "group", "type": "nominal"}],
        "x": place("x"),
        "y": place("y"),
    });
    if places.iter().any(|place| !place.group.is_empty()) {
        encoding["color"] = json!({"field": "group", "sort": null, "title": null, "type": "nominal"});
    }
    json!({"layer": [
        {
            "data": {"values": lines},
            "encoding": {"x": place("x"), "x2": {"field": "x2"}, "y": place("y"), "y2": {"field": "y2"}},
            "mark": {"color": "#bbbbbb", "type": "rule"},
        },
        {"data": {"values": nodes}, "encoding": encoding, "mark": {"filled": true, "opacity": 1.0, "size": 60, "type": "point"}},
    ]})
}

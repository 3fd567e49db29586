//! A plot as plain SVG: shapes and texts only, no script, no font of its own.
//!
//! Invariant: well-formed XML whatever stands in names and titles, and the same bytes on every machine.

use std::fmt::{self, Write as _};

use super::figure;
use super::plot::{Axis, Bar, Bin, Drawn, Line, Place, Plot, Point, Shape};
use super::scale::{Span, Ticks};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
/// The frame that values are drawn in.
const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Room for a legend, right of the frame.
const LEGEND: f64 = 130.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = HEIGHT - 64.0;
/// Longer texts are cut.
const TITLE_CHARS_MAX: usize = 80;
const NOTE_CHARS_MAX: usize = 110;
const NAME_CHARS_MAX: usize = 18;

/// Colours that colour-blind people can tell apart (Okabe and Ito 2008).
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442"];

/// The picture, as the text of a file.
#[must_use]
pub fn svg(plot: &Plot) -> String {
    let plot = plot.bounded();
    let legend = match &plot.shape {
        Shape::Lines(_, lines) => lines.len() > 1,
        Shape::Network(places, _) => places.iter().any(|place| !place.group.is_empty()),
        Shape::Bars(_) | Shape::Histogram(_) => false,
    };
    let mut picture = Picture { text: String::new(), right: if legend { RIGHT - LEGEND } else { RIGHT } };
    picture.draw(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">"
    ));
    picture.draw(format_args!("<title>{}</title>", escape(&plot.title, usize::MAX)));
    picture.draw(format_args!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>"));
    picture.text(LEFT, 24.0, "start", 16, &cut(&plot.title, TITLE_CHARS_MAX));
    picture.text(LEFT, 44.0, "start", 11, &cut(&plot.note, NOTE_CHARS_MAX));
    match &plot.shape {
        Shape::Lines(drawn, lines) => picture.lines(&plot, *drawn, lines),
        Shape::Bars(bars) => picture.bars(&plot, bars),
        Shape::Histogram(bins) => picture.histogram(&plot, bins),
        Shape::Network(places, links) => picture.network(places, links),
    }
    picture.text.push_str("</svg>\n");
    picture.text
}

struct Picture {
    text: String,
    /// Where the frame ends on the right.
    right: f64,
}

/// Where values go.
#[derive(Clone, Copy)]
struct Frame {
    x: Span,
    y: Span,
}

impl Frame {
    fn place(self, x: f64, y: f64) -> String {
        format!("{:.2},{:.2}", self.x.place(x), self.y.place(y))
    }
}

impl Picture {
    /// Adds an element on a line of its own.
    fn draw(&mut self, element: fmt::Arguments<'_>) {
        self.text.write_fmt(element).expect("a text takes any text");
        self.text.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
        let text = escape(text, usize::MAX);
        self.draw(format_args!(
            "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{text}</text>"
        ));
    }

    fn rule(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.draw(format_args!(
            "<line x1=\"{x1:.2}\" y1=\"{y1:.2}\" x2=\"{x2:.2}\" y2=\"{y2:.2}\" stroke=\"{colour}\"/>"
        ));
    }

    /// The y axis with its grid. Returns where values go.
    fn y_axis(&mut self, axis: &Axis, values: impl Iterator<Item = f64>) -> Span {
        let marks = Marks::around(axis, values, 6);
        let span = Span { low: marks.low, high: marks.high, from: BOTTOM, to: TOP };
        for (value, text) in &marks.marks {
            let y = span.place(*value);
            self.rule((LEFT, y), (self.right, y), "#dddddd");
            self.text(LEFT - 8.0, y + 4.0, "end", 12, text);
        }
        let middle = (TOP + BOTTOM) / 2.0;
        let title = escape(&marks.title, TITLE_CHARS_MAX);
        self.draw(format_args!(
            "<text x=\"18\" y=\"{middle:.2}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {middle:.2})\">{title}</text>"
        ));
        span
    }

    fn x_axis(&mut self, axis: &Axis, values: impl Iterator<Item = f64>) -> Span {
        let marks = Marks::around(axis, values, 8);
        let span = Span { low: marks.low, high: marks.high, from: LEFT, to: self.right };
        for (value, text) in &marks.marks {
            let x = span.place(*value);
            self.rule((x, BOTTOM), (x, BOTTOM + 5.0), "#333333");
            self.text(x, BOTTOM + 20.0, "middle", 12, text);
        }
        self.x_title(&marks.title);
        span
    }

    fn x_title(&mut self, title: &str) {
        self.rule((LEFT, BOTTOM), (self.right, BOTTOM), "#333333");
        self.text((LEFT + self.right) / 2.0, HEIGHT - 16.0, "middle", 12, &cut(title, TITLE_CHARS_MAX));
    }

    fn lines(&mut self, plot: &Plot, drawn: Drawn, lines: &[Line]) {
        let points = || lines.iter().flat_map(|line| &line.points);
        let heights = points().flat_map(|point| {
            let (low, high) = point.interval.unwrap_or((point.y, point.y));
            [low, point.y, high]
        });
        let y = self.y_axis(&plot.y, heights);
        let x = self.x_axis(&plot.x, points().map(|point| point.x));
        let frame = Frame { x, y };
        for (line, colour) in lines.iter().zip(COLOURS) {
            match drawn {
                Drawn::ErrorBars => self.error_bars(frame, &line.points, colour),
                Drawn::Band | Drawn::Steps => self.band(frame, &line.points, colour),
            }
            let path = match drawn {
                Drawn::Steps => steps(frame, &line.points),
                Drawn::Band | Drawn::ErrorBars => straight(frame, line.points.iter().map(|point| (point.x, point.y))),
            };
            self.draw(format_args!(
                "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
            ));
        }
        if lines.len() > 1 {
            self.legend(lines.iter().map(|line| line.name.as_str()));
        }
    }

    /// The band of intervals, in pieces where points have none.
    fn band(&mut self, frame: Frame, points: &[Point], colour: &str) {
        for piece in points.chunk_by(|a, b| a.interval.is_some() == b.interval.is_some()) {
            let ends: Vec<(f64, (f64, f64))> =
                piece.iter().filter_map(|point| Some((point.x, point.interval?))).collect();
            if ends.is_empty() {
                continue;
            }
            let there = ends.iter().map(|(x, (_, high))| (*x, *high));
            let back = ends.iter().rev().map(|(x, (low, _))| (*x, *low));
            let path = straight(frame, there.chain(back));
            self.draw(format_args!("<polygon points=\"{path}\" fill=\"{colour}\" fill-opacity=\"0.2\"/>"));
        }
    }

    fn error_bars(&mut self, frame: Frame, points: &[Point], colour: &str) {
        for point in points {
            let (x, y) = (frame.x.place(point.x), frame.y.place(point.y));
            self.draw(format_args!("<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"3\" fill=\"{colour}\"/>"));
            self.error_bar(frame.y, x, point.interval, colour);
        }
    }

    fn error_bar(&mut self, y: Span, x: f64, interval: Option<(f64, f64)>, colour: &str) {
        let Some((low, high)) = interval.map(|(low, high)| (y.place(low), y.place(high))) else { return };
        self.rule((x, low), (x, high), colour);
        for end in [low, high] {
            self.rule((x - 4.0, end), (x + 4.0, end), colour);
        }
    }

    fn bars(&mut self, plot: &Plot, bars: &[Bar]) {
        let heights = bars.iter().flat_map(|bar| {
            let (low, high) = bar.interval.unwrap_or((bar.value, bar.value));
            [0.0, bar.value, low, high]
        });
        let y = self.y_axis(&plot.y, heights);
        let room = (self.right - LEFT) / bars.len().max(1) as f64;
        for (number, bar) in bars.iter().enumerate() {
            let middle = LEFT + room * (number as f64 + 0.5);
            self.bar((middle - room * 0.35, middle + room * 0.35), (y.place(0.0), y.place(bar.value)));
            self.error_bar(y, middle, bar.interval, "#333333");
            // Names that would run into each other are left to the legend of the numbers: the Vega-Lite file.
            let letters = (room / 7.0) as usize;
            if letters >= 2 {
                self.text(middle, BOTTOM + 20.0, "middle", 12, &cut(&bar.name, letters));
            }
        }
        self.x_title(&plot.x.title(&plot.x.unit));
    }

    fn bar(&mut self, (left, right): (f64, f64), (foot, head): (f64, f64)) {
        let (top, width, height) = (foot.min(head), right - left, (foot - head).abs());
        let colour = COLOURS[0];
        self.draw(format_args!(
            "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{colour}\" \
             fill-opacity=\"0.7\" stroke=\"#ffffff\" stroke-width=\"0.5\"/>"
        ));
    }

    fn histogram(&mut self, plot: &Plot, bins: &[Bin]) {
        let y = self.y_axis(&plot.y, bins.iter().flat_map(|bin| [0.0, bin.count as f64]));
        let x = self.x_axis(&plot.x, bins.iter().flat_map(|bin| [bin.from, bin.to]));
        for bin in bins {
            self.bar((x.place(bin.from), x.place(bin.to)), (y.place(0.0), y.place(bin.count as f64)));
        }
    }

    fn network(&mut self, places: &[Place], links: &[(usize, usize)]) {
        let frame = network_frame(places, self.right);
        let at = |number: &usize| places.get(*number).map(|place| (frame.x.place(place.x), frame.y.place(place.y)));
        for (from, to) in links {
            if let (Some(from), Some(to)) = (at(from), at(to)) {
                self.rule(from, to, "#bbbbbb");
            }
        }
        let mut groups: Vec<&str> = Vec::new();
        for place in places {
            let group = groups.iter().position(|group| *group == place.group).unwrap_or_else(|| {
                groups.push(&place.group);
                groups.len() - 1
            });
            let (x, y, colour) = (frame.x.place(place.x), frame.y.place(place.y), COLOURS[group % COLOURS.len()]);
            let name = escape(&place.name, NAME_CHARS_MAX);
            self.draw(format_args!(
                "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"4\" fill=\"{colour}\"><title>{name}</title></circle>"
            ));
        }
        if groups.len() > 1 {
            self.legend(groups.into_iter().take(COLOURS.len()));
        }
    }

    /// Names by colour, right of the frame.
    fn legend<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let left = self.right + 12.0;
        for ((name, colour), number) in names.zip(COLOURS).zip(0_u32..) {
            let y = TOP + 12.0 + 16.0 * f64::from(number);
            let top = y - 9.0;
            self.draw(format_args!(
                "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>"
            ));
            let name = if name.is_empty() { "others" } else { name };
            self.text(left + 14.0, y, "start", 11, &cut(name, NAME_CHARS_MAX));
        }
    }
}

/// The marks of an axis: where they are, in the measure's own unit, and what they say.
struct Marks {
    low: f64,
    high: f64,
    marks: Vec<(f64, String)>,
    title: String,
}

impl Marks {
    /// Round numbers in the unit that suits the largest value.
    fn around(axis: &Axis, values: impl Iterator<Item = f64>, about: usize) -> Self {
        let values: Vec<f64> = values.collect();
        let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let scale = figure::scale(&axis.unit, largest);
        let ticks = Ticks::around(values.iter().map(|value| value / scale.per), about);
        let (low, high) = ticks.ends();
        let mark = |value: &f64| (value * scale.per, figure::plain(*value, ticks.decimals));
        let marks = ticks.values.iter().map(mark).collect();
        Self { low: low * scale.per, high: high * scale.per, marks, title: axis.title(scale.word) }
    }
}

/// One scale for both directions, so that a ring stays round.
fn network_frame(places: &[Place], frame_right: f64) -> Frame {
    let ends = |of: fn(&Place) -> f64| {
        let values = || places.iter().map(of);
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (low, high)) = (ends(|place| place.x), ends(|place| place.y));
    let per_place = ((right - left) / (frame_right - LEFT)).max((high - low) / (BOTTOM - TOP)).max(f64::MIN_POSITIVE);
    let (wide, tall) = ((right - left) / per_place / 2.0, (high - low) / per_place / 2.0);
    let (x, y) = ((LEFT + frame_right) / 2.0, (TOP + BOTTOM) / 2.0);
    Frame {
        x: Span { low: left, high: right, from: x - wide, to: x + wide },
        y: Span { low, high, from: y + tall, to: y - tall },
    }
}

fn straight(frame: Frame, points: impl Iterator<Item = (f64, f64)>) -> String {
    points.map(|(x, y)| frame.place(x, y)).collect::<Vec<_>>().join(" ")
}

/// Along, then up.
fn steps(frame: Frame, points: &[Point]) -> String {
    let corners = points.windows(2).flat_map(|pair| [(pair[1].x, pair[0].y), (pair[1].x, pair[1].y)]);
    straight(frame, points.first().map(|first| (first.x, first.y)).into_iter().chain(corners))
}

/// At most so many characters, the last of them `…` if some were cut.
fn cut(text: &str, chars_max: usize) -> String {
    match text.chars().count() > chars_max {
        true => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// What XML can't hold becomes `\u{fffd}`; what it would take for markup is written as its entity.
fn escape(text: &str, chars_max: usize) -> String {
    let mut escaped = String::new();
    for c in cut(text, chars_max).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

//! What a plot shows, described once; `vega` and `svg` turn it into files.
//!
//! Invariant: a plot that is rendered has finite numbers and at most [`ROWS_MAX`] rows; what was left out is said in
//! its note.

/// Most rows of data in one plot.
pub const ROWS_MAX: usize = 5_000;
/// Most lines in one plot: more can't be told apart.
pub const LINES_MAX: usize = 8;
/// Most nodes of a topology picture.
pub const NODES_MAX: usize = 1_500;

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it shows.
    pub label: String,
    /// Its unit, such as `s`, `bytes`, `ratio`, `1`; empty for none.
    pub unit: String,
}

impl Axis {
    /// An axis.
    #[must_use]
    pub fn new(label: &str, unit: &str) -> Self {
        Self { label: label.to_owned(), unit: unit.to_owned() }
    }

    /// The label with its unit.
    #[must_use]
    pub fn title(&self, unit: &str) -> String {
        match unit {
            "" | "1" => self.label.clone(),
            unit => format!("{} ({unit})", self.label),
        }
    }
}

/// A point of a line, with its interval if there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Where on the x axis.
    pub x: f64,
    /// Where on the y axis.
    pub y: f64,
    /// The ends of its interval on the y axis.
    pub interval: Option<(f64, f64)>,
}

/// A line under its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend; empty for a lone line.
    pub name: String,
    /// Its points, in order of x.
    pub points: Vec<Point>,
}

/// How lines are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// Straight from point to point, intervals as a band: values over time.
    Band,
    /// Straight from point to point, points and intervals as error bars: a sweep.
    ErrorBars,
    /// In steps: a cumulative distribution.
    Steps,
}

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What stands below it.
    pub name: String,
    /// How high it is.
    pub value: f64,
    /// The ends of its interval.
    pub interval: Option<(f64, f64)>,
}

/// A bin of a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How many values are in it.
    pub count: u64,
}

/// A node of a topology picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Where it is, from left to right.
    pub x: f64,
    /// Where it is, from below to above.
    pub y: f64,
    /// What it belongs to, told by its colour; empty for all alike.
    pub group: String,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Lines.
    Lines(Drawn, Vec<Line>),
    /// Bars with error bars.
    Bars(Vec<Bar>),
    /// A histogram.
    Histogram(Vec<Bin>),
    /// Nodes, and links between nodes by number.
    Network(Vec<Place>, Vec<(usize, usize)>),
}

/// A plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// What it is about.
    pub title: String,
    /// What is to be known of it: how many seeds, what the band is, what was left out.
    pub note: String,
    /// The x axis.
    pub x: Axis,
    /// The y axis.
    pub y: Axis,
    /// What is shown.
    pub shape: Shape,
}

impl Plot {
    /// The same plot with finite numbers and within its bounds: of too many rows, evenly chosen ones stay, and the
    /// note says so.
    #[must_use]
    pub fn bounded(&self) -> Self {
        let mut plot = self.clone();
        let mut notes = Vec::new();
        match &mut plot.shape {
            Shape::Lines(_, lines) => bound_lines(lines, &mut notes),
            Shape::Bars(bars) => {
                drop_unless(bars, "bars", &mut notes, |bar| is_finite(bar.value, bar.interval));
                thin(bars, ROWS_MAX, "bars", &mut notes);
            }
            Shape::Histogram(bins) => {
                drop_unless(bins, "bins", &mut notes, |bin| bin.from.is_finite() && bin.to.is_finite());
                thin(bins, ROWS_MAX, "bins", &mut notes);
            }
            Shape::Network(places, links) => bound_network(places, links, &mut notes),
        }
        let texts = std::iter::once(plot.note).filter(|note| !note.is_empty()).chain(notes);
        plot.note = texts.collect::<Vec<_>>().join("; ");
        plot
    }
}

fn is_finite(value: f64, interval: Option<(f64, f64)>) -> bool {
    value.is_finite() && interval.is_none_or(|(low, high)| low.is_finite() && high.is_finite())
}

fn bound_lines(lines: &mut Vec<Line>, notes: &mut Vec<String>) {
    if lines.len() > LINES_MAX {
        notes.push(format!("the first {LINES_MAX} of {} lines are shown", lines.len()));
        lines.truncate(LINES_MAX);
    }
    let offered: usize = lines.iter().map(|line| line.points.len()).sum();
    for line in lines.iter_mut() {
        line.points.retain(|point| point.x.is_finite() && is_finite(point.y, point.interval));
    }
    let rows: usize = lines.iter().map(|line| line.points.len()).sum();
    if rows < offered {
        notes.push(format!("{} points without a finite value are left out", offered - rows));
    }
    // Each line rounds up once, and keeps its last point besides.
    let every = rows.div_ceil(ROWS_MAX - 2 * LINES_MAX);
    if rows > ROWS_MAX {
        notes.push(format!("one of {every} of {rows} points is shown"));
        for line in lines.iter_mut() {
            let last = line.points.len().saturating_sub(1);
            let points = line.points.iter().enumerate();
            let kept = points.filter(|(number, _)| number.is_multiple_of(every) || *number == last);
            line.points = kept.map(|(_, point)| *point).collect();
        }
    }
}

fn bound_network(places: &mut Vec<Place>, links: &mut Vec<(usize, usize)>, notes: &mut Vec<String>) {
    let offered = places.len();
    let every = offered.div_ceil(NODES_MAX).max(1);
    // Where each node goes, if it stays.
    let mut moved = vec![None; offered];
    let mut kept = Vec::new();
    for (number, place) in places.drain(..).enumerate() {
        if number.is_multiple_of(every) && place.x.is_finite() && place.y.is_finite() {
            moved[number] = Some(kept.len());
            kept.push(place);
        }
    }
    if kept.len() < offered {
        notes.push(format!("{} of {offered} nodes are shown", kept.len()));
    }
    *places = kept;
    let new_number = |old: usize| moved.get(old).copied().flatten();
    *links = links.iter().filter_map(|(a, b)| Some((new_number(*a)?, new_number(*b)?))).collect();
    thin(links, ROWS_MAX - NODES_MAX, "links", notes);
}

fn drop_unless<T>(items: &mut Vec<T>, what: &str, notes: &mut Vec<String>, keep: impl FnMut(&T) -> bool) {
    let offered = items.len();
    items.retain(keep);
    if items.len() < offered {
        notes.push(format!("{} {what} without a finite value are left out", offered - items.len()));
    }
}

fn thin<T>(items: &mut Vec<T>, most: usize, what: &str, notes: &mut Vec<String>) {
    let every = items.len().div_ceil(most);
    if every > 1 {
        notes.push(format!("one of {every} of {} {what} is shown", items.len()));
        let mut number = 0_usize;
        items.retain(|_| {
            number += 1;
            (number - 1).is_multiple_of(every)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize, points: usize) -> Plot {
        let point = |number: usize| Point { x: number as f64, y: 1.0, interval: None };
        let line = |number: usize| Line { name: number.to_string(), points: (0..points).map(point).collect() };
        let shape = Shape::Lines(Drawn::Band, (0..count).map(line).collect());
        Plot { title: "t".to_owned(), note: "n".to_owned(), x: Axis::new("x", "s"), y: Axis::new("y", "1"), shape }
    }

    #[test]
    fn a_plot_within_its_bounds_stays_as_it_is() {
        let plot = lines(LINES_MAX, ROWS_MAX / LINES_MAX);
        assert_eq!(plot.bounded(), plot);
    }

    #[test]
    fn rows_above_the_bound_are_thinned_and_it_is_said() {
        for (count, points) in [(1, 5_001), (LINES_MAX + 3, 626), (LINES_MAX, 100_000), (3, 1_667)] {
            let plot = lines(count, points).bounded();
            let Shape::Lines(_, lines) = &plot.shape else { panic!("lines stay lines") };
            let rows: usize = lines.iter().map(|line| line.points.len()).sum();
            assert!(rows <= ROWS_MAX && lines.len() <= LINES_MAX, "{count} × {points}: {rows}");
            assert!(lines.iter().all(|line| line.points.last().map(|last| last.x) == Some(points as f64 - 1.0)));
            assert!(plot.note.contains("points is shown"), "{}", plot.note);
        }
    }

    #[test]
    fn a_network_above_its_bounds_keeps_links_between_nodes_that_stay() {
        let nodes = 10_000;
        let place = |number: usize| Place { name: number.to_string(), x: number as f64, y: 0.0, group: String::new() };
        let places: Vec<Place> = (0..nodes).map(place).collect();
        let links: Vec<(usize, usize)> =
            (0..nodes).flat_map(|from| (1..20).map(move |by| (from, from + 7 * by))).collect();
        let mut plot = lines(1, 1);
        plot.shape = Shape::Network(places, links);
        let Shape::Network(places, links) = plot.bounded().shape else { panic!("a network stays one") };
        assert!(places.len() <= NODES_MAX && places.len() + links.len() <= ROWS_MAX && links.len() > 1_000);
        for (from, to) in links {
            let [from, to] = [from, to].map(|number| places[number].name.parse::<usize>().expect("a number"));
            assert!((to - from).is_multiple_of(7) && to - from < 140, "{from} {to}");
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out_and_it_is_said() {
        let mut plot = lines(1, 3);
        if let Shape::Lines(_, lines) = &mut plot.shape {
            lines[0].points[1].y = f64::NAN;
        }
        assert!(plot.bounded().note.ends_with("1 points without a finite value are left out"));
    }
}

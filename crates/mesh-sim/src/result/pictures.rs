//! The usual plots of results: bars or a sweep of every value, distributions of every sample, every series over time.
//!
//! Invariant: what is drawn of a mean is its 95 % interval over seeds, and how many seeds there were is said.

use super::figure::one_line;
use super::measured::{Kind, Measured};
use super::plot::{Axis, Bar, Bin, Drawn, LINES_MAX, Line, Place, Plot, Point, Shape};
use super::results::{Results, Variant};
use super::scale::Ticks;
use super::statistics::{Summary, sorted};

/// Most measures that are drawn, in order of their names.
pub const MEASURES_DRAWN_MAX: usize = 100;
/// Into how many steps virtual time is cut for the mean of a series over seeds.
const TIME_STEPS: u64 = 200;
/// About how many bins a histogram has.
const BINS: usize = 16;

/// Whether a file may be one of the usual plots, by its name: what kind of plot it is, and of which measure.
pub(super) fn is_picture(file: &str) -> bool {
    let kinds = ["value-", "distribution-", "histogram-", "series-"];
    let endings = [".vl.json", ".svg"];
    kinds.iter().any(|kind| file.starts_with(kind)) && endings.iter().any(|ending| file.ends_with(ending))
}

/// The usual plots, each under the name of its file.
#[must_use]
pub fn pictures(results: &Results) -> Vec<(String, Plot)> {
    let variants = results.variants();
    let mut pictures = Vec::new();
    for (measure, (kind, unit)) in results.measures().iter().take(MEASURES_DRAWN_MAX) {
        let measure = Measure { name: measure, unit, scenario: results.scenario(), variants: &variants };
        match kind {
            Kind::Scalar | Kind::Count => {
                let plot = measure.sweep(&results.varied()).unwrap_or_else(|| measure.bars());
                pictures.push((format!("value-{}", measure.name), plot));
            }
            Kind::Sample => {
                pictures.push((format!("distribution-{}", measure.name), measure.distribution()));
                pictures.push((format!("histogram-{}", measure.name), measure.histogram()));
            }
            Kind::Series => pictures.push((format!("series-{}", measure.name), measure.over_time())),
        }
    }
    pictures
}

/// A topology as a picture: nodes at their places, links by the numbers of their ends.
#[must_use]
pub fn topology(title: &str, places: Vec<Place>, links: Vec<(usize, usize)>) -> Plot {
    let note = format!("{} nodes, {} links", places.len(), links.len());
    let shape = Shape::Network(places, links);
    Plot { title: title.to_owned(), note, x: Axis::new("", ""), y: Axis::new("", ""), shape }
}

/// A place on a circle for each of so many nodes, for topologies that know no places.
#[must_use]
pub fn ring(nodes: u32) -> Vec<Place> {
    let place = |number: u32| {
        let angle = std::f64::consts::TAU * f64::from(number) / f64::from(nodes);
        Place { name: number.to_string(), x: libm::cos(angle), y: libm::sin(angle), group: String::new() }
    };
    (0..nodes).map(place).collect()
}

/// A measure to be drawn.
struct Measure<'a> {
    name: &'a str,
    unit: &'a str,
    scenario: &'a str,
    variants: &'a [Variant<'a>],
}

impl Measure<'_> {
    fn plot(&self, note: &str, x: Axis, y: Axis, shape: Shape) -> Plot {
        let runs: Vec<usize> = self.variants.iter().map(|variant| variant.runs().len()).collect();
        let (least, most) = (runs.iter().min().unwrap_or(&0), runs.iter().max().unwrap_or(&0));
        let seeds = match (least, most) {
            (1, 1) => "one seed: no interval".to_owned(),
            (least, most) if least == most => format!("{least} seeds, {note}"),
            (least, most) => format!("{least} to {most} seeds, {note}"),
        };
        Plot { title: format!("{}: {}", self.scenario, self.name), note: seeds, x, y, shape }
    }

    fn bars(&self) -> Plot {
        let bar = |variant: &Variant<'_>| {
            let summary = Summary::of(&variant.values(self.name))?;
            let interval = summary.interval.map(|interval| (interval.low, interval.high));
            let name = if variant.label().is_empty() { self.scenario } else { variant.label() };
            Some(Bar { name: one_line(name), value: summary.mean, interval })
        };
        let shape = Shape::Bars(self.variants.iter().filter_map(bar).collect());
        self.plot("95 % intervals of the means", Axis::new("variant", ""), Axis::new(self.name, self.unit), shape)
    }

    /// A line over the one parameter that is varied, if its texts are numbers.
    fn sweep(&self, varied: &[&str]) -> Option<Plot> {
        let [parameter] = varied else { return None };
        let mut points = Vec::new();
        for variant in self.variants {
            let text = variant.runs().first()?.parameters().get(*parameter)?;
            let x = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
            let Some(summary) = Summary::of(&variant.values(self.name)) else { continue };
            let interval = summary.interval.map(|interval| (interval.low, interval.high));
            points.push(Point { x, y: summary.mean, interval });
        }
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        let shape = Shape::Lines(Drawn::ErrorBars, vec![Line { name: String::new(), points }]);
        let axes = (Axis::new(parameter, ""), Axis::new(self.name, self.unit));
        Some(self.plot("95 % intervals of the means", axes.0, axes.1, shape))
    }

    fn pooled(&self, variant: &Variant<'_>) -> Vec<f64> {
        sorted(variant.samples(self.name).into_iter().flatten().copied())
    }

    fn distribution(&self) -> Plot {
        let line = |variant: &Variant<'_>| {
            let values = self.pooled(variant);
            let share = |number: usize| number as f64 / values.len() as f64;
            let start = values.first().map(|first| Point { x: *first, y: 0.0, interval: None });
            let points = values.iter().enumerate().map(|(number, value)| (*value, share(number + 1)));
            let points = points.map(|(x, y)| Point { x, y, interval: None });
            Line { name: one_line(variant.label()), points: start.into_iter().chain(points).collect() }
        };
        // More lines than are shown are passed on so that the plot can say how many there were; without their points.
        let lines = self.variants.iter().enumerate().map(|(number, variant)| match number < LINES_MAX {
            true => line(variant),
            false => Line { name: String::new(), points: Vec::new() },
        });
        let shape = Shape::Lines(Drawn::Steps, lines.collect());
        self.plot("values of all runs", Axis::new(self.name, self.unit), Axis::new("share of values", "ratio"), shape)
    }

    fn histogram(&self) -> Plot {
        let values = sorted(self.variants.iter().flat_map(|variant| self.pooled(variant)));
        let ends = values.first().into_iter().chain(values.last()).copied();
        let edges = Ticks::around(ends, BINS).values;
        let mut bins: Vec<Bin> = edges.windows(2).map(|pair| Bin { from: pair[0], to: pair[1], count: 0 }).collect();
        let last = bins.len() - 1;
        for value in values {
            bins[edges[1..].partition_point(|edge| *edge <= value).min(last)].count += 1;
        }
        let note = match self.variants.len() {
            1 => "values of all runs".to_owned(),
            count => format!("values of all runs of {count} variants"),
        };
        self.plot(&note, Axis::new(self.name, self.unit), Axis::new("values", "1"), Shape::Histogram(bins))
    }

    fn over_time(&self) -> Plot {
        let line = |variant: &Variant<'_>| Line { name: one_line(variant.label()), points: self.means(variant) };
        let shape = Shape::Lines(Drawn::Band, self.variants.iter().map(line).collect());
        let axes = (Axis::new("virtual time", "s"), Axis::new(self.name, self.unit));
        self.plot("means with their 95 % intervals", axes.0, axes.1, shape)
    }

    /// The mean over runs at even steps of time; a run's value is that of its last point before.
    fn means(&self, variant: &Variant<'_>) -> Vec<Point> {
        let series = |run: &&Measured| run.series(self.name).map(|series| series.points.kept().to_vec());
        let runs: Vec<Vec<(u64, f64)>> = variant.runs().iter().filter_map(series).collect();
        let end_ns = runs.iter().filter_map(|points| points.last()).map(|(time_ns, _)| *time_ns).max().unwrap_or(0);
        let steps = if end_ns == 0 { 0 } else { TIME_STEPS };
        let point = |step: u64| {
            let time_ns = (u128::from(end_ns) * u128::from(step) / u128::from(steps.max(1))) as u64;
            let value = |points: &Vec<(u64, f64)>| {
                let before = points.partition_point(|(at_ns, _)| *at_ns <= time_ns);
                before.checked_sub(1).map(|last| points[last].1)
            };
            let summary = Summary::of(&runs.iter().filter_map(value).collect::<Vec<f64>>())?;
            let interval = summary.interval.map(|interval| (interval.low, interval.high));
            Some(Point { x: time_ns as f64 / 1e9, y: summary.mean, interval })
        };
        (0..=steps).filter_map(point).collect()
    }
}

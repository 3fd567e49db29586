//! Tables of the figures over seeds, for the terminal and for Markdown.
//!
//! Invariant: each line is about one variant and one measure; of one seed, no interval is shown, and it is said.

use super::comparison::Comparison;
use super::comparison::value_of_run;
use super::expectation::{Statistic, estimate, has_figures};
use super::figure::{one_line, plain, row};
use super::results::{Results, Variant};
use super::statistics::{Interval, Summary};

const MEDIAN: Statistic = Statistic::Quantile { share_ppm: 500_000 };
const P95: Statistic = Statistic::Quantile { share_ppm: 950_000 };

/// Cells under heads.
struct Table {
    heads: Vec<&'static str>,
    /// The first so many columns are words, to the left; the rest are numbers, to the right.
    words: usize,
    rows: Vec<Vec<String>>,
}

/// The figures of every variant and measure, aligned for a terminal.
#[must_use]
pub fn terminal(results: &Results) -> String {
    format!(
        "{}: {}\n\n{}\n{}",
        results.scenario(),
        one_line(results.question()),
        figures(results).aligned(),
        note(results)
    )
}

/// The same in Markdown.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let question = escape(&one_line(results.question()));
    format!("**{}**: {question}\n\n{}\n{}", results.scenario(), figures(results).markdown(), note(results))
}

/// What differs between two variants, aligned for a terminal.
#[must_use]
pub fn comparison(comparisons: &[Comparison]) -> String {
    let heads = vec!["measure", "A", "B", "B − A", "±", "B ÷ A", "95 %", "higher/lower", "sign p", "pairs", "left out"];
    let mut table = Table { heads, words: 1, rows: Vec::new() };
    for one in comparisons {
        let half = one.difference.interval.map(Interval::half);
        let mut cells = vec![one.measure.clone()];
        cells.extend(row(&[Some(one.a.mean), Some(one.b.mean), Some(one.difference.mean), half], &one.unit));
        let between = |interval: Interval| format!("{} to {}", plain(interval.low, 4), plain(interval.high, 4));
        let (ratio, interval) = one.ratio.unzip();
        cells.push(ratio.map_or("–".to_owned(), |ratio| plain(ratio, 4)));
        cells.push(interval.flatten().map_or("–".to_owned(), between));
        cells.push(format!("{}/{}", one.higher_lower.0, one.higher_lower.1));
        cells.push(plain(one.sign_p, 4));
        cells.extend([one.difference.runs.to_string(), one.left_out.to_string()]);
        table.rows.push(cells);
    }
    let single = comparisons.iter().any(|one| one.difference.runs == 1);
    let note = if single { "\nOne pair of seeds gives no interval: run more seeds.\n" } else { "" };
    format!("{}{note}", table.aligned())
}

/// What is to be known of the figures of all results.
fn note(results: &Results) -> String {
    let runs: Vec<usize> = results.variants().iter().map(|variant| variant.runs().len()).collect();
    let single = runs.contains(&1);
    let more = if single { " One seed gives no interval: run more seeds." } else { "" };
    let (least, most) = (runs.iter().min().unwrap_or(&0), runs.iter().max().unwrap_or(&0));
    let seeds = if least == most { least.to_string() } else { format!("{least} to {most}") };
    format!(
        "Over {seeds} seeds; ± is the 95 % confidence interval of the mean (Student's t). Of samples, the mean, ± and \
         deviation are those of the runs' means; the other figures are of all values together.{more}\n"
    )
}

fn figures(results: &Results) -> Table {
    let variants = results.variants();
    let several = variants.len() > 1;
    let mut heads = vec!["measure", "mean", "±", "median", "p95", "min", "max", "deviation", "runs"];
    if several {
        heads.insert(0, "variant");
    }
    let mut rows = Vec::new();
    for (measure, (kind, unit)) in results.measures() {
        for variant in variants.iter().filter(|_| has_figures(*kind)) {
            let Some(cells) = cells(variant, measure, unit) else { continue };
            let label = several.then(|| one_line(variant.label()));
            rows.push(label.into_iter().chain([measure.clone()]).chain(cells).collect());
        }
    }
    Table { heads, words: if several { 2 } else { 1 }, rows }
}

fn cells(variant: &Variant<'_>, measure: &str, unit: &str) -> Option<Vec<String>> {
    let values: Vec<f64> = variant.runs().iter().filter_map(|run| value_of_run(run, measure)).collect();
    let summary = Summary::of(&values)?;
    let figure = |statistic| estimate(variant, measure, statistic).map(|(value, _)| value);
    let half = summary.interval.map(Interval::half);
    let all = [
        Some(summary.mean),
        half,
        figure(MEDIAN),
        figure(P95),
        figure(Statistic::Min),
        figure(Statistic::Max),
        summary.deviation,
    ];
    let mut cells = row(&all, unit);
    cells.push(summary.runs.to_string());
    Some(cells)
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

impl Table {
    fn aligned(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.heads[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded = cells.zip(&widths).enumerate().map(|(column, (cell, width))| match column < self.words {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let rule = "─".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1));
        let mut text = line(&mut self.heads.iter().copied());
        text.push_str(&rule);
        text.push('\n');
        text.extend(self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
        text
    }

    fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        let rule = (0..self.heads.len()).map(|column| if column < self.words { "---" } else { "---:" }.to_owned());
        let mut text = line(&mut self.heads.iter().map(|head| (*head).to_owned()));
        text.push_str(&line(&mut rule.into_iter()));
        text.extend(self.rows.iter().map(|row| line(&mut row.iter().map(|cell| escape(cell)))));
        text
    }
}

//! Figures of several runs: the first is discarded, of the others the median and the spread are shown.
//!
//! Figures of several nodes in one run count all.

use serde_json::{Value, json};

/// The figures of one quantity, run by run.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    all: Vec<f64>,
    first_counts: bool,
}

impl Figures {
    /// Figures that all count.
    pub fn of(all: impl IntoIterator<Item = f64>) -> Self {
        Self { all: all.into_iter().collect(), first_counts: true }
    }

    /// Adds a run's figure.
    pub fn add(&mut self, figure: f64) {
        self.all.push(figure);
    }

    /// The runs that count, in order of size: all but the first, if there is more than one.
    fn counted(&self) -> Vec<f64> {
        let from = usize::from(!self.first_counts && self.all.len() > 1);
        let mut counted = self.all[from..].to_vec();
        counted.sort_by(f64::total_cmp);
        counted
    }

    /// The middle one of those that count; zero if there is none.
    #[must_use]
    pub fn median(&self) -> f64 {
        let counted = self.counted();
        match counted.len() {
            0 => 0.0,
            count if count % 2 == 1 => counted[count / 2],
            count => f64::midpoint(counted[count / 2 - 1], counted[count / 2]),
        }
    }

    /// The ratios, run by run: of runs side by side each is as noisy as the other.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        Self { all: self.all.iter().zip(&other.all).map(|(own, other)| own / other).collect(), ..*self }
    }

    /// Each run's figure, put otherwise.
    #[must_use]
    pub fn map(&self, put: impl Fn(f64) -> f64) -> Self {
        Self { all: self.all.iter().copied().map(put).collect(), ..*self }
    }

    /// As data.
    #[must_use]
    pub fn json(&self) -> Value {
        let counted = self.counted();
        json!({"median": self.median(), "min": counted.first(), "max": counted.last(), "runs": self.all})
    }

    /// As a cell of a table: median (min–max).
    #[must_use]
    pub fn cell(&self) -> String {
        let counted = self.counted();
        match (counted.first(), counted.last()) {
            (Some(min), Some(max)) => format!("{:.3} ({min:.3}–{max:.3})", self.median()),
            _ => "–".to_owned(),
        }
    }
}

/// Rows under a head, columns aligned, as Markdown.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|");
    let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    format!("{}|{rule}|\n{}", line(head.to_vec()), rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_does_not_count() {
        let mut figures = Figures::default();
        [100.0, 3.0, 1.0, 2.0].into_iter().for_each(|figure| figures.add(figure));
        assert!((figures.median() - 2.0).abs() < 1e-9);
        assert_eq!(figures.cell(), "2.000 (1.000–3.000)");
        assert_eq!(figures.over(&figures).cell(), "1.000 (1.000–1.000)");
        let mut one = Figures::default();
        one.add(5.0);
        assert!((one.median() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn figures_of_several_nodes_count_all() {
        assert_eq!(Figures::of([3.0, 1.0]).cell(), "2.000 (1.000–3.000)");
    }
}

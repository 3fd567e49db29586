//! Figures of several runs: the first is discarded, of the others the median and the spread are shown.

use serde_json::{Value, json};

/// The figures of one quantity, run by run.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// Adds a run's figure.
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The runs that count, in order of size: all but the first, if there is more than one.
    fn counted(&self) -> Vec<f64> {
        let mut counted = self.0.get(1..).filter(|rest| !rest.is_empty()).unwrap_or(&self.0).to_vec();
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

    /// As data.
    #[must_use]
    pub fn json(&self) -> Value {
        let counted = self.counted();
        json!({"median": self.median(), "min": counted.first(), "max": counted.last(), "runs": self.0})
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

/// Prints rows under a head, columns aligned.
pub fn print_table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("| {} |", padded.collect::<Vec<_>>().join(" | "));
    };
    line(head.to_vec());
    println!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
    rows.iter().for_each(|row| line(row.iter().map(String::as_str).collect()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_does_not_count() {
        let figures = Figures(vec![100.0, 3.0, 1.0, 2.0]);
        assert!((figures.median() - 2.0).abs() < 1e-9);
        assert_eq!(figures.cell(), "2.000 (1.000–3.000)");
        assert!((Figures(vec![5.0]).median() - 5.0).abs() < 1e-9);
    }
}

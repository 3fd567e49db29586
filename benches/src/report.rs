//! What a measurement says at its end: where it was made, its figures as tables or as data, and what they have to keep
//! to; on request as a section of `docs/performance.md`, too.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use mesh_sim::result::document::Document;
use serde_json::{Value, json};

use crate::figures::{Figures, table};
use crate::setting;

/// How a measurement says what it found.
#[derive(Args)]
pub struct Saying {
    /// Prints data instead of tables.
    #[arg(long)]
    json: bool,
    /// Writes the figures into docs/performance.md, too.
    #[arg(long)]
    write: bool,
}

/// How often something is measured, and how what was found is said.
#[derive(Args)]
pub struct Repeating {
    /// How many runs of each; the first is discarded.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// How it is said.
    #[command(flatten)]
    pub saying: Saying,
}

/// What a median has to keep to.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// It must be as much as the first; the second is the aim.
    AtLeast(f64, f64),
    /// It must be no more than the first; the second is the aim.
    AtMost(f64, f64),
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(must, _) => figure >= must,
            Self::AtMost(must, _) => figure <= must,
        }
    }

    fn cells(self) -> [String; 2] {
        match self {
            Self::AtLeast(must, aim) => [format!("≥ {must}"), format!("{aim}")],
            Self::AtMost(must, aim) => [format!("≤ {must}"), format!("{aim}")],
        }
    }
}

/// A measurement's end. See the module.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    asked: String,
    tables: Vec<String>,
    data: Value,
    bounds: Vec<(String, Figures, Bound)>,
}

impl Report {
    /// Of the measurement of this name; `asked` says in words what it was asked to do.
    #[must_use]
    pub fn new(name: &'static str, asked: impl Into<String>) -> Self {
        Self { name, asked: asked.into(), tables: Vec::new(), data: Value::Null, bounds: Vec::new() }
    }

    /// Shows figures as a table.
    #[must_use]
    pub fn table(mut self, head: &[&str], rows: &[Vec<String>]) -> Self {
        self.tables.push(table(head, rows));
        self
    }

    /// The same as data.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Says what a figure has to keep to.
    #[must_use]
    pub fn bound(mut self, what: impl Into<String>, figures: &Figures, bound: Bound) -> Self {
        self.bounds.push((what.into(), figures.clone(), bound));
        self
    }

    /// Says it all. Fails if a figure does not keep to what it must, or if it can't be written down.
    #[must_use]
    pub fn end(self, saying: &Saying) -> ExitCode {
        let setting = setting::describe();
        match saying.json {
            true => println!("{}", self.as_data(&setting)),
            false => {
                setting::print(&setting);
                println!("{:<20}{}", "asked", self.asked);
                print!("{}", self.tables());
            }
        }
        if saying.write
            && let Err(error) = self.write(&setting)
        {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
        match self.bounds.iter().all(|(_, figures, bound)| bound.holds(figures.median())) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }

    fn as_data(&self, setting: &Value) -> Value {
        let bounds = self.bounds.iter().map(|(what, figures, bound)| {
            let (must, aim, at) = match bound {
                Bound::AtLeast(must, aim) => (must, aim, "least"),
                Bound::AtMost(must, aim) => (must, aim, "most"),
            };
            let holds = bound.holds(figures.median());
            json!({"what": what, "figure": figures.json(), "at": at, "must": must, "aim": aim, "holds": holds})
        });
        json!({
            "bench": self.name,
            "setting": setting,
            "asked": self.asked,
            "figures": self.data,
            "bounds": bounds.collect::<Vec<_>>(),
        })
    }

    fn tables(&self) -> String {
        let mut tables = self.tables.clone();
        if !self.bounds.is_empty() {
            let rows = self.bounds.iter().map(|(what, figures, bound)| {
                let [must, aim] = bound.cells();
                let holds = if bound.holds(figures.median()) { "yes" } else { "no" };
                vec![what.clone(), figures.cell(), must, aim, holds.to_owned()]
            });
            tables.push(table(&["figure", "median (min–max)", "must", "aim", "holds"], &rows.collect::<Vec<_>>()));
        }
        tables.join("\n")
    }

    fn write(&self, setting: &Value) -> Result<(), String> {
        let document = Document {
            path: Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md"),
            begin: "<!-- Figures, written by `cargo xtask bench NAME -- --write`. -->\n",
            end: "<!-- The end of what it writes. -->\n",
            head: "### ",
        };
        let words = ["date", "commit", "processor", "cores", "memory", "kernel", "congestion_control"];
        let words =
            words.map(|name| setting[name].as_str().map_or_else(|| setting[name].to_string(), ToOwned::to_owned));
        let [date, commit, processor, cores, memory, kernel, congestion] = words;
        let section = format!(
            "{}. {date}, commit {commit}; {processor}, {cores} cores, {memory}, Linux {kernel}, TCP {congestion}.\n\n{}",
            self.asked,
            self.tables()
        );
        document.put(self.name, &section).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_on_its_own_side() {
        assert!(Bound::AtLeast(0.9, 1.0).holds(0.9) && !Bound::AtLeast(0.9, 1.0).holds(0.89));
        assert!(Bound::AtMost(1.3, 1.1).holds(1.3) && !Bound::AtMost(1.3, 1.1).holds(1.31));
    }

    #[test]
    fn what_must_be_kept_to_stands_below_the_figures() {
        let mut ratio = Figures::default();
        ratio.add(0.5);
        let report = Report::new("lan", "one file").table(&["what"], &[vec!["a".to_owned()]]).bound(
            "ratio",
            &ratio,
            Bound::AtLeast(0.9, 1.0),
        );
        let text = report.tables();
        assert!(text.contains("| what |") && text.contains("| ratio "), "{text}");
        assert!(text.contains("≥ 0.9") && text.contains("| no "), "{text}");
        assert_eq!(report.as_data(&Value::Null)["bounds"][0]["holds"], false);
    }
}

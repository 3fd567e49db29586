//! From what each run measured to figures, tables and files.
//!
//! A run fills a [`Measured`]; [`Results`] holds the runs of a scenario, [`Variant`] those of one set of parameters.
//!
//! | module | what it does |
//! |---|---|
//! | `measured`, `results`, `thinned` | what runs measured, and its JSON file |
//! | `statistics`, `student` | means, quantiles and proportions with intervals, over seeds |
//! | `comparison` | two variants, paired over common seeds |
//! | `expectation` | what a scenario expects, and whether it held |
//! | `figure`, `table`, `csv` | numbers for people, tables, comma-separated values |
//! | `trace` | events in columns (Parquet) |
//! | `plot`, `pictures` | what plots show; the usual ones of results |
//! | `vega`, `svg`, `scale` | plots as Vega-Lite specifications and as SVG |
//! | `folder` | all of it into a folder |
//! | `document` | sections of a document that people write |
//!
//! Invariant: everything written is the same byte for byte for the same results, on every machine.

mod comparison;
pub mod csv;
pub mod document;
mod expectation;
pub mod figure;
mod folder;
mod measured;
mod pictures;
pub mod plot;
mod results;
mod scale;
mod statistics;
mod student;
mod svg;
pub mod table;
#[cfg(test)]
mod tests;
mod thinned;
pub mod trace;
mod vega;

pub use comparison::{Comparison, compare};
pub use expectation::{Bound, Expectation, ExpectationError, Percent, Statistic, Tolerance, Verdict, estimate};
pub use folder::{WriteError, write_all, write_plot, write_text, write_trace};
pub use measured::{
    Kind, MEASURES_MAX, MeasureError, Measured, NAME_BYTES_MAX, SAMPLE_VALUES_MAX, SERIES_POINTS_MAX, Sample, Scalar,
    Series, TEXT_BYTES_MAX, UNIT_BYTES_MAX, VALUE_MAX,
};
pub use pictures::{MEASURES_DRAWN_MAX, pictures, ring, topology};
pub use results::{FILE_BYTES_MAX, RUNS_MAX, Results, ResultsError, VERSION, Variant};
pub use statistics::{Interval, Summary, pooled_quantile, proportion, quantile, sorted};
pub use student::student_975;
pub use svg::svg;
pub use thinned::Thinned;
pub use vega::vega;

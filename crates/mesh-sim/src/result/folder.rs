//! Writes results into a folder, each file whole or not at all.
//!
//! Invariant: a file has its name only once everything in it is on disk. The order of files is always the same.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::measured::{MeasureError, check_name};
use super::pictures::{MEASURES_DRAWN_MAX, is_picture, pictures};
use super::plot::Plot;
use super::results::Results;
use super::trace::{TraceError, TraceRow, TraceWriter};
use super::{csv, svg, table, vega};

/// Why a file could not be written. Files before it are complete; of it, nothing is left under its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file or folder.
    #[error("{} can't be written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The trace.
    #[error("{} can't be written", path.display())]
    Trace {
        /// Which.
        path: PathBuf,
        /// Why.
        source: TraceError,
    },
    /// The name can't be that of a file.
    #[error(transparent)]
    Name(#[from] MeasureError),
}

/// Writes `results.json`, `runs.csv`, `samples.csv`, `table.txt`, `table.md` and the usual plots below `plots/`, each
/// as `NAME.vl.json` (Vega-Lite) and `NAME.svg`. Makes the folder; replaces files of those names, and removes the usual
/// plots of earlier results. Of more measures than [`MEASURES_DRAWN_MAX`], the rest is in tables and data only.
///
/// Returns the files written, in order.
///
/// # Errors
/// If one can't be written.
pub fn write_all(results: &Results, folder: &Path) -> Result<Vec<PathBuf>, WriteError> {
    let mut tables = [table::terminal(results), table::markdown(results)];
    if results.measures().len() > MEASURES_DRAWN_MAX {
        let note = format!("Only the first {MEASURES_DRAWN_MAX} of {} measures are drawn.\n", results.measures().len());
        tables.iter_mut().for_each(|table| table.push_str(&note));
    }
    let [terminal, markdown] = tables;
    let texts = [
        ("results.json", results.to_json()),
        ("runs.csv", csv::runs(results)),
        ("samples.csv", csv::samples(results)),
        ("table.txt", terminal),
        ("table.md", markdown),
    ];
    let mut files = Vec::new();
    for (name, text) in texts {
        files.push(write_text(folder, name, &text)?);
    }
    let plots = folder.join("plots");
    remove_pictures(&plots)?;
    for (name, plot) in pictures(results) {
        files.extend(write_plot(&plot, &plots, &name)?);
    }
    Ok(files)
}

/// Removes the usual plots: one of a measure that these results lack would look as if it were theirs.
fn remove_pictures(folder: &Path) -> Result<(), WriteError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file_error(folder, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|source| file_error(folder, source))?;
        if entry.file_name().to_str().is_some_and(is_picture) {
            fs::remove_file(entry.path()).map_err(|source| file_error(&entry.path(), source))?;
        }
    }
    Ok(())
}

/// Writes a plot twice: `NAME.vl.json` (Vega-Lite) and `NAME.svg`.
///
/// # Errors
/// If one can't be written, or the name is none for a measure.
pub fn write_plot(plot: &Plot, folder: &Path, name: &str) -> Result<[PathBuf; 2], WriteError> {
    // A measure's name may be as long as a name can be, and the kind of plot stands before it.
    name.split_once('-').map_or(Ok(()), |(_, rest)| check_name(rest)).or_else(|_| check_name(name))?;
    let specification = write_text(folder, &format!("{name}.vl.json"), &vega::vega(plot))?;
    Ok([specification, write_text(folder, &format!("{name}.svg"), &svg::svg(plot))?])
}

/// Writes the events of a run as `trace.parquet`; memory does not grow with their number.
///
/// # Errors
/// If it can't be written.
pub fn write_trace<'a>(rows: impl IntoIterator<Item = TraceRow<'a>>, folder: &Path) -> Result<PathBuf, WriteError> {
    write_with(folder, "trace.parquet", |path, file| {
        let trace = |source| WriteError::Trace { path: path.to_owned(), source };
        let mut writer = TraceWriter::new(BufWriter::new(file)).map_err(trace)?;
        rows.into_iter().try_for_each(|row| writer.add(&row)).map_err(trace)?;
        let buffered = writer.finish().map_err(trace)?;
        buffered.into_inner().map_err(|error| file_error(path, error.into_error()))
    })
}

/// Writes a text. Makes the folder; replaces a file of that name.
///
/// # Errors
/// If it can't be written.
pub fn write_text(folder: &Path, name: &str, text: &str) -> Result<PathBuf, WriteError> {
    write_with(folder, name, |path, mut file| {
        file.write_all(text.as_bytes()).map_err(|source| file_error(path, source))?;
        Ok(file)
    })
}

/// Lets `fill` write a temporary file, then gives it its name.
fn write_with(
    folder: &Path,
    name: &str,
    fill: impl FnOnce(&Path, File) -> Result<File, WriteError>,
) -> Result<PathBuf, WriteError> {
    fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
    let (path, temporary) = (folder.join(name), folder.join(format!(".{name}.tmp")));
    let written = File::create(&temporary).map_err(|source| file_error(&path, source)).and_then(|file| {
        let file = fill(&path, file)?;
        file.sync_all().and_then(|()| fs::rename(&temporary, &path)).map_err(|source| file_error(&path, source))
    });
    if let Err(error) = written {
        // What failed is said; that its rest can't be removed besides would hide it.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(path)
}

fn file_error(path: &Path, source: std::io::Error) -> WriteError {
    WriteError::File { path: path.to_owned(), source }
}

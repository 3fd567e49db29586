//! What one run measured: scalars, samples, series and counts under names.
//!
//! Invariant: a name stands for one kind of measure with one unit, and every value is finite.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::thinned::Thinned;

/// Most bytes of a name.
pub const NAME_BYTES_MAX: usize = 64;
/// Most bytes of a unit.
pub const UNIT_BYTES_MAX: usize = 16;
/// Most bytes of a parameter's text.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Most measures, and most parameters, of a run.
pub const MEASURES_MAX: usize = 256;
/// Most values kept of one sample of one run.
pub const SAMPLE_VALUES_MAX: usize = 1 << 16;
/// Most points kept of one series of one run.
pub const SERIES_POINTS_MAX: usize = 1 << 12;
/// The largest value: its square still has room for a sum over all runs.
pub const VALUE_MAX: f64 = 1e140;

/// Why a measure was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The name has a form that is no file name, no column and no key everywhere.
    #[error("{0:?} is no name: 1 to {NAME_BYTES_MAX} of a–z, 0–9, `_`, `-` and `.`, beginning with a letter or digit")]
    Name(String),
    /// The unit is empty, long, or has control characters.
    #[error("{0:?} is no unit: 1 to {UNIT_BYTES_MAX} printable bytes, such as s, bytes, ratio or 1")]
    Unit(String),
    /// The text of a parameter is too long.
    #[error("parameter {0} has more than {TEXT_BYTES_MAX} bytes")]
    Text(String),
    /// The value is no number, or too large.
    #[error("{name} is {value:e}; finite values up to {VALUE_MAX:e} can be measured")]
    Value {
        /// The measure.
        name: String,
        /// The value.
        value: f64,
    },
    /// The name already stands for another kind of measure, or for a scalar, count or parameter that was set.
    #[error("{0} is there already, and stands for one thing only")]
    Taken(String),
    /// The measure has another unit so far.
    #[error("{name} is in {was}, not in {now}")]
    UnitChanged {
        /// The measure.
        name: String,
        /// The unit so far.
        was: String,
        /// The unit now.
        now: String,
    },
    /// A series went back in time.
    #[error("series {0} goes back in time")]
    TimeWentBack(String),
    /// There are too many.
    #[error("a run has at most {MEASURES_MAX} measures and as many parameters")]
    TooMany,
    /// A thinned list in a file contradicts itself.
    #[error("what is kept of {0} does not fit what was offered")]
    Thinning(String),
}

/// Which kind of measure a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One value of the run.
    Scalar,
    /// Many values of the run, for example one per node.
    Sample,
    /// Values over virtual time.
    Series,
    /// How often something happened.
    Count,
}

/// One value and its unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scalar {
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
}

/// Many values of one run; of more than [`SAMPLE_VALUES_MAX`], evenly chosen ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Their unit.
    pub unit: String,
    /// The values, in the order in which they were measured.
    pub values: Thinned<f64, SAMPLE_VALUES_MAX>,
}

/// Values over virtual time; of more than [`SERIES_POINTS_MAX`], evenly chosen ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Their unit.
    pub unit: String,
    /// (Virtual time in nanoseconds, value), never back in time.
    pub points: Thinned<(u64, f64), SERIES_POINTS_MAX>,
}

/// What one run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    seed: u64,
    parameters: BTreeMap<String, String>,
    /// The digest of all events.
    #[serde(with = "hexadecimal")]
    pub digest: u64,
    /// How many events there were.
    pub events: u64,
    /// How long the run took in virtual time.
    pub virtual_ns: u64,
    scalars: BTreeMap<String, Scalar>,
    counts: BTreeMap<String, u64>,
    samples: BTreeMap<String, Sample>,
    series: BTreeMap<String, Series>,
}

impl Measured {
    /// The run of a seed, of which nothing is known yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            parameters: BTreeMap::new(),
            digest: 0,
            events: 0,
            virtual_ns: 0,
            scalars: BTreeMap::new(),
            counts: BTreeMap::new(),
            samples: BTreeMap::new(),
            series: BTreeMap::new(),
        }
    }

    /// Says with which parameter it ran.
    ///
    /// # Errors
    /// If it was said already, or name or text have a wrong form.
    pub fn set_parameter(&mut self, name: &str, text: &str) -> Result<(), MeasureError> {
        check_parameter(name, text)?;
        match self.parameters.len() {
            _ if self.parameters.contains_key(name) => return Err(MeasureError::Taken(name.to_owned())),
            MEASURES_MAX.. => return Err(MeasureError::TooMany),
            _ => self.parameters.insert(name.to_owned(), text.to_owned()),
        };
        Ok(())
    }

    /// Sets a scalar, once.
    ///
    /// # Errors
    /// See [`MeasureError`].
    pub fn set_scalar(&mut self, name: &str, value: f64, unit: &str) -> Result<(), MeasureError> {
        check_value(name, value)?;
        self.check_new(name, unit)?;
        self.scalars.insert(name.to_owned(), Scalar { value, unit: unit.to_owned() });
        Ok(())
    }

    /// Sets a count, once.
    ///
    /// # Errors
    /// See [`MeasureError`].
    pub fn set_count(&mut self, name: &str, count: u64) -> Result<(), MeasureError> {
        self.check_new(name, "1")?;
        self.counts.insert(name.to_owned(), count);
        Ok(())
    }

    /// Adds a value to a sample.
    ///
    /// # Errors
    /// See [`MeasureError`].
    pub fn add_to_sample(&mut self, name: &str, value: f64, unit: &str) -> Result<(), MeasureError> {
        check_value(name, value)?;
        if let Some(sample) = self.samples.get_mut(name) {
            check_unit(name, &sample.unit, unit)?;
            sample.values.add(value);
            return Ok(());
        }
        self.check_new(name, unit)?;
        let mut sample = Sample { unit: unit.to_owned(), values: Thinned::default() };
        sample.values.add(value);
        self.samples.insert(name.to_owned(), sample);
        Ok(())
    }

    /// Adds a point to a series.
    ///
    /// # Errors
    /// See [`MeasureError`].
    pub fn add_to_series(&mut self, name: &str, time_ns: u64, value: f64, unit: &str) -> Result<(), MeasureError> {
        check_value(name, value)?;
        if let Some(series) = self.series.get_mut(name) {
            check_unit(name, &series.unit, unit)?;
            if series.points.kept().last().is_some_and(|(last_ns, _)| *last_ns > time_ns) {
                return Err(MeasureError::TimeWentBack(name.to_owned()));
            }
            series.points.add((time_ns, value));
            return Ok(());
        }
        self.check_new(name, unit)?;
        let mut series = Series { unit: unit.to_owned(), points: Thinned::default() };
        series.points.add((time_ns, value));
        self.series.insert(name.to_owned(), series);
        Ok(())
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The parameters, by name.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<String, String> {
        &self.parameters
    }

    /// A scalar, or a count as a number.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        let scalar = self.scalars.get(name).map(|scalar| scalar.value);
        scalar.or_else(|| self.counts.get(name).map(|count| *count as f64))
    }

    /// A count, exactly.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        self.counts.get(name).copied()
    }

    /// A sample.
    #[must_use]
    pub fn sample(&self, name: &str) -> Option<&Sample> {
        self.samples.get(name)
    }

    /// A series.
    #[must_use]
    pub fn series(&self, name: &str) -> Option<&Series> {
        self.series.get(name)
    }

    /// Every measure: its name, kind and unit.
    pub fn measures(&self) -> impl Iterator<Item = (&str, Kind, &str)> {
        let scalars = self.scalars.iter().map(|(name, scalar)| (name.as_str(), Kind::Scalar, scalar.unit.as_str()));
        let counts = self.counts.keys().map(|name| (name.as_str(), Kind::Count, "1"));
        let samples = self.samples.iter().map(|(name, sample)| (name.as_str(), Kind::Sample, sample.unit.as_str()));
        let series = self.series.iter().map(|(name, series)| (name.as_str(), Kind::Series, series.unit.as_str()));
        scalars.chain(counts).chain(samples).chain(series)
    }

    /// Leaves out measures.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.scalars.retain(|name, _| keep(name));
        self.counts.retain(|name, _| keep(name));
        self.samples.retain(|name, _| keep(name));
        self.series.retain(|name, _| keep(name));
    }

    fn check_new(&self, name: &str, unit: &str) -> Result<(), MeasureError> {
        check_name(name)?;
        if unit.is_empty() || unit.len() > UNIT_BYTES_MAX || unit.chars().any(char::is_control) {
            return Err(MeasureError::Unit(unit.to_owned()));
        }
        if self.measures().any(|(taken, ..)| taken == name) {
            return Err(MeasureError::Taken(name.to_owned()));
        }
        match self.measures().count() {
            MEASURES_MAX.. => Err(MeasureError::TooMany),
            _ => Ok(()),
        }
    }

    /// Checks what was read from a file as if it were measured anew.
    pub(super) fn check(&self) -> Result<(), MeasureError> {
        let mut anew = Self::new(self.seed);
        for (name, text) in &self.parameters {
            anew.set_parameter(name, text)?;
        }
        for (name, scalar) in &self.scalars {
            anew.set_scalar(name, scalar.value, &scalar.unit)?;
        }
        for (name, count) in &self.counts {
            anew.set_count(name, *count)?;
        }
        for (name, sample) in &self.samples {
            anew.check_new(name, &sample.unit)?;
            check_thinned(name, sample.values.is_sound())?;
            sample.values.kept().iter().try_for_each(|value| anew.add_to_sample(name, *value, &sample.unit))?;
        }
        for (name, series) in &self.series {
            anew.check_new(name, &series.unit)?;
            check_thinned(name, series.points.is_sound())?;
            let mut points = series.points.kept().iter();
            points.try_for_each(|(time_ns, value)| anew.add_to_series(name, *time_ns, *value, &series.unit))?;
        }
        Ok(())
    }
}

/// Whether a text can name a measure, a parameter or a scenario.
pub(super) fn check_name(name: &str) -> Result<(), MeasureError> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    match starts_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(known) {
        true => Ok(()),
        false => Err(MeasureError::Name(name.chars().take(NAME_BYTES_MAX).collect())),
    }
}

fn check_parameter(name: &str, text: &str) -> Result<(), MeasureError> {
    check_name(name)?;
    match text.len() <= TEXT_BYTES_MAX {
        true => Ok(()),
        false => Err(MeasureError::Text(name.to_owned())),
    }
}

fn check_value(name: &str, value: f64) -> Result<(), MeasureError> {
    match value.is_finite() && value.abs() <= VALUE_MAX {
        true => Ok(()),
        false => Err(MeasureError::Value { name: name.to_owned(), value }),
    }
}

fn check_unit(name: &str, was: &str, now: &str) -> Result<(), MeasureError> {
    match was == now {
        true => Ok(()),
        false => Err(MeasureError::UnitChanged { name: name.to_owned(), was: was.to_owned(), now: now.to_owned() }),
    }
}

fn check_thinned(name: &str, sound: bool) -> Result<(), MeasureError> {
    match sound {
        true => Ok(()),
        false => Err(MeasureError::Thinning(name.to_owned())),
    }
}

/// Sixteen hexadecimal digits: readers of JSON that know only f64 would lose the last bits of a number.
mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(digest: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{digest:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = digits.then(|| u64::from_str_radix(&text, 16).ok()).flatten();
        digest.ok_or_else(|| serde::de::Error::custom("a digest is sixteen hexadecimal digits"))
    }
}

//! Comma-separated values by RFC 4180, for analysis elsewhere.
//!
//! Invariant: every line has as many fields as the head; a value reads back as the very same number.

use super::measured::Kind;
use super::results::Results;

/// One line per run: seed, parameters, events, virtual time, digest, then every scalar and count with its unit in the
/// head. What a run lacks is empty.
#[must_use]
pub fn runs(results: &Results) -> String {
    let parameters = parameters(results);
    let values: Vec<(&str, &str)> = results
        .measures()
        .iter()
        .filter_map(|(name, (kind, unit))| match kind {
            Kind::Scalar | Kind::Count => Some((name.as_str(), unit.as_str())),
            Kind::Sample | Kind::Series => None,
        })
        .collect();
    let mut heads = vec!["seed".to_owned()];
    heads.extend(parameters.iter().map(|name| format!("parameter {name}")));
    heads.extend(["events", "virtual_ns", "digest"].map(str::to_owned));
    heads.extend(values.iter().map(|(name, unit)| format!("{name} [{unit}]")));
    let mut text = line(heads);
    for run in results.runs() {
        let mut fields = vec![run.seed().to_string()];
        fields.extend(parameters.iter().map(|name| run.parameters().get(*name).cloned().unwrap_or_default()));
        fields.extend([run.events.to_string(), run.virtual_ns.to_string(), format!("{:016x}", run.digest)]);
        // A count is written whole: as a number with a fraction it would lose its last digits above 2⁵³.
        let value = |name: &str| run.count(name).map(|count| count.to_string()).or_else(|| run.value(name).map(number));
        fields.extend(values.iter().map(|(name, _)| value(name).unwrap_or_default()));
        text.push_str(&line(fields));
    }
    text
}

/// One line per value of a sample or point of a series: seed, parameters, measure, unit, number, virtual time (empty
/// for samples), value. Of thinned ones, `number` says which were kept.
#[must_use]
pub fn samples(results: &Results) -> String {
    let parameters = parameters(results);
    let mut heads = vec!["seed".to_owned()];
    heads.extend(parameters.iter().map(|name| format!("parameter {name}")));
    heads.extend(["measure", "unit", "number", "time_ns", "value"].map(str::to_owned));
    let mut text = line(heads);
    for run in results.runs() {
        let mut start = vec![run.seed().to_string()];
        start.extend(parameters.iter().map(|name| run.parameters().get(*name).cloned().unwrap_or_default()));
        let mut add = |name: &str, unit: &str, number: u64, time: String, value: f64| {
            let rest = [name.to_owned(), unit.to_owned(), number.to_string(), time, self::number(value)];
            text.push_str(&line(start.iter().cloned().chain(rest)));
        };
        for (name, _, unit) in run.measures() {
            if let Some(sample) = run.sample(name) {
                let numbers = (0..).step_by(sample.values.every() as usize);
                numbers.zip(sample.values.kept()).for_each(|(at, value)| add(name, unit, at, String::new(), *value));
            }
            if let Some(series) = run.series(name) {
                let numbers = (0..).step_by(series.points.every() as usize);
                let mut points = numbers.zip(series.points.kept());
                points.by_ref().for_each(|(at, (time_ns, value))| add(name, unit, at, time_ns.to_string(), *value));
            }
        }
    }
    text
}

fn parameters(results: &Results) -> Vec<&str> {
    let names = results.runs().iter().flat_map(|run| run.parameters().keys()).map(String::as_str);
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The shortest text that reads back as this number.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 | 1e-5..1e16 => format!("{value}"),
        _ => format!("{value:e}"),
    }
}

fn line(fields: impl IntoIterator<Item = String>) -> String {
    let fields: Vec<String> = fields.into_iter().map(field).collect();
    fields.join(",") + "\r\n"
}

/// A field, quoted where it must be.
fn field(text: String) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Reads by the letter of RFC 4180, section 2.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut lines, mut fields, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match (quoted, c) {
                (true, '"') if rest.peek() == Some(&'"') => field.extend(rest.next()),
                (_, '"') => quoted = !quoted,
                (false, ',') => fields.push(std::mem::take(&mut field)),
                (false, '\r') if rest.peek() == Some(&'\n') => {
                    rest.next();
                    fields.push(std::mem::take(&mut field));
                    lines.push(std::mem::take(&mut fields));
                }
                (_, other) => field.push(other),
            }
        }
        assert!(!quoted && field.is_empty() && fields.is_empty(), "the text ends within a line");
        lines
    }

    proptest! {
        #[test]
        fn any_text_reads_back(lines in vec(vec("[a,\"\r\n é]{0,6}", 1..5), 0..5)) {
            let text: String = lines.iter().cloned().map(line).collect();
            prop_assert_eq!(read(&text), lines);
        }

        #[test]
        fn any_number_reads_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            prop_assert_eq!(number(value).parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
        }
    }
}

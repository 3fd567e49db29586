//! Numbers for people: a value in the unit that suits its size, with four digits.
//!
//! Invariant: numbers shown together share one unit and as many decimals, so that they can be compared by eye.

/// How values of one size are shown: divided, and with a word behind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale<'a> {
    /// What one of the shown unit is in the measure's own.
    pub per: f64,
    /// The unit's word; empty for plain numbers.
    pub word: &'a str,
}

const TIMES: [(f64, &str); 6] =
    [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")];
const BYTES: [(f64, &str); 4] =
    [(1_099_511_627_776.0, "TiB"), (1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB")];
const RATES: [(f64, &str); 4] =
    [(1_099_511_627_776.0, "TiB/s"), (1_073_741_824.0, "GiB/s"), (1_048_576.0, "MiB/s"), (1_024.0, "KiB/s")];

/// The scale that suits values of a unit up to this size.
pub(super) fn scale(unit: &str, largest: f64) -> Scale<'_> {
    let (steps, smallest): (&[(f64, &'static str)], &str) = match unit {
        "s" => (&TIMES, "s"),
        "bytes" => (&BYTES, "B"),
        "bytes/s" => (&RATES, "B/s"),
        "1" | "ratio" => (&[], ""),
        other => (&[], other),
    };
    let fits = |(per, _): &&(f64, &str)| largest.abs() >= *per;
    match steps.iter().find(fits) {
        // Up to two hours and to two days, minutes and hours are what one thinks in.
        Some((3_600.0, _)) if largest.abs() < 7_200.0 => Scale { per: 60.0, word: "min" },
        Some((86_400.0, _)) if largest.abs() < 172_800.0 => Scale { per: 3_600.0, word: "h" },
        Some((60.0, _)) if largest.abs() < 120.0 => Scale { per: 1.0, word: "s" },
        Some((per, word)) => Scale { per: *per, word },
        None => Scale { per: 1.0, word: smallest },
    }
}

/// How many decimals give a number of this size four digits.
fn decimals(value: f64) -> usize {
    match value.abs() {
        0.0 => 0,
        size if size >= 1_000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 => 3,
        _ => 4,
    }
}

/// A number that people can read however large or small: `12.30`, `1.2e-7`.
pub(super) fn plain(value: f64, decimals: usize) -> String {
    let tiny = value != 0.0 && value.abs() < 5e-4;
    if tiny || value.abs() >= 1e9 {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.decimals$}");
    // Nothing is a little less than zero.
    let is_zero = text.bytes().all(|byte| b"-0.".contains(&byte));
    text.strip_prefix('-').filter(|_| is_zero).map_or(text.clone(), ToOwned::to_owned)
}

/// One value with its unit.
#[must_use]
pub fn one(value: f64, unit: &str) -> String {
    row(&[Some(value)], unit).pop().unwrap_or_default()
}

/// Values of one measure, all in the unit and with the decimals that suit the first one there is; none is `–`.
#[must_use]
pub fn row(values: &[Option<f64>], unit: &str) -> Vec<String> {
    let first = values.iter().flatten().copied().find(|value| *value != 0.0).unwrap_or(0.0);
    let scale = scale(unit, first);
    let decimals = decimals(first / scale.per);
    let gap = if scale.word.is_empty() { "" } else { " " };
    let show = |value: f64| format!("{}{gap}{}", plain(value / scale.per, decimals), scale.word);
    values.iter().map(|value| value.map_or("–".to_owned(), show)).collect()
}

/// A text on one line that no terminal takes for a command: control characters become spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_the_unit_that_suits_them() {
        let shown = [
            (0.012_345, "s"),
            (59.5, "s"),
            (600.0, "s"),
            (100_000.0, "s"),
            (0.0, "s"),
            (1_536.0, "bytes"),
            (12.0, "bytes"),
            (3e9, "bytes/s"),
            (0.98, "ratio"),
            (-12_345.6, "1"),
            (1e-9, "1"),
            (5e12, "1"),
            (7.0, "events"),
        ]
        .map(|(value, unit)| one(value, unit));
        let expected = [
            "12.35 ms",
            "59.50 s",
            "10.00 min",
            "27.78 h",
            "0 s",
            "1.500 KiB",
            "12.00 B",
            "2.794 GiB/s",
            "0.9800",
            "-12346",
            "1.000e-9",
            "5.000e12",
            "7.000 events",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn values_shown_together_share_a_unit() {
        assert_eq!(row(&[Some(10.0), None, Some(0.001), Some(-0.0)], "s"), ["10.00 s", "–", "0.00 s", "0.00 s"]);
        assert_eq!(one_line("a\u{1b}[31m\nb"), "a [31m b");
    }
}

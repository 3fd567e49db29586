//! Printing: results on standard output, everything else on standard error.
//!
//! Names come from strangers: what could steer a terminal is replaced before it is shown. JSON escapes by itself.

use std::io::{self, Write as _};
use std::time::Duration;

use bytesize::ByteSize;

use super::fault::Fault;

/// Prints a result. Whoever closed the pipe early does not want the rest: that is no failure.
///
/// # Errors
/// A [`Fault`] if it can't be written: what was asked for would be lost unseen.
pub fn say(text: &str) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// What became of a write to standard output.
///
/// # Errors
/// As [`say`].
pub fn written(result: io::Result<()>) -> Result<(), Fault> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::from_io("writing to standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Prints what is not a result.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A stranger's text, safe to show on one line.
#[must_use]
pub fn printable(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if steers(letter) { '\u{fffd}' } else { letter }).collect()
}

/// So many of something: `1 node`, `2 nodes`.
#[must_use]
pub fn count(many: impl Into<u64>, thing: &str) -> String {
    let many = many.into();
    format!("{many} {thing}{}", if many == 1 { "" } else { "s" })
}

/// Bytes for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// A rate for people.
#[must_use]
pub fn rate(bytes_per_s: u64) -> String {
    format!("{}/s", size(bytes_per_s))
}

/// A time for people, in its two largest units.
#[must_use]
pub fn duration(milliseconds: u64) -> String {
    if milliseconds < 10_000 {
        return format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100);
    }
    let text = humantime::format_duration(Duration::from_secs(milliseconds / 1000)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}]0;x\u{7}\nb\u{202e}ä"), "a\u{fffd}]0;x\u{fffd}\u{fffd}b\u{fffd}ä");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(size(64 << 20), "64.0 MiB");
        assert_eq!(duration(1_250), "1.2 s");
        assert_eq!(duration(3_725_000), "1h 2m");
    }
}

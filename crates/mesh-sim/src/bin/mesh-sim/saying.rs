//! What the program prints.
//!
//! Invariant: a reader that has read enough, such as `head`, is no error; what a run brings is written all the same.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// As `println!`, which would panic if nobody reads any more.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::saying::line(format_args!($($text)*))
    };
}
pub(crate) use say;

/// Prints a line.
///
/// # Panics
/// If it can't be printed, and somebody still reads.
pub fn line(text: Arguments<'_>) {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("can't print: {error}"),
        Ok(()) | Err(_) => {}
    }
}

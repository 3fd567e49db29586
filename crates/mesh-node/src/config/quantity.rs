//! Sizes, rates and times as people write them.

use std::time::Duration;

use bytesize::ByteSize;

/// Bytes from a text like `50 GB` or `20GiB`; a bare number counts bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let size: ByteSize = text.trim().parse().map_err(|_| format!("`{text}` is not a size like 50 GB or 20 GiB"))?;
    Ok(size.as_u64())
}

/// Bytes per second from a text like `10 MB/s`; the `/s` may be left out.
pub(super) fn parse_rate(text: &str) -> Result<u64, String> {
    let bytes = text.trim();
    let bytes = bytes.strip_suffix("/s").unwrap_or(bytes);
    parse_size(bytes).map_err(|_| format!("`{text}` is not a rate like 10 MB/s (bytes, not bits)"))
}

/// A time like `30s` or `5min`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|error| format!("`{text}` is not a time like 30s or 5min: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_are_read_as_written() {
        assert_eq!(parse_rate("10 MB/s"), Ok(10_000_000));
        assert_eq!(parse_rate("512 KiB/s"), Ok(524_288));
        assert_eq!(parse_rate("1000"), Ok(1000));
        assert_eq!(parse_size("2 GB"), Ok(2_000_000_000));
        assert!(parse_rate("fast").is_err());
        assert!(parse_size("-1").is_err());
    }
}

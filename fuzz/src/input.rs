//! One input as several parts, each behind its length, so that the fuzzer can change, add and leave out parts.
//!
//! Invariant: any bytes are some parts, and [`join`] writes what [`parts`] reads.

/// The parts of an input: `u16 LE length | bytes` each. The last one ends with the input, whatever its length says.
pub fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (part, later) = after.split_at(after.len().min(usize::from(u16::from_le_bytes(*length))));
        rest = later;
        Some(part)
    })
}

/// Parts as one input.
///
/// # Panics
/// If one is longer than 65,535 bytes.
#[must_use]
pub fn join<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u16::try_from(part.as_ref().len()).expect("seeds have short parts");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(part.as_ref());
    }
    bytes
}

/// An input as text; what is not UTF-8 in it is replaced, so that no input is wasted.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{join, parts};

    #[test]
    fn parts_are_read_as_they_were_joined() {
        let all: [&[u8]; 3] = [b"one", b"", b"three"];
        assert_eq!(parts(&join(all)).collect::<Vec<_>>(), all);
        assert_eq!(parts(&[9, 0, 1, 2]).collect::<Vec<_>>(), [&[1, 2]]);
        assert_eq!(parts(&[9]).count(), 0);
    }
}

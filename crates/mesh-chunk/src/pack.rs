//! Slices packed with zstd for the way, and unpacked within a bound that the receiver sets.
//!
//! Invariant: unpacking never allocates more than the length that the receiver expects, and gives exactly that length
//! or an error; what is in the bytes is for the chunk's hash to judge.

use mesh_proto::limits::CHUNK_BYTES_MAX;

/// The most that one slice may unpack to.
pub const UNPACKED_BYTES_MAX: usize = CHUNK_BYTES_MAX as usize;
/// Bytes of a sample that [`looks_compressible`] looks at.
pub const SAMPLE_BYTES_MAX: usize = 4096;
/// Packing must save at least one byte in so many.
const SAVING_DIVISOR: usize = 20;
/// Fewer bytes say nothing about the rest.
const SAMPLE_BYTES_MIN: usize = 64;

/// Why packed bytes did not become the slice they stand for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The receiver expects more than any slice has.
    #[error("{expected_bytes} bytes are more than a slice may have")]
    TooLarge {
        /// What was expected.
        expected_bytes: usize,
    },
    /// The bytes are not zstd, or hold more than was expected.
    #[error("the bytes do not unpack to {expected_bytes} bytes")]
    Malformed {
        /// What was expected.
        expected_bytes: usize,
        /// What zstd says.
        #[source]
        source: std::io::Error,
    },
    /// They hold less than was expected.
    #[error("the bytes unpack to {actual_bytes} bytes, {expected_bytes} were expected")]
    Short {
        /// What was expected.
        expected_bytes: usize,
        /// What came out.
        actual_bytes: usize,
    },
}

/// Packs `bytes`, or gives `None` if that saves less than 5 %.
#[must_use]
pub fn pack(bytes: &[u8], level: i32) -> Option<Vec<u8>> {
    let room = bytes.len() - bytes.len().div_ceil(SAVING_DIVISOR);
    if room == 0 {
        return None;
    }
    // A destination too small for the outcome makes zstd give up: just what is wanted.
    let mut packed = vec![0; room];
    let length = zstd::bulk::compress_to_buffer(bytes, &mut packed[..], level).ok()?;
    packed.truncate(length);
    Some(packed)
}

/// Unpacks to exactly `expected_bytes` bytes.
///
/// # Errors
/// [`UnpackError`] if the bytes are not zstd, or stand for more or less.
pub fn unpack(bytes: &[u8], expected_bytes: usize) -> Result<Vec<u8>, UnpackError> {
    if expected_bytes > UNPACKED_BYTES_MAX {
        return Err(UnpackError::TooLarge { expected_bytes });
    }
    let mut unpacked = vec![0; expected_bytes];
    let actual_bytes = zstd::bulk::decompress_to_buffer(bytes, &mut unpacked[..])
        .map_err(|source| UnpackError::Malformed { expected_bytes, source })?;
    if actual_bytes != expected_bytes {
        return Err(UnpackError::Short { expected_bytes, actual_bytes });
    }
    Ok(unpacked)
}

/// Whether packing is worth a try, judged by how unevenly byte values occur in the first 4 KiB of `sample`.
///
/// Cheap and sometimes wrong: it takes data that is even but repeats itself for incompressible.
#[must_use]
pub fn looks_compressible(sample: &[u8]) -> bool {
    let sample = &sample[..sample.len().min(SAMPLE_BYTES_MAX)];
    if sample.len() < SAMPLE_BYTES_MIN {
        return false;
    }
    let mut counts = [0u64; 256];
    sample.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    // Random bytes have n + n(n-1)/256 on average. A quarter more is far outside what chance does.
    let count = sample.len() as u64;
    let random = count + count * (count - 1) / 256;
    squares * 4 > random * 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::pseudo_random;
    use proptest::prelude::*;

    #[test]
    fn text_packs_and_unpacks() {
        let text = b"the same words again and again, ".repeat(500);
        let packed = pack(&text, 3).expect("text packs");
        assert!(packed.len() < text.len() / 10);
        assert_eq!(unpack(&packed, text.len()).expect("it unpacks"), text);
    }

    #[test]
    fn what_saves_too_little_is_not_packed() {
        assert_eq!(pack(&pseudo_random(1, 10_000), 3), None);
        assert_eq!(pack(&[], 3), None);
        assert_eq!(pack(&[0], 3), None);
        let mut almost = pseudo_random(1, 10_000);
        almost[..300].fill(0);
        assert_eq!(pack(&almost, 3), None);
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let packed = pack(&vec![0; 1_000_000], 3).expect("zeros pack");
        assert!(packed.len() < 1000);
        assert!(matches!(unpack(&packed, 999_999), Err(UnpackError::Malformed { .. })));
        assert!(matches!(unpack(&packed, 0), Err(UnpackError::Malformed { .. })));
        assert!(matches!(unpack(&packed, 1_000_001), Err(UnpackError::Short { .. })));
        assert!(matches!(unpack(&packed, usize::MAX), Err(UnpackError::TooLarge { .. })));
    }

    #[test]
    fn random_bytes_do_not_look_compressible() {
        assert!((0..200).all(|seed| !looks_compressible(&pseudo_random(seed, 4096))));
        assert!(looks_compressible(&b"station;time;temperature\n".repeat(100)));
        assert!(looks_compressible(&[0; 4096]));
        assert!(!looks_compressible(&[0; 10]));
    }

    proptest! {
        #[test]
        fn any_bytes_unpack_or_fail_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), expected in 0usize..2000,
        ) {
            if let Ok(unpacked) = unpack(&bytes, expected) {
                prop_assert_eq!(unpacked.len(), expected);
            }
        }

        #[test]
        fn damaged_packs_unpack_or_fail_without_panic(at in 0usize..100, value in any::<u8>()) {
            let mut packed = pack(&b"abc-abd-abe ".repeat(100), 3).expect("text packs");
            let at = at % packed.len();
            packed[at] = value;
            let _ = unpack(&packed, 1200);
        }

        #[test]
        fn what_is_packed_unpacks(bytes in proptest::collection::vec(0u8..4, 0..3000), level in 1i32..6) {
            if let Some(packed) = pack(&bytes, level) {
                prop_assert!(packed.len() * 20 <= bytes.len() * 19);
                prop_assert_eq!(unpack(&packed, bytes.len()).expect("it unpacks"), bytes);
            }
        }
    }
}

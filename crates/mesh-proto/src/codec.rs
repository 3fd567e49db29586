//! The one place where bytes become values and values bytes: bincode 2, little-endian varints, with a limit per type.
//!
//! Invariant: [`decode`] refuses trailing bytes and never allocates more than `LIMIT` bytes. The limit counts memory,
//! not wire bytes (a vector of small strings weighs more in memory than on the wire), so each type's limit is chosen
//! with its largest legitimate value in mind and a test beside it.
//!
//! Encodings are not canonical (`fb 07 00` is seven as well as `07`), so what is signed is always the bytes as received.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

/// Why bytes are not a value of the type asked for. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes do not have the form of this type, or exceed its limit.
    #[error("malformed bytes: {0}")]
    Malformed(#[source] Box<bincode::error::DecodeError>),
    /// The value ended before the bytes did.
    #[error("{extra} bytes follow the value")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// The value is well formed but breaks a rule of its type.
    #[error("{0}")]
    Rule(&'static str),
}

fn configuration<const LIMIT: usize>() -> Configuration<LittleEndian, Varint, Limit<LIMIT>> {
    bincode::config::standard().with_limit::<LIMIT>()
}

/// Decodes exactly one value of `T` from all of `bytes`, allocating at most `LIMIT` bytes.
///
/// # Errors
/// [`DecodeError`] if the bytes are malformed, too large, or go on after the value.
pub fn decode<T: Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, used) = bincode::decode_from_slice(bytes, configuration::<LIMIT>())
        .map_err(|error| DecodeError::Malformed(Box::new(error)))?;
    match bytes.len() - used {
        0 => Ok(value),
        extra => Err(DecodeError::Trailing { extra }),
    }
}

/// No element of a list that [`decode_in_proportion`] decodes may take more memory than this. Each takes one byte or more
/// on the wire, so this times the bytes is enough for any value.
pub const ELEMENT_BYTES_MAX: usize = 512;

/// Decodes like [`decode`], in memory that is in proportion to `bytes`: for files whose largest legitimate value needs a
/// `LIMIT` that a short one must not take.
///
/// # Errors
/// As [`decode`].
pub fn decode_in_proportion<T: Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    const {
        assert!(LIMIT >= 32 << 20, "a smaller limit is no more than what a file of that size takes anyway");
    }
    match bytes.len().saturating_mul(ELEMENT_BYTES_MAX) >> 10 {
        0..64 => decode::<T, { 64 << 10 }>(bytes),
        64..512 => decode::<T, { 512 << 10 }>(bytes),
        512..4096 => decode::<T, { 4 << 20 }>(bytes),
        4096..32_768 => decode::<T, { 32 << 20 }>(bytes),
        _ => decode::<T, LIMIT>(bytes),
    }
}

/// Encodes `value`.
///
/// # Panics
/// If a hand-written `Encode` fails; the derived ones this crate uses cannot, as memory has no limit here.
#[must_use]
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, bincode::config::standard()).expect("derived encoders write any value to memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_huge_length_is_refused_without_allocating() {
        let bytes = [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(decode::<Vec<u8>, 65_536>(&bytes).is_err());
        assert!(decode::<Vec<String>, 65_536>(&bytes).is_err());
    }

    #[test]
    fn a_short_file_takes_no_more_memory_than_a_short_file_may() {
        // A list of a million that ends after its length.
        let bytes = [0xfc, 0x40, 0x42, 0x0f, 0x00];
        let limit_of = |error| match error {
            Err(DecodeError::Malformed(error)) => matches!(*error, bincode::error::DecodeError::LimitExceeded),
            _ => false,
        };
        assert!(!limit_of(decode::<Vec<u8>, { 64 << 20 }>(&bytes)));
        assert!(limit_of(decode_in_proportion::<Vec<u8>, { 64 << 20 }>(&bytes)));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert!(matches!(decode::<u8, 16>(&[1, 2]), Err(DecodeError::Trailing { extra: 1 })));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode::<Vec<(String, Option<[u8; 32]>)>, 4096>(&bytes);
        }

        #[test]
        fn what_is_encoded_decodes(value in any::<(u64, String, Vec<u8>)>()) {
            prop_assert_eq!(decode::<(u64, String, Vec<u8>), 1_000_000>(&encode(&value)).ok(), Some(value));
        }

        #[test]
        fn what_is_encoded_fits_its_proportion(
            count in prop_oneof![0usize..1100, 7900usize..8300],
            pairs in proptest::collection::vec(any::<(u8, String)>(), 0..40),
        ) {
            // Of all lists those whose elements are largest for their bytes: 512 in memory, one on the wire.
            type Largest = Option<[u64; 63]>;
            let (value, pairs) = ((vec![None::<[u64; 63]>; count], pairs.clone()), pairs);
            let read = decode_in_proportion::<(Vec<Largest>, Vec<(u8, String)>), { 64 << 20 }>(&encode(&value));
            prop_assert_eq!(read.map(|(largest, pairs)| (largest.len(), pairs)).ok(), Some((count, pairs)));
        }
    }
}

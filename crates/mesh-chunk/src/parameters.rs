//! How large the chunks of a content are: a fixed function of its size, so that the same bytes are cut alike everywhere.
//!
//! Invariant: every size that [`ChunkParameters::check`] lets through is a power of two within the limits of
//! `mesh_proto::limits`. The cutting itself is in [`crate::cutter`].

use bincode::{Decode, Encode};
use mesh_proto::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};

/// The average up to [`SIZE_BYTES_AT_DEFAULT`], and for streams whose length nobody knows.
pub const AVERAGE_BYTES_DEFAULT: u32 = 64 * 1024;
/// The smallest average, for lines that ask for it.
pub const AVERAGE_BYTES_MIN: u32 = 16 * 1024;
/// The largest average.
pub const AVERAGE_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// The largest content that is cut with the default average.
pub const SIZE_BYTES_AT_DEFAULT: u64 = 1024 * 1024 * 1024;

const _: () = assert!(AVERAGE_BYTES_MIN / 4 >= CHUNK_BYTES_MIN);
const _: () = assert!(AVERAGE_BYTES_MAX * 4 <= CHUNK_BYTES_MAX);

/// Why parameters are not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// The average is not a power of two.
    #[error("an average chunk size of {average_bytes} bytes is not a power of two")]
    NotPowerOfTwo {
        /// The average.
        average_bytes: u32,
    },
    /// The average is too small or too large.
    #[error("an average chunk size of {average_bytes} bytes is not between 16 KiB and 4 MiB")]
    OutOfRange {
        /// The average.
        average_bytes: u32,
    },
}

/// How a content is cut. The smallest chunk is a quarter of the average, the largest four times it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ChunkParameters {
    average_bytes: u32,
}

impl ChunkParameters {
    /// Parameters with the given average.
    ///
    /// # Errors
    /// [`ParametersError`] if it is not a power of two between 16 KiB and 4 MiB.
    pub fn new(average_bytes: u32) -> Result<Self, ParametersError> {
        let parameters = Self { average_bytes };
        parameters.check()?;
        Ok(parameters)
    }

    /// The parameters of a content of `size_bytes`: 64 KiB up to 1 GiB, twice as much for each doubling above, up to
    /// 4 MiB. Must never change: every machine has to cut the same bytes alike.
    #[must_use]
    pub fn for_size(size_bytes: u64) -> Self {
        let mut average_bytes = AVERAGE_BYTES_DEFAULT;
        let mut size_bytes_max = SIZE_BYTES_AT_DEFAULT;
        while size_bytes > size_bytes_max && average_bytes < AVERAGE_BYTES_MAX {
            average_bytes *= 2;
            size_bytes_max *= 2;
        }
        Self { average_bytes }
    }

    /// Checks what was decoded.
    ///
    /// # Errors
    /// [`ParametersError`] if the average is not a power of two between 16 KiB and 4 MiB.
    pub fn check(self) -> Result<(), ParametersError> {
        let average_bytes = self.average_bytes;
        if !average_bytes.is_power_of_two() {
            return Err(ParametersError::NotPowerOfTwo { average_bytes });
        }
        if !(AVERAGE_BYTES_MIN..=AVERAGE_BYTES_MAX).contains(&average_bytes) {
            return Err(ParametersError::OutOfRange { average_bytes });
        }
        Ok(())
    }

    /// What chunks measure on average.
    #[must_use]
    pub fn average_bytes(self) -> u32 {
        self.average_bytes
    }

    /// The smallest chunk, except the last one before the end or a forced border.
    #[must_use]
    pub fn min_bytes(self) -> u32 {
        self.average_bytes / 4
    }

    /// The largest chunk.
    #[must_use]
    pub fn max_bytes(self) -> u32 {
        self.average_bytes.saturating_mul(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::codec;
    use proptest::prelude::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    #[test]
    fn the_average_grows_with_the_size_above_a_gibibyte() {
        let average = |size| ChunkParameters::for_size(size).average_bytes() / 1024;
        assert_eq!([average(0), average(GIB), average(GIB + 1), average(2 * GIB)], [64, 64, 128, 128]);
        assert_eq!([average(2 * GIB + 1), average(32 * GIB), average(32 * GIB + 1)], [256, 2048, 4096]);
        assert_eq!(average(u64::MAX), 4096);
    }

    #[test]
    fn odd_averages_are_refused() {
        assert!(matches!(ChunkParameters::new(65_537), Err(ParametersError::NotPowerOfTwo { .. })));
        assert!(matches!(ChunkParameters::new(0), Err(ParametersError::NotPowerOfTwo { .. })));
        assert!(matches!(ChunkParameters::new(8192), Err(ParametersError::OutOfRange { .. })));
        assert!(matches!(ChunkParameters::new(1 << 23), Err(ParametersError::OutOfRange { .. })));
        assert!(ChunkParameters::new(16 * 1024).is_ok());
    }

    proptest! {
        #[test]
        fn what_for_size_gives_passes_its_own_check(size in any::<u64>()) {
            prop_assert!(ChunkParameters::for_size(size).check().is_ok());
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            if let Ok(parameters) = codec::decode::<ChunkParameters, 64>(&bytes) {
                let _ = (parameters.check(), parameters.min_bytes(), parameters.max_bytes());
            }
        }
    }
}

//! Counts what a decoder takes, since libFuzzer counts it only with a sanitizer that stable Rust has not.
//!
//! Invariant: only the calling thread's memory is counted, at its highest; what a C library takes is not.

/// Does `work`, which must never hold more than `bytes_max` bytes besides what was held before.
///
/// # Panics
/// If it does.
pub fn within<T>(bytes_max: usize, work: impl FnOnce() -> T) -> T {
    let mut done = None;
    let taken = allocation_counter::measure(|| done = Some(work())).bytes_max;
    assert!(taken <= bytes_max as u64, "{taken} bytes were taken, {bytes_max} are allowed");
    done.expect("the work was done")
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn what_is_taken_and_given_back_counts() {
        assert_eq!(within(1000, || vec![1u8; 1000].len()), 1000);
    }

    #[test]
    #[should_panic(expected = "1001 bytes were taken")]
    fn one_byte_too_many_is_noticed() {
        within(1000, || drop(vec![1u8; 1001]));
    }
}

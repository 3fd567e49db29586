//! Packed slices: unpacked to what was expected, or not at all.

use mesh_chunk::{looks_compressible, pack, unpack};

use crate::memory::within;
use crate::{Seed, Target};

/// Expected lengths that are tried. Where a slice ends is the same for all.
const EXPECTED_BYTES_MAX: u32 = 64 * 1024;

pub const PACK: Target = Target { name: "pack", input_bytes_max: 4 * 1024, check, seeds };

/// The first four bytes say what is expected.
fn check(bytes: &[u8]) {
    let Some((expected, packed)) = bytes.split_first_chunk::<4>() else { return };
    let expected = (u32::from_le_bytes(*expected) % (EXPECTED_BYTES_MAX + 1)) as usize;
    if let Ok(unpacked) = within(expected + 1024, || unpack(packed, expected)) {
        assert_eq!(unpacked.len(), expected);
    }
    let _ = looks_compressible(packed);
    if let Some(tight) = pack(packed, 1) {
        assert!(tight.len() < packed.len());
        assert_eq!(unpack(&tight, packed.len()).ok().as_deref(), Some(packed));
    }
}

fn seeds() -> Vec<Seed> {
    let seed = |name: &str, bytes: &[u8]| {
        let packed = pack(bytes, 3).expect("it packs");
        let expected = u32::try_from(bytes.len()).expect("it is short");
        Seed::new(name, [&expected.to_le_bytes(), packed.as_slice()].concat())
    };
    vec![seed("text", &b"abc-abd-abe ".repeat(100)), seed("zeros", &[0; 60_000])]
}

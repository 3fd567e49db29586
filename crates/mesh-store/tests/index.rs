//! What every index promises, and that a damaged one on disk costs only its rows.

use std::path::Path;

use mesh_store::index::{Index, IndexTable, MemoryIndex, SledIndex, VALUE_BYTES_MAX};

fn sled(folder: &Path) -> (SledIndex, Vec<String>) {
    let mut repairs = Vec::new();
    let index = SledIndex::open(&folder.join("index"), &mut repairs).expect("opens");
    (index, repairs)
}

fn keeps_its_promises(index: &dyn Index) {
    index.put(IndexTable::Shares, b"key", b"value");
    assert_eq!(index.get(IndexTable::Shares, b"key").as_deref(), Some(b"value".as_slice()));
    assert_eq!(index.get(IndexTable::Pages, b"key"), None, "tables are apart");
    index.put(IndexTable::Shares, b"key", b"other");
    assert_eq!(index.get(IndexTable::Shares, b"key").as_deref(), Some(b"other".as_slice()));
    index.put(IndexTable::Shares, b"large", &[0; VALUE_BYTES_MAX + 1]);
    assert_eq!(index.get(IndexTable::Shares, b"large"), None);
    for number in 0..100u8 {
        index.put(IndexTable::Pages, &[number / 10, number], &[number]);
    }
    index.remove(IndexTable::Pages, &[3]);
    let left = (0..100u8).filter(|number| index.get(IndexTable::Pages, &[number / 10, *number]).is_some());
    assert_eq!(left.count(), 90);
    index.flush();
}

#[test]
fn in_memory() {
    keeps_its_promises(&MemoryIndex::default());
}

#[test]
fn in_sled_and_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, repairs) = sled(folder.path());
    assert!(repairs.is_empty());
    keeps_its_promises(&index);
    drop(index);
    let (index, repairs) = sled(folder.path());
    assert!(repairs.is_empty(), "{repairs:?}");
    assert_eq!(index.get(IndexTable::Shares, b"key").as_deref(), Some(b"other".as_slice()));
}

#[test]
fn a_half_written_snapshot_does_not_matter() {
    let folder = tempfile::tempdir().expect("a folder");
    sled(folder.path()).0.put(IndexTable::Shares, b"key", b"value");
    std::fs::write(folder.path().join("index/snap.0000000000000010.generating"), b"half").expect("writes");
    let (index, repairs) = sled(folder.path());
    assert!(repairs.is_empty(), "{repairs:?}");
    assert_eq!(index.get(IndexTable::Shares, b"key").as_deref(), Some(b"value".as_slice()));
}

#[test]
fn any_damage_leaves_an_index_that_works() {
    for round in 0..24usize {
        let folder = tempfile::tempdir().expect("a folder");
        let (index, _) = sled(folder.path());
        for number in 0..500u32 {
            index.put(IndexTable::Shares, &number.to_le_bytes(), &[7; 100]);
        }
        drop(index);
        for entry in std::fs::read_dir(folder.path().join("index")).expect("lists").flatten() {
            let Ok(mut bytes) = std::fs::read(entry.path()) else { continue };
            let at = bytes.len() * round / 24;
            match round % 3 {
                0 => bytes.truncate(at),
                1 => bytes.iter_mut().skip(at).take(64).for_each(|byte| *byte = !*byte),
                _ => bytes = b"something else".to_vec(),
            }
            std::fs::write(entry.path(), bytes).expect("writes");
        }
        let (index, _) = sled(folder.path());
        keeps_its_promises(&index);
    }
}

#[test]
fn a_damaged_one_is_kept_aside_and_said() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("index")).expect("makes");
    std::fs::write(folder.path().join("index/conf"), b"no configuration of sled's").expect("writes");
    let (index, repairs) = sled(folder.path());
    assert!(repairs.len() == 1 && repairs[0].contains("built anew"), "{repairs:?}");
    assert!(folder.path().join("index.damaged/conf").exists());
    keeps_its_promises(&index);
}

#[test]
fn a_bloated_one_is_written_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, _) = sled(folder.path());
    for number in 0..60_000u32 {
        index.put(IndexTable::Shares, &number.to_be_bytes(), &[7; 900]);
    }
    index.flush();
    // All but a few hundred go.
    (0..=255u8).for_each(|second| index.remove(IndexTable::Shares, &[0, 0, second, 1]));
    (1..=255u8).for_each(|third| index.remove(IndexTable::Shares, &[0, 0, third]));
    index.flush();
    let before = index.size_bytes();
    assert!(before > 32 << 20, "{before} bytes are not bloated");
    drop(index);
    let (index, _) = sled(folder.path());
    assert!(index.size_bytes() < before / 4, "{} of {before}", index.size_bytes());
    let left: Vec<u8> = (0..=255).filter(|last| index.get(IndexTable::Shares, &[0, 0, 0, *last]).is_some()).collect();
    assert_eq!(left.len(), 255, "rows are lost");
}

#[test]
fn damage_in_a_bloated_one_is_found_before_it_is_written_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, _) = sled(folder.path());
    for number in 0..60_000u32 {
        index.put(IndexTable::Shares, &number.to_be_bytes(), &[7; 900]);
    }
    index.flush();
    (1..=255u8).for_each(|third| index.remove(IndexTable::Shares, &[0, 0, third]));
    index.flush();
    assert!(index.size_bytes() > 32 << 20, "{} bytes are not bloated", index.size_bytes());
    drop(index);
    for round in 0..8 {
        let damaged = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(damaged.path().join("index")).expect("makes");
        for entry in std::fs::read_dir(folder.path().join("index")).expect("lists").flatten() {
            let Ok(mut bytes) = std::fs::read(entry.path()) else { continue };
            if entry.file_name() == "db" {
                // Everywhere a little.
                (round * 97..bytes.len()).step_by(4096).for_each(|at| bytes[at] ^= 0x40);
            }
            std::fs::write(damaged.path().join("index").join(entry.file_name()), bytes).expect("writes");
        }
        keeps_its_promises(&sled(damaged.path()).0);
    }
}

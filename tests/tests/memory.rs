//! Memory does not grow with the file. The measurement with 10 GB is part of `cargo xtask bench loopback`.

use mesh_tests::{TestNode, files};

const FILE_BYTES: u64 = 1 << 30;
const RESIDENT_BYTES_MAX: u64 = 128 << 20;

#[test]
fn a_large_file_fits_through_little_memory() {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let (file, copy) = (folder.path().join("file"), folder.path().join("copy"));
    files::write_random(&file, FILE_BYTES, 1);
    let mut source = TestNode::on_loopback(&folder.path().join("source"));
    let mut getter = TestNode::on_loopback(&folder.path().join("getter"));
    source.up();
    getter.up();
    let ticket = source.share(&file);
    let _ = getter.fetch(&ticket, &copy);
    files::assert_same_file(&file, &copy);
    for (who, node) in [("source", &mut source), ("getter", &mut getter)] {
        let resident = node.process().resident_bytes_max();
        println!("{who}: {} MiB resident at most", resident >> 20);
        assert!(resident <= RESIDENT_BYTES_MAX, "the {who} had {resident} bytes resident");
    }
    source.stop();
    getter.stop();
}
